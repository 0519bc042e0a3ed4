"""Mutants of the core's settings, routes and ``WebSocket``, which stand above all backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from flask_threaded_sockets import clients, options, settings, sockets, websocket
from flask_threaded_sockets.slots import Slots
from flask_threaded_sockets.websocket import WebSocket

from .mutant import Mutant

__all__ = ["SURFACES"]

Patch = Callable[[pytest.MonkeyPatch], None]


def replaced(owner: object, name: str, value: object) -> Patch:
    return lambda patch: patch.setattr(owner, name, value)


def values_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(options.ConnectionOptions, "__post_init__", lambda _: None)


def unknown_keys_passed_over(patch: pytest.MonkeyPatch) -> None:
    right = settings.Settings.from_config.__func__
    known = {f"SOCKETS_{name.upper()}" for name in (*settings._APP_NAMES, *settings.ROUTE_OPTIONS)}

    def lenient(cls: type[settings.Settings], config: Mapping[str, Any]) -> settings.Settings:
        return right(cls, {key: config[key] for key in config if key in known})

    patch.setattr(settings.Settings, "from_config", classmethod(lenient))


def attribute(name: str, value: object) -> Patch:
    return replaced(WebSocket, name, property(lambda _: value))


def none_again_and_again(patch: pytest.MonkeyPatch) -> None:
    """Give ``None`` after the end as often as it is asked."""
    right = WebSocket.receive

    def receive(self: WebSocket, timeout: float | None = None) -> Any:
        return None if self._over else right(self, timeout)

    patch.setattr(WebSocket, "receive", receive)


def send_without_binary(patch: pytest.MonkeyPatch) -> None:
    right = WebSocket.send

    def send(self: WebSocket, message: Any, binary: Any = None, do_compress: bool = True) -> None:
        right(self, message, None, do_compress)

    patch.setattr(WebSocket, "send", send)


def anything_sent(patch: pytest.MonkeyPatch) -> None:
    right = websocket._as_buffer

    def as_buffer(message: Any) -> Any:
        try:
            return right(message)
        except TypeError:
            return str(message).encode()

    patch.setattr(websocket, "_as_buffer", as_buffer)


def with_block_leaves_open(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WebSocket, "__exit__", lambda *_: None)


def with_block_closes_normally(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WebSocket, "__exit__", lambda self, *_: self.close())


def clients_of_all_servers(patch: pytest.MonkeyPatch) -> None:
    def of_server(self: clients.Clients, _: object) -> dict[Any, Any]:
        return {client.address: client for client in self.snapshot()}

    patch.setattr(clients.Clients, "of_server", of_server)


def clients_never_leave(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(clients.Clients, "remove", lambda *_: None)


def slots_not_given_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Slots, "give_back", lambda _: None)


def no_slots(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Slots, "take", lambda *_: None)


def aborts_like_a_crash(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sockets, "_close_of", lambda _: (1011, ""))


def iteration_raises(patch: pytest.MonkeyPatch) -> None:
    def iterate(self: WebSocket) -> Any:
        while (message := self.receive()) is not None:
            yield message

    patch.setattr(WebSocket, "__iter__", iterate)


SURFACES = (
    Mutant(
        "values-not-checked",
        (
            "configuration.refuses-close-*",
            "configuration.refuses-compression-*",
            "configuration.refuses-max-message-*",
            "configuration.refuses-max-queue-*",
            "configuration.refuses-ping-interval-*",
            "configuration.refuses-ping-timeout-*",
            "configuration.refuses-send-*",
            "configuration.route-refuses-close-*",
            "configuration.route-refuses-compression-*",
            "configuration.route-refuses-max-*",
            "configuration.route-refuses-ping-*",
            "configuration.route-refuses-send-*",
            "configuration.wrong-after-sockets",
        ),
        patch=values_not_checked,
    ),
    Mutant(
        "unknown-keys-passed-over",
        (
            "configuration.refuses-ping-intervall-*",
            "configuration.refuses-max-size-5",
        ),
        patch=unknown_keys_passed_over,
    ),
    Mutant(
        "origins-not-validated",
        (
            "configuration.refuses-allowed-*",
            "configuration.route-refuses-allowed-*",
        ),
        patch=replaced(settings, "validate_allowed_origins", lambda _: None),
    ),
    Mutant(
        "app-values-not-checked",
        (
            "configuration.refuses-max-connections-*",
            "configuration.refuses-backend-*",
            "configuration.refuses-handle-signals-no",
        ),
        patch=replaced(settings, "_check_app_values", lambda _: None),
    ),
    Mutant("no-limit-on-connections", ("configuration.max-connections",), patch=no_slots),
    Mutant("places-not-given-back", ("configuration.max-connections",), patch=slots_not_given_back),
    Mutant("origin-attribute-missing", ("websocket.attributes",), patch=attribute("origin", None)),
    Mutant("backend-attribute-missing", ("websocket.backend",), patch=attribute("backend", None)),
    Mutant(
        "none-again-and-again",
        (
            "websocket.none-once",
            "websocket.receive-after-own-close",
        ),
        patch=none_again_and_again,
    ),
    Mutant(
        "binary-argument-ignored",
        (
            "websocket.send-str-as-binary",
            "websocket.refuses-send-invalid-text",
            "websocket.send-bytes-as-text",
            "websocket.send-str-binary-positional",
        ),
        patch=send_without_binary,
    ),
    Mutant(
        "anything-is-sent",
        (
            "websocket.refuses-send-int",
            "websocket.refuses-frame-int",
            "websocket.refuses-send-list",
            "websocket.refuses-send-none",
        ),
        patch=anything_sent,
    ),
    Mutant(
        "any-close-code-sent",
        (
            "websocket.close-refuses-*",
            "websocket.refuses-frame-close-1005",
        ),
        patch=replaced(websocket, "is_sendable_close_code", lambda _: True),
    ),
    Mutant(
        "reason-not-cut",
        ("websocket.close-reason-cut*",),
        patch=replaced(websocket, "truncate_reason", lambda reason: reason),
    ),
    Mutant(
        "large-control-frames-sent",
        (
            "websocket.refuses-frame-ping-126",
            "websocket.refuses-frame-close-126",
            "websocket.refuses-frame-pong-126",
            "websocket.refuses-ping-126",
        ),
        patch=replaced(websocket, "CONTROL_PAYLOAD_MAX", 1000),
    ),
    Mutant(
        "with-block-leaves-open",
        (
            "websocket.with-block",
            "websocket.with-block-raises",
        ),
        patch=with_block_leaves_open,
    ),
    Mutant(
        "with-block-closes-normally",
        ("websocket.with-block-raises",),
        patch=with_block_closes_normally,
    ),
    Mutant(
        "iteration-over-closed-raises", ("websocket.iteration-over-closed",), patch=iteration_raises
    ),
    Mutant(
        "clients-of-all-servers", ("websocket.clients-of-one-server",), patch=clients_of_all_servers
    ),
    Mutant("clients-never-leave", ("websocket.clients-leave",), patch=clients_never_leave),
    Mutant(
        "abort-closes-with-1011",
        (
            "endings.aborts-*",
            "endings.abort-with-error-page",
        ),
        patch=aborts_like_a_crash,
    ),
)

"""Mutants of the core's ``WebSocket``: calls in the usual form do something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_threaded_sockets import clients
from flask_threaded_sockets.exceptions import WebSocketError
from flask_threaded_sockets.websocket import WebSocket

from .mutant import Mutant

__all__ = ["CALLS"]


def wrapping(name: str, make: Callable[[Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """Replace a method of ``WebSocket`` by what is made of it."""
    return lambda patch: patch.setattr(WebSocket, name, make(getattr(WebSocket, name)))


def never_refusing(right: Any) -> Any:
    def send_frame(self: WebSocket, message: Any, opcode: int, *rest: Any) -> None:
        try:
            right(self, message, opcode, *rest)
        except (ValueError, WebSocketError) as error:
            if self.closed:
                raise
            del error

    return send_frame


def always_binary(right: Any) -> Any:
    def send_frame(self: WebSocket, message: Any, opcode: int, *rest: Any) -> None:
        right(self, message, 2 if opcode == 1 else opcode, *rest)

    return send_frame


def never_compressing(right: Any) -> Any:
    def send_frame(self: WebSocket, message: Any, opcode: int, *_: Any) -> None:
        right(self, message, opcode)

    return send_frame


def silent_ping(right: Any) -> Any:
    def ping(self: WebSocket, payload: Any = b"") -> None:
        try:
            right(self, payload)
        except WebSocketError:
            if not self.closed:
                raise

    return ping


def timeout_by_keyword(right: Any) -> Any:
    return lambda self, *, timeout=None: right(self, timeout)


def type_first(right: Any) -> Any:
    def send(self: WebSocket, message: Any, *rest: Any, **keywords: Any) -> None:
        if message is None:
            raise TypeError("None cannot be sent")
        right(self, message, *rest, **keywords)

    return send


def surrogates_sent(right: Any) -> Any:
    def send(self: WebSocket, message: Any, *rest: Any, **keywords: Any) -> None:
        if isinstance(message, str):
            message = message.encode("utf-8", "replace").decode()
        right(self, message, *rest, **keywords)

    return send


def wrong_opcode(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WebSocket, "OPCODE_CONTINUATION", 0x3)


def clients_unknown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(clients.Clients, "of_server", lambda *_: {})


def false_is_true(right: Any) -> Any:
    def send(self: WebSocket, message: Any, binary: Any = None, *rest: Any, **kw: Any) -> None:
        right(self, message, True if binary is False else binary, *rest, **kw)

    return send


CALLS = (
    Mutant(
        "wrong-frames-not-refused",
        (
            "websocket.refuses-frame-continuation",
            "websocket.refuses-frame-close-*",
            "websocket.refuses-frame-opcode-3",
            "websocket.refuses-frame-ping-126",
            "websocket.refuses-frame-pong-126",
            "websocket.refuses-ping-126",
        ),
        patch=wrapping("send_frame", never_refusing),
    ),
    Mutant(
        "text-frame-sent-as-binary",
        (
            "websocket.frame-text",
            "compression.send-frame-is-not-compressed",
            "compression.send-frame-compressed",
        ),
        patch=wrapping("send_frame", always_binary),
    ),
    Mutant(
        "frame-never-compressed",
        ("compression.send-frame-compressed",),
        patch=wrapping("send_frame", never_compressing),
    ),
    Mutant(
        "ping-on-closed-ignored",
        (
            "websocket.ping-after-own",
            "close.nothing-after-close",
            "websocket.ping-after-*",
        ),
        patch=wrapping("ping", silent_ping),
    ),
    Mutant(
        "timeout-by-keyword-only",
        (
            "websocket.receive-timeout-positional-and-keyword",
            "liveness.silent-within-frame",
            "websocket.close-within-timeout",
            "websocket.half-message-survives-timeout",
            "websocket.receive-timeout",
            "websocket.usable-after-timeout",
        ),
        patch=wrapping("receive", timeout_by_keyword),
    ),
    Mutant(
        "type-judged-before-end",
        (
            "websocket.send-none-after-own",
            "endings.own-error-is-quiet",
            "websocket.send-none-*",
        ),
        patch=wrapping("send", type_first),
    ),
    Mutant(
        "surrogates-sent",
        ("websocket.refuses-send-surrogate",),
        patch=wrapping("send", surrogates_sent),
    ),
    Mutant(
        "wrong-constant",
        (
            "websocket.opcode-constants",
            "websocket.refuses-frame-continuation",
        ),
        patch=wrong_opcode,
    ),
    Mutant(
        "clients-unknown",
        (
            "websocket.broadcast",
            "websocket.clients-*",
            "concurrency.broadcast-while-clients-come-and-go",
            "endings.server-shutdown",
        ),
        patch=clients_unknown,
    ),
    Mutant(
        "false-is-binary",
        (
            "websocket.send-str-binary-false",
            "websocket.send-bytes-as-text",
            "compression.send-frame-compressed",
            "compression.send-frame-is-not-compressed",
            "websocket.frame-text",
            "websocket.refuses-send-invalid-text",
        ),
        patch=wrapping("send", false_is_true),
    ),
)

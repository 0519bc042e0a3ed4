"""Mutants of the core that refuse requests they should take, or take what they should refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_threaded_sockets import (
    choice,
    extension,
    gateway,
    handshake,
    opening,
    options,
    origin,
    serving,
    sockets,
)
from flask_threaded_sockets.backend import Feature
from flask_threaded_sockets.origin import OriginRefused
from flask_threaded_sockets.refusals import BadHandshake, Refusal

from .mutant import Mutant

__all__ = ["REQUESTS"]

Patch = Callable[[pytest.MonkeyPatch], None]
Environ = dict[str, Any]


def refusing(condition: Callable[[Environ], object]) -> Patch:
    """Refuse some requests."""
    check = opening.check_upgrade

    def strict(environ: Environ, **keywords: Any) -> str:
        if condition(environ):
            raise BadHandshake("not this one")
        return check(environ, **keywords)

    return lambda patch: patch.setattr(opening, "check_upgrade", strict)


def upgrading(condition: Callable[[Environ], bool]) -> Patch:
    """Take other requests for ones that ask for a WebSocket."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        for module in (handshake, extension, gateway, serving):
            patch.setattr(module, "is_upgrade", condition)

    return apply


def allowing(decide: Callable[[Environ, Any], object]) -> Patch:
    """Decide otherwise about an origin; ``None``: as it should be."""
    check = opening.check_origin

    def other(environ: Environ, allowed: Any) -> None:
        decision = decide(environ, allowed) if "HTTP_ORIGIN" in environ else None
        if decision is None:
            check(environ, allowed)
        elif not decision:
            raise OriginRefused(environ["HTTP_ORIGIN"], "another")

    return lambda patch: patch.setattr(opening, "check_origin", other)


def listed(environ: Environ, allowed: Any) -> object:
    return environ["HTTP_ORIGIN"] in allowed if isinstance(allowed, list) else None


def hosts_alone(environ: Environ, allowed: Any) -> object:
    host = environ["HTTP_ORIGIN"].partition("://")[2]
    hosts = [entry.partition("://")[2] for entry in allowed] if isinstance(allowed, list) else []
    return True if host in hosts else None


def behind_no_proxy(patch: pytest.MonkeyPatch) -> None:
    """Take the request's origin as it was before ProxyFix."""
    own = origin._own_origin

    def unfixed(environ: Environ) -> str:
        before = environ.get("werkzeug.proxy_fix.orig", {})
        changed = {
            name.removeprefix("REMOTE_") if name not in environ else name: value
            for name, value in before.items()
            if value is not None
        }
        return own({**environ, **changed})

    patch.setattr(origin, "_own_origin", unfixed)


def choosing(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Patch:
    choose = extension.choose_backend
    return lambda patch: patch.setattr(
        extension, "choose_backend", lambda **given: choose(**change(given))
    )


def environment_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(choice, "ENVIRONMENT_VARIABLE", "NO_SUCH_VARIABLE")


def configuration_ignored(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "config": None}


def another_default(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(choice, "DEFAULT_BACKEND", "another-default-backend")


def other_defaults(patch: pytest.MonkeyPatch) -> None:
    init = options.ConnectionOptions.__init__
    patch.setattr(init, "__defaults__", (*init.__defaults__[:-2], 17, False))


def refusals_take_places(patch: pytest.MonkeyPatch) -> None:
    agree = opening.Opening._agree

    def agreeing(self: opening.Opening) -> Any:
        try:
            return agree(self)
        except Refusal:
            self._slots.take(None)
            raise

    patch.setattr(opening.Opening, "_agree", agreeing)


def subprotocol_not_required(patch: pytest.MonkeyPatch) -> None:
    select = opening.select_subprotocol
    patch.setattr(
        opening,
        "select_subprotocol",
        lambda environ, supported, *, required: select(environ, supported),
    )


def routes_own_ignored(patch: pytest.MonkeyPatch) -> None:
    init = sockets._View.__init__
    patch.setattr(sockets._View, "__init__", lambda self, handler, _: init(self, handler, {}))


def before_request_passed_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Flask, "preprocess_request", lambda *_: None)


def exceptions_not_logged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Flask, "log_exception", lambda *_: None)


def choice_not_logged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(extension.logger, "info", lambda *_: None)


def features_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(extension, "check_features", lambda *_: None)


REQUESTS = (
    Mutant(
        "long-cookies-refused",
        ("handshake.long-cookie",),
        patch=refusing(lambda environ: len(environ.get("HTTP_COOKIE", "")) > 4096),
    ),
    Mutant(
        "many-headers-refused",
        ("handshake.many-headers",),
        patch=refusing(lambda environ: sum(key.startswith("HTTP_") for key in environ) > 40),
    ),
    Mutant(
        "headers-beyond-ascii-refused",
        ("handshake.latin-1-header",),
        patch=refusing(lambda environ: any(not str(v).isascii() for v in environ.values())),
    ),
    Mutant(
        "query-refused",
        ("handshake.query",),
        patch=refusing(lambda environ: environ.get("QUERY_STRING")),
    ),
    Mutant(
        "unknown-extension-refused",
        ("handshake.unknown-extension",),
        patch=refusing(
            lambda environ: (
                "deflate" not in environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", "permessage-deflate")
            )
        ),
    ),
    Mutant(
        "connection-header-not-needed",
        ("handshake.connection-without-upgrade", "handshake.no-connection"),
        patch=upgrading(lambda environ: "websocket" in environ.get("HTTP_UPGRADE", "").lower()),
    ),
    Mutant(
        "any-upgrade-is-a-websocket",
        ("handshake.upgrade-to-another",),
        patch=upgrading(
            lambda environ: (
                bool(environ.get("HTTP_UPGRADE"))
                and "upgrade" in environ.get("HTTP_CONNECTION", "").lower()
            )
        ),
    ),
    Mutant(
        "every-request-is-a-websocket",
        (
            "handshake.no-upgrade",
            "handshake.connection-without-upgrade",
            "handshake.no-connection",
            "handshake.upgrade-to-another",
            "websocket.wsgi-application",
        ),
        patch=upgrading(lambda _: True),
    ),
    Mutant(
        "callable-for-origins-says-no",
        (
            "configuration.origin-callable-true",
            "configuration.route-origin-callable-true",
        ),
        patch=allowing(lambda _, allowed: False if callable(allowed) else None),
    ),
    Mutant(
        "callable-for-origins-says-yes",
        (
            "configuration.origin-callable-false",
            "configuration.route-origin-callable-false",
        ),
        patch=allowing(lambda _, allowed: True if callable(allowed) else None),
    ),
    Mutant(
        "origins-compared-literally",
        (
            "configuration.origin-list-default-port",
            "configuration.route-origin-list-default-port",
        ),
        patch=allowing(listed),
    ),
    Mutant(
        "empty-list-of-origins-is-any",
        (
            "configuration.origin-list-empty",
            "configuration.route-origin-list-empty",
        ),
        patch=allowing(lambda _, allowed: True if allowed == [] else None),
    ),
    Mutant(
        "origins-scheme-ignored",
        (
            "configuration.origin-list-scheme-differs",
            "configuration.route-origin-list-scheme-differs",
        ),
        patch=allowing(hosts_alone),
    ),
    Mutant("proxy-fix-ignored", ("configuration.origin-proxy-fix-*",), patch=behind_no_proxy),
    Mutant(
        "environment-for-backend-ignored",
        ("configuration.environment-second",),
        patch=environment_ignored,
    ),
    Mutant(
        "argument-for-backend-ignored",
        (
            "configuration.argument-first",
            "configuration.logged-once",
            "configuration.option-backend-cannot-honour",
            "configuration.unknown-backend",
            "websocket.backend",
        ),
        patch=choosing(lambda given: {**given, "argument": None}),
    ),
    Mutant(
        "configured-backend-ignored",
        ("configuration.config-third",),
        patch=choosing(configuration_ignored),
    ),
    Mutant("another-default-backend", ("configuration.builtin-last",), patch=another_default),
    Mutant("another-default-queue", ("configuration.defaults",), patch=other_defaults),
    Mutant(
        "refusals-take-places", ("configuration.refused-take-no-place",), patch=refusals_take_places
    ),
    Mutant(
        "subprotocol-not-required",
        ("configuration.required-subprotocol",),
        patch=subprotocol_not_required,
    ),
    Mutant(
        "routes-own-ignored",
        (
            "configuration.route-lowers-size",
            "configuration.required-subprotocol",
            "configuration.route-compression-*",
            "configuration.route-max-queue",
            "configuration.route-origin-any",
            "configuration.route-origin-callable-true",
            "configuration.route-origin-list-default-port",
            "configuration.route-origin-list-has-it",
            "configuration.route-ping-*",
            "configuration.route-raises-size",
            "configuration.route-send-timeout",
            "handshake.protocol-callable",
            "handshake.protocol-chosen",
            "handshake.protocol-first-common",
            "handshake.protocol-not-offered",
            "handshake.protocol-several-lines",
            "websocket.attributes",
            "websocket.subprotocol",
            "configuration.route-close-timeout",
        ),
        patch=routes_own_ignored,
    ),
    Mutant("choice-not-logged", ("configuration.logged-once",), patch=choice_not_logged),
    Mutant(
        "features-not-checked",
        ("configuration.option-backend-cannot-honour",),
        patch=features_not_checked,
    ),
    Mutant(
        "features-that-are-none",
        ("configuration.features-are-features",),
        features=frozenset({*Feature, "more"}),  # type: ignore[arg-type]
    ),
    Mutant(
        "before-request-passed-over",
        ("endings.before-request-*",),
        patch=before_request_passed_over,
    ),
    Mutant(
        "exceptions-not-logged", ("endings.raises-is-logged-once",), patch=exceptions_not_logged
    ),
)

"""Mutants of the core's opening handshake, which stands above all backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flask_threaded_sockets import handshake, negotiation, opening
from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.origin import OriginRefused
from flask_threaded_sockets.refusals import (
    BadHandshake,
    MethodRefused,
    Refusal,
    VersionRefused,
)

from .mutant import Mutant

__all__ = ["HANDSHAKES"]

Patch = Callable[[pytest.MonkeyPatch], None]

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def forgiving(kind: type[Refusal], words: str = "") -> Patch:
    """Let a request pass that is refused for one reason."""
    check = opening.check_upgrade

    def lenient(environ: dict[str, Any], **keywords: Any) -> str:
        try:
            return check(environ, **keywords)
        except kind as refusal:
            if words not in str(refusal.description):
                raise
            return environ.get("HTTP_SEC_WEBSOCKET_KEY") or _KEY

    return lambda patch: patch.setattr(opening, "check_upgrade", lenient)


def wrong_accept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handshake, "accept_key", lambda _: "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")


def literal_headers(patch: pytest.MonkeyPatch) -> None:
    """Compare Upgrade and Connection with the usual spelling."""
    right = handshake.is_upgrade

    def literal(environ: dict[str, Any]) -> bool:
        usual = environ.get("HTTP_UPGRADE") in (None, "websocket")
        return right(environ) and usual and environ.get("HTTP_CONNECTION") == "Upgrade"

    patch.setattr(handshake, "is_upgrade", literal)


def no_origin_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(opening, "check_origin", lambda *_: None)


def no_foreign_origin(patch: pytest.MonkeyPatch) -> None:
    """Ask for the own origin, whatever was configured."""
    check = opening.check_origin
    patch.setattr(opening, "check_origin", lambda environ, _: check(environ, None))


def no_origin_at_all(patch: pytest.MonkeyPatch) -> None:
    def refuse(environ: dict[str, Any], _: object) -> None:
        if "HTTP_ORIGIN" in environ:
            raise OriginRefused(environ["HTTP_ORIGIN"], "none")

    patch.setattr(opening, "check_origin", refuse)


def origin_refused_silently(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(opening.logger, "warning", lambda *_: None)


def no_subprotocol(patch: pytest.MonkeyPatch) -> None:
    choose = opening.select_subprotocol

    def none(environ: dict[str, Any], supported: Any, *, required: bool) -> None:
        choose(environ, supported, required=required)

    patch.setattr(opening, "select_subprotocol", none)


def servers_order(patch: pytest.MonkeyPatch) -> None:
    select = negotiation.select_subprotocol

    def choose(environ: dict[str, Any], supported: Any, *, required: bool) -> str | None:
        if callable(supported):
            return select(environ, supported, required=required)
        offered = negotiation.offered_subprotocols(environ)
        chosen = next((name for name in supported if name in offered), None)
        if chosen is None and required:
            raise BadHandshake("none in common")
        return chosen

    patch.setattr(opening, "select_subprotocol", choose)


def any_subprotocol(patch: pytest.MonkeyPatch) -> None:
    """Echo the first one offered."""

    def first(environ: dict[str, Any], *_: object, **__: object) -> str | None:
        return next(iter(negotiation.offered_subprotocols(environ)), None)

    patch.setattr(opening, "select_subprotocol", first)


def any_token(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(negotiation, "is_token", lambda _: True)


def always_compressing(patch: pytest.MonkeyPatch) -> None:
    negotiate = opening.Opening._negotiate

    def compressing(self: opening.Opening) -> Any:
        self.policy = replace(self.policy, options=replace(self.policy.options, compression=True))
        return negotiate(self)

    patch.setattr(opening.Opening, "_negotiate", compressing)


def parameters_ignored(patch: pytest.MonkeyPatch) -> None:
    def plain(header: str | None) -> tuple[DeflateParameters, str] | None:
        offers = negotiation.parse_extensions(header or "")
        if not any(name == "permessage-deflate" for name, _ in offers):
            return None
        return DeflateParameters(), "permessage-deflate"

    patch.setattr(opening, "negotiate_deflate", plain)


def first_offer_only(patch: pytest.MonkeyPatch) -> None:
    negotiate = opening.negotiate_deflate
    patch.setattr(
        opening, "negotiate_deflate", lambda header: negotiate((header or "").partition(",")[0])
    )


def quotes_not_taken_off(patch: pytest.MonkeyPatch) -> None:
    negotiate = opening.negotiate_deflate
    patch.setattr(
        opening, "negotiate_deflate", lambda header: None if '"' in header else negotiate(header)
    )


def bits_not_asked_for(patch: pytest.MonkeyPatch) -> None:
    negotiate = opening.negotiate_deflate

    def with_bits(header: str | None) -> tuple[DeflateParameters, str] | None:
        agreed = negotiate(header)
        if agreed is None or "client_max_window_bits" in agreed[1]:
            return agreed
        return agreed[0], f"{agreed[1]}; client_max_window_bits=15"

    patch.setattr(opening, "negotiate_deflate", with_bits)


def older_name(patch: pytest.MonkeyPatch) -> None:
    negotiate = opening.negotiate_deflate
    name = "x-webkit-deflate-frame"
    patch.setattr(
        opening,
        "negotiate_deflate",
        lambda header: (DeflateParameters(), name) if header == name else negotiate(header),
    )


HANDSHAKES = (
    Mutant("method-not-checked", ("handshake.head",), patch=forgiving(MethodRefused)),
    Mutant(
        "version-not-checked",
        ("handshake.no-version", "handshake.version-*"),
        patch=forgiving(VersionRefused),
    ),
    Mutant(
        "key-not-checked",
        (
            "configuration.refused-take-no-place",
            "endings.quiet-endings",
            "handshake.key-not-base64",
            "handshake.long-key",
            "handshake.no-key",
            "handshake.refusals-are-complete",
            "handshake.short-key",
            "handshake.two-keys",
        ),
        patch=forgiving(BadHandshake, "Key"),
    ),
    Mutant("host-not-checked", ("handshake.no-host",), patch=forgiving(BadHandshake, "Host")),
    Mutant(
        "body-not-refused",
        ("handshake.body", "handshake.chunked"),
        patch=forgiving(BadHandshake, "body"),
    ),
    Mutant("http-1-0-accepted", ("handshake.http-1-0",), patch=forgiving(BadHandshake, "HTTP/1.0")),
    Mutant(
        "wrong-accept",
        (
            "handshake.body-empty",
            "handshake.rfc-key",
            "handshake.other-key",
            "handshake.connection-list",
            "handshake.connection-lower-case",
            "handshake.deflate-offered-but-off",
            "handshake.header-names-lower-case",
            "handshake.key-with-spaces",
            "handshake.latin-1-header",
            "handshake.long-cookie",
            "handshake.many-headers",
            "handshake.missing-slash",
            "handshake.origin-same",
            "handshake.protocol-callable",
            "handshake.protocol-case-matters",
            "handshake.protocol-chosen",
            "handshake.protocol-first-common",
            "handshake.protocol-none-common",
            "handshake.protocol-not-supported",
            "handshake.protocol-several-lines",
            "handshake.query",
            "handshake.unknown-extension",
            "handshake.upgrade-list",
            "handshake.upgrade-mixed-case",
        ),
        patch=wrong_accept,
    ),
    Mutant("header-values-compared-literally", ("handshake.connection-l*",), patch=literal_headers),
    Mutant(
        "origin-not-checked",
        (
            "handshake.origin-foreign",
            "configuration.origin-callable-false",
            "configuration.origin-list-empty",
            "configuration.origin-list-has-it-not",
            "configuration.origin-list-scheme-differs",
            "configuration.origin-proxy-*",
            "configuration.origin-refusal-is-logged",
            "configuration.refused-take-no-place",
            "configuration.route-origin-callable-false",
            "configuration.route-origin-list-empty",
            "configuration.route-origin-list-has-it-not",
            "configuration.route-origin-list-scheme-differs",
            "handshake.origin-null",
            "handshake.origin-other-port",
        ),
        patch=no_origin_check,
    ),
    Mutant(
        "allowed-origins-ignored",
        (
            "configuration.origin-any",
            "configuration.origin-callable-true",
            "configuration.origin-list-default-port",
            "configuration.origin-list-has-it",
            "configuration.route-origin-any",
            "configuration.route-origin-callable-true",
            "configuration.route-origin-list-default-port",
            "configuration.route-origin-list-has-it",
            "websocket.attributes",
        ),
        patch=no_foreign_origin,
    ),
    Mutant(
        "every-origin-refused",
        (
            "handshake.origin-same",
            "configuration.origin-any",
            "configuration.origin-callable-true",
            "configuration.origin-list-default-port",
            "configuration.origin-list-has-it",
            "configuration.origin-proxy-*",
            "configuration.origin-refusal-is-logged",
            "configuration.route-origin-any",
            "configuration.route-origin-callable-true",
            "configuration.route-origin-list-default-port",
            "configuration.route-origin-list-has-it",
            "websocket.attributes",
        ),
        patch=no_origin_at_all,
    ),
    Mutant(
        "origin-refused-silently",
        ("configuration.origin-refusal-is-logged",),
        patch=origin_refused_silently,
    ),
    Mutant(
        "no-subprotocol-chosen",
        (
            "handshake.protocol-callable",
            "handshake.protocol-chosen",
            "handshake.protocol-first-common",
            "handshake.protocol-several-lines",
            "websocket.subprotocol",
        ),
        patch=no_subprotocol,
    ),
    Mutant(
        "servers-order-of-subprotocols", ("handshake.protocol-first-common",), patch=servers_order
    ),
    Mutant(
        "any-subprotocol-chosen",
        (
            "handshake.protocol-callable",
            "handshake.protocol-none-common",
            "handshake.protocol-not-offered",
            "configuration.required-subprotocol",
            "handshake.protocol-case-matters",
            "handshake.protocol-first-common",
            "handshake.protocol-not-supported",
            "handshake.protocol-several-lines",
            "websocket.subprotocol",
        ),
        patch=any_subprotocol,
    ),
    Mutant("malformed-subprotocol-accepted", ("handshake.protocol-malformed",), patch=any_token),
    Mutant(
        "always-compressing",
        (
            "handshake.deflate-offered-but-off",
            "configuration.route-compression-off",
        ),
        patch=always_compressing,
    ),
    Mutant(
        "deflate-parameters-ignored",
        (
            "compression.client-no-context-takeover",
            "compression.declines-client-bits-*",
            "compression.declines-flag-with-value",
            "compression.declines-repeated-*",
            "compression.declines-server-*",
            "compression.declines-unknown-*",
            "compression.malformed-offer",
            "compression.quoted-value",
            "compression.server-*",
            "compression.smallest-window",
        ),
        patch=parameters_ignored,
    ),
    Mutant(
        "first-offer-only",
        (
            "compression.second-offer",
            "compression.offers-in-two-lines",
        ),
        patch=first_offer_only,
    ),
    Mutant("quoted-value-declined", ("compression.quoted-value",), patch=quotes_not_taken_off),
    Mutant(
        "client-bits-not-asked-for",
        ("compression.client-bits-not-offered", "compression.client-window-8"),
        patch=bits_not_asked_for,
    ),
    Mutant("older-name-accepted", ("compression.declines-other-name",), patch=older_name),
)

"""Mutants of the core's answers to offers and origins that are out of the ordinary."""

from __future__ import annotations

from typing import Any

import pytest

from flask_threaded_sockets import negotiation, opening
from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.handshake import BadHandshake, is_upgrade
from flask_threaded_sockets.origin import OriginRefused

from .mutant import Mutant
from .requests import upgrading

__all__ = ["OFFERS"]


def malformed_offer_ignored(patch: pytest.MonkeyPatch) -> None:
    negotiate = negotiation.negotiate_deflate

    def ignoring(header: str | None) -> tuple[DeflateParameters, str] | None:
        try:
            return negotiate(header)
        except BadHandshake:
            return None

    patch.setattr(opening, "negotiate_deflate", ignoring)


def offers_not_read_where_off(patch: pytest.MonkeyPatch) -> None:
    negotiate = opening.Opening._negotiate

    def negotiating(self: opening.Opening) -> Any:
        if not self.policy.options.compression:
            self._environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return negotiate(self)

    patch.setattr(opening.Opening, "_negotiate", negotiating)


def callable_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Take the first one offered where the route has a function."""
    select = negotiation.select_subprotocol

    def selecting(environ: dict[str, Any], supported: Any, **keywords: Any) -> str | None:
        if not callable(supported):
            return select(environ, supported, **keywords)
        return select(environ, negotiation.offered_subprotocols(environ), **keywords)

    patch.setattr(opening, "select_subprotocol", selecting)


def callable_not_checked(patch: pytest.MonkeyPatch) -> None:
    """Take whatever a route's function gives."""
    select = negotiation.select_subprotocol

    def selecting(environ: dict[str, Any], supported: Any, **keywords: Any) -> str | None:
        if not callable(supported):
            return select(environ, supported, **keywords)
        chosen: str | None = supported(negotiation.offered_subprotocols(environ), environ)
        return chosen

    patch.setattr(opening, "select_subprotocol", selecting)


def length_refused(patch: pytest.MonkeyPatch) -> None:
    """Refuse a request that says it has no body."""
    check = opening.check_upgrade

    def strict(environ: dict[str, Any], **keywords: Any) -> str:
        key = check(environ, **keywords)
        if environ.get("CONTENT_LENGTH"):
            raise BadHandshake("a length")
        return key

    patch.setattr(opening, "check_upgrade", strict)


def unknown_window_taken(patch: pytest.MonkeyPatch) -> None:
    """Take any parameter whose value is a window's size for one that is known."""
    negotiate = negotiation.negotiate_deflate

    def taking(header: str | None) -> tuple[DeflateParameters, str] | None:
        return negotiate(header and header.replace(" max_window_bits", " server_max_window_bits"))

    patch.setattr(opening, "negotiate_deflate", taking)


def nine_for_eight(patch: pytest.MonkeyPatch) -> None:
    """Answer a window of 8 bits with one of 9, as zlib does."""
    negotiate = negotiation.negotiate_deflate

    def answering(header: str | None) -> tuple[DeflateParameters, str] | None:
        if header is not None and header.endswith("server_max_window_bits=8"):
            header = header.replace("=8", "=9")
        return negotiate(header)

    patch.setattr(opening, "negotiate_deflate", answering)


def origin_needed(patch: pytest.MonkeyPatch) -> None:
    """Refuse a request without an origin where some are listed."""
    check = opening.check_origin

    def strict(environ: dict[str, Any], allowed: Any) -> None:
        if allowed not in (None, "*") and "HTTP_ORIGIN" not in environ:
            raise OriginRefused("", "one of those listed")
        check(environ, allowed)

    patch.setattr(opening, "check_origin", strict)


OFFERS = (
    Mutant(
        "upgrade-is-one-word",
        ("handshake.upgrade-list",),
        patch=upgrading(
            lambda environ: is_upgrade(environ) and "," not in environ.get("HTTP_UPGRADE", "")
        ),
    ),
    Mutant(
        "malformed-offer-ignored",
        ("compression.malformed-offer", "handshake.extension-malformed"),
        patch=malformed_offer_ignored,
    ),
    Mutant(
        "offers-not-read-where-off",
        ("handshake.extension-malformed",),
        patch=offers_not_read_where_off,
    ),
    Mutant(
        "callable-not-asked",
        ("handshake.protocol-callable", "handshake.protocol-not-offered"),
        patch=callable_not_asked,
    ),
    Mutant("callable-not-checked", ("handshake.protocol-not-offered",), patch=callable_not_checked),
    Mutant("length-refused", ("handshake.body-empty",), patch=length_refused),
    Mutant(
        "unknown-window-taken", ("compression.declines-unknown-bits",), patch=unknown_window_taken
    ),
    Mutant("nine-bits-for-eight", ("compression.smallest-window",), patch=nine_for_eight),
    Mutant(
        "origin-needed",
        ("configuration.origin-absent-*", "configuration.route-origin-absent-*"),
        patch=origin_needed,
    ),
)

"""The origin policy: which web pages may open a WebSocket here (RFC 6455 section 10.2).

Browsers let any page connect anywhere and only tell its origin, so the server has to
decide. Functions of a WSGI environ; nothing here logs, the caller does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Final, TypeAlias

from werkzeug.exceptions import Forbidden

from .exceptions import ConfigurationError
from .refusals import Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["AllowedOrigins", "OriginRefused", "check_origin", "validate_allowed_origins"]

OriginPredicate: TypeAlias = "Callable[[str, WSGIEnvironment], bool]"
AllowedOrigins: TypeAlias = "str | Collection[str | re.Pattern[str]] | OriginPredicate | None"

_KEY: Final = "SOCKETS_ALLOWED_ORIGINS"

# RFC 6454 section 6.2, on lower-cased text. Browser extensions and app shells have
# schemes of their own; a page from the file system says just "file://".
_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+|(?<=file://))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_WEB_SCHEMES: Final = {"ws": "http", "wss": "https"}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# A peer chooses its Origin, a log line should stay one.
_SHOWN_CHARACTERS: Final = 200
_SHOWN_ORIGINS: Final = 5

_Origin: TypeAlias = "tuple[str, str, int | None]"


class OriginRefused(Refusal, Forbidden):
    """Answer a request from a page that may not connect with 403 (RFC 6455 section 4.2.2).

    ``str()`` of it is the line to log; the response does not tell what was expected.

    Attributes:
        origin: the ``Origin`` received, as sent.
        expected: what would have passed, in words.
    """

    code = 403
    description = "this origin may not open a websocket here"

    def __init__(self, origin: str, expected: str) -> None:
        super().__init__()
        self.origin = origin
        self.expected = expected

    def __str__(self) -> str:
        origin = self.origin[:_SHOWN_CHARACTERS]
        return f"origin {origin!r} refused, expected {self.expected}; see {_KEY}"


def check_origin(environ: WSGIEnvironment, allowed: AllowedOrigins) -> None:
    """Refuse a request from a page that may not connect (RFC 6455 section 4.2.2, item 4).

    A request without ``Origin`` passes: it is not from a browser, and who could leave
    the header out could as well forge it. Call it as late as possible, as the request's
    own origin is read from the environ as ProxyFix and the like have left it.

    Args:
        environ: the request's.
        allowed: ``None``: the request's own origin; ``"*"``: any; a collection of
            origins, ``"null"`` and compiled patterns, which must match the whole
            origin as sent; or a callable, given the origin and the environ. A callable
            or pattern meets nothing but a single well-formed origin or ``"null"``; what
            a callable raises propagates.

    Raises:
        OriginRefused: the origin is not allowed, malformed, or there are several.
    """
    origin = environ.get("HTTP_ORIGIN")
    if origin is None or allowed == "*":
        return
    parsed = _parse(origin)
    # Refused before a pattern or callable sees it: "https://evil.example, https://ours"
    # ends like ours.
    well_formed = parsed is not None or origin == "null"
    if not (well_formed and _is_allowed(origin, parsed, environ, allowed)):
        raise OriginRefused(origin, _describe(allowed, environ))


def _is_allowed(
    origin: str, parsed: _Origin | None, environ: WSGIEnvironment, allowed: AllowedOrigins
) -> bool:
    if allowed is None:
        return parsed is not None and parsed == _parse(_own_origin(environ))
    if callable(allowed):
        return bool(allowed(origin, environ))
    return any(
        entry.fullmatch(origin) is not None
        if isinstance(entry, re.Pattern)
        else entry == origin or (parsed is not None and parsed == _parse(entry))
        for entry in allowed
    )


def _own_origin(environ: WSGIEnvironment) -> str:
    scheme = environ.get("wsgi.url_scheme", "http")
    return f"{_WEB_SCHEMES.get(scheme, scheme)}://{environ.get('HTTP_HOST', '')}"


def _parse(text: str) -> _Origin | None:
    """Parse an origin into what is compared, or give ``None`` (RFC 6454 section 5)."""
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme = _WEB_SCHEMES.get(match["scheme"], match["scheme"])
    host = match["host"]
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS.get(scheme)
    if port is not None and port > 65535:
        return None
    if host.startswith("["):
        try:
            host = IPv6Address(host[1:-1]).compressed
        except AddressValueError:
            return None
    return scheme, host, port


def _describe(allowed: AllowedOrigins, environ: WSGIEnvironment) -> str:
    if allowed is None:
        return (
            f"the same origin, {_own_origin(environ)[:_SHOWN_CHARACTERS]!r}"
            " (behind a proxy: as werkzeug's ProxyFix leaves it)"
        )
    if callable(allowed):
        return f"one that {getattr(allowed, '__qualname__', repr(allowed))} accepts"
    shown = [
        f"pattern {entry.pattern!r}" if isinstance(entry, re.Pattern) else repr(entry)
        for entry in allowed
    ]
    if not shown:
        return "none at all"
    more = len(shown) - _SHOWN_ORIGINS
    return ", ".join(shown[:_SHOWN_ORIGINS]) + (f" or {more} more" if more > 0 else "")


def validate_allowed_origins(value: object) -> None:
    """Check a value of ``SOCKETS_ALLOWED_ORIGINS``, at set-up.

    Raises:
        ConfigurationError: :func:`check_origin` could not use it, or not as meant.
    """
    if value is None or value == "*" or callable(value):
        return
    if not isinstance(value, list | tuple | set | frozenset):
        raise ConfigurationError(
            f"{_KEY} must be None (same origin), '*', a list of origins or a callable,"
            f" not {value!r}"
        )
    for entry in value:
        _validate_entry(entry)


def _validate_entry(entry: object) -> None:
    if isinstance(entry, re.Pattern) and isinstance(entry.pattern, str):
        return
    if isinstance(entry, str) and (entry == "null" or _parse(entry) is not None):
        return
    remedy = "write 'https://app.example.com' or 'https://app.example.com:8443'"
    if entry == "*":
        remedy = f"to allow any origin set {_KEY} to '*' itself"
    elif isinstance(entry, str) and "*" in entry:
        remedy = "for a family of origins use a compiled pattern or a callable"
    elif isinstance(entry, str) and not entry.isascii():
        remedy = "write the host as browsers send it, in punycode (xn--...)"
    elif isinstance(entry, str) and "://" in entry:
        remedy += ", without path or trailing slash"
    raise ConfigurationError(f"{_KEY} has {entry!r}, which is not an origin: {remedy}")

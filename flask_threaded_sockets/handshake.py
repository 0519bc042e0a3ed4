"""The opening handshake's request and response, as functions of a WSGI environ.

What RFC 6455 section 4.2 asks of a request, and the head of the 101. The answers to one
that does not comply are in :mod:`.refusals`, the origin policy is in :mod:`.origin`, the
choice of a subprotocol and of compression in :mod:`.negotiation`. Nothing here touches a
socket, knows of Flask or logs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from .refusals import (
    BadHandshake,
    HTTPVersionRefused,
    MethodRefused,
    UpgradeRequired,
    VersionRefused,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = [
    "accept_key",
    "check_upgrade",
    "is_token",
    "is_upgrade",
    "request_headers",
    "request_target",
    "response_head",
    "split_list",
]

# RFC 6455 section 1.3.
_ACCEPT_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# RFC 6455 section 4.2.1: when decoded, the key is 16 bytes in length; in base64 that is
# 22 digits and two paddings, always.
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")

# RFC 9110 section 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# RFC 9110 section 5.5: a field value holds no control characters but the tab. Beyond
# Latin-1 there is no encoding that a recipient could know of.
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

# What the 101 says of itself; ``Sec-WebSocket-*`` is owned as a whole.
_OWNED_HEADERS: Final = frozenset({"connection", "upgrade", "content-length", "transfer-encoding"})

_PATH_SAFE: Final = "/!$&'()*+,;=:@"
_QUERY_SAFE: Final = _PATH_SAFE + "?%"


def is_token(text: str) -> bool:
    """Tell whether a text is a token (RFC 9110 section 5.6.2)."""
    return _TOKEN.fullmatch(text) is not None


def split_list(value: str) -> list[str]:
    """Split a comma-separated header value, leaving out empty elements (RFC 9110 5.6.1)."""
    return [element for part in value.split(",") if (element := part.strip(" \t"))]


def is_upgrade(environ: WSGIEnvironment) -> bool:
    """Tell whether a request asks for a WebSocket (RFC 6455 section 4.2.1, items 3 and 4).

    For an ordinary request this is one look into a dictionary. A true answer says
    nothing of the rest of the handshake: go on with :func:`check_upgrade`.
    """
    upgrade = environ.get("HTTP_UPGRADE")
    if not upgrade:
        return False
    connection = environ.get("HTTP_CONNECTION", "")
    return "websocket" in split_list(upgrade.lower()) and "upgrade" in split_list(
        connection.lower()
    )


def check_upgrade(environ: WSGIEnvironment, *, trust_protocol: bool = True) -> str:
    """Check an opening handshake and give its key (RFC 6455 section 4.2.1).

    The checks, in this order, the first that fails decides: the method (405), the HTTP
    version (400 for 1.0, 505 for another major one), Upgrade and Connection (426),
    Host (400), the protocol version (426), the key (400), a request body (400). The
    version comes before the key because older versions of the protocol have no key,
    and their clients are to learn the version that we speak.

    Args:
        environ: the request's.
        trust_protocol: whether ``SERVER_PROTOCOL`` is the request's; ``False`` lets
            HTTP/1.0 pass, which is what eventlet writes there for every request.

    Returns:
        The value of ``Sec-WebSocket-Key``, for :func:`response_head`.

    Raises:
        Refusal: the request does not comply; its response says why.
    """
    if environ.get("REQUEST_METHOD") != "GET":
        raise MethodRefused
    _check_http_version(environ, trust_protocol)
    if not is_upgrade(environ):
        raise UpgradeRequired
    if not environ.get("HTTP_HOST"):
        raise BadHandshake("the request has no Host header")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", "").strip(" \t") != "13":
        raise VersionRefused
    key: str = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip(" \t")
    if not _KEY.fullmatch(key):
        raise BadHandshake("the request needs one Sec-WebSocket-Key, 16 bytes in base64")
    _check_no_body(environ)
    return key


def _check_http_version(environ: WSGIEnvironment, trust_protocol: bool) -> None:
    protocol = environ.get("SERVER_PROTOCOL", "")
    # gunicorn gives HTTP/2 requests to applications too, with a socket in the environ.
    if not protocol.startswith("HTTP/1."):
        raise HTTPVersionRefused
    # RFC 9110 section 7.8: a server MUST ignore Upgrade in an HTTP/1.0 request. Mostly
    # it is a reverse proxy's doing, which this sentence points at.
    if trust_protocol and protocol == "HTTP/1.0":
        raise BadHandshake("a websocket is opened over HTTP/1.1, this request came as HTTP/1.0")


def _check_no_body(environ: WSGIEnvironment) -> None:
    # A body would be read as frames. RFC 6455 does not give a GET's body a meaning.
    length = environ.get("CONTENT_LENGTH", "")
    if environ.get("HTTP_TRANSFER_ENCODING") or (length and length.strip(" \t").strip("0")):
        raise BadHandshake("an opening handshake has no body")


def accept_key(key: str) -> str:
    """Compute ``Sec-WebSocket-Accept`` (RFC 6455 section 4.2.2, item 5.4)."""
    # SHA-1 is the protocol's choice and keeps no secret.
    digest = hashlib.sha1(key.encode("latin-1") + _ACCEPT_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def response_head(
    key: str,
    *,
    subprotocol: str | None = None,
    deflate_header: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """Build the 101's bytes up to and with the empty line (RFC 6455 section 4.2.2).

    Args:
        key: what :func:`check_upgrade` gave.
        subprotocol: the one chosen among those offered, or ``None``.
        deflate_header: the value of ``Sec-WebSocket-Extensions``, or ``None``.
        headers: further headers, e.g. ``Set-Cookie``.

    Raises:
        ValueError: a header would break the response's syntax, or is one that the
            handshake itself sets.
    """
    lines = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(key)),
    ]
    if subprotocol is not None:
        if not is_token(subprotocol):
            raise ValueError(f"subprotocol {subprotocol!r} is not a token")
        lines.append(("Sec-WebSocket-Protocol", subprotocol))
    if deflate_header is not None:
        _check_value("Sec-WebSocket-Extensions", deflate_header)
        lines.append(("Sec-WebSocket-Extensions", deflate_header))
    for name, value in headers:
        _check_name(name)
        _check_value(name, value)
        lines.append((name, value))
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 101 Switching Protocols\r\n{text}\r\n".encode("latin-1")


def _check_name(name: str) -> None:
    if not is_token(name):
        raise ValueError(f"header name {name!r} is not a token")
    lowered = name.lower()
    if lowered in _OWNED_HEADERS or lowered.startswith("sec-websocket-"):
        raise ValueError(f"header {name} of a 101 is set by the opening handshake itself")


def _check_value(name: str, value: str) -> None:
    if not _FIELD_VALUE.fullmatch(value):
        raise ValueError(
            f"value of header {name} has a control character or one beyond latin-1: {value!r}"
        )


def request_headers(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    """Give a request's headers, names in Title-Case, in the environ's order.

    Values are as WSGI gives them: Latin-1, and several lines of a name already joined.
    """
    headers = []
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            headers.append((name[5:].replace("_", "-").title(), value))
        elif name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            headers.append((name.replace("_", "-").title(), value))
    return headers


def request_target(environ: WSGIEnvironment) -> str:
    """Give a request's path, with the query string if there is one (RFC 9112 section 3.2.1).

    Rebuilt from ``SCRIPT_NAME`` and ``PATH_INFO`` with new percent-encoding, so that it
    follows a middleware's changes; the server's raw request line is not looked at.
    """
    path = _requote(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), _PATH_SAFE)
    query = _requote(environ.get("QUERY_STRING", ""), _QUERY_SAFE)
    return f"{path or '/'}?{query}" if query else path or "/"


def _requote(text: str, safe: str) -> str:
    # PEP 3333: the environ's strings are bytes decoded as Latin-1.
    return quote(text.encode("latin-1", "replace"), safe=safe)

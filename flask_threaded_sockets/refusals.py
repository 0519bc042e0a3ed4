"""The HTTP responses that this package gives to an opening handshake instead of a 101.

Each is an exception of Werkzeug's kind, so that an app's error handlers find it. Who
refuses, and why, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    HTTPVersionNotSupported,
    MethodNotAllowed,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = [
    "BadHandshake",
    "HTTPVersionRefused",
    "MethodRefused",
    "Refusal",
    "UpgradeRequired",
    "VersionRefused",
]

# These servers hold applications to PEP 3333 and answer any hop-by-hop header of theirs
# with an AssertionError, and so with a 500. The first words of their SERVER_SOFTWARE.
_NO_HOP_BY_HOP: Final = ("waitress", "WSGIServer/")

_HOP_BY_HOP: Final = frozenset({"connection", "upgrade", "transfer-encoding"})

_Headers: TypeAlias = tuple[tuple[str, str], ...]


class Refusal(HTTPException):
    """Answer an opening handshake with an HTTP response instead of a 101.

    Raise a subclass before the 101, or call it as a WSGI application. The body is the
    description, one sentence of plain text. A subclass for a status that Werkzeug has
    a class for inherits from that as well, second, so that Flask's
    ``@app.errorhandler(400)`` finds it; ``@app.errorhandler(Refusal)`` finds them all,
    which needs this class to have no ``code``.

    Args:
        description: the sentence; ``None``: the class's own.
        headers: further headers of the response.
    """

    extra_headers: ClassVar[_Headers] = ()

    def __init__(
        self, description: str | None = None, *, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        if self.code is None:
            # Werkzeug would answer 200.
            raise TypeError("a refusal is one of the subclasses of Refusal, with a code")
        # Not super(): Werkzeug's classes for single statuses take other arguments.
        HTTPException.__init__(self, description)
        self.headers = (*self.extra_headers, *headers)

    def get_body(
        self,
        environ: WSGIEnvironment | None = None,  # noqa: ARG002
        scope: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> str:
        """Give the response's body: the description and a line feed."""
        return f"{self.description}\n"

    def get_headers(
        self,
        environ: WSGIEnvironment | None = None,
        scope: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> list[tuple[str, str]]:
        """Give the response's headers.

        Args:
            environ: the request's; tells whether the server bears hop-by-hop headers.
            scope: ignored, as there is no ASGI here.
        """
        headers = [("Content-Type", "text/plain; charset=utf-8"), *self.headers]
        server = str((environ or {}).get("SERVER_SOFTWARE", ""))
        if server.startswith(_NO_HOP_BY_HOP):
            return [pair for pair in headers if pair[0].lower() not in _HOP_BY_HOP]
        return headers


class BadHandshake(Refusal, BadRequest):
    """Answer a malformed opening handshake with 400 (RFC 6455 section 4.2.1)."""

    code = 400
    description = "the opening handshake is malformed"


class MethodRefused(Refusal, MethodNotAllowed):
    """Answer a method other than GET with 405 (RFC 6455 section 4.2.1)."""

    code = 405
    description = "a websocket is opened with GET"
    valid_methods = ("GET",)
    extra_headers: ClassVar[_Headers] = (("Allow", "GET"),)


class HTTPVersionRefused(Refusal, HTTPVersionNotSupported):
    """Answer another HTTP than 1.x with 505 (RFC 9110 section 15.6.6)."""

    code = 505
    description = "a websocket is opened over HTTP/1.1"


class UpgradeRequired(Refusal):
    """Answer an ordinary request with 426 (RFC 9110 section 15.5.22)."""

    code = 426
    description = "this is a websocket, connect with a websocket client"
    extra_headers: ClassVar[_Headers] = (("Upgrade", "websocket"), ("Connection", "Upgrade"))


class VersionRefused(UpgradeRequired):
    """Answer a protocol version other than 13 with 426 (RFC 6455 section 4.4)."""

    description = "the websocket protocol version must be 13"
    extra_headers: ClassVar[_Headers] = (
        *UpgradeRequired.extra_headers,
        ("Sec-WebSocket-Version", "13"),
    )

"""Exceptions an application or a backend meets; each holds its facts as attributes.

The names and the hierarchy above :class:`FrameTooLargeException` are
gevent-websocket's. A backend library's own exceptions never escape: they are mapped
to these and chained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .websocket import WebSocket

__all__ = [
    "BackendError",
    "ConfigurationError",
    "ConnectionClosed",
    "FrameTooLargeException",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "WebSocketError",
]


class WebSocketError(OSError):
    """Report that a WebSocket cannot do what was asked of it.

    Attributes:
        ws: the WebSocket concerned, or ``None`` below the ``WebSocket`` surface.
    """

    ws: WebSocket | None = None

    def __init__(self, message: str = "", *, ws: WebSocket | None = None) -> None:
        super().__init__(message)
        if ws is not None:
            self.ws = ws


class ConnectionClosed(WebSocketError):
    """Tell that a connection has ended and no message is left (RFC 6455 section 7.1.4).

    Raised by ``Connection.receive`` after the last message, and by every sending
    method once the connection is closing, closed or dead.

    Attributes:
        code: the close code; 1005 for a Close without one, 1006 for none at all.
        reason: the close reason.
        clean: whether the closing handshake was done by both sides.
    """

    def __init__(self, code: int, reason: str = "", *, clean: bool = False) -> None:
        super().__init__("Connection is already closed")
        self.code = code
        self.reason = reason
        self.clean = clean

    def __str__(self) -> str:
        reason = f" {self.reason!r}" if self.reason else ""
        return f"connection is closed with {self.code}{reason}"


class ProtocolError(WebSocketError):
    """Report a violation of the WebSocket protocol."""


class LocalProtocolError(ProtocolError):
    """Report that our caller asked for something the protocol forbids.

    Nothing was sent and the connection is as it was.
    """


class RemoteProtocolError(ProtocolError):
    """Report that the peer violated the protocol; the connection fails.

    Attributes:
        code: the close code to fail the connection with (RFC 6455 section 7.4.1).
    """

    def __init__(self, message: str, code: int = 1002) -> None:
        super().__init__(message)
        self.code = code


class FrameTooLargeException(ProtocolError):
    """Report a message larger than the limit; the connection fails with 1009.

    Attributes:
        size: bytes announced or reached, or ``None`` where inflating was stopped.
        limit: the limit in bytes.
        code: 1009.
    """

    code = 1009

    def __init__(self, size: int | None, limit: int) -> None:
        what = "message" if size is None else f"message with {size} bytes"
        super().__init__(f"{what} exceeds limit of {limit} bytes")
        self.size = size
        self.limit = limit


class ConfigurationError(ValueError):
    """Report an option with an impossible value, at set-up."""


class BackendError(ConfigurationError):
    """Report a backend that cannot be used, at set-up.

    Attributes:
        backend: the backend's name.
    """

    def __init__(self, message: str, *, backend: str) -> None:
        super().__init__(message)
        self.backend = backend

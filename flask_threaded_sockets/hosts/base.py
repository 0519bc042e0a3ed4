"""What a host is: a WSGI server's way to lend its socket and to take it back.

The interface, and what the built-in hosts share. A third party adds a server with the
hook ``websocket_host``.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Host", "read_buffered"]


class Host(ABC):
    """Know one WSGI server.

    Attributes:
        name: what the documentation and the log call it.
        trust_protocol: whether ``SERVER_PROTOCOL`` in its environ is the request's.
    """

    name: str
    trust_protocol: bool = True

    @abstractmethod
    def claims(self, environ: WSGIEnvironment) -> bool:
        """Tell whether a request came through this server; must be cheap."""

    @abstractmethod
    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:
        """Give the connection's socket and what was already read behind the request.

        The socket goes on belonging to the server: it is shut down at the end, by us,
        and closed by the server.
        """

    def finish(
        self,
        environ: WSGIEnvironment,  # noqa: ARG002
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """End the request; the socket has been shut down both ways.

        The server tries to write this head to a socket that takes nothing any more,
        which every server bears as a client that has gone; its access log says 101.
        """
        start_response("101 Switching Protocols", [])
        return []


def read_buffered(reader: Any, sock: Any) -> bytes:
    """Take what a server's ``BufferedReader`` has read beyond the request, without waiting.

    Args:
        reader: the reader on top of the socket.
        sock: the socket; its timeout is put back afterwards.
    """
    timeout = sock.gettimeout()
    sock.settimeout(0)
    try:
        size = len(reader.peek(1))
        data: bytes = reader.read1(size) if size else b""
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
        return b""
    finally:
        sock.settimeout(timeout)
    return data

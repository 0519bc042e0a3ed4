"""The interface of a host: a WSGI server's way to lend its socket and to take it back.

A third party adds a server with the hook ``websocket_host``. Nothing here knows any.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Host"]


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

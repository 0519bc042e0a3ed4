"""The interface of a host: a WSGI server's way to lend its socket and to take it back.

A third party adds a server with the hook ``websocket_host``. Nothing here knows any.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["FOREIGN_KEY", "Host"]

# Where the gateway puts a WebSocket object that the server had in environ["wsgi.websocket"].
FOREIGN_KEY: Final = "flask_threaded_sockets.foreign"


class Host(ABC):
    """Know one WSGI server.

    Attributes:
        name: what the documentation and the log call it.
        trust_protocol: whether ``SERVER_PROTOCOL`` in its environ is the request's.
        answers: whether the server has checked the opening handshake and sent the 101
            before it calls the application. Then no HTTP response can follow: a refusal
            becomes a Close, and :meth:`subprotocol` tells what the 101 agreed.
    """

    name: str
    trust_protocol: bool = True
    answers: bool = False

    @abstractmethod
    def claims(self, environ: WSGIEnvironment) -> bool:
        """Tell whether a request came through this server; must be cheap."""

    def obstacle(self, environ: WSGIEnvironment) -> str | None:  # noqa: ARG002
        """Tell why no WebSocket can be opened, the server being set up as it is.

        Returns:
            A sentence for the log, which says what to do; the client gets a 501.
            ``None``: there is no obstacle.
        """
        return None

    def threads(self, environ: WSGIEnvironment | None) -> int | None:  # noqa: ARG002
        """Tell how many requests a process serves at a time, open WebSockets included.

        Args:
            environ: a request's; ``None``: an app is being made, and there was none yet.

        Returns:
            ``None``: without a limit, or not to be found out. Before the first request
            also: this process is not known to be this server's. Then it is asked again.
        """
        return None

    def warning(self, environ: WSGIEnvironment | None) -> str | None:  # noqa: ARG002
        """Tell what the user should know of this server as it is set up; logged once.

        Args:
            environ: as for :meth:`threads`.
        """
        return None

    @abstractmethod
    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:
        """Give the connection's socket and what was already read behind the request.

        The socket goes on belonging to the server: it is shut down at the end, by us,
        and closed by the server.
        """

    def subprotocol(self, environ: WSGIEnvironment) -> str | None:  # noqa: ARG002
        """Give the subprotocol of the 101 that the server sent, where it ``answers``."""
        return None

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

"""A server in a thread of this process, for tests with a browser or another real client."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from .serving import ThreadedWebsocketServer

if TYPE_CHECKING:
    from typing import Self

    from _typeshed.wsgi import WSGIApplication

__all__ = ["LiveServer"]

# Seconds to stop, of which clients and handlers are given one and a half.
_STOP_TIMEOUT: Final = 10.0


class LiveServer:
    """Serve an app from the moment this is made until :meth:`stop`; usable in a ``with``.

    Args:
        app: a Flask app or any WSGI application.
        host: the address to listen on.
        port: the port; ``0``: a free one.
        options: further arguments of :class:`.ThreadedWebsocketServer`.

    Attributes:
        host: the address it listens on.
        port: the port it listens on.
    """

    def __init__(
        self, app: WSGIApplication, *, host: str = "127.0.0.1", port: int = 0, **options: Any
    ) -> None:
        self._server = ThreadedWebsocketServer(host, port, app, **options)
        self._tls = "s" if options.get("ssl_context") else ""
        self.host = host
        self.port = self._server.port
        # A daemon, so that a run that is broken off ends all the same.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="live server", daemon=True
        )
        self._thread.start()

    def url(self, path: str = "/") -> str:
        """Give a page's address, e.g. for ``browser.get``."""
        return f"http{self._tls}://{self.host}:{self.port}{path}"

    def ws_url(self, path: str = "/") -> str:
        """Give a WebSocket's address."""
        return f"ws{self._tls}://{self.host}:{self.port}{path}"

    def stop(self) -> None:
        """Close all clients with 1001 and stop; idempotent.

        Raises:
            TimeoutError: it has not stopped in ten seconds.
        """
        self._server.shutdown()
        self._thread.join(_STOP_TIMEOUT)
        if self._thread.is_alive():
            raise TimeoutError(f"server has not stopped within {_STOP_TIMEOUT:g} seconds")
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

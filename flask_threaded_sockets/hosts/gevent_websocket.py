"""gevent-websocket's handler, on gevent's pywsgi and as a worker of gunicorn's.

It has answered the opening handshake before it calls the application. Its own object
sends malformed Close frames, so its socket is adopted and the object put out of use.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..hookspecs import hookimpl
from ..host import FOREIGN_KEY, Host
from .buffered import read_buffered
from .patching import patching_obstacle

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["GeventWebSocketHost", "websocket_host"]


class GeventWebSocketHost(Host):
    """Take the socket from the handler behind the server's own ``wsgi.websocket``."""

    name = "gevent-websocket"
    answers = True

    def claims(self, environ: WSGIEnvironment) -> bool:  # noqa: D102
        foreign = environ.get(FOREIGN_KEY)
        return type(foreign).__module__.startswith("geventwebsocket.")

    def obstacle(self, environ: WSGIEnvironment) -> str | None:  # noqa: ARG002, D102
        return patching_obstacle("gevent")

    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:  # noqa: D102
        foreign = environ[FOREIGN_KEY]
        handler = foreign.handler  # gevent-websocket 0.10.1
        foreign.closed = True  # so that it sends no Close of its own
        return handler.socket, read_buffered(handler.rfile, handler.socket)

    def subprotocol(self, environ: WSGIEnvironment) -> str | None:  # noqa: D102
        for name, value in environ[FOREIGN_KEY].handler.response_headers or ():
            if name.lower() == b"sec-websocket-protocol":
                chosen: str = value.decode("latin-1")
                return chosen
        return None

    def finish(  # noqa: D102
        self,
        environ: WSGIEnvironment,  # noqa: ARG002
        start_response: StartResponse,  # noqa: ARG002
    ) -> Iterable[bytes]:
        return []  # the handler throws the application's response away


@hookimpl
def websocket_host() -> Host:
    """Provide the host gevent-websocket."""
    return GeventWebSocketHost()

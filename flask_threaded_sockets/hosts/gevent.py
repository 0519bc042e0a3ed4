"""gevent's pywsgi, by itself and as gunicorn's worker gevent_pywsgi."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..hookspecs import hookimpl
from ..host import FOREIGN_KEY, Host
from .buffered import read_buffered
from .patching import patching_obstacle

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["GeventHost", "websocket_host"]


class GeventHost(Host):
    """Take the socket from below ``wsgi.input``, which is the connection's reader."""

    name = "gevent"

    def claims(self, environ: WSGIEnvironment) -> bool:  # noqa: D102
        software = str(environ.get("SERVER_SOFTWARE", ""))
        return (
            software.startswith("gevent/")
            and FOREIGN_KEY not in environ
            and hasattr(_reader(environ), "raw")
        )

    def obstacle(self, environ: WSGIEnvironment) -> str | None:  # noqa: ARG002, D102
        return patching_obstacle("gevent")

    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:  # noqa: D102
        reader = _reader(environ)
        sock = reader.raw._sock  # noqa: SLF001
        return sock, read_buffered(reader, sock)

    def finish(  # noqa: D102
        self,
        environ: WSGIEnvironment,  # noqa: ARG002
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        write = start_response("101 Switching Protocols", [])
        # A failed write would put its error in the place of the status in gunicorn's
        # access log. Public attributes of gevent 26.9's WSGIHandler.
        handler: Any = getattr(write, "__self__", None)
        if hasattr(handler, "headers_sent"):
            handler.headers_sent = True
            handler.close_connection = True
        return []


def _reader(environ: WSGIEnvironment) -> Any:
    """Give the connection's ``BufferedReader``."""
    # Private chain of gevent 26.9: for "Upgrade: websocket", literally, wsgi.input is the
    # reader; with more than that in the header it is an Input around it.
    body = environ.get("wsgi.input")
    return getattr(body, "rfile", body)


@hookimpl
def websocket_host() -> Host:
    """Provide the host gevent."""
    return GeventHost()

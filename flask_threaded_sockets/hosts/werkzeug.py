"""Werkzeug's development server, and this package's own, which is built on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..hookspecs import hookimpl
from ..host import Host
from .buffered import read_buffered

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["WerkzeugHost", "websocket_host"]


class WerkzeugHost(Host):
    """Take the socket from ``werkzeug.socket``; the reader is ``wsgi.input`` itself."""

    name = "Werkzeug"

    def claims(self, environ: WSGIEnvironment) -> bool:  # noqa: D102
        return "werkzeug.socket" in environ

    def threads(self, environ: WSGIEnvironment | None) -> int | None:  # noqa: D102
        if environ is None or environ.get("wsgi.multithread") or environ.get("wsgi.multiprocess"):
            return None
        return 1

    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:  # noqa: D102
        sock = environ["werkzeug.socket"]
        return sock, read_buffered(environ["wsgi.input"], sock)


@hookimpl
def websocket_host() -> Host:
    """Provide the host Werkzeug."""
    return WerkzeugHost()

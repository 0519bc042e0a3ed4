"""uWSGI with ``--http-socket`` and threads.

Its own WebSocket functions are not used: they check no UTF-8 and lose close codes.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ..hookspecs import hookimpl
from ..host import Host

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["UwsgiHost", "websocket_host"]

# Where our duplicate of the connection's descriptor is.
_SOCKET_KEY: Final = "flask_threaded_sockets.uwsgi_socket"


def _option(name: str) -> int:
    """Give the number of an option, 1 for one without, 0 for one that is not set."""
    value = sys.modules["uwsgi"].opt.get(name, 0)
    if isinstance(value, bytes):
        return int(value) if value.isdigit() else 1
    return int(bool(value))


class UwsgiHost(Host):
    """Take a duplicate of the connection's descriptor.

    What came in the same segment as the request is lost: it is in a buffer of uWSGI's
    that nobody can reach. RFC 6455 section 4.1 forbids clients to send it.
    """

    name = "uWSGI"

    def claims(self, environ: WSGIEnvironment) -> bool:  # noqa: D102
        # The module exists in a process of uWSGI 2.0 only.
        return "uwsgi.version" in environ and "uwsgi" in sys.modules

    def obstacle(self, environ: WSGIEnvironment) -> str | None:  # noqa: D102
        if environ.get("HTTPS") == "on" and _option("https-socket"):
            return "uWSGI keeps its TLS to itself: use --http-socket and a proxy for TLS"
        if not _option("http-socket"):
            return "uWSGI lends the client's socket with --http-socket only"
        if not (_option("threads") or _option("enable-threads")):
            return "uWSGI runs no threads: start it with --threads 100"
        return None

    def threads(self, environ: WSGIEnvironment | None) -> int | None:  # noqa: ARG002, D102
        return (_option("threads") or 1) if "uwsgi" in sys.modules else None

    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:  # noqa: D102
        sock = socket.socket(fileno=os.dup(sys.modules["uwsgi"].connection_fd()))
        environ[_SOCKET_KEY] = sock
        return sock, b""

    def finish(  # noqa: D102
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        environ.pop(_SOCKET_KEY).close()  # ours, not uWSGI's
        return super().finish(environ, start_response)


@hookimpl
def websocket_host() -> Host:
    """Provide the host uWSGI."""
    return UwsgiHost()

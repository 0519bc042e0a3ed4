"""Cheroot, CherryPy's server."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..hookspecs import hookimpl
from ..host import Host
from .buffered import read_buffered

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["CherootHost", "websocket_host"]


class CherootHost(Host):
    """Take the socket from below ``wsgi.input``."""

    name = "Cheroot"

    def claims(self, environ: WSGIEnvironment) -> bool:  # noqa: D102
        # CherryPy changes SERVER_SOFTWARE; ACTUAL_SERVER_PROTOCOL is cheroot's own.
        body = type(environ.get("wsgi.input"))
        return "ACTUAL_SERVER_PROTOCOL" in environ and body.__module__.startswith("cheroot.")

    def obstacle(self, environ: WSGIEnvironment) -> str | None:  # noqa: D102
        if isinstance(_reader(environ).raw._sock, socket.socket):  # noqa: SLF001
            return None
        return "cheroot's TLS is pyOpenSSL's: use cheroot.ssl.builtin.BuiltinSSLAdapter"

    def threads(self, environ: WSGIEnvironment | None) -> int | None:  # noqa: ARG002, D102
        # Cheroot 11.1's threads know their server; it never has more than the minimum
        # unless somebody makes it grow.
        server = getattr(threading.current_thread(), "server", None)
        number: int | None = getattr(getattr(server, "requests", None), "min", None)
        return number

    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:  # noqa: D102
        reader = _reader(environ)
        sock = reader.raw._sock  # noqa: SLF001
        return sock, read_buffered(reader, sock)

    def finish(  # noqa: D102
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        # Cheroot's own writer would keep the head that cannot be written, and try again
        # when it is collected: Python 3.13 logs a traceback of that.
        connection = getattr(threading.current_thread(), "conn", None)
        if connection is not None and connection.rfile is _reader(environ):
            connection.wfile = _Gone()
        return super().finish(environ, start_response)


class _Gone:
    """The writer of a connection whose client has gone."""

    bytes_written = 0  # for cheroot's statistics

    def write(self, data: bytes) -> int:  # noqa: ARG002
        raise BrokenPipeError(errno.EPIPE, "websocket has ended")


def _reader(environ: WSGIEnvironment) -> Any:
    """Give the connection's ``BufferedReader``."""
    # Private chain of cheroot 11.1.2: KnownLengthRFile.rfile.
    return environ["wsgi.input"].rfile


@hookimpl
def websocket_host() -> Host:
    """Provide the host Cheroot."""
    return CherootHost()

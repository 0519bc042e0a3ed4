"""eventlet.wsgi."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..hookspecs import hookimpl
from ..host import Host
from .buffered import read_buffered
from .patching import patching_obstacle

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["EventletHost", "websocket_host"]


class EventletHost(Host):
    """Take the socket from ``eventlet.input``."""

    name = "eventlet"
    trust_protocol = False  # it writes HTTP/1.0 into every environ

    def claims(self, environ: WSGIEnvironment) -> bool:  # noqa: D102
        return "eventlet.input" in environ

    def obstacle(self, environ: WSGIEnvironment) -> str | None:  # noqa: ARG002, D102
        return patching_obstacle("eventlet")

    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:  # noqa: D102
        body = environ["eventlet.input"]
        sock = body.get_socket()
        return sock, read_buffered(body.rfile, sock)  # rfile: eventlet 0.41

    def finish(  # noqa: D102
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        # Otherwise it logs that it could not write the head.
        sys.modules["eventlet.wsgi"].WSGI_LOCAL.already_handled = True
        return super().finish(environ, start_response)


@hookimpl
def websocket_host() -> Host:
    """Provide the host eventlet."""
    return EventletHost()

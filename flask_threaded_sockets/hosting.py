"""Which host a request came through, whether it can carry a WebSocket, and how many.

What a server cannot do is refused before the 101; what its user should know is logged,
once per process.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import NotImplemented as NotImplementedByServer

from .clients import clients
from .host import Host
from .plugins import hosts
from .refusals import Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = [
    "HOST_KEY",
    "OPENED_KEY",
    "HostUnsupported",
    "advise",
    "advise_at_start",
    "check_host",
    "find_host",
]

logger = logging.getLogger("flask_threaded_sockets")

# Where a server that knows of this package puts a Host of its own.
HOST_KEY: Final = "flask_threaded_sockets.host"

# Where such a server puts a function to be called once the WebSocket is among the clients.
OPENED_KEY: Final = "flask_threaded_sockets.opened"


class HostUnsupported(Refusal, NotImplementedByServer):
    """Answer with 501 where the WSGI server does not let an application have the socket."""

    code = 501
    description = "this server cannot open a websocket"


def find_host(environ: WSGIEnvironment) -> Host | None:
    """Give the host that a request came through; ``None``: no known one."""
    own = environ.get(HOST_KEY)
    if isinstance(own, Host):
        return own
    return next((host for host in hosts() if host.claims(environ)), None)


def check_host(host: Host | None, environ: WSGIEnvironment) -> Host:
    """Refuse with 501, and say why in the log, where no WebSocket can be opened.

    Args:
        host: what :func:`find_host` gave.
        environ: the request's.

    Raises:
        HostUnsupported: the server is not known, or not set up for it.
    """
    if host is None:
        logger.error(
            "no websockets on server %s: it does not let an application have the socket; "
            "supported: %s",
            environ.get("SERVER_SOFTWARE", "of unknown name"),
            ", ".join(sorted(known.name for known in hosts())),
        )
        raise HostUnsupported
    obstacle = host.obstacle(environ)
    if obstacle is not None:
        logger.error("no websockets on %s: %s", host.name, obstacle)
        raise HostUnsupported
    return host


class _Advice:
    """Say once per process what the user should know of his server.

    A server that is busy with WebSockets in all of its threads answers nothing any more,
    which looks like a defect of this package.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._known = False
        self._threads: int | None = None  # None, too, once they were said to be too few

    def start(self, limit: int | None) -> None:
        for host in hosts():
            if self._look(host, None, limit, 0):
                return

    def opening(self, host: Host, environ: WSGIEnvironment, limit: int | None) -> None:
        # The one that is being opened is not among the clients yet.
        self._look(host, environ, limit, len(clients) + 1)

    def _look(
        self, host: Host, environ: WSGIEnvironment | None, limit: int | None, number: int
    ) -> bool:
        """Log what is new; tell whether anything is known of the host."""
        warning = None
        with self._lock:
            if not self._known:
                self._threads, warning = host.threads(environ), host.warning(environ)
                self._known = environ is not None or (self._threads, warning) != (None, None)
            threads = self._threads
            scarce = threads is not None and max(number, limit or 1) >= threads
            if scarce:
                self._threads = None
        if warning is not None:
            logger.warning("%s", warning)
        if scarce:
            logger.warning(
                "%s serves %s at a time here and every open websocket is one of them "
                "(now %d open, SOCKETS_MAX_CONNECTIONS is %s): give it more threads than "
                "websockets, or set a limit below their number",
                host.name,
                "1 request" if threads == 1 else f"{threads} requests",
                number,
                limit,
            )
        return self._known


_advice = _Advice()


def advise_at_start(limit: int | None) -> None:
    """Log what is known before any request of the server as it is set up.

    Args:
        limit: ``SOCKETS_MAX_CONNECTIONS``.
    """
    _advice.start(limit)


def advise(host: Host, environ: WSGIEnvironment, limit: int | None) -> None:
    """Log, once per process, what the user should know of the server as it is set up.

    Args:
        host: the server.
        environ: a request's that is about to become a WebSocket.
        limit: ``SOCKETS_MAX_CONNECTIONS``.
    """
    _advice.opening(host, environ, limit)


def _begin_anew() -> None:
    """Let a forked child look at its own server."""
    _advice.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

"""gunicorn's workers sync, gthread and gevent.

The worker ``gevent_pywsgi`` serves with gevent's own server, see :mod:`.gevent`.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Final

from ..clients import clients
from ..codes import CloseCode
from ..hookspecs import hookimpl
from ..host import Host
from ..monitor import monitor

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["GunicornHost", "current_worker", "websocket_host"]

# Seconds after the last new connection from which on a worker without any is not watched.
_IDLE: Final = 60.0


def current_worker() -> Any | None:
    """Give gunicorn's worker object of this process, ``None`` in other processes."""
    # Every worker of gunicorn 20 to 27 handles SIGABRT by a method of its own.
    abort = getattr(signal, "SIGABRT", None)
    worker = getattr(signal.getsignal(abort), "__self__", None) if abort is not None else None
    return worker if hasattr(worker, "cfg") and hasattr(worker, "alive") else None


def _is_sync(worker: Any | None) -> bool:
    return type(worker).__module__ == "gunicorn.workers.sync"


class GunicornHost(Host):
    """Take the socket from ``gunicorn.socket``; it is gevent's own under that worker."""

    name = "gunicorn"

    def __init__(self) -> None:
        self._watch = _WorkerWatch()

    def claims(self, environ: WSGIEnvironment) -> bool:  # noqa: D102
        return "gunicorn.socket" in environ

    def threads(self, environ: WSGIEnvironment | None) -> int | None:  # noqa: ARG002, D102
        worker = current_worker()
        if worker is None or _is_sync(worker):
            return None
        pool = hasattr(worker, "tpool")  # gthread; gevent has a greenlet per connection
        number: int = worker.cfg.threads if pool else worker.cfg.worker_connections
        return number

    def warning(self, environ: WSGIEnvironment | None) -> str | None:  # noqa: ARG002, D102
        if not _is_sync(current_worker()):
            return None
        return (
            "gunicorn's sync worker carries one websocket at a time, answers nothing else "
            "meanwhile and is killed after --timeout seconds; use --worker-class gthread "
            "--threads 100"
        )

    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:  # noqa: D102
        self._watch.begin()
        return environ["gunicorn.socket"], _read_ahead(environ["wsgi.input"])


def _read_ahead(body: Any) -> bytes:
    """Take what the parser has read beyond the request."""
    # Private: Body.reader.unreader. take_buffered came with gunicorn 27; buf was there in
    # 23 already. A middleware that replaces wsgi.input loses what no client may send yet.
    unreader: Any = getattr(getattr(body, "reader", None), "unreader", None)
    if hasattr(unreader, "take_buffered"):
        data: bytes = unreader.take_buffered()
        return data
    buffer = getattr(unreader, "buf", None)
    return b"" if buffer is None else bytes(buffer.getvalue())


class _WorkerWatch:
    """Close all clients when a worker begins to stop without a signal.

    That is what ``--max-requests`` and ``--reload`` do: they only tell the worker's main
    loop, which then waits ``--graceful-timeout`` seconds for its connections.
    """

    def __init__(self) -> None:
        self._last = 0.0

    def begin(self) -> None:
        """Watch the worker as long as there are connections."""
        self._last = time.monotonic()
        if current_worker() is not None:
            monitor.watch(self)

    # What the monitor asks (see Supervised).

    def fileno(self) -> int:
        return -1

    def pump(self) -> bool:
        return False

    def tick(self, now: float) -> bool:
        worker = current_worker()
        if worker is not None and not worker.alive:
            for client in clients.snapshot():
                client.connection.close(CloseCode.GOING_AWAY, timeout=0)
        return now < self._last + _IDLE or len(clients) > 0

    def abort(self) -> None:
        pass


@hookimpl
def websocket_host() -> Host:
    """Provide the host gunicorn."""
    return GunicornHost()

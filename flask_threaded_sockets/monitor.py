"""The one thread per process that looks after connections nobody is receiving on.

It answers pings, notices Close, FIN and RST, queues messages, sends keepalive pings and
enforces deadlines, by calling :meth:`Supervised.pump` and :meth:`Supervised.tick`. What
these do is the connection's affair; here is only when.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from typing import Final, Protocol

from .transport import patched_by

__all__ = ["Monitor", "Supervised", "monitor"]

logger = logging.getLogger("flask_threaded_sockets")

# How often every connection is looked at, in seconds. It bounds how late a Close, FIN
# or RST is noticed in a handler that does not receive (1 s by contract); once a
# connection is being watched its events wake the monitor at once.
TICK: Final = 0.25


class Supervised(Protocol):
    """Name what the monitor asks of a connection; no method may block for long."""

    def fileno(self) -> int:
        """Give the socket's descriptor, negative when it is gone."""

    def pump(self) -> bool:
        """Read what is there unless a handler is; tell whether to wait for more."""

    def tick(self, now: float) -> bool:
        """Send what is due and enforce deadlines; ``False`` when all is over."""

    def abort(self) -> None:
        """End the connection at once."""


class Monitor:
    """Watch connections from one daemon thread, which starts with the first of them.

    The thread is a daemon because it must never keep a process alive: it holds nothing
    that needs an orderly end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _connections and _thread
        self._connections: set[Supervised] = set()
        self._thread: threading.Thread | None = None
        self._work = threading.Event()  # set while there are connections

    def watch(self, connection: Supervised) -> None:
        """Look after a connection until its ``tick`` returns ``False``; thread-safe.

        Raises:
            RuntimeError: the monitor's thread cannot be started now; the next call tries.
        """
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name="flask-threaded-sockets monitor", daemon=True
                )
                thread.start()
                self._thread = thread
            self._connections.add(connection)
            self._work.set()

    def __len__(self) -> int:
        return len(self._connections)

    def _forget(self, connection: Supervised) -> None:
        with self._lock:
            self._connections.discard(connection)
            if not self._connections:
                self._work.clear()

    def _run(self) -> None:
        watched = _Readiness()
        while True:
            self._work.wait()
            next_round = time.monotonic() + TICK
            while (left := next_round - time.monotonic()) > 0:
                _pump_ready(watched, left)
            self._look_at_all(watched)

    def _look_at_all(self, watched: _Readiness) -> None:
        with self._lock:
            connections = list(self._connections)
        now = time.monotonic()
        for connection in connections:
            if not _tick(connection, now):
                watched.remove(connection)
                self._forget(connection)
            elif connection not in watched and _pump(connection):
                watched.add(connection)


def _pump_ready(watched: _Readiness, timeout: float) -> None:
    # Not within Monitor._run, whose variable would keep the last one alive for long.
    for connection in watched.wait(timeout):
        if not _pump(connection):
            watched.remove(connection)


def _pump(connection: Supervised) -> bool:
    try:
        return connection.pump()
    except Exception:
        # One connection's defect must not end the care for all the others.
        logger.exception("dropping a connection after an internal error")
        connection.abort()
        return False


def _tick(connection: Supervised, now: float) -> bool:
    try:
        return connection.tick(now)
    except Exception:
        logger.exception("dropping a connection after an internal error")
        connection.abort()
        return False


class _Readiness:
    """Wait for any of a changing set of connections to become readable."""

    def __init__(self) -> None:
        self._by_fd: dict[int, Supervised] = {}
        self._fd_of: dict[Supervised, int] = {}
        self._poll = select.poll() if hasattr(select, "poll") else None

    def __contains__(self, connection: object) -> bool:
        return connection in self._fd_of

    def add(self, connection: Supervised) -> None:
        fd = connection.fileno()
        if fd < 0 or self._fd_of.get(connection) == fd:
            return
        self.remove(connection)
        # A descriptor that was closed and used again belongs to the newcomer.
        previous = self._by_fd.get(fd)
        if previous is not None:
            self.remove(previous)
        self._by_fd[fd] = connection
        self._fd_of[connection] = fd
        if self._poll is not None:
            self._poll.register(fd, select.POLLIN)

    def remove(self, connection: Supervised) -> None:
        fd = self._fd_of.pop(connection, None)
        if fd is not None:
            del self._by_fd[fd]
            if self._poll is not None:
                self._poll.unregister(fd)

    def wait(self, timeout: float) -> list[Supervised]:
        if patched_by() == "gevent":
            # Its poll watches all anew; whose descriptor may be closed must not be among
            # them (see transport.waiting.settle).
            for connection in [each for each in self._fd_of if each.fileno() < 0]:
                self.remove(connection)
        if self._poll is not None:
            ready = [fd for fd, _ in self._poll.poll(timeout * 1000)]
        elif self._by_fd and patched_by() != "eventlet":
            ready = self._select(timeout)
        else:
            # Under eventlet no descriptor may be waited for twice, and a handler may be
            # waiting for this one: there all are looked at once per tick.
            time.sleep(timeout)
            ready = list(self._by_fd)
        return [self._by_fd[fd] for fd in ready if fd in self._by_fd]

    def _select(self, timeout: float) -> list[int]:
        try:
            return select.select(list(self._by_fd), [], [], timeout)[0]
        except (OSError, ValueError):  # a descriptor was closed by its owner
            for connection in list(self._fd_of):
                if connection.fileno() < 0:
                    self.remove(connection)
            return []


monitor = Monitor()
"""The process's monitor."""


def _begin_anew() -> None:
    """Give a forked child a monitor of its own: threads do not survive a fork."""
    monitor.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

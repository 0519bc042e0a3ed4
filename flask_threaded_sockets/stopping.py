"""Closing every client when a process or a server stops.

On SIGTERM and SIGINT, where a ``Sockets`` was made in the main thread, and at the
interpreter's exit, which is also how a reloader ends a process.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Iterable
from types import FrameType
from typing import Any, Final

from .clients import Client, clients
from .codes import CloseCode

__all__ = ["STOP_TIMEOUT", "close_all", "install"]

# Seconds that clients and handlers have to end before they are dropped. With what the
# host does besides, the process is to be gone within 3 seconds.
STOP_TIMEOUT: Final = 1.5

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_previous: dict[int, Any] = {}
_lock = threading.Lock()  # guards _previous and _at_exit
_at_exit = False


def close_all(
    targets: Iterable[Client],
    code: int = CloseCode.GOING_AWAY,
    reason: str = "",
    timeout: float = STOP_TIMEOUT,
) -> None:
    """Close clients, wait for their handlers to end, drop those that do not.

    Every Close goes out before anybody is waited for.

    Args:
        targets: which clients.
        code: the close code.
        reason: the close reason.
        timeout: seconds to wait, for all of them together.
    """
    pending = list(targets)
    for client in pending:
        client.connection.close(code, reason, timeout=0)
    clients.wait_gone(pending, timeout)
    for client in pending:
        client.connection.abort()


def install() -> None:
    """Close all clients at exit, and on signals if this is the main thread; once only."""
    global _at_exit
    with _lock:
        if not _at_exit:
            _at_exit = True
            atexit.register(_stop)
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if number not in _previous:
                    _previous[number] = signal.signal(number, _on_signal)


def _stop() -> None:
    close_all(client for client in clients.snapshot() if client.stop_on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    """Close all, then let the handler that was there before go on."""
    # In a thread of its own, since the main thread may have been interrupted while it
    # held a lock that closing needs; a daemon, since it must not keep the process.
    if clients.snapshot():
        closer = threading.Thread(target=_stop, name="websocket closer", daemon=True)
        closer.start()
        closer.join(STOP_TIMEOUT + 0.5)
    previous = _previous.get(number)
    if callable(previous):
        previous(number, frame)
    elif previous == signal.SIG_DFL:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

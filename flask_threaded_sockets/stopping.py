"""Closing every client when a process or a server stops.

On SIGTERM and SIGINT, where a ``Sockets`` was made in the main thread, and at the
interpreter's exit, which is also how a reloader ends a process.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable
from types import FrameType
from typing import Any, Final

from .clients import Client, clients
from .codes import CloseCode
from .transport import patched_by

__all__ = ["STOP_TIMEOUT", "close_all", "install"]

# Seconds that clients and handlers have to end before they are dropped. With what the
# host does besides, the process is to be gone within 3 seconds.
STOP_TIMEOUT: Final = 1.5

# Seconds for the Closes to go out where nobody can be waited for.
_SENDING: Final = 0.3

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

# To gunicorn's workers SIGINT comes as SIGQUIT. Elsewhere that one dumps a core.
_SIGNALS_IF_HANDLED: Final = tuple(
    getattr(signal, name) for name in ("SIGQUIT",) if hasattr(signal, name)
)

_lock = threading.Lock()  # guards _at_exit
_at_exit = False

# The identifier of the thread that runs our signal handlers; None before there are any.
_handling: int | None = None


def close_all(
    targets: Iterable[Client],
    code: int = CloseCode.GOING_AWAY,
    reason: str = "",
    timeout: float = STOP_TIMEOUT,
) -> None:
    """Close clients, wait for their handlers to end, drop those that do not.

    Every Close goes out before anybody is waited for. A handler may call this: its own
    client is closed but neither waited for nor dropped.

    Args:
        targets: which clients.
        code: the close code.
        reason: the close reason.
        timeout: seconds to wait, for all of them together.
    """
    everybody = list(targets)
    for client in everybody:
        client.connection.close(code, reason, timeout=0)
    others = [client for client in everybody if client.thread != threading.get_ident()]
    clients.wait_gone(others, timeout)
    for client in others:
        client.connection.abort()
        # Its handler does not end: nobody is to wait for it a second time.
        clients.remove(client)


def install(worker: object = None) -> None:  # noqa: ARG001
    """Close all clients at exit, and on signals if this is the main thread; idempotent.

    ``Sockets`` calls it. Call it again where something has put its own handlers in the
    place of ours since, or use it as gunicorn's hook, in ``gunicorn.conf.py``, with
    ``preload_app``: ``from flask_threaded_sockets.stopping import install as
    post_worker_init``.

    Args:
        worker: what gunicorn hands to the hook; not used.
    """
    global _at_exit, _handling
    with _lock:
        if not _at_exit:
            _at_exit = True
            atexit.register(_stop)
    # A ValueError says that this is not the main thread; eventlet's patched threading
    # would say so of the main thread, too.
    with contextlib.suppress(ValueError):
        for number in _SIGNALS:
            _chain(number)
        for number in _SIGNALS_IF_HANDLED:
            if callable(signal.getsignal(number)):
                _chain(number)
        _handling = threading.get_ident()


def _chain(number: int) -> None:
    current = signal.getsignal(number)
    # Not where the signal is ignored, as SIGINT is in a shell's background job, or where
    # it is handled by somebody outside Python, whom we could not call.
    if current in (None, signal.SIG_IGN) or isinstance(current, _ChainedHandler):
        return
    signal.signal(number, _ChainedHandler(current))


class _Fork(threading.local):
    """The fork that a thread is making, if it is not the one that runs our handlers.

    Its child's WebSockets are its parent's, so it gets the handlers that were there before.
    With ours a signal might never end it: CPython forgets what comes before the child is
    itself, and 3.13 also, but for chance, what comes later. A server that forks before it
    serves does so in its main thread, and its workers keep ours.
    """

    mask: Iterable[int] | None = None  # what the thread had blocked

    def before(self) -> None:
        if _handling not in (None, threading.get_ident()) and not patched_by():
            self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS + _SIGNALS_IF_HANDLED)

    def after_in_parent(self) -> None:
        if self.mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
            self.mask = None

    def after_in_child(self) -> None:
        global _handling
        if self.mask is not None:
            _handling = None
            for number in _SIGNALS + _SIGNALS_IF_HANDLED:
                handler = signal.getsignal(number)
                if isinstance(handler, _ChainedHandler):
                    signal.signal(number, handler.previous)
        self.after_in_parent()


if hasattr(os, "register_at_fork"):
    _fork = _Fork()
    os.register_at_fork(
        before=_fork.before,
        after_in_parent=_fork.after_in_parent,
        after_in_child=_fork.after_in_child,
    )


def _stop() -> None:
    deadline = time.monotonic() + STOP_TIMEOUT
    left = STOP_TIMEOUT
    while left > 0:  # clients still arrive while others are waited for
        clients.wait_arrived(_SENDING)
        targets = [client for client in clients.snapshot() if client.stop_on_signal]
        if not targets:
            return
        close_all(targets, timeout=left)
        left = deadline - time.monotonic()


def _stop_and_release(stopped: _thread.LockType) -> None:
    try:
        _stop()
    finally:
        stopped.release()


class _ChainedHandler:
    """Close all on a signal, then let the handler that was there before go on."""

    def __init__(self, previous: Any) -> None:
        self.previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not len(clients):
            self._go_on(number, frame)
        elif patched_by():
            # The hub itself may be running this, and must not wait; nor may it start a
            # threading.Thread, which waits until the thread runs.
            _thread.start_new_thread(self._stop_and_go_on, (number,))
        else:
            self._stop_in_thread()
            self._go_on(number, frame)

    def _stop_in_thread(self) -> None:
        # In a thread of its own, since the main thread may have been interrupted while it
        # held a lock that closing needs. Not a threading.Thread: the lock may be the one
        # of threading.enumerate(), which a Thread needs before it runs.
        stopped = _thread.allocate_lock()
        stopped.acquire()
        # A handler in this very thread cannot end before this returns.
        here = threading.get_ident()
        interrupted = any(client.thread == here for client in clients.snapshot())
        try:
            _thread.start_new_thread(_stop_and_release, (stopped,))
        except RuntimeError:  # the system has no thread left
            if not interrupted:
                _stop()
            return
        stopped.acquire(timeout=_SENDING if interrupted else STOP_TIMEOUT + 0.5)

    def _stop_and_go_on(self, number: int) -> None:
        _stop()
        if self.previous is signal.default_int_handler:
            # Its exception is for the main thread, which this greenlet is not.
            signal.signal(number, self.previous)
            os.kill(os.getpid(), number)
        else:
            self._go_on(number, None)

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        if callable(self.previous):
            self.previous(number, frame)
        else:  # SIG_DFL
            signal.signal(number, self.previous)
            os.kill(os.getpid(), number)

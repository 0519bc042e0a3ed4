"""A :class:`~flask_threaded_sockets.shell.Shell` that the process's monitor looks after.

While no handler is receiving, the monitor reads in its place, without waiting. It sends
the keepalive's pings and enforces every deadline.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

from .codes import CloseCode
from .exceptions import ConnectionClosed
from .keepalive import KeepaliveAction
from .monitor import monitor
from .shell import GRACE, Shell
from .transport import LINGER

__all__ = ["ThreadedConnection"]

# Reads of one connection before the monitor turns to the next.
_PUMP_READS: Final = 16

# Seconds the monitor waits for a sender to be done with the protocol.
_PATIENCE: Final = 0.1


class ThreadedConnection(Shell):
    """Carry one WebSocket for a :class:`Protocol`, on the handler's thread and the monitor's."""

    __slots__ = ()

    def start(self, early: bytes) -> None:
        """Take the bytes that came with the handshake; put the monitor in charge."""
        super().start(early)
        monitor.watch(self)

    # What the monitor asks (see Supervised); none of these blocks for long.

    def fileno(self) -> int:
        """Give the socket's descriptor, negative when it is gone."""
        return -1 if self._transport.ended else self._transport.fileno()

    def pump(self) -> bool:
        """Read what is there, in the place of a handler that is not receiving."""
        if self._ending is not None and self._ending.closer_waits:
            return False  # he reads himself; in a flood he would hardly get the lock from here
        if self._is_encoding() or not self._read_lock.acquire(blocking=False):
            return False
        try:
            for _ in range(_PUMP_READS):
                if self._transport.ended or self._transport.woken or self._full():
                    return False
                if not self._read_ready():
                    return True
            return not self._transport.ended
        finally:
            self._read_lock.release()

    def _is_encoding(self) -> bool:
        """Tell whether a sender has the protocol for long, as to compress what is large.

        Then this connection's turn is later: all others wait for the monitor, too.
        """
        if not self._codec_lock.acquire(timeout=_PATIENCE):
            return True
        self._codec_lock.release()
        return False

    def _full(self) -> bool:
        if self._out.congested:
            return True
        if self._ending is not None or len(self._messages) < self._options.max_queue:
            return False
        # After a FIN only the kernel's buffer can come: read on, a Close may wait in it.
        return not self._transport.hung_up()

    def tick(self, now: float) -> bool:
        """Send what is due and enforce the deadlines; ``False`` when all is over."""
        if self._transport.ended:
            return False
        if self._is_encoding():
            return True
        self._flush()
        ending = self._ending
        if self._out.stuck(now, self._options.send_timeout):
            self._drop(CloseCode.ABNORMAL)
        elif ending is None:
            self._keep_alive(now)
        elif self._last_word:
            # finish() does this at once where the handler has returned.
            if now > ending.deadline + LINGER or (
                self._out.idle and now > ending.since + 2 * LINGER
            ):
                self._transport.end()
        elif now > ending.deadline or ending.late_data:
            self._drop(CloseCode.ABNORMAL)
        elif now > ending.since + GRACE and self._read_lock.locked() and not ending.closer_waits:
            self._transport.wake()
        return True

    def _keep_alive(self, now: float) -> None:
        reading = self._read_lock.locked() or not self._full()
        action = self._keepalive.due(now, reading=reading, taken=self._transport.taken)
        if action is KeepaliveAction.PING:
            with contextlib.suppress(ConnectionClosed):
                self.ping(os.urandom(4))
        elif action is KeepaliveAction.GIVE_UP:
            self.close(CloseCode.INTERNAL_ERROR, "keepalive ping timeout", timeout=0)
            self._drop(CloseCode.INTERNAL_ERROR)

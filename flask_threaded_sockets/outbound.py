"""The way out of a connection: one writer at a time, control frames in between.

A message is written by its sender, who waits for room. A Pong, a Ping or a Close must
not wait, whoever produces it, and neither must a broadcast: what they send is put down
here, and goes out now or behind what is being written.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from .backend import Buffer
from .transport import Transport

__all__ = ["Outbound"]

# Buffers put down and not taken by the peer at which we stop reading what it sends.
_PENDING_MAX: Final = 1024


class Outbound:
    """Hold what waits to be written on one connection.

    Args:
        transport: where it goes.
        codec_lock: guards ``pending``, together with the protocol that fills it.

    Attributes:
        lock: held by who writes, over I/O; taken before the codec lock.
        pending: buffers to be written before anything newer, in order.
        taken: how many times these were taken to be written.
        written: the last of those times that was written to its end; set under the lock.
    """

    __slots__ = (
        "_codec_lock",
        "_put_before",
        "_transport",
        "_waiting_since",
        "lock",
        "pending",
        "taken",
        "written",
    )

    def __init__(self, transport: Transport, codec_lock: threading.Lock) -> None:
        self._transport = transport
        self._codec_lock = codec_lock
        self.lock = threading.Lock()
        self.pending: list[Buffer] = []
        self._waiting_since: float | None = None  # when the peer last made room for it
        self.taken = self.written = 0
        self._put_before = -1  # the value of taken when a message was put down

    def put(self, message: list[Buffer]) -> None:
        """Put down a message; under the codec lock."""
        self.pending += message
        self._put_before = self.taken

    @property
    def put_is_out(self) -> bool:
        """Whether the message last put down is in the kernel's hands.

        Not the same as :attr:`idle`, which is hardly ever true where somebody else sends
        all the time.
        """
        return self.written > self._put_before

    def take(self) -> list[Buffer]:
        """Hand over what waits, to be written now; under both locks."""
        taken = self.pending
        self.pending = []
        self.taken += 1
        self._waiting_since = None
        return taken

    def flush(self) -> None:
        """Write what waits as far as there is room; never blocks.

        Who holds the lock looks again after letting it go, and who does not get it has
        put his frame down before trying: nothing is forgotten. What finds no room is
        tried again by the monitor.

        Raises:
            OSError: the link is dead.
        """
        while self.pending and self.lock.acquire(blocking=False):
            try:
                with self._codec_lock:
                    since = self._waiting_since
                    taken = self.take()
                left = self._transport.write(taken, 0)
                if left:
                    with self._codec_lock:
                        self.pending = left + self.pending
                        made_room = since is None or left[0] is not taken[0]
                        self._waiting_since = time.monotonic() if made_room else since
                else:
                    self.written = self.taken
            finally:
                self.lock.release()
            if left:
                return

    def stuck(self, now: float, timeout: float) -> bool:
        """Tell whether what waits has found no room at all for so long, in seconds.

        What a sender is writing has a deadline of its own.
        """
        since = self._waiting_since
        return since is not None and now > since + timeout

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nobody is writing."""
        return not (self.pending or self.lock.locked())

    @property
    def congested(self) -> bool:
        """Whether the peer makes us answer without reading the answers."""
        return len(self.pending) > _PENDING_MAX

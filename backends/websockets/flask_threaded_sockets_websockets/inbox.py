"""The messages that wait for the handler, and the reader that waits for room."""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["Inbox"]


class Inbox:
    """Queue messages between one reader and any number of receivers.

    Args:
        limit: messages above which :meth:`wait_for_room` blocks.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._messages: deque[str | bytearray] = deque()
        self._lock = threading.Lock()  # guards all, and is both conditions'
        self._arrived = threading.Condition(self._lock)
        self._taken = threading.Condition(self._lock)
        self._unlimited = False
        self._ended = False

    @property
    def full(self) -> bool:
        """Whether there is no room for more."""
        return len(self._messages) >= self._limit and not self._unlimited

    def put(self, message: str | bytearray) -> None:
        """Add a message, even where there is no room: it has been read already."""
        with self._lock:
            if not self._ended:
                self._messages.append(message)
                self._arrived.notify()

    def get(self, timeout: float | None) -> str | bytearray | None:
        """Take the next message; ``None`` when there will be no more.

        Args:
            timeout: seconds; ``None``: wait for ever.

        Raises:
            TimeoutError: none came in time.
        """
        with self._lock:
            if not self._arrived.wait_for(lambda: self._messages or self._ended, timeout):
                raise TimeoutError(f"no message within {timeout} seconds")
            if not self._messages:
                return None
            self._taken.notify()
            return self._messages.popleft()

    def wait_for_room(self) -> None:
        """Wait until less than ``limit`` messages are there, or it matters no more."""
        with self._lock:
            self._taken.wait_for(lambda: not self.full or self._ended)

    def unlimit(self) -> None:
        """Let the reader go on: what may still come is little."""
        with self._lock:
            self._unlimited = True
            self._taken.notify_all()

    def end(self) -> None:
        """Take no more messages and let nobody wait; what is there can be taken."""
        with self._lock:
            self._ended = True
            self._arrived.notify_all()
            self._taken.notify_all()

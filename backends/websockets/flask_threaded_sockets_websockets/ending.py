"""How a connection ended, and since when."""

from __future__ import annotations

import threading
import time

from flask_threaded_sockets.codes import CloseCode
from flask_threaded_sockets.exceptions import ConnectionClosed

__all__ = ["Ending"]


class Ending:
    """Hold the first cause; what comes later does not change it.

    Args:
        close_timeout: seconds from the beginning to the deadline.

    Attributes:
        begun: whether a Close is out or in, or the link is dead: no more is sent.
        since: the monotonic time of that.
        deadline: the monotonic time until which the peer's Close is waited for.
        code: the close code; ``None`` before.
        reason: the close reason.
        clean: whether the peer's Close came.
    """

    def __init__(self, close_timeout: float) -> None:
        self._lock = threading.Lock()  # lets one cause be the first
        self._close_timeout = close_timeout
        self.begun = False
        self.since = self.deadline = 0.0
        self.code: int | None = None
        self.reason = ""
        self.clean = False

    def begin(self, code: int, reason: str = "") -> bool:
        """Note a cause; tell whether it is the first."""
        with self._lock:
            if self.begun:
                return False
            self.since = time.monotonic()
            self.deadline = self.since + self._close_timeout
            self.code = code
            self.reason = reason
            self.begun = True
            return True

    def error(self) -> ConnectionClosed:
        """Give what is raised to senders and receivers."""
        code = CloseCode.ABNORMAL if self.code is None else self.code
        return ConnectionClosed(code, self.reason, clean=self.clean)

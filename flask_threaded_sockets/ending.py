"""How and when one connection began to end."""

from __future__ import annotations

import time

from .exceptions import ConnectionClosed

__all__ = ["Ending"]


class Ending:
    """Keep the first cause of a connection's end; those that follow do not count.

    Attributes:
        code: the close code, 1005 or 1006 where none was sent.
        reason: the close reason.
        clean: whether both sides have sent a Close (RFC 6455 section 7.1.4).
        since: when it began, on the monotonic clock, in seconds.
        deadline: until when the peer's Close is waited for, on the same clock.
        closer_waits: whether a ``close()`` is reading for the peer's Close.
        late_data: whether the peer goes on sending long after our Close.
    """

    __slots__ = ("clean", "closer_waits", "code", "deadline", "late_data", "reason", "since")

    def __init__(self, code: int, reason: str, close_timeout: float) -> None:
        self.code = code
        self.reason = reason
        self.clean = False
        self.closer_waits = False
        self.late_data = False
        self.since = time.monotonic()
        self.deadline = self.since + close_timeout

    def error(self) -> ConnectionClosed:
        """Give the exception for who uses the connection after its end."""
        return ConnectionClosed(self.code, self.reason, clean=self.clean)

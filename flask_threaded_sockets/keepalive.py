"""When to send keepalive pings, and when a silent peer counts as dead.

Arithmetic on times only; who sends and who ends is the connection's affair.
"""

from __future__ import annotations

from enum import Enum, auto

from .options import ConnectionOptions

__all__ = ["Keepalive", "KeepaliveAction"]


class KeepaliveAction(Enum):
    """Say what is due."""

    NOTHING = auto()
    PING = auto()
    GIVE_UP = auto()


class Keepalive:
    """Schedule the pings of one connection.

    Anything the peer sends after a ping proves it alive, not the Pong alone: behind a
    large message on a slow link a Pong may come late. So does what it takes: the Ping may
    stand behind a large message of ours.

    Attributes:
        heard: set by the reader whenever bytes came in.
    """

    __slots__ = ("_interval", "_next_ping", "_taken", "_timeout", "_waiting_since", "heard")

    def __init__(self, options: ConnectionOptions, now: float) -> None:
        self._interval = options.ping_interval
        self._timeout = options.ping_timeout
        self._next_ping = now + (self._interval or 0)
        self._waiting_since: float | None = None
        self._taken = 0
        self.heard = False

    def due(self, now: float, *, reading: bool, taken: int) -> KeepaliveAction:
        """Tell what to do now.

        Args:
            now: the monotonic time in seconds.
            reading: whether the peer's bytes are being read at all. With a full queue
                they are not, and silence proves nothing.
            taken: the transport's, which grows while the peer makes room.
        """
        if self.heard or not reading or taken != self._taken:
            self.heard = False
            self._taken = taken
            self._waiting_since = None
        if (
            self._waiting_since is not None
            and self._timeout is not None
            and now - self._waiting_since > self._timeout
        ):
            return KeepaliveAction.GIVE_UP
        if self._interval is None or now < self._next_ping:
            return KeepaliveAction.NOTHING
        self._next_ping = now + self._interval
        if self._waiting_since is None:
            self._waiting_since = now
        return KeepaliveAction.PING

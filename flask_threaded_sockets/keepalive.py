"""When to send keepalive pings, and when a silent peer counts as dead.

Arithmetic on times only; who sends and who ends is the connection's affair.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from .options import ConnectionOptions

__all__ = ["Keepalive", "KeepaliveAction"]

# Seconds between two looks, twice the usual ones, after which it is we who stood still: a
# process that was stopped, or an interpreter that a library did not let go of.
_STANDSTILL: Final = 0.5


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

    Behind a standstill of ours its answer may be there and not read yet: then the reader
    has until the next look. Once, since a monitor with very much to do may always be late.

    Attributes:
        heard: set by the reader whenever bytes came in.
    """

    __slots__ = (
        "_interval",
        "_looked",
        "_next_ping",
        "_spared",
        "_taken",
        "_timeout",
        "_waiting_since",
        "heard",
    )

    def __init__(self, options: ConnectionOptions, now: float) -> None:
        self._interval = options.ping_interval
        self._timeout = options.ping_timeout
        self._next_ping = now + (self._interval or 0)
        self._waiting_since: float | None = None
        self._looked = now
        self._spared = False
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
        stood_still = now - self._looked > _STANDSTILL
        self._looked = now
        if self.heard or not reading or taken != self._taken:
            self.heard = self._spared = False
            self._taken = taken
            self._waiting_since = None
        if (
            self._waiting_since is not None
            and self._timeout is not None
            and now - self._waiting_since > self._timeout
        ):
            if self._spared or not stood_still:
                return KeepaliveAction.GIVE_UP
            self._spared = True
        if self._interval is None or now < self._next_ping:
            return KeepaliveAction.NOTHING
        self._next_ping = now + self._interval
        if self._waiting_since is None:
            self._waiting_since = now
        return KeepaliveAction.PING

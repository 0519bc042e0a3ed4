"""What an application is told of its connections, and may add to their handshakes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .opening import Opening

__all__ = ["Ending", "Observer"]


@dataclass(frozen=True, slots=True)
class Ending:
    """Say how a connection ended.

    Attributes:
        code: the close code, as of the side that closed first.
        reason: the close reason.
        duration: seconds from the 101 to the end.
    """

    code: int
    reason: str
    duration: float


class Observer:
    """Accompany the connections of one application; this one does nothing."""

    def response_headers(self, opening: Opening) -> Iterable[tuple[str, str]]:  # noqa: ARG002
        """Give further headers of a 101 that is about to be sent.

        What it raises takes the place of the 101, as an HTTP response.
        """
        return ()

    def connected(self, opening: Opening) -> None:
        """Take note of a connection that is open now; what it raises ends it with 1011."""

    def disconnected(self, opening: Opening, ending: Ending) -> None:
        """Take note of a connection that has ended; must not raise."""

    def refused(self, opening: Opening, status: int) -> None:
        """Take note of an opening handshake that got an HTTP response; must not raise."""

"""How many WebSockets one app may have open at a time."""

from __future__ import annotations

import threading

from werkzeug.exceptions import ServiceUnavailable

from .refusals import Refusal

__all__ = ["Overloaded", "Slots"]


class Slots:
    """Count the open connections of one app against ``SOCKETS_MAX_CONNECTIONS``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _taken
        self._taken = 0

    def take(self, limit: int | None) -> None:
        """Take a slot, or refuse with 503 (RFC 9110 section 15.6.4)."""
        with self._lock:
            if limit is not None and self._taken >= limit:
                raise Overloaded
            self._taken += 1

    def give_back(self) -> None:
        """Give a slot back."""
        with self._lock:
            self._taken -= 1


class Overloaded(Refusal, ServiceUnavailable):
    """Answer a connection above the limit with 503."""

    code = 503
    description = "too many open websockets"
    extra_headers = (("Retry-After", "5"),)

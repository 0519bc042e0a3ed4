"""The options of one connection: names, defaults, meaning and validation.

Values only; which key of ``app.config`` or argument of a route they came from is
known to :mod:`flask_threaded_sockets.settings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from .exceptions import ConfigurationError

__all__ = ["ConnectionOptions"]


def _check_seconds(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name} must be a number of seconds, not {value!r}")
    if not math.isfinite(value) or value <= 0:
        raise ConfigurationError(f"{name} must be a positive number of seconds, not {value!r}")


def _check_count(name: str, value: object, unit: str, *, minimum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{name} must be a number of {unit}, not {value!r}")
    if value < minimum:
        raise ConfigurationError(f"{name} must be at least {minimum} {unit}, not {value!r}")


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Hold the options a backend must honour on one connection.

    Attributes:
        max_message_size: bytes of one message after decompression; a longer one fails
            the connection with 1009. ``None``: no limit.
        ping_interval: seconds between keepalive pings; ``None``: no pings.
        ping_timeout: seconds a peer may stay silent after a keepalive ping before it
            counts as dead; ``None``: for ever.
        close_timeout: seconds to wait for the peer's Close after ours.
        send_timeout: seconds one send may block on a peer that does not read.
        max_queue: messages kept for a handler that is busy; then TCP pushes back.
        compression: whether permessage-deflate (RFC 7692) is accepted when offered.

    Raises:
        ConfigurationError: a value is impossible.
    """

    max_message_size: int | None = 16 * 1024 * 1024
    ping_interval: float | None = 25
    ping_timeout: float | None = 20
    close_timeout: float = 5
    send_timeout: float = 30
    max_queue: int = 16
    compression: bool = False

    def __post_init__(self) -> None:
        if self.max_message_size is not None:
            _check_count("max_message_size", self.max_message_size, "bytes", minimum=1)
        _check_seconds("ping_interval", self.ping_interval, optional=True)
        _check_seconds("ping_timeout", self.ping_timeout, optional=True)
        _check_seconds("close_timeout", self.close_timeout, optional=False)
        _check_seconds("send_timeout", self.send_timeout, optional=False)
        _check_count("max_queue", self.max_queue, "messages", minimum=1)
        if not isinstance(self.compression, bool):
            raise ConfigurationError(f"compression must be True or False, not {self.compression!r}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Give the options' names, in the order of the documentation."""
        return tuple(field.name for field in fields(cls))

"""What a :class:`~flask_threaded_sockets.backend.Protocol` reports of its peer.

Plain data. A message is whole, inflated and, for text, decoded; a Close is the last
event of a connection.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Close", "Event", "Message", "Ping", "Pong"]


@dataclass(slots=True)
class Message:
    """Carry a whole message (RFC 6455 section 5.6).

    Attributes:
        data: ``str`` for a text message, ``bytearray`` for a binary one.
    """

    data: str | bytearray


@dataclass(slots=True)
class Ping:
    """Tell of a Ping; its Pong is already in ``data_to_send()`` (section 5.5.2)."""

    payload: bytes = b""


@dataclass(slots=True)
class Pong:
    """Tell of a Pong, solicited or not (RFC 6455 section 5.5.3)."""

    payload: bytes = b""


@dataclass(slots=True)
class Close:
    """Tell that nothing more will come, and why.

    Attributes:
        code: the peer's close code, 1005 where its Close had none; for a failure the
            code we send (1002, 1007, 1009); 1006 where the stream just ended.
        reason: the peer's close reason, or a short text on what it did wrong.
        clean: ``True`` for a peer's valid Close frame; ``False`` for a failure or for
            an end of the stream without a Close.
    """

    code: int
    reason: str = ""
    clean: bool = True


Event = Message | Ping | Pong | Close

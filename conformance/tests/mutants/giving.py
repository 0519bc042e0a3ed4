"""Mutants that give the app something else than the message that came."""

from __future__ import annotations

from flask_threaded_sockets.events import Event, Message

from .filtered import Filtered, Header
from .mutant import Mutant

__all__ = ["GIVING"]


class EmptyDropped(Filtered):
    def told(self, event: Event) -> list[Event]:
        return [] if isinstance(event, Message) and not event.data else [event]


class GivesBytes(Filtered):
    def told(self, event: Event) -> list[Event]:
        if isinstance(event, Message) and isinstance(event.data, bytearray):
            return [Message(bytes(event.data))]  # type: ignore[arg-type]
        return [event]


class GivesTextAsBytes(Filtered):
    def told(self, event: Event) -> list[Event]:
        if isinstance(event, Message) and isinstance(event.data, str) and not event.data.isascii():
            return [Message(bytearray(event.data.encode()))]
        return [event]


class GivesTwice(Filtered):
    """Give a message twice whose last frame is a continuation."""

    fragmented = False

    def came(self, header: Header) -> bytes | None:
        if not header.is_control:
            self.fragmented = header.opcode == 0
        return header.raw

    def told(self, event: Event) -> list[Event]:
        return [event, event] if isinstance(event, Message) and self.fragmented else [event]


GIVING = (
    Mutant(
        "empty-message-dropped",
        (
            "framing.text-0",
            "framing.binary-0",
            "fragmentation.all-empty",
            "websocket.receive-empty",
            "compression.many-messages",
            "compression.rfc-empty",
            "websocket.iteration",
        ),
        EmptyDropped,
    ),
    Mutant(
        "binary-given-as-bytes",
        (
            "websocket.receive-binary",
            "websocket.receive-fragmented-binary",
            "websocket.receive-large-binary",
        ),
        GivesBytes,
    ),
    Mutant(
        "text-beyond-ascii-given-as-bytes",
        (
            "text.valid-two-bytes",
            "compression.character-split",
            "compression.valid-text",
            "fragmentation.character-split",
            "text.valid-around-surrogates",
            "text.valid-bom",
            "text.valid-combining",
            "text.valid-four-bytes",
            "text.valid-fragmented",
            "text.valid-noncharacters",
            "text.valid-three-bytes",
            "websocket.receive-text",
        ),
        GivesTextAsBytes,
    ),
    Mutant(
        "fragmented-message-given-twice",
        (
            "compression.character-split",
            "compression.fragments-of-one-byte",
            "compression.ping-between",
            "compression.rfc-fragmented",
            "fragmentation.all-empty",
            "fragmentation.binary-fragments",
            "fragmentation.character-split",
            "fragmentation.continuation-*",
            "fragmentation.first-empty",
            "fragmentation.fragments-of-one-byte",
            "fragmentation.large-fragments",
            "fragmentation.last-empty",
            "fragmentation.many-fragments",
            "fragmentation.middle-empty",
            "fragmentation.ping-between",
            "fragmentation.pings-between-all",
            "fragmentation.pong-between",
            "fragmentation.rfc-two-fragments",
            "fragmentation.then-whole",
            "fragmentation.three-fragments",
            "fragmentation.two-messages",
            "limits.control-frames-do-not-count",
            "limits.fragments-at-limit",
            "masking.key-per-fragment",
            "text.valid-fragmented",
        ),
        GivesTwice,
    ),
)

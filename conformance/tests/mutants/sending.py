"""Mutants whose own frames are wrong."""

from __future__ import annotations

from flask_threaded_sockets_conformance.wire import BINARY, FIN, KEY, TEXT, frame

from flask_threaded_sockets.backend import Buffer

from .filtered import Filtered
from .mutant import Mutant

__all__ = ["SENDING"]

_LARGE = 1000


class MaskedLarge(Filtered):
    def going(self, first: int, payload: bytes) -> bytes:
        return frame(first, payload, KEY if len(payload) > _LARGE else None)


class LongLength(Filtered):
    def going(self, first: int, payload: bytes) -> bytes:
        return frame(first, payload, None, form=127 if len(payload) == 65535 else None)


class Pieces(Filtered):
    """Send large messages in two fragments."""

    second: int | None = FIN  # ``None``: the first one's

    def going(self, first: int, payload: bytes) -> bytes:
        if len(payload) <= _LARGE:
            return frame(first, payload, None)
        begin = frame(first & ~FIN, payload[:_LARGE], None)
        return begin + frame(first if self.second is None else self.second, payload[_LARGE:], None)


class RepeatedOpcode(Pieces):
    second = None


class NeverFinal(Pieces):
    second = 0


class TextAsBinary(Filtered):
    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        super().send_message(
            BINARY if opcode == TEXT and not payload else opcode,
            payload,
            fin=fin,
            compress=compress,
        )


class BinaryAsText(Filtered):
    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        super().send_message(
            TEXT if opcode == BINARY else opcode, payload, fin=fin, compress=compress
        )


class EmptyNotSent(Filtered):
    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        if len(payload):
            super().send_message(opcode, payload, fin=fin, compress=compress)


class PingWithoutPayload(Filtered):
    def send_ping(self, payload: bytes) -> None:
        super().send_ping(b"")


class PongNotSent(Filtered):
    def send_pong(self, payload: bytes) -> None:
        pass


# Where the server sends more than a kilobyte in one frame.
LARGE = (
    "framing.rfc-64-kib",
    "framing.text-65*",
    "framing.text-200000",
    "framing.binary-65*",
    "framing.binary-200000",
    "framing.mixed-in-one-segment",
    "framing.server-lengths",
    "fragmentation.large-fragments",
    "websocket.send-large",
)

# Where the server sends 64 KiB and more, or fragments.
SENT_LARGE = (
    *LARGE,
    "compression.client-window-*",
    "compression.long",
    "compression.many-fragments",
    "compression.server-*",
    "compression.smallest-window",
    "concurrency.both-flood",
    "concurrency.broadcast-of-all-lengths",
    "concurrency.close-against-send",
    "concurrency.eight-senders",
    "concurrency.pings-between-large-messages",
    "fragmentation.many-fragments",
    "websocket.buffer-may-be-reused",
)

SENDING = (
    Mutant(
        "large-frames-masked",
        SENT_LARGE,
        MaskedLarge,
    ),
    Mutant(
        "65535-in-64-bits",
        (
            "framing.text-65535",
            "framing.binary-65535",
            "framing.server-lengths",
            "concurrency.broadcast-of-all-lengths",
        ),
        LongLength,
    ),
    Mutant(
        "opcode-repeated-on-continuation",
        SENT_LARGE,
        RepeatedOpcode,
    ),
    Mutant(
        "last-fragment-not-final",
        SENT_LARGE,
        NeverFinal,
    ),
    Mutant(
        "empty-text-sent-as-binary",
        (
            "framing.text-0",
            "fragmentation.all-empty",
            "websocket.send-empty-str",
            "compression.many-messages",
            "compression.rfc-empty",
        ),
        TextAsBinary,
    ),
    Mutant(
        "binary-sent-as-text",
        (
            "framing.binary-*",
            "framing.rfc-256-bytes",
            "framing.rfc-64-kib",
            "framing.mixed-in-one-segment",
            "framing.server-lengths",
            "fragmentation.binary-fragments",
            "fragmentation.large-fragments",
            "fragmentation.two-messages",
            "text.binary-is-not-checked",
            "compression.binary",
            "limits.binary-at-limit",
            "websocket.send-bytes",
            "websocket.send-bytearray",
            "websocket.send-memoryview",
            "websocket.send-strided-memoryview",
            "websocket.send-array",
            "websocket.send-empty-bytes",
            "websocket.send-str-as-binary",
            "websocket.send-str-binary-positional",
            "websocket.send-bytes-binary-true",
            "websocket.frame-binary",
            "websocket.send-large",
            "concurrency.both-flood",
            "concurrency.broadcast-of-all-lengths",
            "concurrency.pings-between-large-messages",
            "concurrency.sockets-broadcast",
            "fragmentation.many-fragments",
            "masking.key-first-byte",
            "masking.key-like-text",
            "masking.key-one-byte",
            "masking.key-ones",
            "masking.key-per-fragment",
            "masking.key-zero",
            "masking.masked-bytes-look-like-frames",
            "masking.payload-is-key",
            "masking.server-never-masks",
            "websocket.buffer-may-be-reused",
        ),
        BinaryAsText,
    ),
    Mutant(
        "empty-message-not-sent",
        (
            "framing.text-0",
            "framing.binary-0",
            "framing.server-lengths",
            "fragmentation.all-empty",
            "compression.rfc-empty",
            "websocket.send-empty-str",
            "websocket.send-empty-bytes",
            "compression.many-messages",
            "concurrency.broadcast-of-all-lengths",
        ),
        EmptyNotSent,
    ),
    Mutant(
        "ping-without-payload",
        (
            "websocket.ping-payload",
            "websocket.frame-ping",
            "concurrency.pings-of-many-threads",
            "websocket.frame-ping-125",
            "websocket.ping-str",
        ),
        PingWithoutPayload,
    ),
    Mutant(
        "pong-not-sent",
        (
            "websocket.frame-pong",
            "masking.server-never-masks",
        ),
        PongNotSent,
    ),
)

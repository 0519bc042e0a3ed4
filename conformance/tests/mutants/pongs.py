"""Mutants that answer a Ping wrongly."""

from __future__ import annotations

from flask_threaded_sockets_conformance.wire import FIN, KEY, PING, PONG, frame

from flask_threaded_sockets.events import Event, Message, Ping

from .filtered import Answering, Filtered, Header
from .mutant import Mutant

__all__ = ["PONGS_WRONG"]

PONGS = (
    "fragmentation.ping-between",
    "fragmentation.pings-between-all",
    "fragmentation.text-inside-after-ping",
    "control.rfc-ping",
    "control.ping-empty",
    "control.ping-binary",
    "control.ping-124",
    "control.ping-125",
    "control.pings-in-a-row",
    "control.ping-before-message",
    "control.pong-then-ping",
    "control.ping-then-close",
    "control.ping-while-handler-is-busy",
    "control.ping-behind-messages-while-busy",
    "compression.ping-between",
    "limits.control-frames-do-not-count",
)

NOT_BUSY = (
    "!control.ping-while-handler-is-busy",
    "!control.ping-behind-messages-while-busy",
)


class NoPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return b""


class EmptyPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PONG, b"", None)


class ShortPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PONG, payload[:124], None)


class MaskedPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PONG, payload, KEY)


class TwoPongs(Answering):
    def answer(self, payload: bytes) -> bytes:
        return 2 * frame(FIN | PONG, payload, None)


class PingForPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PING, payload, None)


class LatePong(Answering):
    """Answer a Ping in the middle of a message only behind the message."""

    waiting = b""
    within = False

    def came(self, header: Header) -> bytes | None:
        if not header.is_control:
            self.within = not header.first & FIN
        return header.raw

    def answer(self, payload: bytes) -> bytes:
        pong = frame(FIN | PONG, payload, None)
        if self.within:
            self.waiting += pong
            return b""
        return pong

    def _pull(self) -> None:
        super()._pull()
        if not self.within:
            self._output += self.waiting
            self.waiting = b""


class PongAnswered(Filtered):
    def came(self, header: Header) -> bytes | None:
        pong = header.opcode == PONG
        return bytes([header.first & 0xF0 | PING]) + header.raw[1:] if pong else header.raw


class PingIsMessage(Filtered):
    def told(self, event: Event) -> list[Event]:
        return [event, Message(bytearray(event.payload))] if isinstance(event, Ping) else [event]


PONGS_WRONG = (
    Mutant(
        "pong-missing",
        (*PONGS, "concurrency.pings-between-large-messages", "liveness.pushes-and-answers"),
        NoPong,
    ),
    Mutant(
        "pong-without-payload",
        (
            *PONGS,
            "!control.ping-empty",
            "!fragmentation.text-inside-after-ping",
            "concurrency.pings-between-large-messages",
            "liveness.pushes-and-answers",
        ),
        EmptyPong,
    ),
    Mutant(
        "pong-of-124-bytes",
        ("control.ping-125", "limits.control-frames-do-not-count"),
        ShortPong,
    ),
    Mutant(
        "pong-masked",
        (*PONGS, "concurrency.pings-between-large-messages", "liveness.pushes-and-answers"),
        MaskedPong,
    ),
    Mutant("pong-twice", (*PONGS, *NOT_BUSY), TwoPongs),
    Mutant(
        "ping-answered-by-ping",
        (*PONGS, "concurrency.pings-between-large-messages", "liveness.pushes-and-answers"),
        PingForPong,
    ),
    Mutant(
        "pong-behind-message",
        ("fragmentation.pings-between-all", "fragmentation.text-inside-after-ping"),
        LatePong,
    ),
    Mutant(
        "pong-answered",
        (
            "fragmentation.pong-between",
            "control.pong-empty",
            "control.pong-125",
            "control.pong-then-ping",
            "configuration.pings-while-*",
            "configuration.pong-in-time",
        ),
        PongAnswered,
    ),
    Mutant("ping-is-a-message", (*PONGS, *NOT_BUSY, "control.pong-is-no-message"), PingIsMessage),
)

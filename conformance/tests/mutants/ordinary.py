"""Mutants that fail at what is most ordinary: lengths, keys, fragments, calls in the usual form."""

from __future__ import annotations

from dataclasses import replace

from flask_threaded_sockets_conformance.wire import FIN, frame

from flask_threaded_sockets.backend import Upgrade
from flask_threaded_sockets.codec import BuiltinProtocol
from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.events import Event, Message
from flask_threaded_sockets.exceptions import ConnectionClosed
from flask_threaded_sockets.options import ConnectionOptions

from .filtered import Filtered, Header
from .mutant import Mutant

__all__ = ["ORDINARY"]


class LongFormEarly(Filtered):
    """Send 124 and 125 bytes with a length of 16 bits."""

    def going(self, first: int, payload: bytes) -> bytes:
        form = 126 if len(payload) in (124, 125) and not first & 0x08 else None
        return frame(first, payload, None, form=form)


class ShortestLongForm(Filtered):
    """Refuse 126 to 128 bytes, whose length needs 16 bits."""

    def came(self, header: Header) -> bytes | None:
        refused = header.raw[1] & 0x7F == 126 and 126 <= header.length <= 128
        return bytes([header.first | 0x10]) + header.raw[1:] if refused else header.raw


class FirstKeyForEver(Filtered):
    """Keep the first key, but for a frame that needs none."""

    key: bytes | None = None

    def came(self, header: Header) -> bytes | None:
        if not header.key or header.key == bytes(4):
            return header.raw
        self.key = self.key or header.key
        return header.raw[:-4] + self.key


class FragmentsAreMessages(Filtered):
    """Take each fragment for a message."""

    opcode = 0

    def came(self, header: Header) -> bytes | None:
        if header.is_control or (header.first & FIN and header.opcode):
            return header.raw
        self.opcode = header.opcode or self.opcode
        return bytes([header.first & 0x70 | FIN | self.opcode]) + header.raw[1:]


class OneMessagePerRead(Filtered):
    """Forget the messages behind the first one of a read."""

    def events(self) -> list[Event]:
        events = super().events()
        first = next((event for event in events if isinstance(event, Message)), None)
        return [event for event in events if event is first or not isinstance(event, Message)]


class NoneIsDefault(Filtered):
    """Take no limit for the default one."""

    def make(self, upgrade: Upgrade, options: ConnectionOptions) -> BuiltinProtocol:
        limit = options.max_message_size or 16 * 1024 * 1024
        return super().make(upgrade, replace(options, max_message_size=limit))


class Reserves(Filtered):
    """Reserve at once what is announced."""

    reserved = b""

    def came(self, header: Header) -> bytes | None:
        if header.length > 1_000_000 and header.length < 1 << 25:
            self.reserved = b"\x01" * (2 * header.length)
        return header.raw


class FinBehindFullQueue(ThreadedConnection):
    """Do not look for a FIN where the queue is full."""

    __slots__ = ()

    def _full(self) -> bool:
        return self._ending is None and len(self._messages) >= self._options.max_queue


class CloseOnDeadRaises(ThreadedConnection):
    __slots__ = ()

    def close(
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        if timeout == 0 and self._transport.ended:
            raise self._closed_error()
        super().close(code, reason, timeout)


class CodeWhileOpen(ThreadedConnection):
    """Have a code before the end."""

    __slots__ = ()

    @property
    def close_code(self) -> int | None:
        return 1005 if self._ending is None else super().close_code


class TimeoutBeforeEnd(ThreadedConnection):
    """Say that the time is over where the connection is."""

    __slots__ = ()

    def _receive_within(self, timeout: float) -> str | bytearray:
        try:
            return super()._receive_within(timeout)
        except ConnectionClosed as error:
            raise TimeoutError("nothing came") from error


class TimeoutLosesHalf(ThreadedConnection):
    """Forget how much of a frame is still to come."""

    __slots__ = ()

    def _receive_within(self, timeout: float) -> str | bytearray:
        try:
            return super()._receive_within(timeout)
        except TimeoutError:
            if isinstance(self._protocol, Filtered):
                self._protocol._payload = 0
                self._protocol._rest = b""
            raise


class PingNeverEmpty(ThreadedConnection):
    __slots__ = ()

    def ping(self, payload: bytes = b"") -> None:
        super().ping(payload or b"ping")


ORDINARY = (
    Mutant(
        "124-bytes-in-16-bits",
        (
            "framing.text-124",
            "framing.text-125",
            "framing.binary-124",
            "framing.binary-125",
            "framing.server-lengths",
        ),
        LongFormEarly,
    ),
    Mutant(
        "126-bytes-refused", ("framing.text-12[678]", "framing.binary-12[678]"), ShortestLongForm
    ),
    Mutant(
        "first-key-for-ever",
        (
            "masking.key-changes",
            "masking.key-per-fragment",
        ),
        FirstKeyForEver,
    ),
    Mutant(
        "fragments-are-messages",
        (
            "fragmentation.three-fragments",
            "compression.character-split",
            "compression.fragments-of-one-byte",
            "compression.many-fragments",
            "compression.ping-between",
            "compression.rfc-fragmented",
            "compression.rsv1-on-continuation",
            "compression.rsv1-on-plain-continuation",
            "fragmentation.all-empty",
            "fragmentation.binary-*",
            "fragmentation.character-split",
            "fragmentation.close-between",
            "fragmentation.continuation-after-end",
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
            "fragmentation.text-*",
            "fragmentation.then-whole",
            "fragmentation.two-messages",
            "framing.rsv1-on-continuation",
            "limits.announced-fragment",
            "limits.control-frames-do-not-count",
            "limits.fragments-*",
            "limits.inflated-fragments-add-up",
            "masking.key-per-fragment",
            "masking.unmasked-continuation",
            "text.cut-at-end-of-fragments",
            "text.invalid-last-fragment",
            "text.valid-fragmented",
            "websocket.half-message-survives-timeout",
            "websocket.receive-fragmented-binary",
        ),
        FragmentsAreMessages,
    ),
    Mutant(
        "one-message-per-read",
        (
            "framing.many-in-one-segment",
            "compression.message-after-bfinal",
            "compression.mixed",
            "compression.rfc-shared-window",
            "concurrency.receivers",
            "control.ping-behind-messages-while-busy",
            "fragmentation.then-whole",
            "fragmentation.two-messages",
            "framing.mixed-in-one-segment",
            "limits.limit-is-per-message",
            "limits.queue-full-then-close",
            "limits.queue-loses-nothing",
            "liveness.queues-for-later",
            "masking.key-changes",
            "masking.key-first-byte",
            "masking.key-like-text",
            "masking.key-one-byte",
            "masking.key-ones",
            "masking.key-zero",
            "websocket.iteration",
            "websocket.messages-*",
            "websocket.polling",
            "websocket.receive-empty",
            "websocket.receive-timeout-positional-and-keyword",
            "websocket.timeout-zero-with-second-message",
        ),
        OneMessagePerRead,
    ),
    Mutant("none-is-the-default-limit", ("limits.no-limit",), NoneIsDefault),
    Mutant("announced-is-reserved", ("limits.lying-length",), Reserves),
    Mutant(
        "fin-behind-full-queue-not-seen",
        ("endings.fin-behind-messages",),
        connection=FinBehindFullQueue,
    ),
    Mutant(
        "close-on-dead-link-raises",
        (
            "websocket.close-on-dead-link",
            "endings.quiet-endings",
            "endings.teardown-after-reset",
        ),
        connection=CloseOnDeadRaises,
    ),
    Mutant("code-while-open", ("websocket.closed-is-false-while-open",), connection=CodeWhileOpen),
    Mutant(
        "timeout-before-end",
        (
            "websocket.receive-timeout-after-close",
            "websocket.close-within-timeout",
        ),
        connection=TimeoutBeforeEnd,
    ),
    Mutant(
        "timeout-loses-half",
        ("websocket.half-message-survives-timeout",),
        connection=TimeoutLosesHalf,
    ),
    Mutant(
        "ping-never-empty",
        (
            "websocket.ping",
            "websocket.frame-ping-empty",
        ),
        connection=PingNeverEmpty,
    ),
)

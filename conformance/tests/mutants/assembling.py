"""Mutants that put messages together wrongly: text, limits, inflating."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask_threaded_sockets.backend import Buffer, Upgrade
from flask_threaded_sockets.codec import BuiltinProtocol
from flask_threaded_sockets.codec.assembler import Assembler
from flask_threaded_sockets.codec.deflate import Inflater
from flask_threaded_sockets.events import Event, Message
from flask_threaded_sockets.exceptions import FrameTooLargeException, RemoteProtocolError
from flask_threaded_sockets.options import ConnectionOptions

from .filtered import Filtered, Header
from .mutant import Mutant

__all__ = ["ASSEMBLING"]


class Assembling(Filtered):
    """Put messages together by a broken assembler."""

    assembler: type[Assembler] = Assembler
    inflater: type[Inflater] = Inflater

    def make(self, upgrade: Upgrade, options: ConnectionOptions) -> BuiltinProtocol:
        protocol = super().make(upgrade, options)
        deflate = upgrade.deflate
        inflater: Inflater | None = None
        if deflate is not None:
            inflater = self.inflater(
                deflate.client_max_window_bits,
                no_context_takeover=deflate.client_no_context_takeover,
            )
        receiver: Any = protocol._receiver
        receiver._assembler = self.assembler(options.max_message_size, inflater)
        receiver._shortcut_max = receiver._short_max = -1
        return protocol


def assembling(kind: type[Assembler]) -> type[Assembling]:
    return type(kind.__name__, (Assembling,), {"assembler": kind})


def inflating(kind: type[Inflater]) -> type[Assembling]:
    return type(kind.__name__, (Assembling,), {"inflater": kind})


class TextNotChecked(Assembler):
    def _check_text(self) -> None:
        pass

    def finish(self) -> str | bytearray:
        text, self._text = self._text, False
        message = super().finish()
        assert isinstance(message, bytearray)
        return message.decode("utf-8", "replace") if text else message


class TextCheckedAtEnd(Assembler):
    def _check_text(self) -> None:
        pass


class Surrogates(Assembler):
    def _check_text(self) -> None:
        pass

    def finish(self) -> str | bytearray:
        text, self._text = self._text, False
        message = super().finish()
        assert isinstance(message, bytearray)
        if not text:
            return message
        return message.decode("utf-8", "surrogatepass").encode("utf-8", "replace").decode()


class LaxText(Assembler):
    """Drop an incomplete character at a message's end."""

    def _check_text(self) -> None:
        pass

    def finish(self) -> str | bytearray:
        text, self._text = self._text, False
        message = super().finish()
        assert isinstance(message, bytearray)
        if not text:
            return message
        try:
            return message.decode()
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                raise
            return message[: error.start].decode()


class FragmentsAreCharacters(Assembler):
    """Take each frame's payload for whole characters."""

    def extend(self, payload: bytes | bytearray, *, last: bool) -> None:
        super().extend(payload, last=last)
        if self._text and not self.compressed:
            self.buffer.decode()


class NoNoncharacters(Assembler):
    def finish(self) -> str | bytearray:
        message = super().finish()
        if isinstance(message, str) and "\ufffe" in message:
            raise UnicodeDecodeError("utf-8", b"", 0, 0, "noncharacter")
        return message


class BomDropped(Assembler):
    def finish(self) -> str | bytearray:
        message = super().finish()
        return message.removeprefix("\ufeff") if isinstance(message, str) else message


class NulEnds(Assembler):
    def finish(self) -> str | bytearray:
        message = super().finish()
        return message.partition("\0")[0] if isinstance(message, str) else message


class BinaryIsText(Assembler):
    def finish(self) -> str | bytearray:
        message = super().finish()
        bytes(message, "utf-8") if isinstance(message, str) else message.decode()
        return message


class NoLimit(Assembler):
    def __init__(self, limit: int | None, inflater: Inflater | None) -> None:
        super().__init__(None, inflater)


class NoLimitOnSum(Assembler):
    """Look at each frame alone."""

    def announce(self, length: int) -> None:
        if self._limit is not None and not self.compressed and length > self._limit:
            raise FrameTooLargeException(length, self._limit)


class NoLimitOnInflated(Assembler):
    def _add_inflated(self, piece: bytes) -> None:
        limit, self._limit = self._limit, None
        super()._add_inflated(piece)
        self._limit = limit


class NoLimitOnAnnounced(Assembler):
    """Judge what has come, not what is announced."""

    def announce(self, length: int) -> None:
        pass

    def extend(self, payload: bytes | bytearray, *, last: bool) -> None:
        super().extend(payload, last=last)
        self._judge()

    def commit(self, count: int, *, last: bool) -> None:
        super().commit(count, last=last)
        self._judge()

    def _judge(self) -> None:
        if self._limit is not None and self.filled > self._limit:
            raise RemoteProtocolError("too big", 1009)


class LimitIsOneLess(Assembler):
    def __init__(self, limit: int | None, inflater: Inflater | None) -> None:
        super().__init__(limit and limit - 1, inflater)


class LimitIsOneMore(Assembler):
    def __init__(self, limit: int | None, inflater: Inflater | None) -> None:
        super().__init__(limit and limit + 1, inflater)


class LimitOnConnection(Assembler):
    """Count all messages together."""

    total = 0

    def announce(self, length: int) -> None:
        self.total += length
        if self._limit is not None and self.total > self._limit:
            raise FrameTooLargeException(self.total, self._limit)


class LimitInCharacters(Assembler):
    def announce(self, length: int) -> None:
        if self._limit is not None and length > 4 * self._limit:
            raise FrameTooLargeException(length, self._limit)

    def finish(self) -> str | bytearray:
        message = super().finish()
        if self._limit is not None and len(message) > self._limit:
            raise FrameTooLargeException(len(message), self._limit)
        return message


class ControlCounts(Filtered):
    count = 0

    def came(self, header: Header) -> bytes | None:
        limit = self.options.max_message_size
        self.count += header.length if header.is_control else 0
        if limit is not None and self.count > limit:
            header.length = 1 << 40
            header.first = 0x82
            return header.encoded()
        return header.raw


class ForgetsWindow(Inflater):
    def __init__(self, window_bits: int, *, no_context_takeover: bool) -> None:
        super().__init__(window_bits, no_context_takeover=True)


class SmallWindow(Inflater):
    def __init__(self, window_bits: int, *, no_context_takeover: bool) -> None:
        super().__init__(min(window_bits, 9), no_context_takeover=no_context_takeover)


class BfinalEnds(Inflater):
    """Stay at the end of a stream that a block with BFINAL ended."""

    def _inflate_step(self, data: Buffer) -> Iterator[bytes]:
        if self._decompressor is None:
            yield from super()._inflate_step(b"\x00\x00\x00\xff\xff")
        decompressor = self._decompressor
        if decompressor is not None and not decompressor.eof:
            piece = decompressor.decompress(data)
            if piece:
                yield piece


class CorruptIsEmpty(Inflater):
    def inflate(self, payload: Buffer) -> Iterator[bytes]:
        try:
            yield from super().inflate(payload)
        except RemoteProtocolError:
            self._decompressor = None


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
        if isinstance(event, Message) and isinstance(event.data, str):
            return [Message(bytearray(event.data.encode()))]
        return [event]


class GivesTwice(Filtered):
    def told(self, event: Event) -> list[Event]:
        return [event, event] if isinstance(event, Message) else [event]


LIMITS = (
    "limits.*-above-limit",
    "limits.bytes-not-characters",
    "limits.fragments-without-end",
    "limits.announced",
    "limits.announced-fragment",
    "limits.announced-2-62",
    "limits.inflated-fragments",
    "limits.default-limit",
    "limits.app-sees-1009",
    "endings.too-big-wakes-receive",
)

# Rows of the configuration's table that set a limit.
OPTIONS = ("configuration.configured-after-sockets", "configuration.route-*-size")

ASSEMBLING = (
    Mutant(
        "text-not-checked",
        (
            "text.invalid-*",
            "text.cut-at-end-of-fragments",
            "text.fail-fast-*",
            "compression.invalid-text",
            "endings.bad-utf-8-wakes-receive",
        ),
        assembling(TextNotChecked),
    ),
    Mutant(
        "text-checked-at-end",
        ("text.fail-fast-*",),
        assembling(TextCheckedAtEnd),
    ),
    Mutant(
        "surrogates-accepted",
        (
            "text.invalid-surrogate-*",
            "text.invalid-good-then-bad",
            "text.fail-fast-*",
            "compression.invalid-text",
        ),
        assembling(Surrogates),
    ),
    Mutant(
        "cut-text-accepted",
        ("text.invalid-cut-[234]", "text.cut-at-end-of-fragments", "text.fail-fast-*"),
        assembling(LaxText),
    ),
    Mutant(
        "text-checked-by-frame",
        (
            "fragmentation.character-split",
            "text.valid-fragmented",
            "text.valid-two-bytes",
            "text.valid-three-bytes",
            "text.valid-four-bytes",
            "text.valid-around-surrogates",
            "text.valid-noncharacters",
            "text.valid-bom",
            "text.valid-combining",
        ),
        assembling(FragmentsAreCharacters),
    ),
    Mutant("noncharacters-refused", ("text.valid-noncharacters",), assembling(NoNoncharacters)),
    Mutant("bom-dropped", ("text.valid-bom",), assembling(BomDropped)),
    Mutant("nul-ends-text", ("text.valid-nul",), assembling(NulEnds)),
    Mutant(
        "binary-checked-as-text",
        (
            "framing.rfc-256-bytes",
            "framing.rfc-64-kib",
            "framing.binary-6553[567]",
            "framing.binary-200000",
            "framing.mixed-in-one-segment",
            "fragmentation.binary-fragments",
            "text.binary-is-not-checked",
            "compression.binary",
            "websocket.receive-binary",
        ),
        assembling(BinaryIsText),
        may_fail=("masking.*", "websocket.receive-*-binary"),
    ),
    Mutant("no-limit", LIMITS, assembling(NoLimit), may_fail=OPTIONS),
    Mutant(
        "no-limit-on-sum",
        ("limits.fragments-above-limit", "limits.fragments-without-end"),
        assembling(NoLimitOnSum),
        may_fail=("limits.announced-fragment",),
    ),
    Mutant(
        "no-limit-on-inflated",
        ("limits.inflated-above-limit", "limits.inflated-fragments"),
        assembling(NoLimitOnInflated),
    ),
    Mutant(
        "no-limit-on-announced",
        ("limits.announced", "limits.announced-2-62"),
        assembling(NoLimitOnAnnounced),
        may_fail=("limits.announced-*", "configuration.*"),
    ),
    Mutant(
        "limit-one-less",
        ("limits.text-at-limit", "limits.binary-at-limit", "limits.fragments-at-limit"),
        assembling(LimitIsOneLess),
        may_fail=("limits.inflated-at-limit", "limits.limit-is-per-message", "limits.control-*"),
    ),
    Mutant(
        "limit-one-more",
        ("limits.text-above-limit", "limits.binary-above-limit", "limits.fragments-above-limit"),
        assembling(LimitIsOneMore),
        may_fail=("limits.*", *OPTIONS),
    ),
    Mutant(
        "limit-on-connection",
        ("limits.limit-is-per-message",),
        assembling(LimitOnConnection),
        may_fail=("limits.*-at-limit", "limits.control-*", "configuration.*"),
    ),
    Mutant(
        "limit-in-characters",
        ("limits.bytes-not-characters",),
        assembling(LimitInCharacters),
        may_fail=(
            "limits.*-above-limit",
            "limits.announced*",
            "limits.fragments-*",
            "limits.default-limit",
            "limits.app-*",
            "endings.too-big-*",
            "configuration.*",
        ),
    ),
    Mutant("limit-counts-control", ("limits.control-frames-do-not-count",), ControlCounts),
    Mutant(
        "window-forgotten",
        ("compression.rfc-shared-window",),
        inflating(ForgetsWindow),
        may_fail=(
            "compression.client-window-*",
            "compression.*",
        ),
    ),
    Mutant(
        "window-too-small",
        ("compression.client-window-15",),
        inflating(SmallWindow),
        may_fail=("compression.*",),
    ),
    Mutant(
        "bfinal-ends-all",
        ("compression.message-after-bfinal",),
        inflating(BfinalEnds),
        may_fail=("compression.*",),
    ),
    Mutant(
        "corrupt-deflate-accepted",
        ("compression.corrupt*", "compression.window-too-far-back"),
        inflating(CorruptIsEmpty),
    ),
    Mutant(
        "empty-message-dropped",
        (
            "framing.text-0",
            "framing.binary-0",
            "fragmentation.all-empty",
            "websocket.receive-empty",
        ),
        EmptyDropped,
        may_fail=("compression.rfc-empty",),
    ),
    Mutant(
        "binary-given-as-bytes",
        ("websocket.receive-binary", "websocket.receive-fragmented-binary"),
        GivesBytes,
        may_fail=("websocket.receive-*",),
    ),
    Mutant(
        "text-given-as-bytes",
        ("websocket.receive-text", "framing.text-*", "text.valid-*"),
        GivesTextAsBytes,
        may_fail=("*",),
    ),
    Mutant(
        "message-given-twice",
        ("framing.text-*", "websocket.messages-before-close"),
        GivesTwice,
        may_fail=("*",),
    ),
)

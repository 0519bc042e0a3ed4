"""Mutants whose own frames are wrong."""

from __future__ import annotations

import zlib
from typing import Any

from flask_threaded_sockets_conformance.wire import BINARY, FIN, KEY, RSV1, TEXT, frame

from flask_threaded_sockets.backend import Buffer, Upgrade
from flask_threaded_sockets.codec import BuiltinProtocol
from flask_threaded_sockets.codec.deflate import Deflater
from flask_threaded_sockets.options import ConnectionOptions

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

    second = FIN

    def going(self, first: int, payload: bytes) -> bytes:
        if len(payload) <= _LARGE:
            return frame(first, payload, None)
        begin = frame(first & ~FIN, payload[:_LARGE], None)
        return begin + frame(self.second or first, payload[_LARGE:], None)


class RepeatedOpcode(Pieces):
    second = 0


class NeverFinal(Pieces):
    second = 0x100  # no FIN, and no opcode


class Rsv1OnPlain(Filtered):
    def going(self, first: int, payload: bytes) -> bytes:
        plain = self.deflate and first == FIN | TEXT
        return frame(first | RSV1 if plain else first, payload, None)


class Rsv1Missing(Filtered):
    def going(self, first: int, payload: bytes) -> bytes:
        return frame(first & ~RSV1, payload, None)


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


class AlwaysCompressed(Filtered):
    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        super().send_message(opcode, payload, fin=fin, compress=True)


class NeverCompressed(Filtered):
    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        super().send_message(opcode, payload, fin=fin, compress=False)


class Deflating(Filtered):
    """Compress by a broken compressor."""

    deflater: type[Deflater] = Deflater

    def make(self, upgrade: Upgrade, options: ConnectionOptions) -> BuiltinProtocol:
        protocol = super().make(upgrade, options)
        if upgrade.deflate is not None:
            sender: Any = protocol._sender
            sender._deflater = self.deflater(
                upgrade.deflate.server_max_window_bits,
                no_context_takeover=upgrade.deflate.server_no_context_takeover,
            )
        return protocol


class KeepsWindow(Deflater):
    def __init__(self, window_bits: int, *, no_context_takeover: bool) -> None:
        super().__init__(window_bits, no_context_takeover=False)


class WidestWindow(Deflater):
    def __init__(self, window_bits: int, *, no_context_takeover: bool) -> None:
        super().__init__(15, no_context_takeover=no_context_takeover)


class NoWindow(Deflater):
    def __init__(self, window_bits: int, *, no_context_takeover: bool) -> None:
        super().__init__(window_bits, no_context_takeover=True)


class WithZlibHeader(Deflater):
    def compress(self, data: Buffer, *, fin: bool) -> bytes:
        return zlib.compress(data)


class PingWithoutPayload(Filtered):
    def send_ping(self, payload: bytes) -> None:
        super().send_ping(b"")


class PongNotSent(Filtered):
    def send_pong(self, payload: bytes) -> None:
        pass


class CloseReasonDropped(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(code)


class CloseAlwaysNormal(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(code and 1000, reason)


class CloseAlwaysWithCode(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(1000 if code is None else code, reason)


class ErrorNotSent(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(code, reason)
        if code == 1011:
            self._output.clear()


class GoingAwayForNormal(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(1001 if code == 1000 and not reason else code, reason)


class MessageAfterClose(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(code, reason)
        if code == 1008:
            self._output += frame(FIN | TEXT, b"late", None)


def deflating(kind: type[Deflater]) -> type[Deflating]:
    return type(kind.__name__, (Deflating,), {"deflater": kind})


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
MAYBE_LARGE = (
    "fragmentation.many-fragments",
    "compression.*",
    "limits.*",
    "websocket.receive-large-binary",
    "websocket.buffer-may-be-reused",
)

SENDING = (
    Mutant(
        "large-frames-masked",
        LARGE,
        MaskedLarge,
    ),
    Mutant(
        "65535-in-64-bits",
        ("framing.text-65535", "framing.binary-65535", "framing.server-lengths"),
        LongLength,
    ),
    Mutant(
        "opcode-repeated-on-continuation",
        LARGE,
        RepeatedOpcode,
    ),
    Mutant(
        "last-fragment-not-final",
        LARGE,
        NeverFinal,
    ),
    Mutant(
        "rsv1-on-uncompressed",
        ("compression.do-compress-false", "compression.send-frame-is-not-compressed"),
        Rsv1OnPlain,
    ),
    Mutant(
        "rsv1-missing-on-compressed",
        ("compression.rfc-*", "compression.messages-are-compressed", "compression.valid-text"),
        Rsv1Missing,
    ),
    Mutant(
        "empty-text-sent-as-binary",
        ("framing.text-0", "fragmentation.all-empty", "websocket.send-empty-str"),
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
        ),
        EmptyNotSent,
    ),
    Mutant(
        "do-compress-ignored",
        ("compression.do-compress-false", "compression.send-frame-is-not-compressed"),
        AlwaysCompressed,
    ),
    Mutant(
        "never-compressed",
        ("compression.messages-are-compressed", "compression.context-is-used"),
        NeverCompressed,
    ),
    Mutant(
        "server-context-kept",
        ("compression.server-no-context-takeover",),
        deflating(KeepsWindow),
    ),
    Mutant(
        "server-window-ignored",
        ("compression.server-window-9", "compression.server-window-10"),
        deflating(WidestWindow),
    ),
    Mutant("server-context-unused", ("compression.context-is-used",), deflating(NoWindow)),
    Mutant(
        "zlib-header-sent",
        ("compression.rfc-*", "compression.messages-are-compressed"),
        deflating(WithZlibHeader),
    ),
    Mutant(
        "ping-without-payload",
        ("websocket.ping-payload", "websocket.frame-ping"),
        PingWithoutPayload,
    ),
    Mutant(
        "pong-not-sent",
        ("websocket.frame-pong",),
        PongNotSent,
    ),
    Mutant(
        "close-reason-dropped",
        ("websocket.close-bytes-reason", "websocket.close-str-reason", "close.exact-bytes"),
        CloseReasonDropped,
    ),
    Mutant(
        "close-code-ignored",
        ("websocket.close-code", "close.exact-bytes-1007", "endings.raises", "endings.aborts-*"),
        CloseAlwaysNormal,
    ),
    Mutant("close-without-code-has-one", ("websocket.frame-close-empty",), CloseAlwaysWithCode),
    Mutant("1011-not-sent", ("endings.raises",), ErrorNotSent),
    Mutant("1001-for-1000", ("endings.returns",), GoingAwayForNormal),
    Mutant("message-after-1008", ("endings.aborts-403",), MessageAfterClose),
)

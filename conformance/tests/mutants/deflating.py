"""Mutants that compress wrongly."""

from __future__ import annotations

import zlib
from typing import Any

from flask_threaded_sockets_conformance.wire import FIN, RSV1, TEXT, frame

from flask_threaded_sockets.backend import Buffer, Upgrade
from flask_threaded_sockets.codec import BuiltinProtocol
from flask_threaded_sockets.codec.deflate import Deflater
from flask_threaded_sockets.options import ConnectionOptions

from .filtered import Filtered
from .mutant import Mutant

__all__ = ["DEFLATING"]


class Rsv1OnPlain(Filtered):
    def going(self, first: int, payload: bytes) -> bytes:
        plain = self.deflate and first == FIN | TEXT
        return frame(first | RSV1 if plain else first, payload, None)


class Rsv1Missing(Filtered):
    def going(self, first: int, payload: bytes) -> bytes:
        return frame(first & ~RSV1, payload, None)


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


def deflating(kind: type[Deflater]) -> type[Deflating]:
    return type(kind.__name__, (Deflating,), {"deflater": kind})


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


DEFLATING = (
    Mutant(
        "rsv1-on-uncompressed",
        ("compression.do-compress-false", "compression.send-frame-is-not-compressed"),
        Rsv1OnPlain,
    ),
    Mutant(
        "rsv1-missing-on-compressed",
        (
            "compression.rfc-*",
            "compression.messages-are-compressed",
            "compression.valid-text",
            "compression.binary",
            "compression.blocks-behind-bfinal",
            "compression.character-split",
            "compression.client-window-*",
            "compression.context-is-used",
            "compression.do-compress-false",
            "compression.send-frame-compressed",
            "compression.fragments-of-one-byte",
            "compression.long",
            "compression.many-*",
            "compression.message-after-bfinal",
            "compression.mixed",
            "compression.not-compressed",
            "compression.ping-between",
            "compression.server-*",
            "concurrency.eight-senders-compressed",
            "limits.inflated-at-limit",
            "limits.inflated-shrinks",
        ),
        Rsv1Missing,
    ),
    Mutant(
        "do-compress-ignored",
        ("compression.do-compress-false", "compression.send-frame-is-not-compressed"),
        AlwaysCompressed,
    ),
    Mutant(
        "never-compressed",
        (
            "compression.messages-are-compressed",
            "compression.context-is-used",
            "compression.do-compress-false",
            "compression.send-frame-compressed",
        ),
        NeverCompressed,
    ),
    Mutant(
        "server-context-kept",
        ("compression.server-no-context-takeover",),
        deflating(KeepsWindow),
    ),
    Mutant(
        "server-window-ignored",
        (
            "compression.server-window-9",
            "compression.server-window-10",
            "compression.client-window-*",
            "compression.long",
            "compression.many-*",
            "compression.server-window-*",
            "concurrency.eight-senders-compressed",
        ),
        deflating(WidestWindow),
    ),
    Mutant("server-context-unused", ("compression.context-is-used",), deflating(NoWindow)),
    Mutant(
        "zlib-header-sent",
        (
            "compression.rfc-*",
            "compression.messages-are-compressed",
            "compression.binary",
            "compression.blocks-behind-bfinal",
            "compression.character-split",
            "compression.client-window-*",
            "compression.context-is-used",
            "compression.do-compress-false",
            "compression.send-frame-compressed",
            "compression.fragments-of-one-byte",
            "compression.long",
            "compression.many-*",
            "compression.message-after-bfinal",
            "compression.mixed",
            "compression.not-compressed",
            "compression.ping-between",
            "compression.server-*",
            "compression.valid-text",
            "concurrency.eight-senders-compressed",
            "limits.inflated-at-limit",
            "limits.inflated-shrinks",
        ),
        deflating(WithZlibHeader),
    ),
)

"""Mutants that inflate messages wrongly."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from flask_threaded_sockets.backend import Buffer
from flask_threaded_sockets.codec.deflate import Inflater
from flask_threaded_sockets.exceptions import RemoteProtocolError

from .assembling import inflating
from .mutant import Mutant

__all__ = ["INFLATING"]


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


class BfinalEndsMessage(Inflater):
    """Drop what is behind the end of a stream in the same message."""

    ended = False

    def _inflate_step(self, data: Buffer) -> Iterator[bytes]:
        if self.ended:
            return
        decompressor = self._decompressor or zlib.decompressobj(-self._window_bits)
        self._decompressor = decompressor
        piece = decompressor.decompress(data)
        if decompressor.eof:
            self._decompressor = None
            self.ended = True
        if piece:
            yield piece

    def finish(self) -> Iterator[bytes]:
        yield from super().finish()
        self.ended = False


class CorruptIsEmpty(Inflater):
    def inflate(self, payload: Buffer) -> Iterator[bytes]:
        try:
            yield from super().inflate(payload)
        except RemoteProtocolError:
            self._decompressor = None


INFLATING = (
    Mutant(
        "window-forgotten",
        (
            "compression.rfc-shared-window",
            "compression.many-messages",
        ),
        inflating(ForgetsWindow),
    ),
    Mutant(
        "window-too-small",
        (
            "compression.client-window-15",
            "compression.client-window-10",
            "compression.client-window-12",
            "compression.long",
            "compression.many-messages",
        ),
        inflating(SmallWindow),
    ),
    Mutant(
        "bfinal-ends-all",
        (
            "compression.blocks-behind-bfinal",
            "compression.message-after-bfinal",
            "compression.rfc-bfinal",
        ),
        inflating(BfinalEnds),
    ),
    Mutant(
        "bfinal-ends-message",
        ("compression.blocks-behind-bfinal",),
        inflating(BfinalEndsMessage),
    ),
    Mutant(
        "corrupt-deflate-accepted",
        ("compression.corrupt*", "compression.window-too-far-back"),
        inflating(CorruptIsEmpty),
    ),
)

"""permessage-deflate as an extension of websockets' kind, within the core's limits.

The library's own one compresses every message and knows no block that ends zlib's
stream. Here it only tells compressed frames apart: the codec inflates them.
"""

from __future__ import annotations

from dataclasses import replace

from websockets.extensions import Extension
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.typing import ExtensionName

from flask_threaded_sockets.codec.deflate import Deflater

__all__ = ["MessageDeflate"]


class MessageDeflate(Extension):
    """Let compressed frames in as they are, and compress what is to be.

    Args:
        deflater: compresses; with the parameters agreed.

    Attributes:
        wanted: whether the message that begins next is to be compressed.
    """

    name = ExtensionName("permessage-deflate")

    def __init__(self, deflater: Deflater) -> None:
        self.wanted = True
        self._deflater: Deflater | None = deflater
        self._compressing = False

    def discard(self) -> None:
        """Free zlib's state; no data frame may be sent after it."""
        self._deflater = None

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:  # noqa: ARG002
        """Take RSV1 off a message's first frame; the codec has seen it in the header."""
        return replace(frame, rsv1=False)

    def encode(self, frame: Frame) -> Frame:
        """Compress a data frame, if its message is to be."""
        if frame.opcode in CTRL_OPCODES:
            return frame
        first = frame.opcode is not Opcode.CONT
        if first:
            self._compressing = self.wanted
        if not self._compressing or self._deflater is None:
            return frame
        # RFC 7692 section 6.1: RSV1 is set on a message's first frame only.
        return replace(frame, data=self._deflater.compress(frame.data, fin=frame.fin), rsv1=first)

"""From payloads to messages: the size limit, inflating, and the check of UTF-8.

Payloads come unmasked, in order and in any portions. Nothing is allocated from an
announced length alone: the buffer grows with the data.
"""

from __future__ import annotations

from codecs import utf_8_decode

from ..codes import CloseCode
from ..exceptions import FrameTooLargeException, RemoteProtocolError
from .deflate import Inflater

__all__ = ["Assembler", "invalid_text"]

# Room for a large payload is made in steps of so much, from memory already zeroed: 1 MiB
# takes 0.02 ms so, against 0.7 ms where the room doubles from fresh zeroed memory.
_ZEROS = bytes(64 * 1024)

# The most room offered at once, once as much is filled; about what the kernel hands out
# in one read.
_ROOM_MAX = 256 * 1024


class Assembler:
    """Assemble one message at a time.

    A message is :meth:`begin`, then portions by :meth:`extend`, or by :meth:`reserve`
    and :meth:`commit`, then :meth:`finish`. ``UnicodeDecodeError`` is raised at the
    portion with the first byte that cannot be UTF-8 (RFC 6455 section 8.1).

    Args:
        limit: bytes of one message after inflating, or ``None``.
        inflater: of the connection, or ``None`` without permessage-deflate.

    Attributes:
        buffer: what is there of the message, and behind ``filled`` the room offered.
        filled: bytes of the message.
        compressed: whether the message is.
    """

    __slots__ = ("_checked", "_inflater", "_limit", "_text", "buffer", "compressed", "filled")

    def __init__(self, limit: int | None, inflater: Inflater | None) -> None:
        self._limit = limit
        self._inflater = inflater
        self.begin(text=False, compressed=False)

    def begin(self, *, text: bool, compressed: bool) -> None:
        """Start a message."""
        self.buffer = bytearray()
        self.filled = 0
        self.compressed = compressed
        self._text = text
        # Everything before is UTF-8; behind it, at most the start of a character.
        self._checked = 0

    def announce(self, length: int) -> None:
        """Check a frame's announced length against the limit, before its payload comes.

        Raises:
            FrameTooLargeException: the message would exceed the limit.
        """
        limit = self._limit
        if limit is None:
            return
        if self.compressed:
            # What counts is the size after inflating. No compressor makes data larger
            # than zlib's bound allows, about 1/7, so this only refuses what is absurd.
            if length > limit + limit // 4 + 1024:
                raise FrameTooLargeException(length, limit)
        elif self.filled + length > limit:
            raise FrameTooLargeException(self.filled + length, limit)

    def extend(self, payload: bytes | bytearray, *, last: bool) -> None:
        """Take a portion of a payload.

        Args:
            payload: unmasked.
            last: whether :meth:`finish` follows, which checks UTF-8 anyway.

        Raises:
            FrameTooLargeException: the message exceeds the limit, inflated.
            RemoteProtocolError: the compressed data is invalid.
        """
        if self.compressed and self._inflater is not None:
            for piece in self._inflater.inflate(payload):
                self._add_inflated(piece)
            return
        if len(self.buffer) > self.filled:
            # Room that was offered and not used up.
            del self.buffer[self.filled :]
        self.buffer += payload
        self.filled += len(payload)
        if self._text and not last:
            self._check_text()

    def finish(self) -> str | bytearray:
        """Give the whole message.

        Raises:
            FrameTooLargeException: the message exceeds the limit, inflated.
            RemoteProtocolError: the compressed data is invalid.
        """
        if self.compressed and self._inflater is not None:
            for piece in self._inflater.finish():
                self._add_inflated(piece)
        message = self.buffer
        self.buffer = bytearray()
        return message.decode() if self._text else message

    def reserve(self, length: int) -> memoryview:
        """Give room for a part of a payload, behind what is there.

        The view must be released before any other call.

        Args:
            length: bytes of the payload still to come, at least one.
        """
        step = len(_ZEROS)
        buffer = self.buffer
        room = len(buffer) - self.filled
        if room < min(length, step):
            wanted = min(length, max(step, min(self.filled, _ROOM_MAX)))
            for missing in range(wanted - room, 0, -step):
                buffer += _ZEROS[:missing]
        with memoryview(self.buffer) as view:
            return view[self.filled : self.filled + length]

    def commit(self, count: int, *, last: bool) -> None:
        """Count bytes written into the room, already unmasked; as :meth:`extend`."""
        self.filled += count
        if self._text and not last:
            self._check_text()

    def discard(self) -> None:
        """Free the message in progress and the state of the decompressor."""
        self.buffer = bytearray()
        self.filled = 0
        self._inflater = None

    def _add_inflated(self, piece: bytes) -> None:
        self.buffer += piece
        self.filled += len(piece)
        if self._limit is not None and self.filled > self._limit:
            raise FrameTooLargeException(None, self._limit)
        if self._text:
            self._check_text()

    def _check_text(self) -> None:
        # Decoding what came and dropping the result is cheaper than keeping strings and
        # joining them, and a peer that sends single characters cannot make them pile up.
        buffer = self.buffer
        with memoryview(buffer) as view, view[self._checked : self.filled] as portion:
            self._checked += utf_8_decode(portion, "strict", False)[1]
        # CPython waits for the third byte of a surrogate, although the second one cannot
        # be UTF-8 already (python/cpython#154520).
        start = self._checked
        if self.filled - start == 2 and buffer[start] == 0xED and buffer[start + 1] >= 0xA0:
            raise UnicodeDecodeError("utf-8", bytes(buffer[start:]), 0, 2, "surrogate")


def invalid_text() -> RemoteProtocolError:
    """Make the error for text that is not UTF-8 (RFC 6455 section 8.1)."""
    return RemoteProtocolError("text is not valid UTF-8", CloseCode.INVALID_PAYLOAD)

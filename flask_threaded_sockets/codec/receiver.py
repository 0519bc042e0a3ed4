"""The receiving half: the peer's bytes to events (RFC 6455 sections 5.4 and 6.2).

Rules: a violation is raised and nothing may be received after it, nor after a Close.
Nothing is sent here; what asks for an answer is put aside for the protocol. At most an
incomplete header or control frame is kept back; the payload of a data frame is taken as
it comes, so that a bad byte is met at once and a large message is copied but once.
"""

from __future__ import annotations

from ..backend import DeflateParameters
from ..codes import Opcode
from ..events import Close, Event, Message, Ping, Pong
from ..exceptions import LocalProtocolError, RemoteProtocolError
from .assembler import Assembler, invalid_text
from .deflate import inflater_for
from .frames import FrameHeader, parse_close, parse_header
from .masking import Masking, rotate_key
from .role import Role

__all__ = ["Receiver"]

# The first byte of a whole, uncompressed message: FIN with TEXT or BINARY.
_TEXT_FIN = 0x81
_BINARY_FIN = 0x82
_WHOLE = (_TEXT_FIN, _BINARY_FIN)

# What is left of a payload for its final buffer to be offered. Below 64 KiB bytes are as
# fast; from 1 MiB on reading into place takes 0.36 ms a MiB against 0.44 (loopback).
_OFFER_MIN = 16 * 1024


class Receiver:
    """Parse frames and put messages together.

    Args:
        role: of this end; a server's peer must mask, a client's must not.
        deflate: permessage-deflate's parameters, or ``None``.
        limit: bytes of one message after inflating, or ``None``.
        masking: the implementation to unmask with.

    Attributes:
        to_answer: Pings and the Close received; emptied by the protocol.
    """

    __slots__ = (
        "_apply_mask",
        "_apply_mask_in_place",
        "_assembler",
        "_deflate",
        "_final",
        "_in_message",
        "_key",
        "_masked",
        "_remaining",
        "_rest",
        "_short_max",
        "_shortcut_max",
        "_view",
        "to_answer",
    )

    def __init__(
        self, role: Role, deflate: DeflateParameters | None, limit: int | None, masking: Masking
    ) -> None:
        self._assembler = Assembler(limit, inflater_for(role, deflate) if deflate else None)
        self._deflate = deflate is not None
        self._masked = role is Role.SERVER
        self._apply_mask, self._apply_mask_in_place = masking
        # The longest payload of the shortcut in receive(); a client has none.
        self._shortcut_max = min(0xFFFF, 0xFFFF if limit is None else limit) if self._masked else -1
        self._short_max = min(125, self._shortcut_max)
        self._rest = b""
        # The message in progress and the data frame whose payload is being taken.
        self._in_message = False
        self._final = False
        self._remaining = 0
        self._key = b""
        self._view: memoryview | None = None
        self.to_answer: list[Ping | Close] = []

    def receive(self, data: bytes, events: list[Event]) -> None:
        """Take bytes and append the events they complete.

        Raises:
            RemoteProtocolError: the peer broke a rule.
            FrameTooLargeException: the peer's message exceeds the limit.
        """
        if self._view is not None:
            self._view.release()
            self._view = None
        if self._rest:
            data = self._rest + data
            self._rest = b""
        end = len(data)
        apply_mask = self._apply_mask
        longest = self._shortcut_max
        short = self._short_max
        try:
            position = self._take_payload(data, 0, events) if self._remaining else 0
            while position < end:
                if end - position > 5:
                    # The shortcut: a whole message in one masked frame of less than 64
                    # KiB. An unmasked length comes out as 128 and more.
                    first = data[position]
                    length = data[position + 1] ^ 0x80
                    start = position + 6
                    if length == 126:
                        length = data[position + 2] << 8 | data[position + 3]
                        start += 2
                        fits = 125 < length <= longest
                    else:
                        fits = length <= short
                    stop = start + length
                    if fits and stop <= end and first in _WHOLE and not self._in_message:
                        payload = apply_mask(data[start:stop], data[start - 4 : start])
                        events.append(
                            Message(payload.decode() if first == _TEXT_FIN else bytearray(payload))
                        )
                        position = stop
                        continue
                position = self._take_frame(data, position, events)
        except UnicodeDecodeError:
            raise invalid_text() from None

    def take_message(self, data: bytes) -> str | bytearray | None:
        """Take bytes that are one short message; see ``Protocol.take_message``."""
        length = len(data) - 6
        if (
            not 0 <= length <= self._short_max
            or data[1] != length | 0x80
            or self._in_message
            or self._remaining
            or self._rest
        ):
            return None
        first = data[0]
        if first == _TEXT_FIN:
            try:
                return self._apply_mask(data[6:], data[2:6]).decode()
            except UnicodeDecodeError:
                return None
        if first == _BINARY_FIN:
            return bytearray(self._apply_mask(data[6:], data[2:6]))
        return None

    def get_buffer(self) -> memoryview | None:
        """Offer room for the payload of the data frame in progress, if much is to come."""
        if self._view is None:
            if self._remaining < _OFFER_MIN or self._assembler.compressed:
                return None
            self._view = self._assembler.reserve(self._remaining)
        return self._view

    def buffer_updated(self, count: int, events: list[Event]) -> None:
        """Take bytes that were read into the room offered; as :meth:`receive`.

        Raises:
            LocalProtocolError: no room was offered, or not so much.
        """
        if self._view is None or not 0 < count <= len(self._view):
            raise LocalProtocolError(f"no buffer of {count} bytes was offered")
        self._view.release()
        self._view = None
        assembler = self._assembler
        if self._masked:
            start = assembler.filled
            self._apply_mask_in_place(assembler.buffer, start, start + count, self._key)
            self._key = rotate_key(self._key, count)
        self._remaining -= count
        done = not self._remaining
        try:
            assembler.commit(count, last=done and self._final)
            if done:
                self._end_frame(events)
        except UnicodeDecodeError:
            raise invalid_text() from None

    def discard(self) -> None:
        """Free what was kept of the peer's data; nothing may be received after it."""
        self._short_max = -1
        self._view = None
        self._rest = b""
        self._remaining = 0
        self._assembler.discard()

    def _take_frame(self, data: bytes, position: int, events: list[Event]) -> int:
        """Take a frame, or what is there of it, and give the position behind it."""
        end = len(data)
        header = parse_header(data, position, end, masked=self._masked)
        if header is None:
            self._rest = data[position:]
            return end
        if header.opcode >= Opcode.CLOSE:
            if header.start + header.length > end:
                self._rest = data[position:]
                return end
            return self._take_control(header, data, events)
        self._begin_frame(header)
        if header.length:
            return self._take_payload(data, header.start, events)
        self._end_frame(events)
        return header.start

    def _take_control(self, header: FrameHeader, data: bytes, events: list[Event]) -> int:
        stop = header.start + header.length
        payload = data[header.start : stop]
        if self._masked and payload:
            payload = bytes(self._apply_mask(payload, header.key))
        if header.opcode == Opcode.PONG:
            events.append(Pong(payload))
            return stop
        if header.opcode == Opcode.PING:
            ping = Ping(payload)
            events.append(ping)
            self.to_answer.append(ping)
            return stop
        close = parse_close(payload)
        events.append(close)
        self.to_answer.append(close)
        # RFC 6455 section 1.4: after a Close the peer sends nothing more; what comes
        # nevertheless is discarded.
        return len(data)

    def _begin_frame(self, header: FrameHeader) -> None:
        # RFC 6455 section 5.4: fragments are not interleaved with another message's.
        if header.opcode == Opcode.CONTINUATION:
            if not self._in_message:
                raise RemoteProtocolError("continuation frame without a message")
            # RFC 7692 section 6.1: RSV1 is set on a message's first frame only.
            if header.rsv1:
                raise RemoteProtocolError("reserved bit is set on a continuation frame")
        else:
            if self._in_message:
                raise RemoteProtocolError("message begins within a fragmented message")
            if header.rsv1 and not self._deflate:
                raise RemoteProtocolError("reserved bits are set")
            self._in_message = True
            self._assembler.begin(text=header.opcode == Opcode.TEXT, compressed=header.rsv1)
        self._assembler.announce(header.length)
        self._final = header.fin
        self._remaining = header.length
        self._key = header.key

    def _take_payload(self, data: bytes, position: int, events: list[Event]) -> int:
        """Take what is there of the payload of the frame in progress."""
        portion = data[position : position + self._remaining]
        if not portion:
            return position
        count = len(portion)
        self._remaining -= count
        done = not self._remaining
        payload: bytes | bytearray = portion
        if self._masked:
            payload = self._apply_mask(portion, self._key)
            self._key = rotate_key(self._key, count)
        self._assembler.extend(payload, last=done and self._final)
        if done:
            self._end_frame(events)
        return position + count

    def _end_frame(self, events: list[Event]) -> None:
        if self._final:
            self._in_message = False
            events.append(Message(self._assembler.finish()))

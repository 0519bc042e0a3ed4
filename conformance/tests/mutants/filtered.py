"""The built-in protocol with something between it and the wire, to break a rule there.

Without a change it behaves as the built-in one, which a test makes sure of.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask_threaded_sockets_conformance.wire import (
    CLOSE,
    FIN,
    PONG,
    FrameReader,
    frame,
    header_of,
    mask,
)

from flask_threaded_sockets.backend import Buffer, Protocol, Upgrade
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.events import Event
from flask_threaded_sockets.options import ConnectionOptions

__all__ = ["Answering", "Filtered", "Header"]


@dataclass
class Header:
    """Hold a client's header, to be changed.

    Attributes:
        first: FIN, the reserved bits and the opcode.
        length: of the payload.
        key: the masking key, or ``None``.
        raw: the bytes as they came.
    """

    first: int
    length: int
    key: bytes | None
    raw: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def is_control(self) -> bool:
        return bool(self.first & 0x08)

    def encoded(self) -> bytes:
        """Write it as short as can be, masked."""
        whole = frame(self.first, bytes(self.length) if self.length < 65536 else b"", self.key)
        if self.length < 65536:
            return whole[: len(whole) - self.length]
        return bytes([self.first, 0xFF]) + self.length.to_bytes(8, "big") + (self.key or b"")


class Filtered(Protocol):
    """Pass everything on; a subclass changes what it is about.

    Attributes:
        inner: the built-in protocol.
        deflate: whether permessage-deflate was agreed.
    """

    def __init__(self, upgrade: Upgrade, options: ConnectionOptions) -> None:
        self.options = options
        self.deflate = upgrade.deflate is not None
        self.inner = self.make(upgrade, options)
        self._rest = b""
        self._payload = 0  # bytes of a payload still to be passed on
        self._skip = 0  # bytes to be dropped
        self._control: Header | None = None  # collects a control frame's payload
        self._output = bytearray()

    # What subclasses change

    def make(self, upgrade: Upgrade, options: ConnectionOptions) -> BuiltinProtocol:
        """Make the protocol inside."""
        return BuiltinProtocol(
            Role.SERVER, deflate=upgrade.deflate, max_message_size=options.max_message_size
        )

    def came(self, header: Header) -> bytes | None:
        """Give the header to pass on; ``None``: drop the frame."""
        return header.raw

    def came_control(self, header: Header, payload: bytes) -> bytes:
        """Give the control frame to pass on; it is whole and not too long."""
        return header.raw + (mask(payload, header.key) if header.key else payload)

    def going(self, first: int, payload: bytes) -> bytes:
        """Give the bytes of a frame of ours."""
        return frame(first, payload, None)

    def told(self, event: Event) -> list[Event]:
        """Give the events for one."""
        return [event]

    # The protocol

    def receive_data(self, data: Buffer) -> None:
        self._rest += bytes(data)
        while self._rest:
            if self._skip:
                count = min(self._skip, len(self._rest))
                self._skip -= count
                self._rest = self._rest[count:]
            elif self._payload:
                portion = self._rest[: self._payload]
                self._payload -= len(portion)
                self._rest = self._rest[len(portion) :]
                self.inner.receive_data(portion)
            elif not self._frame():
                break
        self._pull()

    def _frame(self) -> bool:
        parsed = header_of(self._rest)
        if parsed is None:
            return False
        start, length, keyed, _ = parsed
        raw = self._rest[:start]
        header = Header(raw[0], length, raw[-4:] if keyed else None, raw)
        if header.is_control and length <= 125:
            if len(self._rest) < start + length:
                return False
            payload = self._rest[start : start + length]
            payload = mask(payload, header.key) if header.key else payload
            self._rest = self._rest[start + length :]
            replaced = self.came(header)
            if replaced == raw:
                self.inner.receive_data(self.came_control(header, payload))
            elif replaced is not None:
                key = header.key or bytes(4)
                self.inner.receive_data(replaced + mask(payload, key))
            return True
        self._rest = self._rest[start:]
        replaced = self.came(header)
        if replaced is None:
            self._skip = length
            return True
        self._payload = header.length
        self._skip = length - header.length if header.length < length else 0
        if self._skip:  # the payload comes first
            self._payload, self._skip = 0, 0
            self._shorten(header, replaced, length)
            return True
        self.inner.receive_data(replaced)
        return True

    def _shorten(self, header: Header, replaced: bytes, length: int) -> None:
        portion = self._rest[: header.length]
        self.inner.receive_data(replaced + portion)
        self._rest = self._rest[header.length :]
        self._skip = length - header.length

    def receive_eof(self) -> None:
        self.inner.receive_eof()
        self._pull()

    def events(self) -> list[Event]:
        return [told for event in self.inner.events() for told in self.told(event)]

    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        self.inner.send_message(opcode, payload, fin=fin, compress=compress)
        self._pull()

    def send_ping(self, payload: bytes) -> None:
        self.inner.send_ping(payload)
        self._pull()

    def send_pong(self, payload: bytes) -> None:
        self.inner.send_pong(payload)
        self._pull()

    def send_close(self, code: int | None, reason: str = "") -> None:
        self.inner.send_close(code, reason)
        self._pull()

    def _pull(self) -> None:
        reader = FrameReader()
        reader.feed(b"".join(self.inner.data_to_send()))
        while (ours := reader.next()) is not None:
            self._output += self.going(ours.first, ours.payload)

    def data_to_send(self) -> list[Buffer]:
        output = bytes(self._output)
        self._output.clear()
        return [output] if output else []


class Answering(Filtered):
    """Tell answers from what the app sends."""

    def __init__(self, upgrade: Upgrade, options: ConnectionOptions) -> None:
        super().__init__(upgrade, options)
        self.of_app = False

    def going(self, first: int, payload: bytes) -> bytes:
        if first == FIN | PONG and not self.of_app:
            return self.answer(payload)
        if first == FIN | CLOSE and not self.of_app:
            return self.answer_close(payload)
        return frame(first, payload, None)

    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PONG, payload, None)

    def answer_close(self, payload: bytes) -> bytes:
        """Write the Close that answers one, or that fails the connection."""
        return frame(FIN | CLOSE, payload, None)

    def send_pong(self, payload: bytes) -> None:
        self.of_app = True
        super().send_pong(payload)
        self.of_app = False

    def send_close(self, code: int | None, reason: str = "") -> None:
        self.of_app = True
        super().send_close(code, reason)
        self.of_app = False

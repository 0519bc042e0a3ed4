"""Frames as bytes and bytes as frames: the kit's own, sharing nothing with any backend.

What is here is as plain as possible, since it judges others. It writes invalid frames as
readily as valid ones, and reads whatever came.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BINARY",
    "CLOSE",
    "CONT",
    "FIN",
    "KEY",
    "PING",
    "PONG",
    "RSV1",
    "RSV2",
    "RSV3",
    "TEXT",
    "Frame",
    "FrameReader",
    "binary",
    "close",
    "close_body",
    "cont",
    "frame",
    "mask",
    "ping",
    "pong",
    "text",
    "wire",
]

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10

# The masking key of the examples in RFC 6455 section 5.7.
KEY = bytes.fromhex("37fa213d")


def wire(*parts: str) -> bytes:
    """Give bytes from hexadecimal: header, key, payload, as they read best."""
    return bytes.fromhex(" ".join(parts))


def mask(payload: bytes, key: bytes = KEY) -> bytes:
    """Mask or unmask (RFC 6455 section 5.3)."""
    length = len(payload)
    stream = (key * (length // 4 + 1))[:length]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return number.to_bytes(length, "big")


def frame(
    first: int, payload: bytes = b"", key: bytes | None = KEY, *, form: int | None = None
) -> bytes:
    """Make a frame from its first byte and its payload.

    Args:
        first: FIN, the reserved bits and the opcode.
        payload: not masked yet.
        key: the masking key; ``None``: not masked.
        form: 126 or 127 to write the length longer than it need be.
    """
    bit = 0x80 if key is not None else 0
    length = len(payload)
    if form is None:
        form = length if length < 126 else 126 if length < 65536 else 127
    header = bytes([first, bit | form])
    if form == 126:
        header += length.to_bytes(2, "big")
    elif form == 127:
        header += length.to_bytes(8, "big")
    return header + payload if key is None else header + key + mask(payload, key)


def text(payload: str | bytes, key: bytes | None = KEY, *, fin: bool = True) -> bytes:
    """Make a TEXT frame; ``bytes`` need not be UTF-8."""
    data = payload.encode() if isinstance(payload, str) else payload
    return frame(FIN | TEXT if fin else TEXT, data, key)


def binary(payload: bytes, key: bytes | None = KEY, *, fin: bool = True) -> bytes:
    """Make a BINARY frame."""
    return frame(FIN | BINARY if fin else BINARY, payload, key)


def cont(payload: str | bytes = b"", key: bytes | None = KEY, *, fin: bool = True) -> bytes:
    """Make a CONTINUATION frame."""
    data = payload.encode() if isinstance(payload, str) else payload
    return frame(FIN if fin else 0, data, key)


def ping(payload: bytes = b"", key: bytes | None = KEY) -> bytes:
    """Make a PING frame."""
    return frame(FIN | PING, payload, key)


def pong(payload: bytes = b"", key: bytes | None = KEY) -> bytes:
    """Make a PONG frame."""
    return frame(FIN | PONG, payload, key)


def close_body(code: int | None, reason: str | bytes = b"") -> bytes:
    """Make the body of a CLOSE frame, also with a code that may not be sent."""
    if code is None:
        return b""
    data = reason.encode() if isinstance(reason, str) else reason
    return code.to_bytes(2, "big") + data


def close(code: int | None = 1000, reason: str | bytes = b"", key: bytes | None = KEY) -> bytes:
    """Make a CLOSE frame; no code: an empty body."""
    return frame(FIN | CLOSE, close_body(code, reason), key)


@dataclass(frozen=True, slots=True)
class Frame:
    """Hold a frame as it was read.

    Attributes:
        first: FIN, the reserved bits and the opcode.
        payload: unmasked.
        key: the masking key, or ``None`` where the frame was not masked.
        head: the header's bytes, without the key.
        minimal: whether the length was written as short as can be.
    """

    first: int
    payload: bytes
    key: bytes | None = None
    head: bytes = b""
    minimal: bool = True

    @property
    def opcode(self) -> int:
        """The opcode."""
        return self.first & 0x0F

    @property
    def fin(self) -> bool:
        """Whether the frame ends its message."""
        return bool(self.first & FIN)

    @property
    def rsv(self) -> int:
        """The three reserved bits, in place."""
        return self.first & 0x70

    @property
    def raw(self) -> bytes:
        """The frame's bytes."""
        if self.key is None:
            return self.head + self.payload
        return self.head + self.key + mask(self.payload, self.key)


class FrameReader:
    """Cut a stream into frames, valid or not.

    Attributes:
        rest: what is there of the frame in progress.
    """

    def __init__(self) -> None:
        self.rest = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes from the stream."""
        self.rest += data

    def next(self) -> Frame | None:
        """Give the next whole frame, or ``None``."""
        parsed = header_of(self.rest)
        if parsed is None:
            return None
        start, length, keyed, minimal = parsed
        end = start + length
        if len(self.rest) < end:
            return None
        head_end = start - 4 if keyed else start
        head = bytes(self.rest[:head_end])
        key = bytes(self.rest[head_end:start]) if keyed else None
        payload = bytes(self.rest[start:end])
        del self.rest[:end]
        return Frame(head[0], mask(payload, key) if key else payload, key, head, minimal)


def header_of(data: bytes | bytearray) -> tuple[int, int, bool, bool] | None:
    """Parse a header: where the payload begins, its length, if masked, if minimal."""
    if len(data) < 2:
        return None
    keyed = bool(data[1] & 0x80)
    length = data[1] & 0x7F
    start, floor = 2, 0
    if length == 126:
        start, floor = 4, 126
    elif length == 127:
        start, floor = 10, 0x10000
    if len(data) < start + (4 if keyed else 0):
        return None
    if start > 2:
        length = int.from_bytes(data[2:start], "big")
    return start + (4 if keyed else 0), length, keyed, length >= floor

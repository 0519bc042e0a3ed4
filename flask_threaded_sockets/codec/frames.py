"""Frame headers and Close bodies (RFC 6455 sections 5.2 and 5.5.1): bytes to values and back.

Checks that need only the header itself. What depends on the connection (the order of
fragments, compression, limits) is the receiver's.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from ..codes import CloseCode, is_receivable_close_code
from ..events import Close
from ..exceptions import RemoteProtocolError

__all__ = [
    "FIN",
    "MASKED",
    "RSV1",
    "FrameHeader",
    "close_payload",
    "encode_header",
    "parse_close",
    "parse_header",
]

FIN = 0x80
RSV1 = 0x40
MASKED = 0x80

_RSV2_OR_RSV3 = 0x30
_CONTROL = 0x08
_OPCODES = frozenset({0x0, 0x1, 0x2, 0x8, 0x9, 0xA})

_pack_medium = Struct("!BBH").pack
_pack_long = Struct("!BBQ").pack


class FrameHeader(NamedTuple):
    """Hold a frame's header and where its payload begins.

    Attributes:
        opcode: one of RFC 6455 section 5.2, reserved ones excluded.
        fin: whether the frame ends its message.
        rsv1: whether the bit of permessage-deflate is set; never on a control frame.
        length: the payload's length in bytes, as announced.
        key: the masking key, or empty for an unmasked frame.
        start: the payload's position in the data that was parsed.
    """

    opcode: int
    fin: bool
    rsv1: bool
    length: int
    key: bytes
    start: int


def encode_header(first: int, length: int, mask: int = 0) -> bytes:
    """Encode a header without its masking key (RFC 6455 section 5.2).

    Args:
        first: FIN, RSV1 and the opcode.
        length: the payload's length in bytes.
        mask: :data:`MASKED` where a masking key follows.
    """
    if length < 126:
        return bytes((first, mask | length))
    if length < 0x10000:
        return _pack_medium(first, mask | 126, length)
    return _pack_long(first, mask | 127, length)


def parse_header(data: bytes, position: int, end: int, *, masked: bool) -> FrameHeader | None:
    """Parse a frame's header.

    Args:
        data: bytes from the peer.
        position: where the frame begins.
        end: where the data ends.
        masked: whether the peer's frames must be masked, or must not be.

    Returns:
        ``None`` while the header is incomplete.

    Raises:
        RemoteProtocolError: the header is invalid, as far as it is there; code 1002.
    """
    if end - position < 2:
        return None
    first = data[position]
    second = data[position + 1]
    _check_header(first, second, masked=masked)
    length = second & 0x7F
    start = position + 2
    if length == 126:
        start += 2
        length = int.from_bytes(data[position + 2 : start], "big")
        minimum = 126
    elif length == 127:
        start += 8
        length = int.from_bytes(data[position + 2 : start], "big")
        minimum = 0x10000
    else:
        minimum = 0
    key_end = start + 4 if masked else start
    if key_end > end:
        return None
    # RFC 6455 section 5.2: "the minimal number of bytes MUST be used to encode the
    # length" and "the most significant bit MUST be 0".
    if length < minimum:
        raise RemoteProtocolError(f"length of {length} bytes is not minimally encoded")
    if length >> 63:
        raise RemoteProtocolError("length has its most significant bit set")
    return FrameHeader(
        first & 0x0F, first >= FIN, bool(first & RSV1), length, data[start:key_end], key_end
    )


def _check_header(first: int, second: int, *, masked: bool) -> None:
    opcode = first & 0x0F
    if first & _RSV2_OR_RSV3:
        raise RemoteProtocolError("reserved bits are set")
    if opcode not in _OPCODES:
        raise RemoteProtocolError(f"opcode {opcode:#x} is reserved")
    # RFC 6455 section 5.1: a server MUST close the connection upon receiving a frame
    # that is not masked, a client upon receiving one that is.
    if (second >= MASKED) != masked:
        raise RemoteProtocolError("frame is not masked" if masked else "frame is masked")
    if opcode & _CONTROL:
        # RFC 6455 section 5.5: control frames MUST have a payload length of 125 bytes
        # or less and MUST NOT be fragmented. RFC 7692 section 6: RSV1 is for data.
        if first & RSV1:
            raise RemoteProtocolError("reserved bit is set on a control frame")
        if not first & FIN:
            raise RemoteProtocolError("control frame is fragmented")
        if second & 0x7F > 125:
            raise RemoteProtocolError("control frame is longer than 125 bytes")


def close_payload(code: int | None, reason: str = "") -> bytes:
    """Encode the body of a Close (RFC 6455 section 5.5.1).

    Args:
        code: a code that may be sent; ``None``: no body.
        reason: at most 123 bytes in UTF-8.
    """
    if code is None:
        return b""
    return code.to_bytes(2, "big") + reason.encode()


def parse_close(payload: bytes) -> Close:
    """Parse the body of a Close (RFC 6455 section 5.5.1).

    Raises:
        RemoteProtocolError: with 1002 for a body of one byte or a code that must not be
            sent (section 7.4), with 1007 for a reason that is not UTF-8.
    """
    if not payload:
        return Close(CloseCode.NO_STATUS)
    if len(payload) == 1:
        raise RemoteProtocolError("close frame has a body of 1 byte")
    code = int.from_bytes(payload[:2], "big")
    if not is_receivable_close_code(code):
        raise RemoteProtocolError(f"close code {code} must not be sent")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError(
            "close reason is not valid UTF-8", CloseCode.INVALID_PAYLOAD
        ) from None
    return Close(code, reason)

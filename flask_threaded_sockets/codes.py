"""Opcodes and close codes of RFC 6455, and which of them may be sent.

Plain numbers and predicates; nothing here knows of frames, sockets or Flask.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "CLOSE_REASON_MAX",
    "CONTROL_PAYLOAD_MAX",
    "CloseCode",
    "Opcode",
    "is_receivable_close_code",
    "is_sendable_close_code",
    "truncate_reason",
]


class Opcode(IntEnum):
    """Name the frame opcodes (RFC 6455 section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Name the close codes (RFC 6455 section 7.4.1 and the IANA registry)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


# RFC 6455 section 5.5: all control frames MUST have a payload of 125 bytes or less.
CONTROL_PAYLOAD_MAX: Final = 125

# A Close's payload is a two-byte code and the reason.
CLOSE_REASON_MAX: Final = CONTROL_PAYLOAD_MAX - 2

# RFC 6455 section 7.4.1: 1004 is reserved; 1005, 1006 and 1015 MUST NOT be set by an
# endpoint. 1012 to 1014 come from the IANA registry.
_REGISTERED: Final = frozenset({*range(1000, 1004), *range(1007, 1015)})


def is_receivable_close_code(code: int) -> bool:
    """Tell whether a peer may put this code into a Close frame (RFC 6455 section 7.4)."""
    return code in _REGISTERED or 3000 <= code <= 4999


def is_sendable_close_code(code: int) -> bool:
    """Tell whether this endpoint may send this code (RFC 6455 section 7.4)."""
    # 1000.0 is among them, too, but cannot be encoded.
    return isinstance(code, int) and is_receivable_close_code(code)


def truncate_reason(reason: str) -> str:
    """Cut a close reason to 123 bytes of UTF-8, at a character boundary.

    Args:
        reason: any text.

    Returns:
        The longest prefix that fits a Close frame (RFC 6455 section 5.5).
    """
    encoded = reason.encode("utf-8", "replace")
    if len(encoded) <= CLOSE_REASON_MAX:
        return encoded.decode()
    return encoded[:CLOSE_REASON_MAX].decode("utf-8", "ignore")

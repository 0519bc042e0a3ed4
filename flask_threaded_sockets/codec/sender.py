"""The sending half: messages and control frames to bytes (RFC 6455 section 6.1).

Encodes, compresses and masks. Whether a frame may be sent in the connection's state is
the protocol's to know; whether it fits the message in progress is checked here.
"""

from __future__ import annotations

from os import urandom

from ..backend import Buffer, DeflateParameters, SharedPayload
from ..codes import Opcode
from ..exceptions import LocalProtocolError
from .deflate import Deflater, deflater_for
from .frames import FIN, MASKED, RSV1, encode_header
from .masking import Masking
from .role import Role

__all__ = ["Sender"]

# Up to this a header and its payload are joined: one buffer is simpler to write than
# two and costs little. Joining takes 0.6 us at 16 KiB, 1.6 us at 64 KiB, 50 us at 1 MiB.
_JOIN_MAX = 16 * 1024


# Looking up an Enum's member takes 60 ns in CPython 3.11.
_CONTINUATION = int(Opcode.CONTINUATION)
_MESSAGES = (int(Opcode.TEXT), int(Opcode.BINARY))

# The headers of short, unmasked messages, by opcode and length.
_SHORT_HEADERS = {
    opcode: [bytes((FIN | opcode, length)) for length in range(126)] for opcode in _MESSAGES
}


class Sender:
    """Encode frames.

    Args:
        role: of this end; a client masks.
        deflate: permessage-deflate's parameters, or ``None``.
        masking: the implementation to mask with.

    Attributes:
        output: the buffers encoded and not yet handed over, in order.
    """

    __slots__ = (
        "_compressed",
        "_deflater",
        "_direct",
        "_in_message",
        "_mask",
        "_masking",
        "output",
    )

    def __init__(self, role: Role, deflate: DeflateParameters | None, masking: Masking) -> None:
        self._deflater: Deflater | None = deflater_for(role, deflate) if deflate else None
        self._mask = MASKED if role is Role.CLIENT else 0
        self._masking = masking
        self._in_message = False
        self._direct = not self._mask  # whether encode_message may
        self._compressed = False
        self.output: list[Buffer] = []

    def send_data(self, opcode: int, payload: Buffer, *, fin: bool, compress: bool) -> None:
        """Encode a data frame; see ``Protocol.send_message``.

        Raises:
            LocalProtocolError: it does not fit the message in progress.
        """
        if opcode == _CONTINUATION:
            if not self._in_message:
                raise LocalProtocolError("continuation frame without a message")
            first = int(opcode)
        else:
            if self._in_message:
                raise LocalProtocolError("message begins within a fragmented message")
            if opcode not in _MESSAGES:
                raise LocalProtocolError(f"opcode {opcode:#x} is not a data frame's")
            self._compressed = compress and self._deflater is not None
            # RFC 7692 section 6.1: RSV1 is set on a message's first frame only.
            first = opcode | RSV1 if self._compressed else int(opcode)
        if self._compressed and self._deflater is not None:
            payload = self._deflater.compress(payload, fin=fin)
        first = first | FIN if fin else first
        if type(payload) is SharedPayload and not self._mask:
            self._append_shared(first, payload)
        else:
            self._append(first, payload)
        self._in_message = not fin
        self._direct = fin and not self._mask

    def encode_message(self, opcode: int, payload: Buffer, compress: bool) -> Buffer | None:
        """Encode a short message; see ``Protocol.encode_message``."""
        if (
            not self._direct
            or type(payload) is not bytes
            or len(payload) > 125
            or opcode not in _MESSAGES
            or (compress and self._deflater is not None)
        ):
            return None
        return _SHORT_HEADERS[opcode][len(payload)] + payload

    def send_control(self, opcode: int, payload: bytes) -> None:
        """Encode a control frame, its payload of at most 125 bytes checked before."""
        self._append(FIN | opcode, payload)

    def stop(self) -> None:
        """Have :meth:`encode_message` leave it to the protocol to refuse a message."""
        self._direct = False

    def discard(self) -> None:
        """Free the state of the compressor; no data frame may be sent after it."""
        self._deflater = None

    def _append(self, first: int, payload: Buffer) -> None:
        if type(payload) is memoryview:
            payload = _flatten(payload)
        length = len(payload)
        if length < 126 and not self._mask:
            self.output.append(bytes((first, length)) + payload)
            return
        header = encode_header(first, length, self._mask)
        if self._mask:
            # RFC 6455 section 5.3: the key MUST be unpredictable, one for each frame.
            key = urandom(4)
            header += key
            payload = self._masking.apply(payload, key)
        if length <= _JOIN_MAX:
            self.output.append(header + payload)
        else:
            self.output += (header, payload)

    def _append_shared(self, first: int, payload: SharedPayload) -> None:
        """Append the one frame that all connections send; a long one shares its payload."""
        if len(payload) > _JOIN_MAX:
            self._append(first, payload)
            return
        if payload.frame is None or payload.frame[0] != first:
            payload.frame = encode_header(first, len(payload)) + payload
        self.output.append(payload.frame)


def _flatten(view: memoryview) -> Buffer:
    # Elements wider than a byte would make len() lie, gaps cannot be written.
    if view.nbytes > _JOIN_MAX and view.c_contiguous:
        return view.cast("B")
    return view.tobytes()

"""What wsproto leaves open, as an extension of its own kind.

An extension sees every header before the payload, every payload before wsproto does,
and every frame on its way out: all that is needed for limits, for inflating within
them, and for sending bytes that need no decoding. Public API only
(:class:`wsproto.extensions.Extension`).

wsproto's own ``PerMessageDeflate`` is not used: it inflates without any bound, forgets
that a message is compressed when a Ping comes between its fragments, compresses every
message, and has no setting for the compressor's memory.
"""

from __future__ import annotations

from typing import Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from flask_threaded_sockets.backend import Buffer, DeflateParameters
from flask_threaded_sockets.codec import Role
from flask_threaded_sockets.codec.deflate import Deflater, Inflater, deflater_for, inflater_for
from flask_threaded_sockets.exceptions import FrameTooLargeException, RemoteProtocolError

__all__ = ["MessageExtension"]

_NO_BITS: Final = RsvBits(False, False, False)
_RSV1: Final = RsvBits(True, False, False)

# 1014 is in the IANA registry; wsproto knows it not and takes it for a violation.
_BAD_GATEWAY: Final = (1014).to_bytes(2, "big")
_STAND_IN: Final = int(CloseReason.TRY_AGAIN_LATER).to_bytes(2, "big")


class MessageExtension(Extension):
    """Limit messages, inflate and deflate them, and let Close 1014 in.

    A hook refuses by its return value; why is in :attr:`error`. wsproto calls
    :meth:`frame_inbound_header` again for the same frame where a header comes in
    pieces, so that hook only notes what it is told.

    Args:
        deflate: permessage-deflate's parameters as agreed, or ``None``.
        limit: bytes of one message after inflating, or ``None``.

    Attributes:
        error: what the peer did wrong, if this extension found it.
        bad_gateway: whether the Close received had the code 1014.
    """

    name = "permessage-deflate"

    def __init__(self, deflate: DeflateParameters | None, limit: int | None) -> None:
        self.error: RemoteProtocolError | FrameTooLargeException | None = None
        self.bad_gateway = False
        self._limit = limit
        self._inflater: Inflater | None = None
        self._deflater: Deflater | None = None
        if deflate is not None:
            self._inflater = inflater_for(Role.SERVER, deflate)
            self._deflater = deflater_for(Role.SERVER, deflate)
        # The frame and the message being received.
        self._opcode = Opcode.BINARY
        self._in_message = False
        self._compressed = False
        self._size = 0
        # The message being sent.
        self._payload: Buffer = b""
        self._compressing = False

    def enabled(self) -> bool:
        """Say that the negotiation, which the core has done, is over."""
        return True

    def offer(self) -> bool:
        """Offer nothing; a client's part of the negotiation."""
        return False

    def stage(self, payload: Buffer, *, first: bool, compress: bool) -> None:
        """Give the payload of the data frame that is sent next.

        wsproto is then given an empty one, of the right type: it would have text
        decoded, which a fragment that ends within a character cannot be.
        """
        self._payload = payload
        if first:
            self._compressing = compress and self._deflater is not None

    def discard(self) -> None:
        """Free zlib's state; no data frame may be sent or received after it."""
        self._inflater = self._deflater = None

    def frame_inbound_header(  # noqa: D102
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        self._opcode = opcode
        if opcode.iscontrol():
            return _NO_BITS
        # RFC 6455 section 5.4: fragments are not interleaved with another message's.
        if (opcode is Opcode.CONTINUATION) != self._in_message:
            return self._refuse(RemoteProtocolError("fragments are out of order"))
        if opcode is not Opcode.CONTINUATION:
            self._compressed = rsv.rsv1 and self._inflater is not None
        self._announce(payload_length)
        # RFC 7692 section 6.1: RSV1 is set on a message's first frame only.
        return _RSV1 if self._compressed and not self._in_message else _NO_BITS

    def _announce(self, length: int) -> None:
        # Only noted, as what else is wrong with the header comes first: the payload's
        # hook refuses it, or the protocol does when it finds the error.
        limit = self._limit
        if limit is None:
            return
        if self._compressed:
            # What counts is the size after inflating; no compressor makes data larger
            # by more than about 1/7.
            if length > limit + limit // 4 + 1024:
                self.error = FrameTooLargeException(length, limit)
        elif self._size + length > limit:
            self.error = FrameTooLargeException(self._size + length, limit)

    def frame_inbound_payload_data(  # noqa: D102
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002
        data: bytes,
    ) -> bytes | CloseReason:
        if self.error is not None:
            return self._refuse(self.error)
        if self._opcode.iscontrol():
            if self._opcode is Opcode.CLOSE and data[:2] == _BAD_GATEWAY:
                self.bad_gateway = True
                return _STAND_IN + data[2:]
            return data
        if self._compressed and self._inflater is not None:
            return self._inflate(self._inflater, data)
        self._size += len(data)
        return data

    def frame_inbound_complete(  # noqa: D102
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002
        fin: bool,
    ) -> bytes | CloseReason | None:
        if self._opcode.iscontrol():
            return None
        rest: bytes | CloseReason | None = None
        if fin and self._compressed and self._inflater is not None:
            rest = self._inflate(self._inflater, None)
        self._in_message = not fin
        if fin:
            self._size = 0
        return rest

    def _inflate(self, inflater: Inflater, data: bytes | None) -> bytes | CloseReason:
        """Inflate a part of a message, or with ``None`` its end, up to the limit."""
        output = bytearray()
        try:
            for piece in inflater.finish() if data is None else inflater.inflate(data):
                output += piece
                if self._limit is not None and self._size + len(output) > self._limit:
                    return self._refuse(FrameTooLargeException(None, self._limit))
        except RemoteProtocolError as error:
            return self._refuse(error)
        self._size += len(output)
        return bytes(output)

    def _refuse(self, error: RemoteProtocolError | FrameTooLargeException) -> CloseReason:
        self.error = error
        return CloseReason(error.code)

    def frame_outbound(  # noqa: D102
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002
        opcode: Opcode,
        rsv: RsvBits,
        data: bytes,
        fin: bool,
    ) -> tuple[RsvBits, bytes]:
        if opcode.iscontrol():
            return rsv, data
        payload, self._payload = self._payload, b""
        if not self._compressing or self._deflater is None:
            return rsv, payload if isinstance(payload, bytes) else bytes(payload)
        compressed = self._deflater.compress(payload, fin=fin)
        return (rsv if opcode is Opcode.CONTINUATION else _RSV1), compressed

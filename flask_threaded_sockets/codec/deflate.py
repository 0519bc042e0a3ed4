"""The compression of permessage-deflate (RFC 7692 section 7.2), with zlib.

One object per direction. Its zlib state is made at the first compressed message, so an
idle connection pays nothing, and dropped after each one where no context is taken over.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ..backend import Buffer, DeflateParameters
from ..codes import CloseCode
from ..exceptions import RemoteProtocolError
from .role import Role

__all__ = ["Deflater", "Inflater", "deflater_for", "inflater_for"]

# RFC 7692 section 7.2.1: removed from the end of a message; 7.2.2: appended again.
_TAIL = b"\x00\x00\xff\xff"

# A compressor takes 150 KiB at a window of 15 bits and 38 KiB at one of 12; with zlib's
# default level of 8 it takes 262 and 150 KiB and makes the data less than 1 % smaller.
_MEMORY_LEVEL = 5

# Both bounds of one call to zlib: the output's makes a bomb cost no more than the
# message limit and this; the input's keeps the copies cheap that zlib's Python binding
# makes of the input it could not use yet.
_OUTPUT_STEP = 64 * 1024
_INPUT_STEP = 4 * 1024


class Deflater:
    """Compress messages.

    Args:
        window_bits: the LZ77 window agreed for this end, 9 to 15. zlib has no raw
            deflate with a window of 8 bits, so the handshake must not agree to one for
            our own end: a server declines an offer that asks it for 8.
        no_context_takeover: whether each message starts with an empty window.

    Raises:
        ValueError: the window cannot be had.
    """

    __slots__ = ("_compressor", "_no_context_takeover", "_window_bits")

    def __init__(self, window_bits: int, *, no_context_takeover: bool) -> None:
        if not 9 <= window_bits <= 15:
            raise ValueError(f"cannot compress with a window of {window_bits} bits, only 9 to 15")
        self._window_bits = window_bits
        self._no_context_takeover = no_context_takeover
        self._compressor: zlib._Compress | None = None

    def compress(self, data: Buffer, *, fin: bool) -> bytes:
        """Give the payload of a message's next frame (RFC 7692 section 7.2.1).

        Args:
            data: the fragment, or the whole message.
            fin: whether the message ends with it.
        """
        compressor = self._compressor
        if compressor is None:
            compressor = self._compressor = zlib.compressobj(
                wbits=-self._window_bits, memLevel=_MEMORY_LEVEL
            )
        # Called for an empty message too: zlib flushes twice in a row only if it was asked
        # for something else in between, and the message needs the flush's empty block
        # (RFC 7692 section 7.2.3.6).
        body = compressor.compress(data)
        # A fragment is flushed too, so that the peer can read all of it.
        flushed = compressor.flush(zlib.Z_SYNC_FLUSH)
        if not fin:
            return body + flushed
        if self._no_context_takeover:
            self._compressor = None
        return body + flushed[: -len(_TAIL)]


class Inflater:
    """Inflate messages, piece by piece.

    Args:
        window_bits: the LZ77 window agreed for the peer, 8 to 15.
        no_context_takeover: whether the peer starts each message with an empty window.
    """

    __slots__ = ("_decompressor", "_no_context_takeover", "_window_bits")

    def __init__(self, window_bits: int, *, no_context_takeover: bool) -> None:
        # A larger window inflates what a smaller one made, and zlib compresses with 9 bits
        # where it is asked for 8.
        self._window_bits = max(window_bits, 9)
        self._no_context_takeover = no_context_takeover
        self._decompressor: zlib._Decompress | None = None

    def inflate(self, payload: Buffer) -> Iterator[bytes]:
        """Inflate a part of a message, any part, into pieces of at most 64 KiB.

        The caller stops asking where its limit is exceeded: the connection fails then.

        Raises:
            RemoteProtocolError: the data is not deflate's; code 1007, the data being
                inconsistent with the message's type (RFC 6455 section 7.4.1). RFC 7692
                names no code and Autobahn tests none; wsproto and ws for Node send
                1007, too.
        """
        view = memoryview(payload)
        for start in range(0, len(view), _INPUT_STEP):
            try:
                yield from self._inflate_step(view[start : start + _INPUT_STEP])
            except zlib.error:
                raise RemoteProtocolError(
                    "message is not valid deflate data", CloseCode.INVALID_PAYLOAD
                ) from None

    def finish(self) -> Iterator[bytes]:
        """Inflate what is left at the end of a message (RFC 7692 section 7.2.2).

        Raises:
            RemoteProtocolError: as :meth:`inflate`.
        """
        # Without state there is nothing to end: no data came, or a last block ended it
        # and its sender left out the empty one that section 7.2.1 asks for.
        if self._decompressor is not None:
            yield from self.inflate(_TAIL)
        if self._no_context_takeover:
            self._decompressor = None

    def _inflate_step(self, data: Buffer) -> Iterator[bytes]:
        full = False
        while data or full:
            decompressor = self._decompressor
            if decompressor is None:
                decompressor = self._decompressor = zlib.decompressobj(-self._window_bits)
            piece = decompressor.decompress(data, _OUTPUT_STEP)
            # A full piece may leave output in zlib with no input left.
            full = len(piece) == _OUTPUT_STEP
            data = decompressor.unconsumed_tail
            if decompressor.eof:
                # RFC 7692 section 7.2.3.4: a block with BFINAL set ends zlib's stream,
                # not the message. What follows is a stream of its own: a compressor
                # that finishes its stream refers to nothing before it.
                data = decompressor.unused_data
                full = False
                self._decompressor = None
            if piece:
                yield piece


def deflater_for(role: Role, parameters: DeflateParameters) -> Deflater:
    """Make the compressor of this end.

    Raises:
        ValueError: a window of 8 bits was agreed for it.
    """
    if role is Role.SERVER:
        return Deflater(
            parameters.server_max_window_bits,
            no_context_takeover=parameters.server_no_context_takeover,
        )
    return Deflater(
        parameters.client_max_window_bits,
        no_context_takeover=parameters.client_no_context_takeover,
    )


def inflater_for(role: Role, parameters: DeflateParameters) -> Inflater:
    """Make the decompressor for what the other end sends."""
    if role is Role.SERVER:
        return Inflater(
            parameters.client_max_window_bits,
            no_context_takeover=parameters.client_no_context_takeover,
        )
    return Inflater(
        parameters.server_max_window_bits,
        no_context_takeover=parameters.server_no_context_takeover,
    )

"""Random conversations: a client's valid and invalid frames, compressed or not, in any pieces.

Made for :mod:`~.differential`; nothing of the core's codec is used.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from hypothesis import strategies as st

from .timeline import describe
from .wire import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    FrameReader,
    close,
    frame,
)

__all__ = ["Conversation", "conversations"]

_TEXTS: Final = ("", "a", "Hello", "κόσμε", "\U0001f600" * 3, "x" * 126, "é" * 200)
_BAD_TEXTS: Final = (b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ab\x80")
_CODES: Final = (0, 999, 1000, 1001, 1004, 1005, 1006, 1011, 1014, 1015, 2999, 3000, 4999, 5000)
_FIRST: Final = (*range(0x80, 0x90), 0x00, 0x01, 0x02, 0x08, 0x09, 0xC1, 0xC0, 0xC9, 0xA1, 0x91)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Hold what a client sends after the opening handshake, before it ends its stream.

    Attributes:
        frames: its frames, which need not be valid.
        cuts: where they are cut for delivery, as positions in the whole.
        compression: whether permessage-deflate is offered and accepted.
        limit: ``max_message_size`` in bytes, or ``None``.
    """

    frames: tuple[bytes, ...]
    cuts: tuple[int, ...] = ()
    compression: bool = False
    limit: int | None = None

    @property
    def wire(self) -> bytes:
        """All bytes the client sends."""
        return b"".join(self.frames)

    @property
    def pieces(self) -> list[bytes]:
        """The bytes as they are delivered."""
        wire = self.wire
        places = [0, *(cut for cut in self.cuts if 0 < cut < len(wire)), len(wire)]
        return [wire[start:stop] for start, stop in pairwise(places)]

    @property
    def config(self) -> Mapping[str, Any]:
        """The app's options."""
        return {"max_message_size": self.limit, "compression": self.compression}

    @property
    def headers(self) -> Mapping[str, str | None]:
        """Further headers of the opening handshake."""
        if not self.compression:
            return {}
        return {"Sec-WebSocket-Extensions": "permessage-deflate"}

    @property
    def close_is_doubly_wrong(self) -> bool:
        """Whether a Close has both a code that must not be sent and a reason not UTF-8."""
        reader = FrameReader()
        reader.feed(self.wire)
        while (ours := reader.next()) is not None:
            code = int.from_bytes(ours.payload[:2], "big")
            if ours.opcode == CLOSE and not _may_be_sent(code) and not _is_text(ours.payload[2:]):
                return True
        return False

    @property
    def ends_within_frame(self) -> bool:
        """Whether the stream ends in the middle of a frame."""
        reader = FrameReader()
        reader.feed(self.wire)
        while reader.next() is not None:
            pass
        return bool(reader.rest)

    @property
    def closes_within_message(self) -> bool:
        """Whether a Close comes in the middle of a fragmented message."""
        reader = FrameReader()
        reader.feed(self.wire)
        inside = False
        while (ours := reader.next()) is not None:
            if ours.opcode == CLOSE:
                return inside
            if ours.opcode in (CONT, TEXT, BINARY):
                inside = not ours.fin
        return False

    def __str__(self) -> str:
        lines = describe(self.wire, FrameReader())
        told = ["permessage-deflate"] if self.compression else []
        told += [] if self.limit is None else [f"max_message_size {self.limit}"]
        told += [f"cut at {', '.join(map(str, self.cuts))}"] if self.cuts else []
        return "\n".join([f"  {line}" for line in lines] + [f"  ({'; '.join(told)})"] * bool(told))


def _may_be_sent(code: int) -> bool:
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


_payloads = st.one_of(
    st.sampled_from([*(text.encode() for text in _TEXTS), *_BAD_TEXTS]), st.binary(max_size=40)
)
_texts = st.one_of(st.sampled_from(_TEXTS), st.text(max_size=20)).map(str.encode)
_control = st.builds(frame, st.sampled_from([FIN | PING, FIN | PONG]), st.binary(max_size=125))
_wild = st.builds(
    frame,
    st.sampled_from(_FIRST),
    _payloads,
    st.sampled_from([b"\x37\xfa\x21\x3d", bytes(4), b"\xff\x00\x0f\xf0", None]),
    form=st.sampled_from([None, None, None, 126, 127]),
)
_closes = st.one_of(
    st.builds(close, st.sampled_from(_CODES), st.sampled_from([b"", b"bye", b"\xff", b"\xc3"])),
    st.sampled_from([close(None), frame(FIN | CLOSE, b"\x03")]),
)


@dataclass(frozen=True, slots=True)
class _Message:
    """Say what a message is to be made of; compressing it is left to the end."""

    text: bool
    parts: list[bytes]
    compressed: bool
    between: list[bytes | None]

    def frames(self, compressor: zlib._Compress | None) -> list[bytes]:
        parts = self.parts
        first = TEXT if self.text else BINARY
        if self.compressed and compressor is not None:
            first |= RSV1
            data = compressor.compress(b"".join(parts)) + compressor.flush(zlib.Z_SYNC_FLUSH)
            size = -(-len(data[:-4]) // len(parts))
            parts = [data[:-4][index * size :][:size] for index in range(len(parts))]
        made: list[bytes] = []
        for index, part in enumerate(parts):
            opcode = CONT if index else first
            last = index == len(parts) - 1
            made.append(frame(opcode | FIN if last else opcode, part))
            control = self.between[index] if index < len(self.between) else None
            if control is not None and not last:
                made.append(control)
        return made


_between = st.lists(st.one_of(st.none(), _control), max_size=3)
_steps = st.one_of(
    st.builds(
        _Message,
        st.just(True),
        st.lists(_texts, min_size=1, max_size=4),
        st.booleans(),
        _between,
    ),
    st.builds(
        _Message,
        st.booleans(),
        st.lists(_payloads, min_size=1, max_size=4),
        st.booleans(),
        _between,
    ),
    _control,
    _wild,
    _closes,
)


def _make(
    steps: list[_Message | bytes],
    damage: tuple[int, int] | None,
    ended: bool,
    cuts: list[int],
    compression: bool,
    limit: int | None,
) -> Conversation:
    compressor = zlib.compressobj(wbits=-15) if compression else None
    made: list[bytes] = []
    for step in steps:
        made += [step] if isinstance(step, bytes) else step.frames(compressor)
    if damage is not None:
        # One byte of it, wherever that falls.
        place, value = damage
        place %= sum(map(len, made))
        for index, whole in enumerate(made):
            if place < len(whole):
                made[index] = whole[:place] + bytes([value]) + whole[place + 1 :]
                break
            place -= len(whole)
    if ended:
        made.append(close(1000))
    return Conversation(tuple(made), tuple(sorted(cuts)), compression, limit)


_damages = st.tuples(st.integers(0, 999), st.integers(0, 255))


def conversations() -> st.SearchStrategy[Conversation]:
    """Make conversations: mostly valid, with violations, then perhaps damaged."""
    return st.builds(
        _make,
        st.lists(_steps, min_size=1, max_size=5),
        st.one_of(st.none(), st.none(), st.none(), _damages),
        st.sampled_from([True] * 9 + [False]),
        st.lists(st.integers(1, 300), max_size=6, unique=True),
        st.booleans(),
        st.sampled_from([None, None, None, 10, 126, 300]),
    )

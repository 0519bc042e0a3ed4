"""What a client sent in real conversations, and ways to spoil it.

A conversation is a file of ``corpus/``: a frame per line, in hexadecimal; ``aabbccdd*9``
is those four bytes over and over, nine bytes in all.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import strategies as st

__all__ = ["CORPUS", "chunks", "conversations", "cuts"]


def _bytes(word: str) -> bytes:
    unit, _, count = word.partition("*")
    data = bytes.fromhex(unit)
    return (data * (int(count) // len(data) + 1))[: int(count)] if count else data


def _read(path: Path) -> list[bytes]:
    lines = path.read_text("utf-8").splitlines()
    return [b"".join(map(_bytes, line.split())) for line in lines if not line.startswith("#")]


CORPUS = {path.stem: _read(path) for path in sorted(Path(__file__).with_name("corpus").iterdir())}

_Mutation = tuple[str, int, int, bytes]

_mutations = st.tuples(
    st.sampled_from(["flip", "set", "insert", "cut", "drop", "repeat", "swap"]),
    st.integers(0, 30),
    # Headers are where most is decided.
    st.one_of(st.integers(0, 15), st.integers(0, 70_000)),
    st.one_of(st.sampled_from([b"\x00", b"\x7f", b"\x80", b"\xff"]), st.binary(min_size=1)),
)


def mutate(frames: list[bytes], mutations: list[_Mutation]) -> bytes:
    """Spoil a conversation, in its frames or in their order."""
    frames = list(frames)
    for kind, which, where, data in mutations:
        if not frames:
            break
        which %= len(frames)
        frame = frames[which]
        where %= len(frame) + 1
        before, after = frame[:where], frame[where:]
        if kind == "flip" and after:
            frames[which] = before + bytes([after[0] ^ (1 << data[0] % 8)]) + after[1:]
        elif kind == "set":
            frames[which] = before + data + after[len(data) :]
        elif kind == "insert":
            frames[which] = before + data + after
        elif kind == "cut":
            frames[which] = before + after[data[0] + 1 :]
        elif kind == "drop":
            del frames[which]
        elif kind == "repeat":
            frames[which:which] = [frame] * (data[0] % 8)
        elif kind == "swap":
            other = where % len(frames)
            frames[which], frames[other] = frames[other], frame
    return b"".join(frames)


_frames = st.one_of(
    st.sampled_from(list(CORPUS.values())),
    # Parts of several, one after the other.
    st.lists(
        st.sampled_from([frame for frames in CORPUS.values() for frame in frames]), max_size=12
    ),
)

conversations = st.one_of(
    st.builds(mutate, _frames, st.lists(_mutations, max_size=6)),
    st.binary(max_size=500),
)
"""What a client may send after its handshake, all of it."""

cuts = st.lists(st.integers(0, 140_000), max_size=12)
"""Where it is cut; for :func:`chunks`."""


def chunks(data: bytes, where: list[int]) -> list[bytes]:
    """Cut data in pieces, none of them empty."""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in where)})
    return [data[start:stop] for start, stop in pairwise(edges)]

"""What a client may see a server send; the same words say what is expected and what came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from .timeline import describe
from .wire import Frame, FrameReader

__all__ = [
    "Arrival",
    "Binary",
    "Close",
    "Eof",
    "Mismatch",
    "Nothing",
    "Ping",
    "Pong",
    "Raw",
    "Reset",
    "Text",
    "first_frame",
]

Frames: TypeAlias = tuple[Frame, ...]


class Mismatch(AssertionError):
    """Report that a backend did something else than expected."""


@dataclass(frozen=True)
class Text:
    """A text message, whole."""

    data: str
    frames: Frames = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"text {_cut(self.data)}"


@dataclass(frozen=True)
class Binary:
    """A binary message, whole."""

    data: bytes
    frames: Frames = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"binary {_cut(self.data)}"


@dataclass(frozen=True)
class Ping:
    """A Ping."""

    payload: bytes = b""
    frames: Frames = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"Ping {_cut(self.payload)}"


@dataclass(frozen=True)
class Pong:
    """A Pong."""

    payload: bytes = b""
    frames: Frames = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"Pong {_cut(self.payload)}"


@dataclass(frozen=True)
class Close:
    """A Close.

    Attributes:
        code: the code; ``None``: an empty body. As an expectation also several codes.
        reason: the reason; as an expectation ``None``: any.
    """

    code: int | tuple[int | None, ...] | None = 1000
    reason: str | None = field(default=None)
    frames: Frames = field(default=(), compare=False, repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Close):
            return NotImplemented
        ours = self.code if isinstance(self.code, tuple) else (self.code,)
        theirs = other.code if isinstance(other.code, tuple) else (other.code,)
        if not set(ours) & set(theirs):
            return False
        return self.reason is None or other.reason is None or self.reason == other.reason

    def __hash__(self) -> int:
        return hash("close")

    def __str__(self) -> str:
        codes = self.code if isinstance(self.code, tuple) else (self.code,)
        shown = " or ".join("without a code" if code is None else str(code) for code in codes)
        return f"Close {shown}" + (f" {self.reason!r}" if self.reason else "")


@dataclass(frozen=True)
class Eof:
    """The end of the server's stream."""

    def __str__(self) -> str:
        return "the end of the stream"


@dataclass(frozen=True)
class Reset:
    """A reset in the place of an end; never expected."""

    def __str__(self) -> str:
        return "a connection reset"


@dataclass(frozen=True)
class Nothing:
    """Nothing at all within the patience."""

    seconds: float = 0.0

    def __str__(self) -> str:
        return f"nothing within {self.seconds:g} s"


class Raw:
    """Exactly these bytes: for what must be one frame and no other."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        frames: Frames = getattr(other, "frames", ())
        return b"".join(frame.raw for frame in frames) == self.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __str__(self) -> str:
        return "exactly " + ", ".join(describe(self.data, FrameReader()))


Arrival: TypeAlias = Text | Binary | Ping | Pong | Close | Eof | Reset | Nothing


def first_frame(arrival: Arrival) -> Frame:
    """Give the first frame of what arrived.

    Raises:
        Mismatch: it was no frame.
    """
    frames: Frames = getattr(arrival, "frames", ())
    if not frames:
        raise Mismatch(f"expected a frame, came {arrival}")
    return frames[0]


def _cut(data: str | bytes) -> str:
    shown = repr(data[:40])
    return shown if len(data) <= 40 else f"{shown}… ({len(data)})"

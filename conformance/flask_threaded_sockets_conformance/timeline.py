"""What happened in a trial, in order: the bytes of both sides, grouped and decoded."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass

from .wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, Frame, FrameReader

__all__ = ["Entry", "Timeline", "describe", "hexes", "show_frame"]

_NAMES = {CONT: "CONT", TEXT: "TEXT", BINARY: "BINARY", CLOSE: "CLOSE", PING: "PING", PONG: "PONG"}

# Bytes of a payload that are shown, and lines of a timeline.
_SHOWN = 24
_LINES = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """Note one thing that happened.

    Attributes:
        at: seconds since the trial began.
        who: ``client``, ``server``, ``app`` or ``kit``.
        peer: the number of the connection.
        what: bytes on the wire, or words.
    """

    at: float
    who: str
    peer: int
    what: bytes | str


class Timeline:
    """Collect what happens in a trial; thread-safe."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()  # guards _entries
        self._entries: list[Entry] = []

    def add(self, who: str, peer: int, what: bytes | str) -> None:
        """Note something."""
        with self._lock:
            last = self._entries[-1] if self._entries else None
            at = time.monotonic() - self._began
            if (
                last is not None
                and isinstance(what, bytes)
                and isinstance(last.what, bytes)
                and (last.who, last.peer) == (who, peer)
            ):
                # Bytes one by one are one line, timed by the first.
                self._entries[-1] = Entry(last.at, who, peer, last.what + what)
            else:
                self._entries.append(Entry(at, who, peer, what))

    def lines(self) -> list[str]:
        """Give the timeline as text."""
        with self._lock:
            entries = list(self._entries)
        several = len({entry.peer for entry in entries if entry.peer}) > 1
        readers: dict[tuple[str, int], FrameReader] = {}
        lines: list[str] = []
        for entry in entries:
            name = f"{entry.who} {entry.peer}" if several and entry.peer else entry.who
            start = f"{entry.at:8.3f} s  {name:<9} "
            if isinstance(entry.what, str):
                told = entry.what.splitlines() or [""]
            else:
                key = entry.who, entry.peer
                head, what = ([], entry.what) if key in readers else _head(entry.what)
                reader = readers.setdefault(key, FrameReader())
                told = head + (describe(what, reader) if what or not head else [])
            lines += [
                (start if index == 0 else " " * len(start)) + line
                for index, line in enumerate(told)
            ]
        if len(lines) > _LINES:
            half = _LINES // 2
            lines = [*lines[:half], f"    ... {len(lines) - _LINES} lines ...", *lines[-half:]]
        return lines


def _head(data: bytes) -> tuple[list[str], bytes]:
    """Take a request's head, whole or cut, off what a client sends first."""
    # As a frame it would have a reserved bit, a reserved opcode and no mask.
    if re.match(rb"[A-Z]+ /", data) is None:
        return [], data
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1").splitlines(), rest


def hexes(data: bytes) -> str:
    """Give bytes in hexadecimal, a long row cut."""
    shown = data[:_SHOWN].hex(" ")
    return shown if len(data) <= _SHOWN else f"{shown} … (+{len(data) - _SHOWN} bytes)"


def show_frame(frame: Frame) -> str:
    """Show a frame: header, key and payload grouped, then decoded."""
    raw = frame.raw
    head = frame.head or raw[:2]
    groups = [head.hex(" ")]
    if frame.key is not None:
        groups.append(frame.key.hex(" "))
    payload = raw[len(head) + (4 if frame.key is not None else 0) :]
    if payload:
        groups.append(hexes(payload))
    return f"{' | '.join(groups)}   {_decode(frame)}"


def _decode(frame: Frame) -> str:
    name = _NAMES.get(frame.opcode, f"opcode {frame.opcode:#x}")
    words = [name if frame.fin else f"{name} (more follows)"]
    words += [f"RSV{index}" for index, bit in enumerate((0x40, 0x20, 0x10), 1) if frame.rsv & bit]
    if not frame.minimal:
        words.append("length not minimal")
    payload = frame.payload
    if frame.opcode == CLOSE and len(payload) >= 2:
        words.append(str(int.from_bytes(payload[:2], "big")))
        payload = payload[2:]
        words += [_quoted(payload)] if payload else []
    elif frame.opcode == BINARY or frame.rsv:
        words.append(f"{len(payload)} bytes")
    else:
        words.append(_quoted(payload))
    return " ".join(words)


def _quoted(payload: bytes) -> str:
    try:
        shown = repr(payload[:200].decode())
    except UnicodeDecodeError:
        shown = repr(payload[:200])
    if len(shown) > 42:
        return f"{shown[:40]}… ({len(payload)} bytes)"
    return shown


def describe(data: bytes, reader: FrameReader) -> list[str]:
    """Describe bytes of a stream, frame by frame.

    Args:
        data: the bytes.
        reader: the stream's, with what was left over from the last time.
    """
    reader.feed(data)
    lines = []
    while (frame := reader.next()) is not None:
        lines.append(show_frame(frame))
    if reader.rest:
        lines.append(f"{hexes(bytes(reader.rest))}   (incomplete)")
        if len(lines) > 1 or len(reader.rest) == len(data):
            # Shown once; the reader keeps it for the frame's rest.
            pass
    return lines or [hexes(data)]

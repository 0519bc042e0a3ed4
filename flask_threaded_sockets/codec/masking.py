"""Masking of payloads (RFC 6455 section 5.3), by the fastest means at hand.

Masking and unmasking are the same operation. Two implementations with one interface:
:data:`PURE` needs nothing; :func:`native` borrows the C routine of an installed
``websockets``. :func:`fastest` looks for the latter once, at its first call, so that
importing this module imports no library.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import NamedTuple

from ..backend import Buffer

__all__ = ["PURE", "Masking", "fastest", "native", "rotate_key"]

# Measured with Python 3.11 on x86-64, in us, for one payload: big-integer XOR against
# `translate` per lane: 125 bytes 0.64 and 0.85, 256 bytes 0.93 and 1.08, 512 bytes
# 1.5 and 1.3, 4 KiB 8.4 and 4.2, 1 MiB 3,455 and 1,100.
_XOR_MAX = 384

# The C routine makes a new object, which is then copied over the old one: 64 KiB at a
# time both stay in the cache (1 MiB: 0.06 ms; at once: 0.10 ms).
_NATIVE_STEP = 64 * 1024


class Masking(NamedTuple):
    """Hold one way of masking.

    Attributes:
        apply: gives a masked copy of ``(data, key)``.
        apply_in_place: masks ``(buffer, start, stop, key)``: the bytes from ``start``
            to ``stop`` of a bytearray, which may be exported to a memoryview.
    """

    apply: Callable[[Buffer, bytes], bytes | bytearray]
    apply_in_place: Callable[[bytearray, int, int, bytes], None]


def rotate_key(key: bytes, offset: int) -> bytes:
    """Give the key for the rest of a payload of which ``offset`` bytes are done.

    Args:
        key: the four bytes for the payload's beginning.
        offset: bytes already masked.
    """
    offset &= 3
    return key[offset:] + key[:offset] if offset else key


@cache
def _table(byte: int) -> bytes:
    # 256 tables of 256 bytes at most, made as keys need them.
    return bytes(byte ^ value for value in range(256))


def _pure_apply(data: Buffer, key: bytes) -> bytes | bytearray:
    length = len(data)
    if length > _XOR_MAX:
        masked = bytearray(data)
        _pure_apply_in_place(masked, 0, length, key)
        return masked
    repeated = (key * (length // 4 + 1))[:length]
    mask = int.from_bytes(repeated, "little")
    return (int.from_bytes(data, "little") ^ mask).to_bytes(length, "little")


def _pure_apply_in_place(buffer: bytearray, start: int, stop: int, key: bytes) -> None:
    # Each byte of the key meets every fourth byte of the payload: one lane.
    for lane, byte in enumerate(key, start):
        buffer[lane:stop:4] = buffer[lane:stop:4].translate(_table(byte))


PURE = Masking(_pure_apply, _pure_apply_in_place)


def native() -> Masking | None:
    """Give the masking by ``websockets``' C routine, or ``None`` where there is none."""
    try:
        routine = import_module("websockets.speedups").apply_mask
        if routine(b"\x01\x02\x03\x04\x05", b"\x10\x20\x30\x40") != b"\x11\x22\x33\x44\x15":
            return None
    except Exception:
        # A foreign, optional speed-up: however broken an installed one is, PURE works.
        return None

    def apply_in_place(buffer: bytearray, start: int, stop: int, key: bytes) -> None:
        # A multiple of four bytes a step, so the key needs no rotation.
        with memoryview(buffer) as view:
            for step in range(start, stop, _NATIVE_STEP):
                end = min(step + _NATIVE_STEP, stop)
                view[step:end] = routine(view[step:end], key)

    return Masking(routine, apply_in_place)


@cache
def fastest() -> Masking:
    """Give the fastest masking of this installation; looked for at the first call."""
    return native() or PURE

"""The ways to deliver the same bytes: whole, byte by byte, and cut in two anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["Delivery", "bytewise", "deliveries"]

Delivery = tuple[str, Sequence[bytes]]

# Where every position is a split, and how many bytes at both ends are single ones.
_ALL_SPLITS = 40
_SINGLE = 40
_SAMPLES = 12


def bytewise(data: bytes) -> list[bytes]:
    """Cut data into its bytes; the middle of long data stays in larger pieces."""
    if len(data) <= 4 * _SINGLE:
        return [data[index : index + 1] for index in range(len(data))]
    middle = data[_SINGLE:-_SINGLE]
    step = -(-len(middle) // _SAMPLES)
    return [
        *(data[index : index + 1] for index in range(_SINGLE)),
        *(middle[index : index + step] for index in range(0, len(middle), step)),
        *(data[index : index + 1] for index in range(len(data) - _SINGLE, len(data))),
    ]


def _positions(length: int) -> list[int]:
    if length <= _ALL_SPLITS:
        return list(range(1, length))
    # Around both ends is where headers, keys and checks are; a few between, always
    # the same.
    step = (length - 20) / _SAMPLES
    between = (15 + round(index * step) for index in range(_SAMPLES))
    return sorted({*range(1, 16), *between, *range(length - 4, length)} - {0, length})


def deliveries(data: bytes, *, thorough: bool = True) -> Iterator[Delivery]:
    """Give the deliveries of some bytes, each with its name.

    Args:
        data: the bytes.
        thorough: whether to split everywhere; else in two places.
    """
    yield "whole", [data]
    if len(data) < 2:
        return
    yield "byte by byte", bytewise(data)
    positions = _positions(len(data))
    if not thorough:
        positions = sorted({1, len(data) // 2} & set(range(1, len(data))))
    for position in positions:
        yield f"split after byte {position}", [data[:position], data[position:]]

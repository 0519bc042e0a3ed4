"""The size limit, the growth of the buffer and the check of UTF-8."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from wire import wire

from flask_threaded_sockets.codec.assembler import Assembler
from flask_threaded_sockets.codec.deflate import Inflater
from flask_threaded_sockets.exceptions import FrameTooLargeException

KIB = 1024


def assembler(
    limit: int | None = None, *, text: bool = False, compressed: bool = False
) -> Assembler:
    made = Assembler(limit, Inflater(15, no_context_takeover=False))
    made.begin(text=text, compressed=compressed)
    return made


def test_a_binary_message_is_a_bytearray_of_its_own() -> None:
    made = assembler()
    made.extend(b"ab", last=False)
    made.extend(bytearray(b"cd"), last=True)
    message = made.finish()
    assert type(message) is bytearray
    made.begin(text=False, compressed=False)
    made.extend(b"next", last=True)
    assert message == b"abcd"


def test_a_text_message_is_a_string() -> None:
    made = assembler(text=True)
    for portion in ("c3", "a9 e2 82", "ac"):
        made.extend(wire(portion), last=False)
    assert made.finish() == "é€"


@pytest.mark.parametrize("rest", ["c3", "e2 82", "f0 9f 98"])
def test_half_a_character_at_the_end_is_not_text(rest: str) -> None:
    made = assembler(text=True)
    made.extend(b"abc" + wire(rest), last=False)
    with pytest.raises(UnicodeDecodeError):
        made.finish()


@pytest.mark.parametrize("size", [10, 11])
def test_an_announced_length_counts_with_what_is_there(size: int) -> None:
    made = assembler(10)
    made.announce(10)
    made.extend(b"1234", last=False)
    if size == 10:
        made.announce(6)
        return
    with pytest.raises(FrameTooLargeException) as caught:
        made.announce(7)
    assert (caught.value.size, caught.value.limit) == (11, 10)


def test_without_a_limit_any_length_may_be_announced() -> None:
    assembler(None).announce(2**63 - 1)


def test_an_incompressible_message_of_the_limit_is_not_refused_for_its_compressed_length() -> None:
    made = assembler(4000, compressed=True)
    made.announce(4005)
    with pytest.raises(FrameTooLargeException):
        made.announce(2**40)


def compress(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_an_inflated_message_may_be_as_large_as_the_limit() -> None:
    made = assembler(100_000, compressed=True)
    made.extend(compress(bytes(100_000)), last=True)
    assert made.finish() == bytearray(100_000)
    made.begin(text=False, compressed=True)
    with pytest.raises(FrameTooLargeException) as caught:
        made.extend(compress(bytes(100_001)), last=True)
    assert caught.value.limit == 100_000


def test_inflated_text_is_checked_as_it_comes() -> None:
    made = assembler(text=True, compressed=True)
    with pytest.raises(UnicodeDecodeError):
        made.extend(compress(b"a" * 1000 + b"\xff") + b"\x00\x00\xff\xff", last=False)


def test_room_grows_with_the_data_and_not_with_the_announcement() -> None:
    made = assembler()
    rooms = []
    left = 2 * KIB * KIB
    tracemalloc.start()
    try:
        while left:
            view = made.reserve(min(left, 2**62))
            rooms.append(len(view) // KIB)
            if len(rooms) == 1:
                assert tracemalloc.get_traced_memory()[1] < 100 * KIB
            view[:] = b"x" * len(view)
            count = len(view)
            view.release()
            made.commit(count, last=False)
            left -= count
    finally:
        tracemalloc.stop()
    assert rooms == [64, 64, 128, *[256] * 7]
    assert made.finish() == bytearray(b"x" * 2 * KIB * KIB)


def test_room_not_used_up_is_offered_again() -> None:
    made = assembler()
    made.reserve(100 * KIB).release()
    made.commit(1, last=False)
    view = made.reserve(100 * KIB - 1)
    assert len(view) == 64 * KIB
    view.release()
    assert len(made.buffer) == 64 * KIB + 1


def test_room_never_exceeds_what_is_to_come() -> None:
    made = assembler()
    with made.reserve(20 * KIB) as view:
        assert len(view) == 20 * KIB
    made.commit(20 * KIB, last=True)
    assert len(made.finish()) == 20 * KIB


def test_room_not_used_up_is_not_part_of_the_message() -> None:
    made = assembler()
    made.reserve(100 * KIB).release()
    made.commit(3, last=False)
    made.extend(b"abc", last=True)
    assert made.finish() == bytearray(b"\0\0\0abc")


def test_text_read_into_the_room_is_checked_as_it_comes() -> None:
    made = assembler(text=True)
    with made.reserve(100 * KIB) as view:
        view[:4] = b"ab\xc3\x28"
    made.commit(3, last=False)
    with pytest.raises(UnicodeDecodeError):
        made.commit(1, last=False)

"""Large payloads: the size limit, memory, and reading into place."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from wire import KEY, bytewise, deliver, deliver_in_place, frame, wire

from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.codec.masking import PURE, Masking, native
from flask_threaded_sockets.events import Close, Message
from flask_threaded_sockets.exceptions import LocalProtocolError

KIB = 1024
MIB = 1024 * 1024


def server(limit: int | None = None, *, deflate: bool = False) -> BuiltinProtocol:
    return BuiltinProtocol(Role.SERVER, DeflateParameters() if deflate else None, limit)


@pytest.mark.parametrize(
    ("limit", "data", "size"),
    [
        (5, frame(0x82, b"123456"), 6),
        (124, frame(0x81, b"x" * 125), 125),
        (200, frame(0x82, b"x" * 201), 201),
        (5, frame(0x02, b"123") + frame(0x80, b"456"), 6),
        (5, frame(0x02, b"123") + frame(0x00, b"45") + frame(0x80, b"6"), 6),
    ],
    ids=["short frame", "longest short frame", "medium frame", "two fragments", "three fragments"],
)
def test_a_message_over_the_limit_is_refused_with_1009(limit: int, data: bytes, size: int) -> None:
    reason = f"message with {size} bytes exceeds limit of {limit} bytes"
    for chunks in ([data], bytewise(data)):
        assert deliver(server(limit), chunks) == [Close(1009, reason, clean=False)]
    events = deliver(server(limit + 1), [data])
    assert [type(event) for event in events] == [Message]


def test_the_limit_is_for_each_message_anew() -> None:
    data = (frame(0x02, b"123") + frame(0x80, b"45") + frame(0x82, b"12345")) * 3
    assert deliver(server(5), [data]) == [Message(bytearray(b"12345"))] * 6


def test_a_message_over_the_limit_is_refused_when_it_is_announced() -> None:
    protocol = server(1000)
    header = frame(0x82, bytes(1001))[:8]
    assert deliver(protocol, [header[:-1]]) == []
    (close,) = deliver(protocol, [header[-1:]])
    assert isinstance(close, Close)
    assert close.code == 1009


@pytest.mark.parametrize("first", [0x82, 0xC2], ids=["plain", "compressed"])
def test_a_lying_length_is_refused_without_allocating(first: int) -> None:
    protocol = server(16 * MIB, deflate=True)
    header = bytes([first]) + wire("ff 4000000000000000") + KEY
    # What only the first time takes is not meant.
    deliver(server(16 * MIB, deflate=True), [header])
    tracemalloc.start()
    try:
        (close,) = deliver(protocol, [header])
        assert tracemalloc.get_traced_memory()[1] < 10 * KIB
    finally:
        tracemalloc.stop()
    assert isinstance(close, Close)
    assert close.code == 1009


@pytest.mark.parametrize("limit", [None, 2**62])
def test_a_length_that_is_allowed_allocates_no_more_than_comes(limit: int | None) -> None:
    protocol = server(limit)
    tracemalloc.start()
    try:
        assert deliver(protocol, [wire("82 ff 4000000000000000") + KEY, b"x" * 100]) == []
        assert tracemalloc.get_traced_memory()[1] < 10 * KIB
        view = protocol.get_buffer()
        assert view is not None
        assert tracemalloc.get_traced_memory()[1] < 150 * KIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("first", [0xC2, 0xC1], ids=["binary", "text"])
def test_a_bomb_costs_no_more_than_the_limit_and_a_constant(first: int) -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(compressor.compress(bytes(MIB)) for _ in range(64)) + compressor.flush()
    data = frame(first, bomb)
    limit = 256 * KIB
    protocol = server(limit, deflate=True)
    tracemalloc.start()
    try:
        assert len(data) < limit
        events = deliver(protocol, [data])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert events == [Close(1009, f"message exceeds limit of {limit} bytes", clean=False)]
    assert peak < limit + 512 * KIB


def big(first: int, payload: bytes) -> bytes:
    # The C routine masks much faster than the helper; the helper's own test is elsewhere.
    masked = bytes((native() or PURE).apply(payload, KEY))
    return bytes([first]) + wire("ff") + len(payload).to_bytes(8, "big") + KEY + masked


@pytest.mark.parametrize("masking", [PURE, native()], ids=["pure", "native"])
@pytest.mark.parametrize("read", [1, 4097, 70_001, 10**9], ids=lambda size: f"reads of {size}")
@pytest.mark.parametrize("kind", ["binary", "text"])
def test_a_large_payload_can_be_read_into_place(masking: Masking, read: int, kind: str) -> None:
    text = "aé€😀" * (30_000 if read > 1 else 7_000)
    payload = text.encode()
    data = big(0x81 if kind == "text" else 0x82, payload) + frame(0x81, b"next")
    protocol = BuiltinProtocol(Role.SERVER, None, MIB, masking=masking)
    protocol.receive_data(data[:14])
    rest = data[14:]
    offered = 0
    while rest:
        view = protocol.get_buffer()
        if view is None:
            protocol.receive_data(rest)
            break
        count = min(read, len(view), len(rest))
        view[:count] = rest[:count]
        del view
        protocol.buffer_updated(count)
        offered += count
        rest = rest[count:]
    assert offered > len(payload) - 16 * KIB
    expected = Message(text if kind == "text" else bytearray(payload))
    assert protocol.events() == [expected, Message("next")]


def test_a_client_reads_a_large_payload_into_place() -> None:
    payload = bytes(range(256)) * 400
    protocol = BuiltinProtocol(Role.CLIENT)
    data = frame(0x82, payload, key=None)
    assert deliver_in_place(protocol, [data]) == [Message(bytearray(payload))]


def test_text_read_into_place_fails_at_its_first_bad_byte() -> None:
    protocol = server()
    protocol.receive_data(big(0x81, b"a" * MIB)[:14])
    view = protocol.get_buffer()
    assert view is not None
    # 0xff, masked with the first byte of the key.
    view[0] = 0xFF ^ KEY[0]
    protocol.buffer_updated(1)
    assert protocol.events() == [Close(1007, "text is not valid UTF-8", clean=False)]
    assert protocol.get_buffer() is None
    assert protocol.data_to_send() != []


def test_a_buffer_is_offered_again_until_it_is_used() -> None:
    protocol = server()
    data = big(0x82, bytes(range(256)) * 400)
    protocol.receive_data(data[:14])
    first = protocol.get_buffer()
    assert first is not None
    assert protocol.get_buffer() is first
    # Data that comes another way takes it back.
    protocol.receive_data(data[14:1014])
    with pytest.raises(ValueError, match="released"):
        first[0] = 1
    assert deliver_in_place(protocol, [data[1014:]]) == [
        Message(bytearray(bytes(range(256)) * 400))
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        frame(0x82, b"x" * 1000)[:20],
        frame(0x82, b"x" * 16384)[:9],
        frame(0xC2, b"x" * 60_000)[:9],
        frame(0x89, b"x" * 100)[:9],
        frame(0x82, b"x" * 60_000)[:7],
    ],
    ids=["nothing", "small frame", "little left", "compressed", "ping", "half a header"],
)
def test_no_buffer_is_offered(data: bytes) -> None:
    protocol = server(deflate=True)
    protocol.receive_data(data)
    assert protocol.events() == []
    assert protocol.get_buffer() is None


def test_a_buffer_offered_before_the_end_may_still_be_filled() -> None:
    protocol = server()
    protocol.receive_data(big(0x82, bytes(100_000))[:14])
    view = protocol.get_buffer()
    assert view is not None
    protocol.receive_eof()
    view[:3] = b"abc"
    protocol.buffer_updated(3)
    assert protocol.events() == [Close(1006, clean=False)]
    assert protocol.get_buffer() is None


@pytest.mark.parametrize("count", [0, -1, 65537])
def test_more_than_was_offered_is_refused(count: int) -> None:
    protocol = server()
    with pytest.raises(LocalProtocolError, match="was offered"):
        protocol.buffer_updated(1)
    protocol.receive_data(big(0x82, bytes(100_000))[:14])
    assert protocol.get_buffer() is not None
    with pytest.raises(LocalProtocolError, match="was offered"):
        protocol.buffer_updated(count)


def test_a_message_that_never_ends_costs_no_more_than_its_bytes() -> None:
    protocol = server(MIB)
    tracemalloc.start()
    try:
        protocol.receive_data(frame(0x01))
        chunk = frame(0x00, b"\xc3\xa9") * 100 + frame(0x00) * 100
        for _ in range(100):
            protocol.receive_data(chunk)
        assert tracemalloc.get_traced_memory()[0] < 40 * KIB
    finally:
        tracemalloc.stop()
    assert deliver(protocol, [frame(0x80)]) == [Message("é" * 10_000)]

"""What is received: tables of wire and events, each delivered in every way."""

from __future__ import annotations

import zlib

import pytest
from wire import KEY, bytewise, deliver, frame, splits, wire

from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.events import Close, Event, Message, Ping, Pong


def server(*, deflate: bool = False) -> BuiltinProtocol:
    return BuiltinProtocol(Role.SERVER, DeflateParameters() if deflate else None)


def client(*, deflate: bool = False) -> BuiltinProtocol:
    return BuiltinProtocol(Role.CLIENT, DeflateParameters() if deflate else None)


HELLO = Message("Hello")

# What a server sends; a client receives it.
UNMASKED = [
    # id, wire, events, rfc
    ("text", wire("81 05", "48 65 6c 6c 6f"), [HELLO], "6455-5.7"),
    ("fragmented text", wire("01 03 48656c", "80 02 6c6f"), [HELLO], "6455-5.7"),
    ("ping", wire("89 05", "48 65 6c 6c 6f"), [Ping(b"Hello")], "6455-5.7"),
    ("256 bytes", wire("82 7e 0100", "00" * 256), [Message(bytearray(256))], "6455-5.7"),
    ("compressed", wire("c1 07", "f2 48 cd c9 c9 07 00"), [HELLO], "7692-7.2.3.1"),
    ("compressed fragments", wire("41 03 f248cd", "80 04 c9c90700"), [HELLO], "7692-7.2.3.1"),
    (
        "shared window",
        wire("c1 07 f248cdc9c90700", "c1 05 f200110000"),
        [HELLO, HELLO],
        "7692-7.2.3.2",
    ),
    ("no compression", wire("c1 0b", "000500faff48656c6c6f00"), [HELLO], "7692-7.2.3.3"),
    ("bfinal", wire("c1 08", "f348cdc9c9070000"), [HELLO], "7692-7.2.3.4"),
    ("two blocks", wire("c1 0d", "f24805000000ffffcac9c90700"), [HELLO], "7692-7.2.3.5"),
    ("empty compressed", wire("c1 01 00"), [Message("")], "7692-7.2.3.6"),
    ("close", wire("88 02 03e8"), [Close(1000)], "6455-5.5.1"),
]

# What a client sends; the headers and payloads are masked below.
MASKED = [
    # id, wire, events, rfc
    ("text", wire("81 85", "37 fa 21 3d", "7f 9f 4d 51 58"), [HELLO], "6455-5.7"),
    ("pong", wire("8a 85", "37 fa 21 3d", "7f 9f 4d 51 58"), [Pong(b"Hello")], "6455-5.7"),
    ("empty text", frame(0x81), [Message("")], "6455-5.6"),
    ("empty binary", frame(0x82), [Message(bytearray())], "6455-5.6"),
    ("empty ping", frame(0x89), [Ping(b"")], "6455-5.5.2"),
    ("text in utf-8", frame(0x81, "é€😀".encode()), [Message("é€😀")], "6455-5.6"),
    ("125 bytes", frame(0x82, b"x" * 125), [Message(bytearray(b"x" * 125))], "6455-5.2"),
    ("126 bytes", frame(0x82, b"x" * 126), [Message(bytearray(b"x" * 126))], "6455-5.2"),
    ("125 byte ping", frame(0x89, b"x" * 125), [Ping(b"x" * 125)], "6455-5.5"),
    (
        "character across fragments",
        frame(0x01, b"\xe2") + frame(0x00, b"\x82") + frame(0x80, b"\xac!"),
        [Message("€!")],
        "6455-5.6",
    ),
    (
        "control frames within a message",
        frame(0x02, b"a") + frame(0x89, b"1") + frame(0x00) + frame(0x8A, b"2") + frame(0x80, b"b"),
        [Ping(b"1"), Pong(b"2"), Message(bytearray(b"ab"))],
        "6455-5.4",
    ),
    ("empty fragments", frame(0x01) + frame(0x00) + frame(0x80), [Message("")], "6455-5.4"),
    (
        "several messages",
        frame(0x81, b"1") + frame(0x82, b"2") + frame(0x01, b"3") + frame(0x80) + frame(0x81, b"4"),
        [Message("1"), Message(bytearray(b"2")), Message("3"), Message("4")],
        "6455-5.6",
    ),
    (
        "uncompressed between compressed",
        frame(0xC1, wire("f248cdc9c90700")) + frame(0x81, b"x") + frame(0xC1, wire("f200110000")),
        [HELLO, Message("x"), HELLO],
        "7692-6",
    ),
    (
        "compressed around a ping",
        frame(0x41, wire("f248cd")) + frame(0x89) + frame(0x80, wire("c9c90700")),
        [Ping(b""), HELLO],
        "7692-6.1",
    ),
    (
        "nothing after a close",
        frame(0x81, b"1") + frame(0x88, wire("03e9 627965")) + frame(0x81, b"2") + b"\xff\xff",
        [Message("1"), Close(1001, "bye")],
        "6455-1.4",
    ),
    ("empty close", frame(0x88), [Close(1005)], "6455-7.1.5"),
    (
        "close within a message",
        frame(0x01, b"1") + frame(0x88, wire("03e8")),
        [Close(1000)],
        "6455-5.4",
    ),
]

VALID = [(row, client) for row in UNMASKED] + [(row, server) for row in MASKED]
valid = pytest.mark.parametrize(
    ("make", "data", "events"),
    [(make, row[1], row[2]) for row, make in VALID],
    ids=[f"{make.__name__}: {row[0]}" for row, make in VALID],
)


@valid
def test_frames_become_events(make: type, data: bytes, events: list[Event]) -> None:
    received = deliver(make(deflate=True), [data])
    assert received == events
    for event, expected in zip(received, events, strict=True):
        if isinstance(event, Message) and isinstance(expected, Message):
            assert type(event.data) is type(expected.data)


@valid
def test_frames_become_the_same_events_byte_by_byte(
    make: type, data: bytes, events: list[Event]
) -> None:
    assert deliver(make(deflate=True), bytewise(data)) == events


@valid
def test_frames_become_the_same_events_however_cut_in_two(
    make: type, data: bytes, events: list[Event]
) -> None:
    for chunks in splits(data):
        assert deliver(make(deflate=True), chunks) == events


@valid
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_data_may_be_any_buffer(make: type, data: bytes, events: list[Event], kind: type) -> None:
    assert deliver(make(deflate=True), [kind(data)]) == events


VIOLATIONS = [
    # id, wire, code, what is said, rfc
    ("unmasked frame", wire("81 05 48656c6c6f"), 1002, "not masked", "6455-5.1"),
    ("unmasked close", wire("88 00"), 1002, "not masked", "6455-5.1"),
    ("rsv2", frame(0xA1), 1002, "reserved bits", "6455-5.2"),
    ("rsv3", frame(0x91), 1002, "reserved bits", "6455-5.2"),
    ("rsv1 without compression", frame(0xC1, b"x"), 1002, "reserved bits", "6455-5.2"),
    ("rsv1 on a ping", frame(0xC9), 1002, "reserved bit", "6455-5.2"),
    ("reserved data opcode", frame(0x83), 1002, "opcode 0x3", "6455-5.2"),
    ("reserved control opcode", frame(0x8B), 1002, "opcode 0xb", "6455-5.2"),
    ("fragmented ping", frame(0x09), 1002, "fragmented", "6455-5.5"),
    ("126 byte ping", frame(0x89, b"x" * 126), 1002, "longer than 125", "6455-5.5"),
    ("length of 2^63", wire("82 ff 8000000000000000") + KEY, 1002, "significant bit", "6455-5.2"),
    ("length not minimal", wire("82 fe 007d") + KEY, 1002, "minimally", "6455-5.2"),
    ("125 in 16 bits", wire("82 fe 007d") + KEY + bytes(125), 1002, "minimally", "6455-5.2"),
    ("0 in 16 bits", wire("81 fe 0000") + KEY, 1002, "minimally", "6455-5.2"),
    ("lone continuation", frame(0x80, b"x"), 1002, "without a message", "6455-5.4"),
    ("lone fragment", frame(0x00, b"x"), 1002, "without a message", "6455-5.4"),
    # The message before it is a whole one.
    ("continuation after a message", frame(0x80), 1002, "without a message", "6455-5.4"),
    ("text within a message", frame(0x01) + frame(0x81), 1002, "within a fragmented", "6455-5.4"),
    ("binary within a message", frame(0x01) + frame(0x82), 1002, "within a fragmented", "6455-5.4"),
    ("close of one byte", frame(0x88, b"\x03"), 1002, "1 byte", "6455-5.5.1"),
    ("close with 999", frame(0x88, wire("03e7")), 1002, "code 999", "6455-7.4.2"),
    ("close with 1005", frame(0x88, wire("03ed")), 1002, "code 1005", "6455-7.4.1"),
    ("close with 1006", frame(0x88, wire("03ee")), 1002, "code 1006", "6455-7.4.1"),
    ("close with 5000", frame(0x88, wire("1388")), 1002, "code 5000", "6455-7.4.2"),
    ("close reason", frame(0x88, wire("03e8 ff")), 1007, "reason is not valid", "6455-8.1"),
    ("text", frame(0x81, b"\xff\xfe"), 1007, "text is not valid UTF-8", "6455-8.1"),
    ("surrogate", frame(0x81, b"\xed\xa0\x80"), 1007, "not valid UTF-8", "6455-8.1"),
    ("overlong", frame(0x81, b"\xc0\x80"), 1007, "not valid UTF-8", "6455-8.1"),
    ("half a character", frame(0x81, b"a\xc3"), 1007, "not valid UTF-8", "6455-8.1"),
    (
        "half a character in fragments",
        frame(0x01, b"a\xc3") + frame(0x80),
        1007,
        "not valid UTF-8",
        "6455-8.1",
    ),
    ("long text", frame(0x81, b"a" * 500 + b"\xff"), 1007, "not valid UTF-8", "6455-8.1"),
]

DEFLATE_VIOLATIONS = [
    ("rsv1 on a continuation", frame(0x41) + frame(0xC0), 1002, "on a continuation", "7692-6.1"),
    ("rsv1 on a late one", frame(0x01) + frame(0xC0), 1002, "on a continuation", "7692-6.1"),
    ("rsv1 on a close", frame(0xC8), 1002, "reserved bit", "7692-6"),
    ("rsv2 with rsv1", frame(0xE1), 1002, "reserved bits", "7692-6"),
    ("garbage", frame(0xC1, b"\xff"), 1007, "not valid deflate", "7692-7.2.2"),
    (
        "compressed bad text",
        frame(0xC1, wire("0002 00fd ff ff fe 00")),
        1007,
        "text is not valid UTF-8",
        "6455-8.1",
    ),
]

ALL_VIOLATIONS = [(*row, False) for row in VIOLATIONS] + [
    (*row, True) for row in DEFLATE_VIOLATIONS
]


@pytest.mark.parametrize(
    ("name", "data", "code", "message", "rfc", "deflate"),
    ALL_VIOLATIONS,
    ids=[row[0] for row in ALL_VIOLATIONS],
)
def test_a_violation_fails_the_connection_after_what_came_before(
    name: str, data: bytes, code: int, message: str, rfc: str, deflate: bool
) -> None:
    data = frame(0x81, b"before") + data + frame(0x81, b"behind")
    for chunks in ([data], bytewise(data), *splits(data)):
        protocol = server(deflate=deflate)
        *before, close = deliver(protocol, chunks)
        assert before == [Message("before")]
        assert isinstance(close, Close)
        assert (close.code, close.clean) == (code, False)
        assert message in close.reason
        output = b"".join(protocol.data_to_send())
        payload = code.to_bytes(2, "big") + close.reason.encode()
        assert output == bytes([0x88, len(payload)]) + payload


def test_messages_of_medium_length_may_be_more_than_64_kib_at_once() -> None:
    events = deliver(server(), [frame(0x82, bytes(300)) * 250])
    assert events == [Message(bytearray(300))] * 250


def test_a_client_fails_the_connection_on_a_masked_frame() -> None:
    events = deliver(client(), [frame(0x81, b"Hello")])
    assert events == [Close(1002, "frame is masked", clean=False)]


BAD_TEXT = [
    # id, payload in hexadecimal, bytes up to the first that cannot be UTF-8
    ("autobahn 6.4", "cebae1bdb9cf83cebcceb5 f4908080 656469746564", 13),
    ("impossible byte", "6162 ff 63", 3),
    ("impossible start", "61 f5 80", 2),
    ("surrogate", "61 ed a0 80 61", 3),
    ("overlong", "61 e0 80 80 61", 3),
    ("overlong of two", "c0 80", 1),
    ("overlong of four", "f0 8f bf bf", 2),
    ("lone continuation", "61 80 61", 2),
    ("missing continuation", "e2 82 28 61", 3),
]


@pytest.mark.parametrize(("name", "text", "bad"), BAD_TEXT, ids=[row[0] for row in BAD_TEXT])
@pytest.mark.parametrize("form", ["one frame", "fragments", "long frame"])
def test_text_fails_at_its_first_bad_byte(name: str, text: str, bad: int, form: str) -> None:
    payload = wire(text)
    if form == "fragments":
        first, rest = payload[: bad - 1], payload[bad - 1 :]
        data = frame(0x01, first) + frame(0x80, rest)
        until = 6 + len(first) + 6 + 1
    elif form == "one frame":
        data = frame(0x81, payload)
        until = 6 + bad
    else:
        data = frame(0x81, b"a" * 300 + payload)
        until = 8 + 300 + bad
    protocol = server()
    for index, byte in enumerate(bytewise(data[:until]), 1):
        protocol.receive_data(byte)
        events = protocol.events()
        if index < until:
            assert events == []
    assert events == [Close(1007, "text is not valid UTF-8", clean=False)]


def test_compressed_text_fails_before_its_frame_ends() -> None:
    compressor = zlib.compressobj(wbits=-15)
    bad = compressor.compress(b"abc\xff") + compressor.flush(zlib.Z_SYNC_FLUSH)
    rest = compressor.compress(b"a" * 1000) + compressor.flush(zlib.Z_SYNC_FLUSH)
    data = frame(0xC1, bad + rest)
    protocol = server(deflate=True)
    assert deliver(protocol, [data[: 6 + len(bad)]]) == [
        Close(1007, "text is not valid UTF-8", clean=False)
    ]

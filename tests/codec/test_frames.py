"""Headers and Close bodies, by tables."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import wire

from flask_threaded_sockets.codec.frames import (
    MASKED,
    FrameHeader,
    close_payload,
    encode_header,
    parse_close,
    parse_header,
)
from flask_threaded_sockets.events import Close
from flask_threaded_sockets.exceptions import RemoteProtocolError

KEY = wire("37 fa 21 3d")

HEADERS = [
    # id, wire, header, rfc
    ("text", "81 05", FrameHeader(1, True, False, 5, b"", 2), "6455-5.7"),
    ("masked text", "81 85 37fa213d", FrameHeader(1, True, False, 5, KEY, 6), "6455-5.7"),
    ("first fragment", "01 03", FrameHeader(1, False, False, 3, b"", 2), "6455-5.7"),
    ("last fragment", "80 02", FrameHeader(0, True, False, 2, b"", 2), "6455-5.7"),
    ("ping", "89 05", FrameHeader(9, True, False, 5, b"", 2), "6455-5.7"),
    ("masked pong", "8a 85 37fa213d", FrameHeader(10, True, False, 5, KEY, 6), "6455-5.7"),
    ("256 bytes", "82 7e 0100", FrameHeader(2, True, False, 256, b"", 4), "6455-5.7"),
    ("64 KiB", "82 7f 0000000000010000", FrameHeader(2, True, False, 65536, b"", 10), "6455-5.7"),
    ("125 bytes", "82 7d", FrameHeader(2, True, False, 125, b"", 2), "6455-5.2"),
    ("126 bytes", "82 7e 007e", FrameHeader(2, True, False, 126, b"", 4), "6455-5.2"),
    ("65535 bytes", "82 7e ffff", FrameHeader(2, True, False, 65535, b"", 4), "6455-5.2"),
    (
        "longest",
        "82 ff 7fffffffffffffff 37fa213d",
        FrameHeader(2, True, False, 2**63 - 1, KEY, 14),
        "6455-5.2",
    ),
    ("compressed", "c1 07", FrameHeader(1, True, True, 7, b"", 2), "7692-7.2.3.1"),
    ("empty close", "88 80 37fa213d", FrameHeader(8, True, False, 0, KEY, 6), "6455-5.5.1"),
]

INVALID = [
    # id, wire, what is said, rfc
    ("rsv2", "a1 00", "reserved bits", "6455-5.2"),
    ("rsv3", "91 00", "reserved bits", "6455-5.2"),
    *(
        (f"opcode {code:x}", f"8{code:x} 00", f"opcode 0x{code:x}", "6455-5.2")
        for code in range(3, 8)
    ),
    *(
        (f"opcode {code:x}", f"8{code:x} 00", f"opcode 0x{code:x}", "6455-5.2")
        for code in range(11, 16)
    ),
    ("fragmented close", "08 00", "fragmented", "6455-5.5"),
    ("fragmented ping", "09 00", "fragmented", "6455-5.5"),
    ("fragmented pong", "0a 00", "fragmented", "6455-5.5"),
    ("126 byte close", "88 7e", "longer than 125 bytes", "6455-5.5"),
    ("126 byte ping", "89 7e", "longer than 125 bytes", "6455-5.5"),
    ("64 bit pong", "8a 7f", "longer than 125 bytes", "6455-5.5"),
    ("compressed ping", "c9 00", "reserved bit", "7692-6"),
    ("compressed close", "c8 00", "reserved bit", "7692-6"),
    ("125 bytes in 16 bits", "81 7e 007d", "not minimally encoded", "6455-5.2"),
    ("0 bytes in 16 bits", "81 7e 0000", "not minimally encoded", "6455-5.2"),
    ("65535 bytes in 64 bits", "81 7f 000000000000ffff", "not minimally encoded", "6455-5.2"),
    ("0 bytes in 64 bits", "81 7f 0000000000000000", "not minimally encoded", "6455-5.2"),
    ("length of 2^63", "81 7f 8000000000000000", "most significant bit", "6455-5.2"),
    ("length of 2^64-1", "81 7f ffffffffffffffff", "most significant bit", "6455-5.2"),
]


@pytest.mark.parametrize(
    ("name", "data", "header", "rfc"), HEADERS, ids=[row[0] for row in HEADERS]
)
def test_a_header_is_parsed(name: str, data: str, header: FrameHeader, rfc: str) -> None:
    encoded = wire(data)
    before = b"\x81\x00"
    masked = bool(header.key)
    parsed = parse_header(encoded, 0, len(encoded), masked=masked)
    assert parsed == header
    shifted = parse_header(before + encoded + b"payload", 2, len(encoded) + 9, masked=masked)
    assert shifted == header._replace(start=header.start + 2)


@pytest.mark.parametrize(
    ("name", "data", "header", "rfc"), HEADERS, ids=[row[0] for row in HEADERS]
)
def test_a_header_is_encoded(name: str, data: str, header: FrameHeader, rfc: str) -> None:
    encoded = wire(data)
    mask = MASKED if header.key else 0
    assert encode_header(encoded[0], header.length, mask) + header.key == encoded


@pytest.mark.parametrize(
    ("name", "data", "header", "rfc"), HEADERS, ids=[row[0] for row in HEADERS]
)
def test_an_incomplete_header_is_waited_for(
    name: str, data: str, header: FrameHeader, rfc: str
) -> None:
    encoded = wire(data)
    for end in range(len(encoded)):
        assert parse_header(encoded, 0, end, masked=bool(header.key)) is None


@pytest.mark.parametrize(
    ("name", "data", "message", "rfc"), INVALID, ids=[row[0] for row in INVALID]
)
@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
def test_an_invalid_header_is_refused_with_1002(
    name: str, data: str, message: str, rfc: str, masked: bool
) -> None:
    encoded = bytearray(wire(data))
    if masked:
        encoded[1] |= 0x80
        encoded += KEY
    with pytest.raises(RemoteProtocolError, match=message) as caught:
        parse_header(bytes(encoded), 0, len(encoded), masked=masked)
    assert caught.value.code == 1002


@pytest.mark.parametrize(
    ("data", "masked", "message"),
    [("81 00", True, "not masked"), ("81 80 37fa213d", False, "is masked")],
)
def test_masking_the_wrong_way_is_refused_with_1002(data: str, masked: bool, message: str) -> None:
    with pytest.raises(RemoteProtocolError, match=message) as caught:
        parse_header(wire(data), 0, len(wire(data)), masked=masked)
    assert caught.value.code == 1002


@settings(deadline=None)
@given(
    length=st.one_of(st.integers(0, 70000), st.integers(0, 2**63 - 1)),
    opcode=st.sampled_from([0, 1, 2]),
    fin=st.booleans(),
    key=st.one_of(st.just(b""), st.binary(min_size=4, max_size=4)),
)
def test_an_encoded_header_is_parsed_back(length: int, opcode: int, fin: bool, key: bytes) -> None:
    encoded = encode_header(opcode | (0x80 if fin else 0), length, 0x80 if key else 0) + key
    header = parse_header(encoded, 0, len(encoded), masked=bool(key))
    assert header == FrameHeader(opcode, fin, False, length, key, len(encoded))


CLOSES = [
    # id, payload, event, rfc
    ("empty", "", Close(1005), "6455-7.1.5"),
    ("code", "03e8", Close(1000), "6455-5.5.1"),
    ("code and reason", "03e9 62 79 65", Close(1001, "bye"), "6455-5.5.1"),
    ("reason in utf-8", "0fa0 c3 a9", Close(4000, "é"), "6455-5.5.1"),
]


@pytest.mark.parametrize(
    ("name", "payload", "event", "rfc"), CLOSES, ids=[row[0] for row in CLOSES]
)
def test_the_body_of_a_close_is_parsed_and_encoded(
    name: str, payload: str, event: Close, rfc: str
) -> None:
    assert parse_close(wire(payload)) == event
    code = None if event.code == 1005 else event.code
    assert close_payload(code, event.reason) == wire(payload)


VALID_CODES = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


def refusal(payload: bytes) -> int | None:
    try:
        parse_close(payload)
    except RemoteProtocolError as error:
        return error.code
    return None


def test_exactly_the_close_codes_of_the_registry_are_accepted() -> None:
    refusals = {code: refusal(code.to_bytes(2, "big")) for code in range(65536)}
    assert {code for code, why in refusals.items() if why is None} == VALID_CODES
    assert set(refusals.values()) == {None, 1002}


@pytest.mark.parametrize(
    ("payload", "code"),
    [("03", 1002), ("03ed", 1002), ("03e8 ff", 1007), ("03e8 c3", 1007), ("03e8 ed a0 80", 1007)],
    ids=["one byte", "1005", "no utf-8", "half a character", "surrogate"],
)
def test_an_invalid_body_of_a_close_is_refused(payload: str, code: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_close(wire(payload))
    assert caught.value.code == code

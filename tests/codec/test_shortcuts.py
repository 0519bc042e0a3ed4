"""The shortcuts for short messages say just what the long way says, or leave it to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire import frame, wire

from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.events import Message

TEXT, BINARY, CONTINUATION = 1, 2, 0
DEFLATE = DeflateParameters(False, False, 15, 15)

payloads = st.one_of(st.binary(max_size=140), st.text(max_size=60).map(str.encode))
firsts = st.integers(0, 255) | st.sampled_from([0x81, 0x82])


def long_way(protocol, data):
    protocol.receive_data(data)
    return protocol.events(), b"".join(protocol.data_to_send())


@given(first=firsts, payload=payloads, cut=st.integers(0, 150), more=st.binary(max_size=3))
def test_taking_a_message_agrees_with_the_long_way(first, payload, cut, more):
    data = (frame(first, payload) if len(payload) < 126 else payload)[:cut] + more
    short, long = BuiltinProtocol(), BuiltinProtocol()
    message = short.take_message(data)
    events, output = long_way(long, data)
    if message is None:
        assert long_way(short, data) == (events, output)
    else:
        assert events == [Message(message)]
        assert type(events[0].data) is type(message)
        assert not output
    # Whatever came first, the next message is understood alike.
    assert long_way(short, frame(0x81, b"next")) == long_way(long, frame(0x81, b"next"))


@pytest.mark.parametrize(
    ("first", "payload", "message"),
    [
        (0x81, b"Hello", "Hello"),
        (0x82, b"Hello", bytearray(b"Hello")),
        (0x81, b"", ""),
        (0x82, bytes(125), bytearray(125)),
    ],
)
def test_short_messages_are_taken(first, payload, message):
    taken = BuiltinProtocol().take_message(frame(first, payload))
    assert taken == message
    assert type(taken) is type(message)


@pytest.mark.parametrize(
    "before",
    [
        frame(0x01, b"a fragment"),
        frame(0x81, b"a piece")[:9],
        frame(0x81, b"a header")[:1],
        frame(0x88, b"\x03\xe8"),
        frame(0x83, b""),
    ],
    ids=["in a message", "in a payload", "in a header", "after a Close", "after a failure"],
)
def test_nothing_is_taken_where_something_is_in_progress_or_over(before):
    protocol = BuiltinProtocol()
    protocol.receive_data(before)
    assert protocol.take_message(frame(0x81, b"Hello")) is None


@pytest.mark.parametrize("limit", [0, 4])
def test_limit_holds_for_what_is_taken(limit):
    protocol = BuiltinProtocol(max_message_size=limit)
    assert protocol.take_message(frame(0x81, bytes(limit))) == "\0" * limit
    assert protocol.take_message(frame(0x81, bytes(limit + 1))) is None


def test_client_takes_nothing_and_leaves_encoding_to_who_masks():
    client = BuiltinProtocol(Role.CLIENT)
    assert client.take_message(wire("81 05", "48 65 6c 6c 6f")) is None
    assert client.encode_message(TEXT, b"Hello", True) is None


@given(
    opcode=st.sampled_from([CONTINUATION, TEXT, BINARY]),
    payload=st.binary(max_size=140),
    compress=st.booleans(),
    deflate=st.sampled_from([None, DEFLATE]),
)
def test_encoding_a_message_agrees_with_the_long_way(opcode, payload, compress, deflate):
    protocol = BuiltinProtocol(deflate=deflate)
    encoded = protocol.encode_message(opcode, payload, compress)
    if encoded is None:
        assert opcode == CONTINUATION or len(payload) > 125 or (compress and deflate)
    else:
        protocol.send_message(opcode, payload, compress=compress)
        assert b"".join(protocol.data_to_send()) == encoded


def test_nothing_is_encoded_within_a_fragmented_message():
    protocol = BuiltinProtocol()
    protocol.send_message(TEXT, b"a", fin=False)
    assert protocol.encode_message(TEXT, b"b", True) is None
    protocol.send_message(CONTINUATION, b"c")
    assert protocol.encode_message(TEXT, b"d", True) == wire("81 01", "64")


def test_nothing_is_encoded_after_a_close():
    sent, received = BuiltinProtocol(), BuiltinProtocol()
    sent.send_close(1000)
    received.receive_data(frame(0x88, b"\x03\xe8"))
    assert sent.encode_message(TEXT, b"x", True) is None
    assert received.encode_message(TEXT, b"x", True) is None

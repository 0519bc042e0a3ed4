"""Properties that hold for any input: splits, round trips and garbage."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import deliver, deliver_in_place, frame

from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.events import Close, Event, Message, Ping, Pong

texts = st.text(max_size=300).map(str.encode)
payloads = st.one_of(st.binary(max_size=300), texts, st.sampled_from([b"", b"x" * 126]))
small = st.binary(max_size=125)

# Frames as a peer might send them, most of them well-formed, by all the first bytes.
frames = st.one_of(
    st.builds(frame, st.sampled_from([0x01, 0x02, 0x00, 0x80]), payloads),
    st.builds(frame, st.just(0x81), texts),
    st.builds(frame, st.just(0x82), st.binary(max_size=300)),
    st.builds(frame, st.sampled_from([0x89, 0x8A]), small),
    st.builds(frame, st.integers(0, 255), st.binary(max_size=130)),
    st.just(frame(0x88, b"\x03\xe8bye")),
    st.just(frame(0x82, bytes(range(256)) * 400)),
)


def server(limit: int | None = None) -> BuiltinProtocol:
    return BuiltinProtocol(Role.SERVER, DeflateParameters(), limit)


@settings(deadline=None)
@given(
    data=st.lists(frames, max_size=8).map(b"".join),
    cuts=st.lists(st.integers(0, 2**32), max_size=8),
    limit=st.sampled_from([None, 200, 10**6]),
)
def test_any_split_gives_the_same_events_and_output(
    data: bytes, cuts: list[int], limit: int | None
) -> None:
    whole = server(limit)
    expected = deliver(whole, [data])
    output = b"".join(whole.data_to_send())
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    chunks = [data[start:stop] for start, stop in pairwise(edges)]
    for way in (deliver, deliver_in_place):
        split = server(limit)
        assert way(split, chunks) == expected
        assert b"".join(split.data_to_send()) == output
        assert split.state is whole.state


DOCUMENTED = {1002, 1005, 1007, 1009}


@settings(deadline=None)
@given(data=st.one_of(st.binary(max_size=400), st.lists(frames, max_size=6).map(b"".join)))
@pytest.mark.parametrize("role", Role)
def test_any_bytes_end_in_a_documented_way_and_never_raise(role: Role, data: bytes) -> None:
    protocol = BuiltinProtocol(role, DeflateParameters(), 1000)
    events = deliver(protocol, [data])
    closes = [event for event in events if isinstance(event, Close)]
    assert closes == [event for event in events[-1:] if isinstance(event, Close)]
    for close in closes:
        assert close.clean or close.code != 1006
        assert close.clean or close.code in DOCUMENTED
        frames_sent = protocol.data_to_send()
        assert bytes(frames_sent[-1])[0] == 0x88
        assert len(close.reason.encode()) <= 123
    protocol.receive_data(data)
    assert not closes or protocol.events() == []
    protocol.receive_eof()
    assert closes or isinstance(protocol.events()[-1], Close)


PARAMETERS = [None] + [
    DeflateParameters(server_alone, client_alone, server_bits, client_bits)
    for server_alone, client_alone in product([False, True], repeat=2)
    for server_bits, client_bits in [(15, 15), (9, 15), (15, 9), (12, 10)]
]

messages = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(texts, min_size=1, max_size=3),
        st.booleans(),
        st.sampled_from(["", "ping", "pong"]),
    ),
    max_size=5,
)


@pytest.mark.parametrize("deflate", PARAMETERS, ids=str)
@pytest.mark.parametrize("role", Role)
@settings(max_examples=15, deadline=None)
@given(messages=messages, pieces=st.integers(1, 100))
def test_what_is_sent_is_received(
    role: Role,
    deflate: DeflateParameters | None,
    messages: list[tuple[bool, list[bytes], bool, str]],
    pieces: int,
) -> None:
    other = Role.CLIENT if role is Role.SERVER else Role.SERVER
    sender, receiver = BuiltinProtocol(role, deflate), BuiltinProtocol(other, deflate)
    expected: list[Event] = []
    for is_text, fragments, compress, control in messages:
        for index, fragment in enumerate(fragments):
            opcode = 0 if index else 1 if is_text else 2
            last = index == len(fragments) - 1
            sender.send_message(opcode, fragment, fin=last, compress=compress)
            if control == "ping":
                sender.send_ping(b"between")
                expected.append(Ping(b"between"))
            elif control == "pong":
                sender.send_pong(b"between")
                expected.append(Pong(b"between"))
        whole = b"".join(fragments)
        position = len(expected) - 1 if control else len(expected)
        expected.insert(position, Message(whole.decode() if is_text else bytearray(whole)))
    sender.send_close(1000, "é" * 61)
    expected.append(Close(1000, "é" * 61))
    data = b"".join(sender.data_to_send())
    chunks = [data[at : at + pieces] for at in range(0, len(data), pieces)]
    assert deliver(receiver, chunks) == expected


@pytest.mark.parametrize("deflate", [None, DeflateParameters()], ids=["plain", "deflate"])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("size", [125, 126, 16_384, 16_385, 65_535, 65_536, 1_000_000])
def test_a_message_of_any_size_is_received(
    size: int, role: Role, deflate: DeflateParameters | None
) -> None:
    other = Role.CLIENT if role is Role.SERVER else Role.SERVER
    payload = (bytes(range(256)) * (size // 256 + 1))[:size]
    for way in (deliver, deliver_in_place):
        sender = BuiltinProtocol(role, deflate)
        receiver = BuiltinProtocol(other, deflate, size)
        sender.send_message(2, payload)
        chunks = [bytes(buffer) for buffer in sender.data_to_send()]
        assert way(receiver, chunks) == [Message(bytearray(payload))]

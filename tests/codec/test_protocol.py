"""States, answers and the closing handshake."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from wire import deliver, frame, wire

from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.codec.protocol import TRANSITIONS, Input, State
from flask_threaded_sockets.events import Close, Event, Message, Ping, Pong
from flask_threaded_sockets.exceptions import LocalProtocolError


def in_state(state: State) -> BuiltinProtocol:
    """Give a server's protocol in a state, with nothing left to hand over."""
    protocol = BuiltinProtocol(Role.SERVER, None, 1000)
    if state is State.CLOSING:
        protocol.send_close(1000)
    elif state is State.CLOSED:
        protocol.receive_data(frame(0x88, wire("03e8")))
    protocol.events()
    protocol.data_to_send()
    assert protocol.state is state
    return protocol


def output(protocol: BuiltinProtocol) -> bytes:
    return b"".join(protocol.data_to_send())


def receiving(data: bytes) -> Callable[[BuiltinProtocol], None]:
    return lambda protocol: protocol.receive_data(data)


Step = Callable[[BuiltinProtocol], None]

INPUTS: dict[str, Step] = {
    "send text": lambda protocol: protocol.send_message(1, b"Hello"),
    "send ping": lambda protocol: protocol.send_ping(b"Hello"),
    "send pong": lambda protocol: protocol.send_pong(b"Hello"),
    "send close": lambda protocol: protocol.send_close(1001, "bye"),
    "send empty close": lambda protocol: protocol.send_close(None),
    "receive text": receiving(frame(0x81, b"Hello")),
    "receive ping": receiving(frame(0x89, b"Hello")),
    "receive pong": receiving(frame(0x8A, b"Hello")),
    "receive close": receiving(frame(0x88, wire("03e9 627965"))),
    "receive empty close": receiving(frame(0x88)),
    "receive violation": receiving(frame(0x83)),
    "receive bad text": receiving(frame(0x81, b"\xff")),
    "receive too much": receiving(frame(0x82, bytes(1001))),
    "receive bad close": receiving(frame(0x88, wire("03ed"))),
    "receive half a frame": receiving(frame(0x81, b"Hello")[:8]),
    "receive nothing": receiving(b""),
    "end": lambda protocol: protocol.receive_eof(),
}

REFUSED = None
PROTOCOL_ERROR = "opcode 0x3 is reserved"
BAD_TEXT = "text is not valid UTF-8"
TOO_BIG = "message with 1001 bytes exceeds limit of 1000 bytes"
BAD_CLOSE = "close code 1005 must not be sent"
OPEN, CLOSING, CLOSED = State


def failing(code: int, reason: str) -> tuple[list[Event], bytes]:
    body = code.to_bytes(2, "big") + reason.encode()
    return [Close(code, reason, clean=False)], frame(0x88, body, key=None)


Outcome = tuple[list[Event], bytes, State] | None

TABLE: dict[tuple[State, str], Outcome] = {
    (OPEN, "send text"): ([], wire("81 05 48656c6c6f"), OPEN),
    (OPEN, "send ping"): ([], wire("89 05 48656c6c6f"), OPEN),
    (OPEN, "send pong"): ([], wire("8a 05 48656c6c6f"), OPEN),
    (OPEN, "send close"): ([], wire("88 05 03e9 627965"), CLOSING),
    (OPEN, "send empty close"): ([], wire("88 00"), CLOSING),
    (OPEN, "receive text"): ([Message("Hello")], b"", OPEN),
    (OPEN, "receive ping"): ([Ping(b"Hello")], wire("8a 05 48656c6c6f"), OPEN),
    (OPEN, "receive pong"): ([Pong(b"Hello")], b"", OPEN),
    (OPEN, "receive close"): ([Close(1001, "bye")], wire("88 02 03e9"), CLOSED),
    (OPEN, "receive empty close"): ([Close(1005)], wire("88 00"), CLOSED),
    (OPEN, "receive violation"): (*failing(1002, PROTOCOL_ERROR), CLOSED),
    (OPEN, "receive bad text"): (*failing(1007, BAD_TEXT), CLOSED),
    (OPEN, "receive too much"): (*failing(1009, TOO_BIG), CLOSED),
    (OPEN, "receive bad close"): (*failing(1002, BAD_CLOSE), CLOSED),
    (OPEN, "receive half a frame"): ([], b"", OPEN),
    (OPEN, "receive nothing"): ([], b"", OPEN),
    (OPEN, "end"): ([Close(1006, clean=False)], b"", CLOSED),
    # After our Close the peer is still listened to, and nothing more is sent.
    (CLOSING, "send text"): REFUSED,
    (CLOSING, "send ping"): REFUSED,
    (CLOSING, "send pong"): REFUSED,
    (CLOSING, "send close"): ([], b"", CLOSING),
    (CLOSING, "send empty close"): ([], b"", CLOSING),
    (CLOSING, "receive text"): ([Message("Hello")], b"", CLOSING),
    (CLOSING, "receive ping"): ([Ping(b"Hello")], b"", CLOSING),
    (CLOSING, "receive pong"): ([Pong(b"Hello")], b"", CLOSING),
    (CLOSING, "receive close"): ([Close(1001, "bye")], b"", CLOSED),
    (CLOSING, "receive empty close"): ([Close(1005)], b"", CLOSED),
    (CLOSING, "receive violation"): (failing(1002, PROTOCOL_ERROR)[0], b"", CLOSED),
    (CLOSING, "receive bad text"): (failing(1007, BAD_TEXT)[0], b"", CLOSED),
    (CLOSING, "receive too much"): (failing(1009, TOO_BIG)[0], b"", CLOSED),
    (CLOSING, "receive bad close"): (failing(1002, BAD_CLOSE)[0], b"", CLOSED),
    (CLOSING, "receive half a frame"): ([], b"", CLOSING),
    (CLOSING, "receive nothing"): ([], b"", CLOSING),
    (CLOSING, "end"): ([Close(1006, clean=False)], b"", CLOSED),
    # After the peer's Close, or a failure, nothing does anything.
    **{(CLOSED, name): ([], b"", CLOSED) for name in INPUTS},
    (CLOSED, "send text"): REFUSED,
    (CLOSED, "send ping"): REFUSED,
    (CLOSED, "send pong"): REFUSED,
}


def test_the_table_has_every_state_with_every_input() -> None:
    assert set(TABLE) == {(state, name) for state in State for name in INPUTS}


@pytest.mark.parametrize(
    ("state", "name"), TABLE, ids=[f"{state.value}: {name}" for state, name in TABLE]
)
def test_each_state_takes_each_input(state: State, name: str) -> None:
    protocol = in_state(state)
    outcome = TABLE[state, name]
    if outcome is None:
        with pytest.raises(LocalProtocolError, match=f"connection that is {state.value}"):
            INPUTS[name](protocol)
        assert (protocol.events(), output(protocol), protocol.state) == ([], b"", state)
    else:
        INPUTS[name](protocol)
        assert (protocol.events(), output(protocol), protocol.state) == outcome


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize(
    "ending", ["receive close", "receive violation", "receive too much", "end"]
)
def test_every_ending_is_the_last_event(ending: str, name: str) -> None:
    protocol = in_state(State.OPEN)
    INPUTS[ending](protocol)
    assert len(protocol.events()) == 1
    protocol.data_to_send()
    if TABLE[CLOSED, name] is None:
        with pytest.raises(LocalProtocolError):
            INPUTS[name](protocol)
    else:
        INPUTS[name](protocol)
    assert (protocol.events(), output(protocol)) == ([], b"")
    assert protocol.get_buffer() is None


def test_no_transition_leads_out_of_closed() -> None:
    assert set(TRANSITIONS) == set(State)
    assert set(TRANSITIONS[State.CLOSED].values()) == {State.CLOSED}
    assert Input.SEND_FRAME not in TRANSITIONS[State.CLOSING]


def test_events_and_output_are_handed_over_once() -> None:
    protocol = in_state(State.OPEN)
    protocol.receive_data(frame(0x89, b"1") + frame(0x81, b"2"))
    assert protocol.events() == [Ping(b"1"), Message("2")]
    assert protocol.data_to_send() == [wire("8a 01 31")]
    assert protocol.events() == []
    assert protocol.data_to_send() == []


def test_pings_are_answered_in_order_with_their_payloads() -> None:
    protocol = in_state(State.OPEN)
    payloads = [bytes([number]) * number for number in range(126)]
    protocol.receive_data(b"".join(frame(0x89, payload) for payload in payloads))
    assert protocol.events() == [Ping(payload) for payload in payloads]
    assert output(protocol) == b"".join(frame(0x8A, payload, key=None) for payload in payloads)


def test_a_pong_goes_between_the_fragments_being_sent() -> None:
    protocol = in_state(State.OPEN)
    protocol.send_message(1, b"Hel", fin=False)
    protocol.receive_data(frame(0x89))
    protocol.send_message(0, b"lo")
    assert output(protocol) == wire("01 03 48656c", "8a 00", "80 02 6c6f")


def test_what_came_before_a_violation_is_answered_before_it_fails() -> None:
    protocol = in_state(State.OPEN)
    protocol.receive_data(frame(0x89, b"1") + frame(0x81, b"2") + frame(0x83))
    assert protocol.events() == [
        Ping(b"1"),
        Message("2"),
        Close(1002, PROTOCOL_ERROR, clean=False),
    ]
    assert output(protocol) == wire("8a 01 31") + failing(1002, PROTOCOL_ERROR)[1]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1014, 3000, 4999])
def test_a_close_is_echoed_with_its_code(code: int) -> None:
    protocol = in_state(State.OPEN)
    body = code.to_bytes(2, "big")
    protocol.receive_data(frame(0x88, body + b"why"))
    assert protocol.events() == [Close(code, "why")]
    assert output(protocol) == frame(0x88, body, key=None)


def test_a_close_may_be_sent_within_a_message() -> None:
    protocol = in_state(State.OPEN)
    protocol.send_message(1, b"Hel", fin=False)
    protocol.send_close(1000, "é")
    assert output(protocol) == wire("01 03 48656c", "88 04 03e8 c3a9")
    with pytest.raises(LocalProtocolError):
        protocol.send_message(0, b"lo")


def test_messages_before_a_close_are_given_first() -> None:
    protocol = in_state(State.OPEN)
    data = b"".join(frame(0x81, text) for text in (b"1", b"2", b"3"))
    protocol.receive_data(data + frame(0x88, wire("03e8")))
    protocol.receive_eof()
    assert protocol.events() == [Message("1"), Message("2"), Message("3"), Close(1000)]


def test_a_stream_that_ends_within_a_frame_ends_with_1006() -> None:
    protocol = in_state(State.OPEN)
    protocol.receive_data(frame(0x81, b"1") + frame(0x81, b"Hello")[:8])
    protocol.receive_eof()
    assert protocol.events() == [Message("1"), Close(1006, clean=False)]


def test_a_client_speaks_masked() -> None:
    server, client = BuiltinProtocol(Role.SERVER), BuiltinProtocol(Role.CLIENT)
    client.send_message(1, b"Hello")
    client.send_ping(b"Hello")
    client.send_close(1000)
    data = output(client)
    assert [data[1], data[12], data[23]] == [0x85, 0x85, 0x82]
    assert deliver(server, [data]) == [Message("Hello"), Ping(b"Hello"), Close(1000)]
    assert deliver(client, [output(server)]) == [Pong(b"Hello"), Close(1000)]


def test_a_window_of_8_bits_for_our_own_end_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="window of 8 bits"):
        BuiltinProtocol(Role.SERVER, DeflateParameters(server_max_window_bits=8))


def test_the_state_of_zlib_is_freed_at_the_close() -> None:
    tracemalloc.start()
    try:
        protocol = BuiltinProtocol(Role.SERVER, DeflateParameters())
        protocol.receive_data(frame(0xC1, wire("f248cdc9c90700")))
        protocol.send_message(1, b"Hello")
        open_size = tracemalloc.get_traced_memory()[0]
        protocol.receive_data(frame(0x88))
        closed_size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert open_size > 150_000
    assert closed_size < 50_000  # what measures coverage allocates too
    assert protocol.state is State.CLOSED

"""Our bytes read by wsproto and websockets, and theirs by us (test-only dependencies)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.protocol import Protocol as TheirProtocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wire import deliver
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.extensions import Extension
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.events import Close, Event, Message, Ping, Pong

PARAMETERS = [
    None,
    DeflateParameters(),
    DeflateParameters(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=9,
        client_max_window_bits=10,
    ),
]

either_way = [
    pytest.mark.parametrize("deflate", PARAMETERS, ids=["plain", "deflate", "small deflate"]),
    pytest.mark.parametrize("role", Role, ids=["we serve", "we call"]),
]

# Whole messages: text or binary, in one frame or two.
messages = st.lists(
    st.tuples(
        st.one_of(st.text(max_size=200), st.binary(max_size=200)),
        st.booleans(),
    ),
    max_size=4,
)


def parametrized(test: Any) -> Any:
    for mark in either_way:
        test = mark(test)
    return test


@pytest.mark.parametrize("deflate", PARAMETERS, ids=["plain", "deflate", "small deflate"])
@pytest.mark.parametrize("role", Role, ids=["we serve", "we call"])
def test_large_messages_go_both_ways(role: Role, deflate: DeflateParameters | None) -> None:
    ours, theirs = BuiltinProtocol(role, deflate), websockets_peer(role, deflate)
    text = "aé€😀" * 30_000
    theirs.send_text(text.encode())
    assert deliver(ours, theirs.data_to_send()) == [Message(text)]
    ours.send_message(1, text.encode())
    for data in ours.data_to_send():
        theirs.receive_data(bytes(data))
    (frame,) = theirs.events_received()
    assert isinstance(frame, Frame)
    assert bytes(frame.data).decode() == text


def websockets_peer(role: Role, deflate: DeflateParameters | None) -> TheirProtocol:
    """Give the other end, open, as websockets has it."""
    peer: TheirProtocol
    if role is Role.SERVER:
        peer = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=None)
    else:
        peer = ServerProtocol(state=OPEN, max_size=None)
    if deflate:
        server = (deflate.server_no_context_takeover, deflate.server_max_window_bits)
        client = (deflate.client_no_context_takeover, deflate.client_max_window_bits)
        (remote, local) = (server, client) if role is Role.SERVER else (client, server)
        peer.extensions = [PerMessageDeflate(remote[0], local[0], remote[1], local[1])]
    return peer


def wsproto_peer(role: Role, deflate: DeflateParameters | None) -> Connection:
    """Give the other end, open, as wsproto has it."""
    kind = ConnectionType.CLIENT if role is Role.SERVER else ConnectionType.SERVER
    extensions: list[Extension] = []
    if deflate:
        extension = WsprotoDeflate(
            client_no_context_takeover=deflate.client_no_context_takeover,
            client_max_window_bits=deflate.client_max_window_bits,
            server_no_context_takeover=deflate.server_no_context_takeover,
            server_max_window_bits=deflate.server_max_window_bits,
        )
        extension._enabled = True
        extensions.append(extension)
    return Connection(kind, extensions)


def send_all(
    protocol: BuiltinProtocol, sent: list[tuple[str | bytes, bool]], *, ping: bool = True
) -> bytes:
    for data, in_two in sent:
        payload = data.encode() if isinstance(data, str) else data
        opcode = 1 if isinstance(data, str) else 2
        if in_two:
            # In the middle of a character, as it may fall.
            protocol.send_message(opcode, payload[: len(payload) // 2], fin=False)
            if ping:
                protocol.send_ping(b"between")
            protocol.send_message(0, payload[len(payload) // 2 :])
        else:
            protocol.send_message(opcode, payload)
    protocol.send_close(1000, "bye")
    return b"".join(protocol.data_to_send())


def expected_events(sent: list[tuple[str | bytes, bool]]) -> list[Event]:
    return [Message(data if isinstance(data, str) else bytearray(data)) for data, _ in sent]


@parametrized
@settings(max_examples=25, deadline=None)
@given(sent=messages)
def test_websockets_reads_what_we_send(
    role: Role, deflate: DeflateParameters | None, sent: list[tuple[str | bytes, bool]]
) -> None:
    ours, theirs = BuiltinProtocol(role, deflate), websockets_peer(role, deflate)
    theirs.receive_data(send_all(ours, sent))
    assert theirs.parser_exc is None
    received: list[tuple[int, bytes]] = []
    for event in theirs.events_received():
        assert isinstance(event, Frame)
        if event.opcode is Opcode.CONT:
            opcode, start = received.pop()
            received.append((opcode, start + bytes(event.data)))
        elif event.opcode in (Opcode.TEXT, Opcode.BINARY):
            received.append((event.opcode, bytes(event.data)))
    assert received == [
        (1, data.encode()) if isinstance(data, str) else (2, data) for data, _ in sent
    ]
    assert theirs.close_rcvd is not None
    assert (theirs.close_rcvd.code, theirs.close_rcvd.reason) == (1000, "bye")
    # They answer the pings and the Close, and we read the answers.
    answers = deliver(ours, theirs.data_to_send())
    assert answers[:-1] == [Pong(b"between")] * sum(in_two for _, in_two in sent)
    assert isinstance(answers[-1], Close)
    assert (answers[-1].code, answers[-1].clean) == (1000, True)


@parametrized
@settings(max_examples=25, deadline=None)
@given(sent=messages)
def test_we_read_what_websockets_sends(
    role: Role, deflate: DeflateParameters | None, sent: list[tuple[str | bytes, bool]]
) -> None:
    ours, theirs = BuiltinProtocol(role, deflate), websockets_peer(role, deflate)
    expected: list[Event] = []
    for (data, in_two), message in zip(sent, expected_events(sent), strict=True):
        payload = data.encode() if isinstance(data, str) else data
        send = theirs.send_text if isinstance(data, str) else theirs.send_binary
        if in_two:
            send(payload[: len(payload) // 2], fin=False)
            theirs.send_ping(b"between")
            expected.append(Ping(b"between"))
            theirs.send_continuation(payload[len(payload) // 2 :], fin=True)
        else:
            send(payload)
        expected.append(message)
    theirs.send_close(1000, "bye")
    expected.append(Close(1000, "bye"))
    assert deliver(ours, theirs.data_to_send()) == expected
    for answer in ours.data_to_send():
        theirs.receive_data(bytes(answer))
    assert theirs.parser_exc is None
    assert theirs.close_rcvd is not None
    assert theirs.close_rcvd.code == 1000


@parametrized
@settings(max_examples=25, deadline=None)
@given(sent=messages)
def test_wsproto_reads_what_we_send(
    role: Role, deflate: DeflateParameters | None, sent: list[tuple[str | bytes, bool]]
) -> None:
    ours, theirs = BuiltinProtocol(role, deflate), wsproto_peer(role, deflate)
    # wsproto 1.3.2 takes the rest of a compressed message for plain after a control frame.
    theirs.receive_data(send_all(ours, sent, ping=deflate is None))
    received: list[str | bytes] = []
    parts: list[Any] = []
    for event in theirs.events():
        if isinstance(event, TextMessage | BytesMessage):
            parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
            if event.message_finished:
                received.append(type(parts[0])().join(parts))
                parts.clear()
        elif isinstance(event, CloseConnection):
            assert (event.code, event.reason) == (1000, "bye")
    assert received == [data for data, _ in sent]


@parametrized
@settings(max_examples=25, deadline=None)
@given(sent=messages)
def test_we_read_what_wsproto_sends(
    role: Role, deflate: DeflateParameters | None, sent: list[tuple[str | bytes, bool]]
) -> None:
    ours, theirs = BuiltinProtocol(role, deflate), wsproto_peer(role, deflate)
    wire = b""
    for data, in_two in sent:
        make: Any = TextMessage if isinstance(data, str) else BytesMessage
        if in_two:
            wire += theirs.send(make(data=data[: len(data) // 2], message_finished=False))
            wire += theirs.send(make(data=data[len(data) // 2 :], message_finished=True))
        else:
            wire += theirs.send(make(data=data))
    wire += theirs.send(CloseConnection(code=1000, reason="bye"))
    assert deliver(ours, [wire]) == [*expected_events(sent), Close(1000, "bye")]
    theirs.receive_data(b"".join(ours.data_to_send()))
    (close,) = theirs.events()
    assert isinstance(close, CloseConnection)
    assert close.code == 1000

"""What ``WebSocket.receive`` gives, and when."""

from __future__ import annotations

import threading

import pytest
from live import eventually, in_thread
from peer import BINARY, CLOSE, CONTINUATION, DEADLINE, PING, PONG, TEXT, Frame, bulk, close_frame
from wire import bytewise, frame, wire

from flask_threaded_sockets import WebSocketError

OPEN_END = 0x01  # a text message's first fragment
LARGE = bytes(range(256)) * 1024

# id, wire, messages; the first rows are RFC 6455 section 5.7's examples.
MESSAGES = [
    ("text", wire("81 85", "37 fa 21 3d", "7f 9f 4d 51 58"), ["Hello"]),
    ("text in fragments", frame(0x01, b"Hel") + frame(CONTINUATION, b"lo"), ["Hello"]),
    ("256 bytes", frame(BINARY, bytes(256)), [bytearray(256)]),
    ("empty text", frame(TEXT), [""]),
    ("empty binary", frame(BINARY), [bytearray()]),
    ("binary", frame(BINARY, b"\x00\xff\x80"), [bytearray(b"\x00\xff\x80")]),
    (
        "every length of header",
        frame(TEXT, b"a" * 125) + frame(TEXT, b"b" * 126),
        ["a" * 125, "b" * 126],
    ),
    ("empty fragments", frame(0x02) + frame(0x00) + frame(CONTINUATION, b"x"), [bytearray(b"x")]),
    ("utf-8", frame(TEXT, "κόσμε \U0001f600".encode()), ["κόσμε \U0001f600"]),
    (
        "utf-8 cut between fragments",
        frame(0x01, b"\xf0\x9f") + frame(0x00, b"\x98") + frame(CONTINUATION, b"\x80"),
        ["\U0001f600"],
    ),
    (
        "control frames between fragments",
        frame(0x01, b"a") + frame(PING, b"p") + frame(PONG) + frame(CONTINUATION, b"b"),
        ["ab"],
    ),
    ("an unsolicited pong before", frame(PONG, b"x") + frame(TEXT, b"y"), ["y"]),
    ("text and binary by turns", frame(TEXT, b"1") + frame(BINARY, b"1"), ["1", bytearray(b"1")]),
]


@pytest.fixture(params=["at once", "byte by byte", "with the handshake"])
def delivered(request, pair):
    """Open a pair whose peer delivers these bytes in one of three ways."""

    def deliver(data):
        if request.param == "with the handshake":
            return pair(early=data)
        ws, peer = pair()
        for chunk in [data] if request.param == "at once" else bytewise(data):
            peer.send(chunk)
        return ws, peer

    return deliver


@pytest.mark.parametrize(
    ("data", "messages"), [row[1:] for row in MESSAGES], ids=[row[0] for row in MESSAGES]
)
def test_message_arrives_however_it_is_delivered(delivered, data, messages):
    ws, _ = delivered(data)
    received = [ws.receive(DEADLINE) for _ in messages]
    assert received == messages
    assert [type(message) for message in received] == [type(message) for message in messages]


def test_many_frames_in_one_segment_are_many_messages(pair):
    ws, peer = pair()
    peer.send(b"".join(frame(TEXT, b"%d" % number) for number in range(100)))
    assert [ws.receive(DEADLINE) for _ in range(100)] == [str(number) for number in range(100)]


@pytest.mark.parametrize("size", [65535, 65536, 262144, 5_000_001])
def test_large_message_arrives_whole(pair, size):
    ws, peer = pair()
    payload = (LARGE * (size // len(LARGE) + 1))[:size]
    sender = in_thread(peer.send, bulk(BINARY, payload), frame(TEXT, b"behind"))
    assert ws.receive(DEADLINE) == payload
    assert ws.receive(DEADLINE) == "behind"
    sender.result()


def test_received_binary_belongs_to_the_handler(pair):
    ws, peer = pair()
    peer.send(frame(BINARY, b"one"), frame(BINARY, b"two"))
    first = ws.receive(DEADLINE)
    first += b"!"
    assert (first, ws.receive(DEADLINE)) == (b"one!", b"two")


# Timeouts


def test_timeout_raises_and_leaves_the_connection_usable(pair):
    ws, peer = pair()
    with pytest.raises(TimeoutError):
        ws.receive(timeout=0.05)
    assert not ws.closed
    peer.text("later")
    assert ws.receive(timeout=DEADLINE) == "later"


def test_timeout_keeps_half_a_message(pair):
    ws, peer = pair()
    data = frame(TEXT, b"one half and the other")
    peer.send(data[:12])
    with pytest.raises(TimeoutError):
        ws.receive(timeout=0.1)
    peer.send(data[12:])
    assert ws.receive(timeout=DEADLINE) == "one half and the other"


@pytest.mark.parametrize("timeout", [3e6, 1e12, float("inf")], ids=["month", "ages", "infinity"])
def test_timeout_longer_than_the_system_can_wait_waits(pair, timeout):
    ws, peer = pair()
    receiving = in_thread(ws.receive, timeout).receiving()
    peer.text("here")
    assert receiving.result() == "here"


def test_timeout_that_is_no_number_is_refused(pair):
    ws, peer = pair()
    peer.text("here")
    with pytest.raises(ValueError, match="nan"):
        ws.receive(float("nan"))
    assert ws.receive(DEADLINE) == "here"


def test_timeout_error_is_not_the_sockets_own_error(pair):
    ws, _ = pair()
    with pytest.raises(TimeoutError) as caught:
        ws.receive(timeout=0.01)
    assert not isinstance(caught.value, WebSocketError)


def test_timeout_of_zero_gives_a_message_that_is_there(pair):
    ws, peer = pair()
    peer.send(frame(TEXT, b"there"), frame(PING))
    assert peer.frame() == Frame(PONG, b"")  # so the message has been read as well
    assert ws.receive(timeout=0) == "there"


def test_timeout_of_zero_raises_when_nothing_is_there(pair):
    ws, _ = pair()
    with pytest.raises(TimeoutError):
        ws.receive(timeout=0)


def test_timeout_of_zero_finds_the_end(pair):
    ws, peer = pair()
    peer.send(close_frame())
    eventually(lambda: ws.closed)
    assert ws.receive(timeout=0) is None


# The end


def test_messages_before_the_peers_close_come_first_then_none_then_an_error(delivered):
    ws, _ = delivered(b"".join(frame(TEXT, b"%d" % n) for n in range(3)) + close_frame())
    assert [ws.receive(DEADLINE) for _ in range(4)] == ["0", "1", "2", None]
    for _ in range(2):
        with pytest.raises(WebSocketError, match=r"^Connection is already closed$") as caught:
            ws.receive()
        assert caught.value.ws is ws


def test_messages_are_still_there_when_closed_is_already_true(pair):
    ws, peer = pair()
    peer.send(frame(TEXT, b"kept"), close_frame(1001))
    eventually(lambda: ws.closed)
    assert (ws.receive(), ws.receive()) == ("kept", None)


def test_half_a_message_before_the_end_is_none(pair):
    ws, peer = pair()
    peer.send(frame(OPEN_END, b"never"), close_frame())
    assert ws.receive(DEADLINE) is None


@pytest.mark.parametrize("ending", ["close", "half_close", "reset"])
def test_blocked_receive_wakes_when_the_peer_goes(pair, ending):
    ws, peer = pair()
    receiver = in_thread(ws.receive)
    peer.text("first")
    assert receiver.result() == "first"
    receiver = in_thread(ws.receive)
    getattr(peer, ending)()
    assert receiver.result() is None
    assert ws.closed
    assert ws.close_code == 1006


def test_what_a_peer_sends_after_its_close_is_discarded(pair):
    ws, peer = pair()
    peer.send(close_frame(), frame(TEXT, b"late"), b"\xff\xff\xff")
    assert ws.receive(DEADLINE) is None
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, b"\x03\xe8")]


# Iteration, threads


def test_iteration_gives_the_messages_and_ends(pair):
    ws, peer = pair()
    peer.send(frame(TEXT, b"a"), frame(TEXT), frame(BINARY, b"b"), close_frame())
    assert list(ws) == ["a", "", b"b"]
    assert list(ws) == []


def test_each_message_goes_to_one_of_several_receiving_threads(pair):
    ws, peer = pair()

    received: list[str] = []
    lock = threading.Lock()

    def reader():
        try:
            for message in ws:
                with lock:
                    received.append(message)
        except WebSocketError:
            pass

    readers = [in_thread(reader) for _ in range(4)]
    peer.send(b"".join(frame(TEXT, b"%d" % n) for n in range(400)), close_frame())
    for thread in readers:
        thread.result()
    assert sorted(received, key=int) == [str(n) for n in range(400)]


def test_ping_is_answered_while_a_thread_is_blocked_in_receive(pair):
    ws, peer = pair()
    receiver = in_thread(ws.receive)
    peer.send(frame(PING, b"one"), frame(PING, b""), frame(PING, b"x" * 125))
    expected = [Frame(PONG, b"one"), Frame(PONG, b""), Frame(PONG, b"x" * 125)]
    assert [peer.frame() for _ in expected] == expected
    assert receiver.running
    peer.text("done")
    assert receiver.result() == "done"


def test_ping_is_answered_while_nobody_receives(pair):
    _, peer = pair()
    peer.send(frame(PING, b"busy?"))
    assert peer.frame() == Frame(PONG, b"busy?")

"""``WebSocket.close`` and how ``closed``, ``close_code`` and ``close_reason`` tell of an end."""

from __future__ import annotations

import threading
import time

import pytest
from live import eventually, in_thread
from peer import BINARY, CLOSE, DEADLINE, PING, TEXT, Frame, bulk, close_frame
from wire import frame, wire

from flask_threaded_sockets import WebSocketError

# id, arguments of close(), the frame's bytes.
CLOSES = [
    ("nothing said", (), wire("88 02", "03 e8")),
    ("normal", (1000,), wire("88 02", "03 e8")),
    ("1007", (1007,), wire("88 02", "03 ef")),
    ("1014", (1014,), wire("88 02", "03 f6")),
    ("3000", (3000, "bye"), wire("88 05", "0b b8", "62 79 65")),
    ("4999", (4999, b"bye"), wire("88 05", "13 87", "62 79 65")),
    ("bytearray as reason", (1000, bytearray(b"a")), wire("88 03", "03 e8", "61")),
    ("reason beyond ascii", (1000, "né"), wire("88 05", "03 e8", "6e c3 a9")),
    ("123 bytes", (1000, "x" * 123), wire("88 7d", "03 e8") + b"x" * 123),
    ("124 bytes", (1000, "x" * 124), wire("88 7d", "03 e8") + b"x" * 123),
    ("cut within two bytes", (1000, "é" * 62), wire("88 7c", "03 e8") + "é".encode() * 61),
    (
        "cut within four bytes",
        (1000, b"x" + "\U0001f600".encode() * 40),
        wire("88 7b", "03 e8") + b"x" + "\U0001f600".encode() * 30,
    ),
]


@pytest.mark.parametrize(
    ("arguments", "data"), [row[1:] for row in CLOSES], ids=[row[0] for row in CLOSES]
)
def test_close_has_a_correct_body(pair, arguments, data):
    ws, peer = pair()
    ws.close(*arguments)
    assert peer.read(len(data)) == data
    peer.send(close_frame())
    assert peer.to_end() == b""


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000, -1])
def test_close_refuses_a_code_that_may_not_be_sent(pair, code):
    ws, peer = pair()
    with pytest.raises(ValueError, match=f"{code} may not be sent"):
        ws.close(code)
    assert not ws.closed
    ws.send("still open")
    assert peer.frame() == Frame(TEXT, b"still open")


@pytest.mark.parametrize("code", [None, "1000", b"", [1000], 1000.0, 1000.5])
def test_close_refuses_a_code_that_is_no_number(pair, code):
    ws, peer = pair()
    with pytest.raises((TypeError, ValueError)):
        ws.close(code)
    assert not ws.closed
    ws.send("still open")
    assert peer.frame() == Frame(TEXT, b"still open")


@pytest.mark.parametrize(
    ("reason", "error"), [(b"\xff", ValueError), (5, TypeError), (None, TypeError)]
)
def test_close_refuses_a_reason_that_is_none(pair, reason, error):
    ws, _ = pair()
    with pytest.raises(error):
        ws.close(1000, reason)
    assert not ws.closed


def test_close_is_idempotent_and_the_first_one_counts(pair):
    ws, peer = pair()
    ws.close(3000, "first")
    for _ in range(3):
        ws.close(3001, "second")
    assert (ws.close_code, ws.close_reason) == (3000, "first")
    assert peer.frames_to_end() == [Frame(CLOSE, b"\x0b\xb8first")]


def test_close_from_many_threads_sends_one_close(pair):
    ws, peer = pair()
    threads = [in_thread(ws.close, 3000 + number) for number in range(16)]
    for thread in threads:
        thread.result()
    (only,) = peer.frames_to_end()
    assert only.first == CLOSE
    assert ws.close_code == int.from_bytes(only.payload)


def test_close_after_the_peers_close_sends_nothing_more(pair):
    ws, peer = pair()
    peer.send(close_frame(1001, b"off"))
    assert ws.receive(DEADLINE) is None
    ws.close(3000)
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, b"\x03\xe9")]
    assert (ws.close_code, ws.close_reason) == (1001, "off")


def test_close_of_a_peer_that_is_gone_does_nothing(pair):
    ws, peer = pair()
    peer.reset()
    eventually(lambda: ws.closed)
    ws.close()
    assert ws.close_code == 1006


# Waking a blocked receive()


@pytest.mark.parametrize("timeout", [None, 50], ids=["no timeout", "a timeout"])
def test_close_wakes_a_blocked_receive_though_the_peer_does_not_answer(pair, timeout):
    # The other timeouts are far away, so that nothing else can have woken it.
    ws, peer = pair(SOCKETS_CLOSE_TIMEOUT=60, SOCKETS_PING_INTERVAL=None)
    receiver = in_thread(ws.receive, timeout).receiving()
    began = time.monotonic()
    ws.close(1000, "enough")
    assert receiver.result() is None
    assert time.monotonic() - began < 5  # 1 s by contract, where the machine is not loaded
    assert peer.frame() == Frame(CLOSE, b"\x03\xe8enough")
    with pytest.raises(WebSocketError, match="already closed"):
        ws.receive()


def test_close_wakes_a_blocked_receive_at_once_when_the_peer_answers(pair):
    ws, peer = pair(SOCKETS_CLOSE_TIMEOUT=60)
    receiver = in_thread(ws.receive).receiving()
    ws.close()
    peer.frame()
    peer.send(close_frame())
    assert receiver.result() is None


def test_close_wakes_every_blocked_receive(pair):
    ws, _ = pair(SOCKETS_CLOSE_TIMEOUT=60)

    def receive():
        try:
            return ws.receive()
        except WebSocketError:
            return "told already"

    receivers = [in_thread(receive).receiving() for _ in range(4)]
    ws.close()
    assert None in [receiver.result() for receiver in receivers]


def test_receive_after_close_is_an_error(pair):
    ws, peer = pair()
    peer.send(frame(TEXT, b"unread"), frame(PING))
    peer.frame()
    ws.close()
    with pytest.raises(WebSocketError, match=r"^Connection is already closed$") as caught:
        ws.receive()
    assert caught.value.ws is ws
    assert list(ws) == []


def test_close_wakes_a_receive_in_the_middle_of_a_large_message(pair):
    ws, peer = pair(SOCKETS_CLOSE_TIMEOUT=60)
    receiver = in_thread(ws.receive).receiving()
    peer.send(bulk(BINARY, bytes(300_000))[:200_000])
    ws.close()
    assert receiver.result() is None


def test_close_does_not_wait_for_the_peer(pair):
    ws, peer = pair(SOCKETS_CLOSE_TIMEOUT=60)
    began = time.monotonic()
    ws.close()
    assert time.monotonic() - began < 10
    assert peer.frame() == Frame(CLOSE, b"\x03\xe8")


def test_close_is_not_kept_by_another_thread_that_is_blocked_sending(pair):
    ws, peer = pair(receive_buffer=4096, SOCKETS_CLOSE_TIMEOUT=1, SOCKETS_SEND_TIMEOUT=60)
    sender = in_thread(ws.send, bytes(16 << 20))
    peer.read(100)  # it is under way
    ws.close()
    assert ws.closed
    with pytest.raises(WebSocketError):
        sender.result()


# What the attributes tell


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (close_frame(1000), 1000, ""),
        (close_frame(1001, b"away"), 1001, "away"),
        (close_frame(4321, "né".encode()), 4321, "né"),
        (close_frame(None), 1005, ""),
        (frame(TEXT, b"unread") + close_frame(1001), 1001, ""),
    ],
)
def test_closed_tells_of_the_peers_close_though_nobody_receives(pair, data, code, reason):
    ws, peer = pair()
    assert (ws.closed, ws.close_code, ws.close_reason) == (False, None, None)
    peer.send(data)
    eventually(lambda: ws.closed)
    assert (ws.close_code, ws.close_reason) == (code, reason)


@pytest.mark.parametrize("ending", ["close", "half_close", "reset"])
def test_closed_tells_of_a_peer_that_is_gone_though_nobody_receives(pair, ending):
    ws, peer = pair(SOCKETS_PING_INTERVAL=None)
    getattr(peer, ending)()
    eventually(lambda: ws.closed)
    assert (ws.close_code, ws.close_reason) == (1006, "")


def test_closed_tells_of_the_peers_close_behind_a_full_queue(pair):
    ws, peer = pair(SOCKETS_MAX_QUEUE=2, SOCKETS_PING_INTERVAL=None)
    peer.send(b"".join(frame(TEXT, b"%d" % number) for number in range(2)), close_frame(1001))
    eventually(lambda: ws.closed)
    assert [ws.receive(DEADLINE) for _ in range(3)] == ["0", "1", None]


@pytest.mark.parametrize("ending", ["half_close", "reset"])
def test_closed_tells_of_a_peer_that_is_gone_behind_a_full_queue(pair, ending):
    ws, peer = pair(SOCKETS_MAX_QUEUE=2, SOCKETS_PING_INTERVAL=None)
    peer.send(b"".join(frame(TEXT, b"%d" % number) for number in range(50)))
    getattr(peer, ending)()
    eventually(lambda: ws.closed)


def test_closed_is_true_in_the_handlers_own_eyes_after_close(pair):
    ws, _ = pair()
    ws.close(3000, "done")
    assert (ws.closed, ws.close_code, ws.close_reason) == (True, 3000, "done")


def test_close_reason_is_the_one_that_was_sent(pair):
    ws, _ = pair()
    ws.close(1000, "x" * 200)
    assert ws.close_reason == "x" * 123


# As a context manager


def test_with_block_closes_normally(pair):
    ws, peer = pair()
    with ws as entered:
        assert entered is ws
        ws.send("inside")
    assert ws.closed
    assert peer.frames_to_end() == [Frame(TEXT, b"inside"), Frame(CLOSE, b"\x03\xe8")]


def test_with_block_that_raises_closes_with_1011_and_lets_the_exception_out(pair):
    ws, peer = pair()
    with pytest.raises(KeyError), ws:
        raise KeyError("x")
    assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xf3")]


def test_with_block_keeps_a_close_of_its_own(pair):
    ws, peer = pair()
    with ws:
        ws.close(3000, "own")
    assert peer.frames_to_end() == [Frame(CLOSE, b"\x0b\xb8own")]


# Again and again


def test_close_against_receive_always_ends_in_none_or_an_error(serve):
    rounds = 300
    outcomes: list[object] = []

    def handler(ws):
        barrier = threading.Barrier(2)

        def close():
            barrier.wait(DEADLINE)
            ws.close()

        closer = in_thread(close)
        barrier.wait(DEADLINE)
        try:
            outcomes.append(ws.receive())
        except WebSocketError:
            outcomes.append(WebSocketError)
        closer.result()

    live = serve(handler)
    for _ in range(rounds):
        with live.open() as peer:
            assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]
    eventually(lambda: len(outcomes) == rounds)
    assert set(outcomes) <= {None, WebSocketError}

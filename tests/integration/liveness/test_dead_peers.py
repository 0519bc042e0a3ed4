"""Peers that vanish: stopped, behind a link that takes nothing, gone in the middle of a send."""

from __future__ import annotations

import queue
import signal
import socket
import sys
import threading
import time

import pytest
from integration.liveness.blackhole import blackhole
from integration.liveness.hosted import answering_client, served
from live import HOSTS, Pair, eventually, in_thread
from peer import CLOSE, PING, PONG, TEXT, Frame, close_frame
from wire import frame

from flask_threaded_sockets import WebSocketError

INTERVAL = 0.5
TIMEOUT = 1.0  # within which a busy machine has to answer, or to take a piece
KEEPALIVE = {"SOCKETS_PING_INTERVAL": INTERVAL, "SOCKETS_PING_TIMEOUT": TIMEOUT}
# One second more by contract, and two for a busy machine.
NOTICED = INTERVAL + TIMEOUT + 1 + 2

MIB = 1 << 20

both_hosts = pytest.mark.parametrize("host", HOSTS, indirect=True)
linux = pytest.mark.skipif(sys.platform != "linux", reason="a filter on a socket is Linux's")


def receiver_of(ws, receiving):
    return in_thread(ws.receive).receiving() if receiving else None


def check_noticed(ws, receiver, began):
    """Check that the end comes in time, and wakes who is receiving."""
    eventually(lambda: ws.closed)
    assert (receiver.result() if receiver else ws.receive()) is None
    took = time.monotonic() - began
    assert took < NOTICED
    with pytest.raises(WebSocketError):
        ws.send("late")


@pytest.mark.parametrize("receiving", [False, True], ids=["busy", "receiving"])
def test_client_process_that_is_stopped_is_given_up_and_one_that_runs_is_not(serve, receiving):
    held = Pair()
    live = serve(held.handler, **KEEPALIVE)
    with answering_client(live.port) as client:
        ws = held.take()
        receiver = receiver_of(ws, receiving)
        with pytest.raises(TimeoutError):  # it answers
            eventually(lambda: ws.closed, within=3 * (INTERVAL + TIMEOUT))
        client.send_signal(signal.SIGSTOP)
        check_noticed(ws, receiver, time.monotonic())
        assert ws.close_code == 1011
    held.release()


def test_server_that_stood_still_itself_gives_up_nobody_who_has_answered(backend, tmp_path):
    with served("own", tmp_path, **KEEPALIVE) as it:
        for _ in range(2):  # who wakes first, the handler or the monitor, is chance
            with it.open("/echo") as peer:
                first, payload = peer.frame()
                assert first == PING
                it.process.process.send_signal(signal.SIGSTOP)
                peer.send(frame(PONG, payload))
                time.sleep(TIMEOUT + 0.5)  # this is what makes it late
                it.process.process.send_signal(signal.SIGCONT)
                assert peer.frame().first == PING


@linux
@both_hosts
@pytest.mark.parametrize("receiving", [False, True], ids=["busy", "receiving"])
def test_link_that_takes_nothing_is_given_up(pair, receiving):
    ws, peer = pair(**KEEPALIVE)
    receiver = receiver_of(ws, receiving)
    blackhole(peer.sock)
    check_noticed(ws, receiver, time.monotonic())
    assert ws.close_code == 1011


@linux
def test_link_that_takes_nothing_is_given_up_though_a_handler_goes_on_pushing(pair):
    ws, peer = pair(**KEEPALIVE)

    def push():
        while not ws.closed:
            ws.send("news")
            time.sleep(0.01)  # the rate of the news, no synchronisation

    pushing = in_thread(push)
    assert peer.frame() == Frame(TEXT, b"news")
    blackhole(peer.sock)
    began = time.monotonic()
    eventually(lambda: not pushing.running)
    check_noticed(ws, None, began)
    try:
        pushing.result()
    except WebSocketError as error:
        assert error.ws is ws


@linux
@pytest.mark.parametrize("receiving", [False, True], ids=["busy", "receiving"])
def test_link_that_takes_nothing_frees_a_blocked_sender(pair, receiving):
    ws, peer = pair(receive_buffer=4096, **KEEPALIVE)
    receiver = receiver_of(ws, receiving)
    sending = in_thread(ws.send, bytes(16 * MIB))
    peer.read(100)  # it is under way
    blackhole(peer.sock)
    check_noticed(ws, receiver, time.monotonic())
    with pytest.raises(WebSocketError):
        sending.result()


@linux
def test_link_that_takes_nothing_does_not_keep_a_handler_that_returned(serve):
    entered: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()

    def handler(ws):
        entered.put(threading.current_thread())
        ws.receive()

    peer = serve(handler, SOCKETS_CLOSE_TIMEOUT=0.5).open()
    thread = entered.get()
    blackhole(peer.sock)
    peer.text("go")  # what it sends arrives
    began = time.monotonic()
    thread.join(20)
    # The close timeout, half a second to discard what may still come, and a busy machine.
    assert time.monotonic() - began < 0.5 + 0.5 + 2


@linux
@pytest.mark.parametrize("receiving", [False, True], ids=["busy", "receiving"])
def test_link_that_takes_nothing_is_given_up_over_tls(pair, certificate, receiving):
    ws, peer = pair(certificate=certificate, **KEEPALIVE)
    receiver = receiver_of(ws, receiving)
    blackhole(peer.sock)
    check_noticed(ws, receiver, time.monotonic())


# Who reads slowly is alive, and who is stopped in the middle of a message is not


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_slow_reader_of_one_large_message_outlives_the_keepalive(pair, certificate, secure):
    # The Ping stands behind the message, so that it cannot be answered in time.
    tls = {"certificate": certificate} if secure else {}
    ws, peer = pair(receive_buffer=65536, **tls, **KEEPALIVE)
    sock = ws.environ["werkzeug.socket"]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # what is in there is sent
    message, piece = bytes(range(256)) * (8 * MIB // 256), MIB // 16
    began = time.monotonic()
    sending = in_thread(ws.send, message)
    assert peer.read(10) == b"\x82\x7f" + len(message).to_bytes(8, "big")
    received = bytearray()
    while len(received) < len(message):
        received += peer.read(piece)
        time.sleep(0.035)  # this is what makes it slow
    assert time.monotonic() - began > 2 * (INTERVAL + TIMEOUT)  # twice the time of a dead one
    sending.result()
    assert received == message
    peer.text("that was long")
    assert ws.receive(20) == "that was long"
    assert not ws.closed


# A peer that goes in the middle


@both_hosts
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_peer_that_goes_frees_a_blocked_sender_at_once(pair, ending):
    ws, peer = pair(receive_buffer=4096, SOCKETS_PING_INTERVAL=None, SOCKETS_SEND_TIMEOUT=60)
    sending = in_thread(ws.send, bytes(16 * MIB))
    peer.read(100)  # it is under way
    began = time.monotonic()
    getattr(peer, ending)()
    with pytest.raises(WebSocketError) as caught:
        sending.result()
    assert caught.value.ws is ws
    assert time.monotonic() - began < 1 + 2
    assert ws.closed


@pytest.mark.parametrize("last_word", [b"", close_frame(1001)], ids=["fin", "close and fin"])
def test_peer_that_half_closes_while_it_is_sent_to_is_noticed(pair, last_word):
    # It may still read: but after its end there is nobody to answer.
    ws, peer = pair(SOCKETS_PING_INTERVAL=None)

    def push():
        for _ in range(10_000):
            ws.send("news")
            time.sleep(0.01)  # the rate of the news

    pushing = in_thread(push)
    assert peer.frame() == Frame(TEXT, b"news")
    peer.send(last_word)
    peer.half_close()
    began = time.monotonic()
    with pytest.raises(WebSocketError):
        pushing.result()
    assert time.monotonic() - began < 1 + 2
    assert ws.close_code == (1001 if last_word else 1006)


@pytest.mark.parametrize("ending", ["close", "half_close", "reset", "close frame"])
def test_handler_that_only_waits_for_its_queue_is_told_within_a_second(serve, ending):
    told: queue.SimpleQueue[float] = queue.SimpleQueue()
    never: queue.Queue[str] = queue.Queue()

    def handler(ws):
        while not ws.closed:
            try:
                ws.send(never.get(timeout=0.05))
            except queue.Empty:
                pass
        told.put(time.monotonic())

    peer = serve(handler, SOCKETS_PING_INTERVAL=None).open()
    began = time.monotonic()
    if ending == "close frame":
        peer.send(close_frame())
    else:
        getattr(peer, ending)()
    assert told.get(timeout=20) - began < 1 + 2


@both_hosts
def test_peer_that_never_reads_frees_the_handlers_thread(serve, host):
    entered: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()

    def handler(ws):
        entered.put(threading.current_thread())
        ws.send(bytes(16 * MIB))

    live = serve(handler, SOCKETS_SEND_TIMEOUT=0.5, SOCKETS_PING_INTERVAL=None)
    live.open(receive_buffer=4096)
    thread = entered.get()
    began = time.monotonic()
    thread.join(20)
    # The send timeout, half a second in which a Close may explain it, and a busy machine.
    assert 0.4 < time.monotonic() - began < 0.5 + 0.5 + 2


# What keepalive is


def test_pings_carry_a_payload_that_differs_and_unasked_pongs_are_no_harm(pair):
    ws, peer = pair(SOCKETS_PING_INTERVAL=0.2)
    payloads = set()
    for _ in range(4):
        first, payload = peer.frame()
        assert first == PING
        assert payload
        payloads.add(payload)
        peer.send(frame(0x8A, b"unasked"), frame(0x8A, payload))
    assert len(payloads) == 4
    assert not ws.closed
    peer.send(close_frame())
    assert peer.frames_to_end(answer=False)[-1] == Frame(CLOSE, b"\x03\xe8")


def test_no_ping_comes_after_the_close(pair):
    ws, peer = pair(SOCKETS_PING_INTERVAL=0.1, SOCKETS_PING_TIMEOUT=None, SOCKETS_CLOSE_TIMEOUT=1)
    peer.frame()
    ws.close()
    frames = peer.frames_to_end(answer=False)
    assert frames[-1] == Frame(CLOSE, b"\x03\xe8")
    assert {each.first for each in frames[:-1]} <= {PING}

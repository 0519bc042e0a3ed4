"""The same over TLS, on both servers."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import flask
import pytest
from live import HOSTS, eventually, in_thread
from peer import BINARY, CLOSE, DEADLINE, PING, PONG, TEXT, Frame, bulk, close_frame, request
from wire import frame, wire

from flask_threaded_sockets import WebSocketError

both_hosts = pytest.mark.parametrize("host", HOSTS, indirect=True)


def echo(ws):
    while not ws.closed:
        ws.send(ws.receive())


@pytest.fixture
def secure(pair, certificate):
    """A pair over TLS; the certificate is part of what is configured."""

    def make(**config):
        return pair(certificate=certificate, **config)

    return make


@both_hosts
def test_echo(serve, certificate):
    peer = serve(echo, certificate=certificate).open()
    peer.text("secret")
    assert peer.frame() == Frame(TEXT, b"secret")
    peer.send(close_frame())
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, wire("03 e8"))]


@both_hosts
@pytest.mark.parametrize("size", [1, 16_384, 16_385, 3_000_000])
def test_messages_of_every_size_both_ways(secure, size):
    ws, peer = secure()
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    sending = in_thread(peer.send, bulk(BINARY, payload))
    assert ws.receive(DEADLINE) == payload
    sending.result()
    sending = in_thread(ws.send, payload)
    assert peer.frame() == Frame(BINARY, payload)
    sending.result()


@both_hosts
def test_two_messages_in_one_record_need_no_further_network_event(secure):
    ws, peer = secure()
    peer.send(frame(TEXT, b"one"), frame(TEXT, b"two"), frame(TEXT, b"three"))
    assert [ws.receive(DEADLINE) for _ in range(3)] == ["one", "two", "three"]


@both_hosts
def test_messages_in_one_record_are_noticed_though_nobody_receives(secure):
    ws, peer = secure()
    peer.send(frame(PING, b"1"), frame(TEXT, b"x"), frame(PING, b"2"), close_frame(1001))
    assert [peer.frame(), peer.frame()] == [Frame(PONG, b"1"), Frame(PONG, b"2")]
    eventually(lambda: ws.closed)
    assert (ws.receive(), ws.receive(), ws.close_code) == ("x", None, 1001)


@both_hosts
def test_early_data(serve, certificate):
    live = serve(echo, certificate=certificate)
    assert live.open(early=frame(TEXT, b"early")).frame() == Frame(TEXT, b"early")


@both_hosts
def test_receive_with_a_timeout(secure):
    ws, peer = secure()
    with pytest.raises(TimeoutError):
        ws.receive(timeout=0.05)
    peer.text("later")
    assert ws.receive(timeout=DEADLINE) == "later"


@both_hosts
@pytest.mark.parametrize("receiving", [True, False])
@pytest.mark.parametrize("ending", ["close", "reset", "close frame"])
def test_ending_of_the_peer_is_noticed(secure, ending, receiving):
    ws, peer = secure(SOCKETS_PING_INTERVAL=None)
    receiver = in_thread(ws.receive).receiving() if receiving else None
    if ending == "close frame":
        peer.send(close_frame())
    else:
        getattr(peer, ending)()
    eventually(lambda: ws.closed)
    assert (receiver.result() if receiver else ws.receive()) is None


def test_close_wakes_a_blocked_receive(secure):
    ws, peer = secure(SOCKETS_CLOSE_TIMEOUT=60)
    receiver = in_thread(ws.receive).receiving()
    ws.close(3000, "bye")
    assert receiver.result() is None
    assert peer.frame() == Frame(CLOSE, wire("0b b8") + b"bye")


@both_hosts
def test_late_answer_to_a_close_that_woke_a_receive_is_read_and_the_end_is_clean(
    serve, certificate
):
    # OpenSSL sends an alert when it meets the end of a stream, even one that is our own doing.
    woken = threading.Event()

    def handler(ws):
        receiver = in_thread(ws.receive).receiving()
        ws.close(3000, "bye")
        assert receiver.result() is None
        woken.set()

    peer = serve(handler, certificate=certificate, SOCKETS_CLOSE_TIMEOUT=DEADLINE).open()
    assert peer.frame() == Frame(CLOSE, wire("0b b8") + b"bye")
    assert woken.wait(DEADLINE)
    began = time.monotonic()
    peer.send(frame(TEXT, b"late"), close_frame(3000))
    assert peer.frames_to_end(answer=False) == []  # a close_notify, no alert and no cut
    assert time.monotonic() - began < DEADLINE / 2  # the answer was read


@both_hosts
def test_close_ends_the_stream_with_a_close_notify(serve, certificate):
    live = serve(lambda ws: ws.close(3000), certificate=certificate)
    with live.open() as peer:
        # SSLEOFError would tell of a stream that was cut.
        assert peer.frames_to_end() == [Frame(CLOSE, wire("0b b8"))]


@both_hosts
def test_peer_that_never_reads_is_given_up(secure):
    ws, _ = secure(receive_buffer=4096, SOCKETS_SEND_TIMEOUT=0.5)
    with pytest.raises(WebSocketError):
        ws.send(bytes(16 << 20))
    assert ws.closed


@both_hosts
def test_both_directions_at_full_speed(secure):
    ws, peer = secure(SOCKETS_MAX_QUEUE=4)
    count, size = 300, 20_000
    message = bytes(size)

    def push():
        for _ in range(count):
            ws.send(message)

    def spam():
        for _ in range(count):
            peer.send(bulk(BINARY, message), frame(PING))

    pushing, spamming = in_thread(push), in_thread(spam)
    reading = in_thread(lambda: [ws.receive(DEADLINE) for _ in range(count)])
    frames = []
    while [each.first for each in frames].count(BINARY) < count:
        frames.append(peer.frame())
    assert {each.first for each in frames} <= {BINARY, PONG}
    assert all(message == each for each in reading.result())
    pushing.result()
    spamming.result()


def test_plain_text_on_the_tls_port_is_nobodys_error(serve, certificate):
    # Werkzeug logs a failed TLS handshake, our own server does not.
    live = serve(echo, certificate=certificate)
    for data in (request(), b"", bytes(100)):
        with socket.create_connection(("127.0.0.1", live.port), DEADLINE) as sock:
            with contextlib.suppress(OSError):  # the server may have hung up by now
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP" not in sock.recv(10_000)
    live.open().text("fine")


def test_stalled_tls_handshake_keeps_nobody_out(serve, certificate):
    # Werkzeug makes the handshake in its only accepting thread.
    live = serve(echo, certificate=certificate)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket.create_connection(("127.0.0.1", live.port), DEADLINE))
        peer = live.open()
        peer.text("in")
        assert peer.frame() == Frame(TEXT, b"in")


def test_stalled_tls_handshake_is_given_up(serve, certificate):
    live = serve(echo, certificate=certificate)
    live.server.head_timeout = 0.3
    for data in (b"", b"\x16\x03\x01\x02\x00\x01"):  # of a ClientHello
        with socket.create_connection(("127.0.0.1", live.port), DEADLINE) as sock:
            sock.sendall(data)
            assert sock.recv(1) == b""


def test_tls_handshake_and_head_have_one_deadline(serve, certificate):
    live = serve(echo, certificate=certificate)
    live.server.head_timeout = 4
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", live.port), DEADLINE) as sock:
        threading.Event().wait(2)  # of the four seconds
        with live.tls.wrap_socket(sock, server_hostname="localhost") as tls:
            assert tls.recv(1) == b""
    assert time.monotonic() - began < 2 + 4


@both_hosts
def test_url_for_is_wss(serve, certificate):
    def handler(ws):
        ws.send(flask.url_for("handler", _external=True))

    peer = serve(handler, certificate=certificate).open()
    assert peer.frame() == Frame(TEXT, b"wss://test.example/")

"""Every key that limits sizes, times and numbers has its effect, on an app and on a route."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import tracemalloc

import flask
import pytest
from live import HOSTS, Pair, app_of, eventually, in_thread
from peer import BINARY, CLOSE, CONTINUATION, DEADLINE, PING, PONG, TEXT, Frame, bulk, request
from wire import frame, wire

from flask_threaded_sockets import Sockets, WebSocketError
from flask_threaded_sockets.host import Host
from flask_threaded_sockets.opening import HOST_KEY

MIB = 1 << 20


# SOCKETS_MAX_MESSAGE_SIZE

# id, limit, frames, what receive() gives; None: refused with 1009.
SIZES = [
    ("exactly", 100, [bulk(BINARY, b"x" * 100)], b"x" * 100),
    ("one more", 100, [bulk(BINARY, b"x" * 101)], None),
    ("text counts in bytes", 4, [frame(TEXT, "ééé".encode())], None),
    ("text of so many bytes", 6, [frame(TEXT, "ééé".encode())], "ééé"),
    ("empty with the smallest limit", 1, [frame(TEXT)], ""),
    ("fragments exactly", 100, [bulk(0x02, b"x" * 60), bulk(CONTINUATION, b"x" * 40)], b"x" * 100),
    ("fragments one more", 100, [bulk(0x02, b"x" * 60), bulk(CONTINUATION, b"x" * 41)], None),
    ("fragments too many", 10, [bulk(0x02, b"x")] + [bulk(0x00, b"x")] * 10, None),
    ("header of 2^62", 100, [wire("82 ff", "40 00 00 00 00 00 00 00", "00 00 00 00")], None),
    (
        "header of 2^62 without limit set",
        16 * MIB,
        [wire("82 ff", "40 00 00 00 00 00 00 00", "00 00 00 00")],
        None,
    ),
    ("header of a fragment", 100, [bulk(0x02, b"x"), wire("80 fe", "ff ff", "00 00 00 00")], None),
    ("the default exactly", 16 * MIB, [bulk(BINARY, bytes(16 * MIB))], bytes(16 * MIB)),
    ("no limit", None, [bulk(BINARY, bytes(17 * MIB))], bytes(17 * MIB)),
]


@pytest.mark.parametrize(
    ("limit", "frames", "message"), [row[1:] for row in SIZES], ids=[row[0] for row in SIZES]
)
def test_max_message_size(pair, limit, frames, message):
    config = {} if limit == 16 * MIB else {"SOCKETS_MAX_MESSAGE_SIZE": limit}
    ws, peer = pair(**config)
    sending = in_thread(peer.send, *frames)
    if message is None:
        assert ws.receive(DEADLINE) is None
        assert ws.close_code == 1009
        with contextlib.suppress(ConnectionError):
            sending.result()
        close = peer.frames_to_end()[0]
        assert (close.first, close.payload[:2]) == (CLOSE, wire("03 f1"))
    else:
        assert ws.receive(DEADLINE) == message
        sending.result()


def test_announced_length_allocates_nothing(pair):
    ws, peer = pair(SOCKETS_MAX_MESSAGE_SIZE=None)
    tracemalloc.start()
    try:
        peer.send(wire("82 ff", "00 00 00 40 00 00 00 00", "00 00 00 00"), b"x" * 1000)  # 256 GiB
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0.2)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_length_with_the_highest_bit_is_a_protocol_error(pair):
    ws, peer = pair(SOCKETS_MAX_MESSAGE_SIZE=None)
    peer.send(wire("82 ff", "80 00 00 00 00 00 00 00", "00 00 00 00"))
    assert ws.receive(DEADLINE) is None
    assert ws.close_code == 1002


def test_oversized_messages_leave_no_thread(serve):
    live = serve(lambda ws: ws.receive(), SOCKETS_MAX_MESSAGE_SIZE=65536)
    before = threading.active_count()
    for _ in range(20):
        with live.open() as peer:
            with contextlib.suppress(ConnectionError):
                peer.send(bulk(BINARY, bytes(70_000)))
            assert peer.frames_to_end()[0].payload[:2] == wire("03 f1")
    eventually(lambda: threading.active_count() <= before + 1)  # the monitor may be new


# SOCKETS_PING_INTERVAL, SOCKETS_PING_TIMEOUT


@pytest.mark.parametrize("receiving", [False, True], ids=["busy", "receiving"])
def test_pings_come_at_the_interval_and_a_peer_that_answers_lives(pair, receiving):
    ws, peer = pair(SOCKETS_PING_INTERVAL=0.3, SOCKETS_PING_TIMEOUT=1)
    receiver = in_thread(ws.receive) if receiving else None
    began = time.monotonic()
    for _ in range(6):  # longer than who does not answer lives
        first, payload = peer.frame()
        assert first == PING
        peer.send(frame(PONG, payload))
    assert time.monotonic() - began >= 6 * 0.3 - 0.05
    assert not ws.closed
    peer.text("alive")
    assert (receiver.result() if receiver else ws.receive(DEADLINE)) == "alive"


@pytest.mark.parametrize("receiving", [False, True], ids=["busy", "receiving"])
def test_peer_that_never_answers_is_given_up(pair, receiving):
    ws, peer = pair(SOCKETS_PING_INTERVAL=0.3, SOCKETS_PING_TIMEOUT=0.3, SOCKETS_CLOSE_TIMEOUT=60)
    receiver = in_thread(ws.receive) if receiving else None
    began = time.monotonic()
    eventually(lambda: ws.closed)
    assert time.monotonic() - began >= 0.55
    assert ws.close_code == 1011
    assert (receiver.result() if receiver else ws.receive(DEADLINE)) is None
    frames = peer.frames_to_end()
    assert {each.first for each in frames[:-1]} == {PING}
    assert frames[-1] == Frame(CLOSE, wire("03 f3") + b"keepalive ping timeout")


def test_anything_a_peer_sends_proves_it_alive(pair):
    ws, peer = pair(SOCKETS_PING_INTERVAL=0.2, SOCKETS_PING_TIMEOUT=1)
    for _ in range(18):  # longer than who says nothing lives
        peer.text("busy")
        assert ws.receive(DEADLINE) == "busy"
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0.1)
    assert not ws.closed


def test_no_interval_no_pings(pair):
    ws, peer = pair(SOCKETS_PING_INTERVAL=None, SOCKETS_PING_TIMEOUT=0.1)
    assert peer.silent(1)
    assert not ws.closed


def test_no_timeout_no_giving_up(pair):
    ws, peer = pair(SOCKETS_PING_INTERVAL=0.2, SOCKETS_PING_TIMEOUT=None)
    for _ in range(5):
        assert peer.frame().first == PING  # none of which is answered
    assert not ws.closed


def test_default_is_no_ping_in_the_first_seconds(pair):
    _, peer = pair()
    assert peer.silent(0.6)


def test_handler_too_busy_for_a_full_queue_is_not_taken_for_a_dead_peer(pair):
    ws, peer = pair(SOCKETS_PING_INTERVAL=0.2, SOCKETS_PING_TIMEOUT=0.2, SOCKETS_MAX_QUEUE=2)
    peer.send(b"".join(frame(TEXT, b"%d" % number) for number in range(200)))
    for _ in range(5):
        peer.frame()  # pings, which a peer that waits for us cannot have answered in order
    assert not ws.closed
    assert [ws.receive(DEADLINE) for _ in range(200)] == [str(number) for number in range(200)]


# SOCKETS_CLOSE_TIMEOUT


def test_close_timeout_ends_an_unanswered_close_though_the_handler_lives_on(pair):
    ws, peer = pair(SOCKETS_CLOSE_TIMEOUT=0.5)
    began = time.monotonic()
    ws.close()
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, wire("03 e8"))]
    assert 0.4 <= time.monotonic() - began < 10


# SOCKETS_SEND_TIMEOUT


def test_send_to_a_peer_that_never_reads_raises_in_time_and_then_at_once(pair):
    ws, _ = pair(receive_buffer=4096, SOCKETS_SEND_TIMEOUT=0.5, SOCKETS_PING_INTERVAL=None)
    began = time.monotonic()
    with pytest.raises(WebSocketError) as caught:
        ws.send(bytes(16 * MIB))
    assert 0.4 <= time.monotonic() - began < 10
    assert caught.value.ws is ws
    assert ws.closed
    assert ws.close_code == 1006
    began = time.monotonic()
    with pytest.raises(WebSocketError):
        ws.send("x")
    assert time.monotonic() - began < 0.4
    assert ws.receive(DEADLINE) is None


@pytest.mark.parametrize("timeout", [5, 10**9], ids=["seconds", "more than poll() can wait"])
def test_slow_reader_gets_everything(pair, timeout):
    ws, peer = pair(receive_buffer=65536, SOCKETS_SEND_TIMEOUT=timeout)
    message = bytes(range(256)) * (16 * MIB // 256)
    sending = in_thread(ws.send, message)
    assert peer.read(10) == wire("82 7f", "00 00 00 00 01 00 00 00")
    received = bytearray()
    while len(received) < len(message):
        received += peer.read(min(MIB, len(message) - len(received)))
        assert peer.sock.fileno() >= 0
        threading.Event().wait(0.02)  # this is what makes it slow
    assert received == message
    sending.result()


@pytest.mark.slow
def test_sixteen_megabytes_to_a_reader_of_one_a_second_arrive_whole(pair):
    ws, peer = pair(receive_buffer=65536)  # and all times as they are by default
    message = bytes(range(256)) * (16 * MIB // 256)
    sending = in_thread(ws.send, message)
    assert peer.read(10) == wire("82 7f", "00 00 00 00 01 00 00 00")
    received = bytearray()
    began = time.monotonic()
    while len(received) < len(message):
        received += peer.read(min(MIB // 16, len(message) - len(received)))
        # This is what makes it slow.
        threading.Event().wait(max(0, began + len(received) / MIB - time.monotonic()))
    assert time.monotonic() - began >= 15.9
    assert received == message
    sending.result()
    assert not ws.closed


def test_send_timeout_counts_from_the_last_progress(pair):
    ws, peer = pair(receive_buffer=65536, SOCKETS_SEND_TIMEOUT=2)
    sending = in_thread(ws.send, bytes(16 * MIB))
    taken = 0
    began = time.monotonic()
    while time.monotonic() - began < 3:
        taken += len(peer.read(150_000))
        threading.Event().wait(0.05)
    peer.read(16 * MIB + 10 - taken)
    sending.result()
    assert not ws.closed


# SOCKETS_MAX_QUEUE


def test_full_queue_pushes_back_and_nothing_is_lost(pair):
    ws, peer = pair(SOCKETS_MAX_QUEUE=2)
    count, size = 400, 64 * 1024  # more than the kernel's buffers hold

    def send_all():
        for number in range(count):
            peer.send(bulk(BINARY, number.to_bytes(2, "big") + bytes(size)))

    sending = in_thread(send_all)
    with pytest.raises(queue.Empty):
        sending.result(within=1)
    for number in range(count):
        assert ws.receive(DEADLINE)[:2] == number.to_bytes(2, "big")
    sending.result()


def test_long_queue_takes_more(pair):
    ws, peer = pair(SOCKETS_MAX_QUEUE=500)
    for _ in range(400):
        peer.send(bulk(BINARY, bytes(64 * 1024)))
    assert len(ws.receive(DEADLINE)) == 64 * 1024


# SOCKETS_MAX_CONNECTIONS


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_connection_above_the_limit_gets_503_and_http_goes_on(serve):
    held = Pair()
    app = flask.Flask("limited")
    app.config["SOCKETS_MAX_CONNECTIONS"] = 2
    sockets = Sockets(app)
    sockets.route("/")(held.handler)
    app.add_url_rule("/page", "page", lambda: "page")
    live = serve(app=app)
    first, second = live.open(), live.open()
    for _ in range(3):
        head, _ = live.ask(request())
        assert head.status == 503
        assert int(head.headers["retry-after"]) > 0
    assert live.get("/page")[1] == b"page"
    first.reset()  # while its handler is running it still counts
    held.release()
    assert second.frames_to_end() == [Frame(CLOSE, wire("03 e8"))]
    for _ in range(6):  # each slot came back
        eventually(lambda: _opens(live))


def _opens(live):
    head, peer = live.ask(request())
    if head.status == 101:
        peer.frames_to_end()
    return head.status == 101


# id, handler, whether it logs.
SLOT_USERS = [
    ("returns", lambda ws: None, False),
    ("raises", lambda ws: 1 / 0, True),
    ("aborts", lambda ws: flask.abort(403), False),
    ("is reset", lambda ws: ws.receive(), False),
]


@pytest.mark.parametrize(
    ("handler", "complains"), [row[1:] for row in SLOT_USERS], ids=[row[0] for row in SLOT_USERS]
)
def test_slot_is_given_back_however_the_connection_ends(serve, logs, handler, complains):
    live = serve(handler, SOCKETS_MAX_CONNECTIONS=1)
    rounds = 5
    if complains:
        logs.expect(*["Exception on /"] * rounds)
    for _ in range(rounds):
        eventually(lambda: _opens_and_is_reset(live))


def _opens_and_is_reset(live):
    head, peer = live.ask(request())
    peer.reset()
    return head.status == 101


def test_refused_handshake_takes_no_slot(serve, logs):
    live = serve(lambda ws: None, SOCKETS_MAX_CONNECTIONS=1)
    logs.expect(*["origin 'https://evil.example' refused"] * 5)
    for _ in range(5):
        head, _ = live.ask(request(headers=[("Origin", "https://evil.example")]))
        assert head.status == 403
    live.open()


def test_without_a_limit_there_is_none(serve):
    held = Pair()
    live = serve(held.handler)
    for _ in range(40):
        live.open()
    held.release()


# Per route


def test_routes_own_limits_take_the_place_of_the_apps(serve):
    app = flask.Flask("routes")
    app.config["SOCKETS_MAX_MESSAGE_SIZE"] = 10
    app.config["SOCKETS_PING_INTERVAL"] = None
    sockets = Sockets(app)

    @sockets.route("/small", endpoint="small")
    @sockets.route("/large", endpoint="large", max_message_size=100)
    @sockets.route("/unlimited", endpoint="unlimited", max_message_size=None)
    @sockets.route("/pinged", endpoint="pinged", ping_interval=0.2)
    def echo(ws):
        for message in ws:
            ws.send(message)

    live = serve(app=app)
    # path, size, whether it comes back.
    for path, size, fits in [
        ("/small", 10, True),
        ("/small", 11, False),
        ("/large", 100, True),
        ("/large", 101, False),
        ("/unlimited", 17 * MIB, True),
        ("/pinged", 11, False),
    ]:
        with live.open(path) as peer:
            sending = in_thread(peer.send, bulk(BINARY, bytes(size)))
            expected = BINARY if fits else CLOSE
            assert peer.frame().first == expected, (path, size)
            with contextlib.suppress(ConnectionError):
                sending.result()
    with live.open("/pinged") as peer:
        assert peer.frame().first == PING
    with live.open("/small") as peer:
        assert peer.silent(0.6)


class Faulty(Host):
    """Be a third party's host with a defect, until it is repaired."""

    name = "faulty"
    repaired = False

    def claims(self, environ):
        return False

    def take(self, environ):
        return (environ["werkzeug.socket"] if self.repaired else None), b""


def test_host_that_gives_no_socket_takes_no_place(serve, logs):
    app = app_of(lambda ws: ws.send("hello"), SOCKETS_MAX_CONNECTIONS=1)
    host, inner = Faulty(), app.wsgi_app

    def served(environ, start_response):
        environ[HOST_KEY] = host
        return inner(environ, start_response)

    app.wsgi_app = served
    live = serve(app=app)
    logs.expect(*["Exception on / [GET]"] * 2)
    for _ in range(2):
        assert live.ask(request())[0].status == 500
    host.repaired = True
    assert live.open().frame() == Frame(TEXT, b"hello")

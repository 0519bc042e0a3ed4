"""Peers that vanish, stall or flood, and too many of them, where the socket is another's.

Cooperative sockets, TLS sockets of the server's, a socket with a timeout, a duplicate: the
core's waiting and its deadlines have to work on each. ``tests/integration`` has the same for
this package's server and Werkzeug's.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time

import pytest
from integration.hosts.servers import SERVERS, Hosted, on
from integration.liveness.blackhole import blackhole
from integration.processes import wait_for
from live import in_thread
from peer import BINARY, CLOSE, PING, PONG, TEXT, Frame, Peer, bulk, close_frame, request
from wire import frame, wire

INTERVAL = 0.5
TIMEOUT = 1.0  # within which a busy machine has to answer
SEND_TIMEOUT = 1.0
CLOSE_TIMEOUT = 1.0
MOST = 8
CONFIG = {
    "SOCKETS_PING_INTERVAL": INTERVAL,
    "SOCKETS_PING_TIMEOUT": TIMEOUT,
    "SOCKETS_SEND_TIMEOUT": SEND_TIMEOUT,
    "SOCKETS_CLOSE_TIMEOUT": CLOSE_TIMEOUT,
    "SOCKETS_MAX_QUEUE": 4,
    "SOCKETS_MAX_CONNECTIONS": MOST,
}
SLACK = 2.0  # seconds for a busy machine

MIB = 1 << 20

# Under these gunicorn serves with gevent's or gevent-websocket's own server, which is tested.
SAME = [SERVERS[f"gunicorn {name}"] for name in ("gevent_pywsgi", "gevent-websocket")]
where_the_socket_is_of_another_kind = on(
    lambda server: server.concurrent and not server.thread_each and server not in SAME
)


@pytest.fixture(autouse=True)
def nothing_left(server: Hosted):
    """Let each test's sockets go, with their handlers."""
    wait_for(lambda: server.state()["clients"] == 0, "end of other connections", 10)
    before = min(server.state()["sockets"] for _ in range(3))
    since = server.mark()
    yield
    server.hang_up()
    # Their handlers may be within a send; then both timeouts and what a Close is waited for.
    wait_for(lambda: server.state()["clients"] == 0, "end of the handlers", 10)
    wait_for(lambda: server.state()["sockets"] <= before, "end of the sockets", 10)
    assert [line for line in server.complaints(since) if "at a time here" not in line] == []


def gone(server: Hosted) -> float:
    """Wait until no handler runs; give the seconds."""
    began = time.monotonic()
    wait_for(lambda: server.state()["clients"] == 0, "end of the handlers", 20)
    return time.monotonic() - began


def answer(peer: Peer) -> Frame:
    """Read a frame; answer a Ping."""
    got = peer.frame()
    if got.first == PING:
        peer.send(frame(PONG, got.payload))
    return got


def admitted(server: Hosted, path: str) -> Peer:
    """Open a WebSocket as soon as there is room: a handler's end comes before its thread's."""
    deadline = time.monotonic() + 10
    while True:
        head, peer = server.ask(path)
        if head.status == 101:
            peer.send(frame(PING, b"in?"))
            if peer.frame() == Frame(PONG, b"in?"):
                return peer
        assert time.monotonic() < deadline
        peer.close()


@where_the_socket_is_of_another_kind
def test_who_answers_pings_lives_and_who_does_not_is_given_up(server: Hosted) -> None:
    lively = [server.open("/echo"), server.open("/idle")]
    silent = [server.open("/echo"), server.open("/idle")]
    began = time.monotonic()
    while time.monotonic() - began < 3 * (INTERVAL + TIMEOUT):
        for peer in lively:
            assert answer(peer).first == PING
    for peer in silent:
        *pings, last = peer.frames_to_end()
        assert {each.first for each in pings} == {PING}
        assert last == Frame(CLOSE, wire("03 f3") + b"keepalive ping timeout")
    assert time.monotonic() - began < 3 * (INTERVAL + TIMEOUT) + SLACK
    lively[0].text("alive")
    while (got := answer(lively[0])).first == PING:
        pass
    assert got == Frame(TEXT, b"alive")
    assert server.state()["clients"] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="a filter on a socket is Linux's")
@where_the_socket_is_of_another_kind
def test_link_that_takes_nothing_is_given_up(server: Hosted) -> None:
    peers = [server.open(path) for path in ("/echo", "/idle", "/push")]
    for peer in peers:
        blackhole(peer.sock)
    assert gone(server) < INTERVAL + TIMEOUT + 1 + SLACK


@where_the_socket_is_of_another_kind
def test_peer_that_never_reads_frees_the_sender_in_time(server: Hosted) -> None:
    peer = server.connect(receive_buffer=4096)
    peer.send(request("/flood"))
    assert peer.head().status == 101
    # Half a second in which a Close of the peer's may explain it comes on top.
    assert SEND_TIMEOUT - 0.2 < gone(server) < SEND_TIMEOUT + 0.5 + SLACK


@where_the_socket_is_of_another_kind
@pytest.mark.parametrize("answer", ["nothing", "messages"])
def test_unanswered_close_is_waited_for_no_longer_than_its_timeout(
    server: Hosted, answer: str
) -> None:
    peer = server.open("/closes")
    peer.text("go")
    assert peer.frame() == Frame(CLOSE, wire("0b b8") + b"bye")
    closed = time.monotonic()
    if answer == "messages":  # who goes on sending is cut off after half a second
        with contextlib.suppress(OSError):
            while time.monotonic() < closed + 10:
                peer.text("instead")
                time.sleep(0.05)
        assert time.monotonic() - closed < 0.5 + 0.5 + SLACK
    with contextlib.suppress(ConnectionResetError):
        assert peer.frames_to_end(answer=False) == []
    assert gone(server) < SLACK
    assert time.monotonic() - closed < CLOSE_TIMEOUT + 0.5 + SLACK


@where_the_socket_is_of_another_kind
def test_slow_reader_gets_everything(server: Hosted) -> None:
    peer = server.connect(receive_buffer=65536)
    peer.send(request("/flood"))
    assert peer.head().status == 101
    assert peer.read(10) == wire("82 7f", "00 00 00 00 01 00 00 00")
    began = time.monotonic()
    received = bytearray()
    while len(received) < 16 * MIB:
        received += peer.read(MIB)
        time.sleep(0.15)  # this is what makes it slow
    assert time.monotonic() - began > 2 * SEND_TIMEOUT
    assert received == bytes(range(256)) * (1 << 16)
    assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e8"))]


@where_the_socket_is_of_another_kind
def test_full_queue_pushes_back_and_nothing_is_lost(server: Hosted) -> None:
    peer = server.open("/busy/queue")
    count, size = 400, 64 * 1024  # more than the kernel's buffers hold

    def send_all() -> None:
        peer.text(str(count))
        for number in range(count):
            peer.send(bulk(BINARY, number.to_bytes(2, "big") + bytes(size)))

    sending = in_thread(send_all)
    # Neither is it taken for dead, whose pings it cannot answer in order.
    with pytest.raises(queue.Empty):
        sending.result(within=2 * (INTERVAL + TIMEOUT))
    assert server.get("/release/queue") == "released"
    sending.result()
    while (got := answer(peer)).first == PING:
        pass
    assert got == Frame(TEXT, b"complete")


@where_the_socket_is_of_another_kind
def test_one_client_too_many_is_refused_and_each_slot_comes_back(server: Hosted) -> None:
    # Not pinged: who answers nothing would be given up before the last one has been refused.
    peers = [server.open("/unpinged") for _ in range(MOST)]
    for _ in range(3):
        head, late = server.ask("/echo")
        if server.server.refuses:
            assert head.status == 503
            assert int(head.headers["retry-after"]) > 0
        else:
            assert head.status == 101
            assert late.frames_to_end() == [Frame(CLOSE, wire("03 f5"))]
    assert server.get("/") == "Hello"
    for peer, ending in zip(peers, ("close", "half_close", "reset") * MOST, strict=False):
        getattr(peer, ending)()
    assert gone(server) < 1 + SLACK
    for peer in [admitted(server, "/returns") for _ in range(MOST)]:
        peer.text("go")
        assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e8"))]


@where_the_socket_is_of_another_kind
def test_handler_may_return_while_another_thread_waits_for_room(server: Hosted) -> None:
    for ending in ("close", "reset") * 4 + ("stay",):
        peer = server.connect(receive_buffer=4096)
        peer.send(request("/leaves"))
        assert peer.head().status == 101
        peer.read(100)  # it is under way
        peer.text("go")
        if ending != "stay":
            getattr(peer, ending)()
        # The Close stands behind what is being sent: its timeout, and what may be discarded.
        assert gone(server) < CLOSE_TIMEOUT + 0.5 + SLACK
    wait_for(lambda: "send" not in str(server.state()["threads"]), "end of the sending threads", 5)


@where_the_socket_is_of_another_kind
def test_clients_come_and_go_while_others_are_looked_after(server: Hosted) -> None:
    watched = [server.open("/idle") for _ in range(2)]
    stop = threading.Event()

    def keep_asking(peer: Peer) -> int:
        """Keep the monitor awake; count its Pongs."""
        pongs = 0
        while not stop.is_set():
            peer.send(frame(PING, b"there?"))
            while answer(peer).first != PONG:
                pass
            pongs += 1
        return pongs

    asking = [in_thread(keep_asking, peer) for peer in watched]
    endings = ("close", "reset", "half_close", "normally")
    for number in range(32):
        wait_for(lambda: server.state()["clients"] <= 4, "room", 10)
        with admitted(server, ("/echo", "/idle")[number % 2]) as peer:
            ending = endings[number // 2 % 4]
            peer.text("word")
            if ending == "normally":
                peer.send(close_frame())
                assert peer.frames_to_end()[-1] == Frame(CLOSE, wire("03 e8"))
            else:
                getattr(peer, ending)()
    stop.set()
    assert all(each.result() > 0 for each in asking)
    wait_for(lambda: server.state()["clients"] == 2, "end of the others", 10)


@where_the_socket_is_of_another_kind
@pytest.mark.parametrize("path", ["/sink", "/source"])
def test_flood_leaves_others_their_turn(server: Hosted, path: str) -> None:
    peer = server.open(path)
    flooding = threading.Event()
    flooding.set()

    def flood() -> None:
        junk = bulk(BINARY, bytes(4096)) * 16
        while flooding.is_set():
            if path == "/sink":
                peer.send(junk)
            else:
                peer.frame()

    client = in_thread(flood)
    took = []
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline or len(took) <= 5:
        began = time.monotonic()
        assert server.get("/") == "Hello"  # without a turn of its own it waits for the flood's end
        took.append(time.monotonic() - began)
    flooding.clear()
    client.result()
    print(f"MEASURED flood {server.name} {path}: {len(took)} pages, the slowest {max(took):.2f} s")
    assert max(took) < 2.5 * SLACK

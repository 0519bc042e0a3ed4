"""Clients that mean no harm to WebSockets, or none that we should log: probes, garbage, stalls."""

from __future__ import annotations

import contextlib
import re
import socket

import pytest
from integration.hosts.servers import Hosted, everywhere, on
from peer import TEXT, Frame, Peer, request
from wire import frame

# What a port scanner, a confused client or a hand at a terminal sends.
GARBAGE = [
    b"\x00\xff" * 50,
    b"NONSENSE\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: a\r\nUpg",
    b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    request("/nowhere"),
    request("/echo", method="HEAD"),
    request("/echo", replace={"Sec-WebSocket-Key": None}),
    request("/echo", replace={"Sec-WebSocket-Key": "zzz"}),
    request("/echo", replace={"Sec-WebSocket-Version": "8"}),
    request("/echo"),
    request("/echo") + frame(TEXT, b"and gone")[:5],
]
ROUNDS = 5

OURS = re.compile(r"(WARNING|ERROR|CRITICAL) flask_threaded_sockets")


@everywhere
def test_hundred_port_probes_leave_no_trace(server: Hosted) -> None:
    since = server.mark()
    for _ in range(100):
        server.connect().close()
    assert server.get("/") == "Hello"
    assert server.complaints(since) == []


@everywhere
def test_hundred_times_garbage_is_nothing_to_log(server: Hosted) -> None:
    if not server.server.concurrent:  # it says once what it is not good for
        with server.open("/returns") as peer:
            peer.text("go")
            peer.frames_to_end()
    since = server.mark()
    for number in range(ROUNDS):
        for data in GARBAGE:
            for ending in ("close", "reset"):
                # Over TLS every other round is in the clear, which is garbage, too.
                clear = number % 2 and server.server.bears_failed_handshakes
                peer = Peer(server.port, tls=None if clear else server.tls)
                with contextlib.suppress(OSError):  # the server may have had enough
                    peer.send(data)
                getattr(peer, ending)()
    assert server.get("/") == "Hello"
    # What others log of them is theirs.
    if server.name == "own":
        assert server.complaints(since) == []
    lines = server.process.output[since:].splitlines()
    assert [line for line in lines if OURS.search(line)] == []


@on(lambda server: server.own_handshakes, secure=True)
def test_stalled_tls_handshakes_keep_nobody_out(server: Hosted) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            address = ("127.0.0.1", server.port)
            stack.enter_context(socket.create_connection(address, 20))
        peer = server.open("/echo")
        peer.text("in")
        assert peer.frame() == Frame(TEXT, b"in")


@pytest.fixture(autouse=True)
def hang_up(server: Hosted):
    yield
    server.hang_up()

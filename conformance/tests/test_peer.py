"""The kit's client against servers that end, or that never do: no case may wait for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from flask_threaded_sockets_conformance.arrivals import Eof, Mismatch, Nothing, Pong, Text
from flask_threaded_sockets_conformance.peer import Peer
from flask_threaded_sockets_conformance.timeline import Timeline
from flask_threaded_sockets_conformance.wire import FIN, PONG, TEXT, frame

TICK = frame(FIN | TEXT, b"tick", None)


@contextlib.contextmanager
def peer_of(serve: Callable[[socket.socket], None], patience: float = 30.0) -> Iterator[Peer]:
    """Connect to a server that does as it is told, and then ends its stream."""

    def run() -> None:
        with listener, listener.accept()[0] as sock, contextlib.suppress(OSError):
            serve(sock)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=run)
    thread.start()
    peer = Peer(listener.getsockname(), Timeline(), patience=patience)
    try:
        yield peer
    finally:
        peer.leave()
        thread.join()


def test_end_is_given_once_and_then_a_mismatch() -> None:
    with peer_of(lambda sock: sock.sendall(TICK)) as peer:
        peer.expect(Text("tick"), Eof())
        with pytest.raises(Mismatch, match="expected more to come, but the end of the stream has"):
            peer.next()


def test_silence_is_no_end() -> None:
    done = threading.Event()
    with peer_of(lambda _: done.wait(60) and None, patience=0.1) as peer:
        assert [peer.next(), peer.next()] == [Nothing(0.1)] * 2
        done.set()


def test_what_is_passed_over_may_come_any_number_of_times() -> None:
    pong = frame(FIN | PONG, b"p", None)
    with peer_of(lambda sock: sock.sendall(50 * TICK + pong)) as peer:
        assert peer.next_but(Text("tick")) == Pong(b"p")
        assert peer.next_but(Text("tick")) == Eof()


def test_what_is_passed_over_may_not_come_for_ever() -> None:
    def serve(sock: socket.socket) -> None:
        while True:
            sock.sendall(TICK)

    with (
        peer_of(serve, patience=0.2) as peer,
        pytest.raises(Mismatch, match=r"nothing but text 'tick' within 0\.2 s"),
    ):
        peer.next_but(Text("tick"))


def test_what_is_there_counts_whatever_the_clock_says() -> None:
    sent = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.sendall(TICK)
        sent.set()

    with peer_of(serve) as peer:
        assert sent.wait(60)
        peer.expect(Text("tick"), patience=0.0)
        assert peer.socket.gettimeout() == peer.patience

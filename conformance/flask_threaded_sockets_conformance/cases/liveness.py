"""Peers that are silent, slow or stubborn, and handlers that only push."""

from __future__ import annotations

import contextlib
import threading
import time

from flask_threaded_sockets import WebSocket, WebSocketError
from flask_threaded_sockets.backend import Feature

from ..arrivals import Close, Eof, Nothing, Pong, Text
from ..case import Area
from ..trial import Trial
from ..wire import FIN, TEXT, close, frame, ping, pong, text

__all__ = ["area"]

area = Area("liveness", "Liveness")


@area.case("push-only handlers")
def pushes_and_answers(t: Trial) -> None:
    """A handler only sends, every 20 ms; the client pings between.

    Expect: the Pong comes within a second.
    """

    def handler(ws: WebSocket) -> None:
        with contextlib.suppress(WebSocketError):  # the client may leave before a send
            while not ws.closed:
                ws.send("tick")
                time.sleep(0.02)

    peer = t.connect(handler)
    peer.expect(Text("tick"))
    with t.takes(1.0, "the Pong"):
        peer.send(ping(b"between"))
        t.equal(peer.next_but(Text("tick")), Pong(b"between"), "what came")
    peer.leave()
    t.returned(peer)


@area.case("push-only handlers")
def pushes_until_closed(t: Trial) -> None:
    """A handler only sends, without looking at ``closed``; the client closes.

    Expect: the Close is answered, and ``send`` raises WebSocketError within 1.5 s.
    """

    def handler(ws: WebSocket) -> str:
        while True:
            try:
                ws.send("tick")
            except WebSocketError:
                return "told"
            time.sleep(0.01)

    peer = t.connect(handler)
    peer.expect(Text("tick"))
    with t.takes(1.5, "telling the handler"):
        peer.close(1000)
        t.equal(t.returned(peer), "told", "the handler")
    came = peer.next_but(Text("tick"))
    t.equal(came, Close(1000, None, getattr(came, "frames", ())), "what came")
    peer.expect(Eof())


@area.case("push-only handlers")
def queues_for_later(t: Trial) -> None:
    """A handler works for a second, then receives what came in the meantime.

    Expect: all of it, in order; then the Close.
    """

    def handler(ws: WebSocket) -> list[object]:
        time.sleep(1)
        return list(ws)

    peer = t.connect(handler)
    for number in range(10):
        peer.send(text(str(number)))
        time.sleep(0.05)
    peer.send(close())
    t.equal(t.returned(peer), [str(number) for number in range(10)], "messages")


@area.case("silent peers")
def silence_is_no_end(t: Trial) -> None:
    """Nobody says anything for 2 s, with the default keepalive of 25 s.

    Expect: the connection lives.
    """
    peer = t.connect()
    t.equal(peer.next(2.0, pings=True), Nothing(2.0), "what came")
    peer.fence()


@area.case("silent peers")
def silent_within_frame(t: Trial) -> None:
    """The client stops in the middle of a frame.

    Expect: ``receive(0.3)`` times out all the same; the rest may come later.
    """

    def handler(ws: WebSocket) -> object:
        with t.takes(2.0, "receive(0.3)", at_least=0.25):
            t.raises(TimeoutError, lambda: ws.receive(0.3))
        ws.send("go on")
        return ws.receive()

    data = frame(FIN | TEXT, b"x" * 40_000)
    peer = t.connect(handler)
    peer.send(data[:30_000])
    peer.expect(Text("go on"))
    peer.send(data[30_000:])
    t.equal(t.returned(peer), "x" * 40_000, "receive()")


@area.case("silent peers", feature=Feature.KEEPALIVE)
def silent_within_frame_is_given_up(t: Trial) -> None:
    """The client stops in the middle of a frame; interval and timeout are 0.5 s.

    Expect: ``receive()`` gives ``None`` within 2 s.
    """
    config = {"ping_interval": 0.5, "ping_timeout": 0.5}
    peer = t.connect(lambda ws: ws.receive(), config=config)
    peer.send(frame(FIN | TEXT, b"x" * 40_000)[:30_000])
    with t.takes(2.3, "giving up"):
        t.equal(t.returned(peer), None, "receive()")


@area.case("peers that never read", feature=Feature.KEEPALIVE)
def never_reads_keepalive(t: Trial) -> None:
    """A client never reads and never answers; a thread is blocked in ``send``.

    Expect: keepalive of 0.5 s and 0.5 s ends it within 3 s, though the send timeout is 30 s.
    """

    def handler(ws: WebSocket) -> bool:
        t.raises(WebSocketError, lambda: ws.send(bytes(64_000_000)))
        return ws.closed

    config = {"ping_interval": 0.5, "ping_timeout": 0.5}
    peer = t.connect(handler, config=config, receive_buffer=8192)
    with t.takes(3.0, "giving up"):
        t.equal(t.returned(peer), True, "closed")


@area.case("peers that never read", feature=Feature.CLOSE_TIMEOUT)
def never_reads_and_handler_returns(t: Trial) -> None:
    """A client never reads; the handler has filled the buffers from a thread and returns.

    Expect: the request ends within the close timeout of 1 s and 2 s more.
    """

    def handler(ws: WebSocket) -> None:
        def fills() -> None:
            t.raises(WebSocketError, lambda: ws.send(bytes(64_000_000)))

        threading.Thread(target=fills, daemon=True).start()
        time.sleep(0.3)

    site = t.own_site(config={"close_timeout": 1})
    peer = t.connect(handler, site=site, receive_buffer=8192)
    t.returned(peer)
    t.wait(lambda: not site.server.accepted, "the request has ended", within=3.0)


@area.case("peers that never read")
def stalled_does_not_delay_others(t: Trial) -> None:
    """One client does not read; another handler goes on talking to its own.

    Expect: ten echoes within a second.
    """

    def handler(ws: WebSocket) -> None:
        t.raises(WebSocketError, lambda: ws.send(bytes(64_000_000)))

    stalled = t.connect(handler, config={"send_timeout": 3}, receive_buffer=8192)
    t.websocket(stalled)
    peer = t.connect(config={"send_timeout": 3})
    with t.takes(1.0, "ten echoes"):
        for number in range(10):
            peer.send(text(str(number)))
            peer.expect(Text(str(number)))
    stalled.leave()


@area.case("peers that never read")
def ping_flood_without_reading(t: Trial) -> None:
    """A client sends Pings without ever reading the Pongs, 10 MB of them.

    Expect: the server stops reading (TCP pushes back) or answers; its memory is bounded
    and another client is served.
    """
    peer = t.connect(receive_buffer=8192)
    peer.send_what_fits(ping(b"x" * 125) * 80_000, quiet=0.5)
    other = t.connect()
    with t.takes(1.0, "an echo"):
        other.fence()


@area.case("peers that never read", feature=Feature.SEND_TIMEOUT)
def pongs_wait_in_vain(t: Trial) -> None:
    """A client sends Pings and never reads; no keepalive, the send timeout is 1 s.

    Expect: ``closed`` is true within 3 s of the last Ping that fits.
    """
    done = threading.Event()
    config = {"send_timeout": 1, "ping_interval": None}
    peer = t.connect(lambda _: done.wait(3 * t.patience), config=config, receive_buffer=8192)
    ws = t.websocket(peer)
    try:
        peer.send_what_fits(ping(b"x" * 125) * 100_000, quiet=0.5)
        t.wait(lambda: ws.closed, "closed", within=2.5)
    finally:
        done.set()


@area.case("peers that read late", feature=Feature.SEND_TIMEOUT)
def pongs_wait_for_reader(t: Trial) -> None:
    """A client sends Pings until no more fit for a second, then reads; the send timeout is 10 s.

    Expect: all Pongs come.
    """
    done = threading.Event()
    config = {"send_timeout": 10, "ping_interval": None}
    peer = t.connect(lambda _: done.wait(3 * t.patience), config=config, receive_buffer=8192)
    data = ping(b"x" * 125)
    try:
        sent = peer.send_what_fits(data * 100_000, quiet=1.0)
        expected = sent // len(data) * len(pong(b"x" * 125, None))
        got = 0
        while got < expected:
            came = peer.socket.recv(1 << 20)
            t.true(bool(came), f"the stream ended after {got} of {expected} bytes of Pongs")
            got += len(came)
    finally:
        done.set()


@area.case("stubborn peers", feature=Feature.CLOSE_TIMEOUT)
def drips_after_close(t: Trial) -> None:
    """After the server's Close the client sends a byte now and then, but no Close.

    Expect: the request ends within the close timeout of 1 s and 2 s more.
    """
    site = t.own_site(config={"close_timeout": 1})
    peer = t.connect(lambda _: None, site=site)
    peer.expect(Close(1000))
    began = time.monotonic()
    while site.server.accepted and time.monotonic() - began < 5:
        peer.send(b"\x81")
        time.sleep(0.05)
    took = time.monotonic() - began
    t.true(took < 3, f"the request ended after {took:.2f} s")


@area.case("stubborn peers")
def slow_writer(t: Trial) -> None:
    """A message comes a byte every 20 ms.

    Expect: it arrives.
    """
    peer = t.connect(lambda ws: ws.receive())
    for byte in text("slow"):
        peer.send(bytes([byte]))
        time.sleep(0.02)
    t.equal(t.returned(peer), "slow", "receive()")

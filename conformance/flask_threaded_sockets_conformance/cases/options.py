"""The configuration table, row by row: what each option does, as the README has it."""

from __future__ import annotations

import threading
import time

from flask_threaded_sockets import WebSocket
from flask_threaded_sockets.backend import Feature

from ..arrivals import Close, Eof, Nothing, Ping, Text
from ..trial import Trial, request_head
from ..wire import pong, text
from .configuration import area
from .negotiation import OFFER

__all__: list[str] = []

_KEEPALIVE = Feature.KEEPALIVE


def _hold(seconds: float) -> threading.Event:
    """Give an event for a handler to wait for, which is set when the time is over."""
    done = threading.Event()
    threading.Timer(seconds, done.set).start()
    return done


@area.case("SOCKETS_PING_INTERVAL", feature=_KEEPALIVE)
def pings_while_receiving(t: Trial) -> None:
    """The interval is 0.5 s, the handler is in ``receive()``, the client answers.

    Expect: four Pings within 4 s, the first not before 0.3 s.
    """
    peer = t.connect(config={"ping_interval": 0.5})
    with t.takes(1.5, "the first Ping", at_least=0.3):
        _answer(t, peer.next(pings=True), peer)
    with t.takes(4.0, "three more Pings", at_least=0.9):
        for _ in range(3):
            _answer(t, peer.next(pings=True), peer)
    peer.fence()


def _answer(t: Trial, came: object, peer: object) -> None:
    if not isinstance(came, Ping):
        t.true(False, f"expected a Ping, came {came}")
        return
    peer.send(pong(came.payload))  # type: ignore[attr-defined]


@area.case("SOCKETS_PING_INTERVAL", feature=_KEEPALIVE)
def pings_while_busy(t: Trial) -> None:
    """The interval is 0.5 s, the handler neither receives nor sends, the client answers.

    Expect: Pings all the same, and the connection lives.
    """
    done = threading.Event()

    def handler(ws: WebSocket) -> bool:
        done.wait(2 * t.patience)
        return ws.closed

    peer = t.connect(handler, config={"ping_interval": 0.5, "ping_timeout": 0.5})
    for _ in range(4):
        _answer(t, peer.next(pings=True), peer)
    done.set()
    t.equal(t.returned(peer), False, "closed")


@area.case("SOCKETS_PING_INTERVAL", feature=_KEEPALIVE)
def no_pings(t: Trial) -> None:
    """The interval is ``None``, the timeout 0.5 s, and the client is silent for 1.5 s.

    Expect: no Ping, and the connection lives.
    """
    peer = t.connect(config={"ping_interval": None, "ping_timeout": 0.5})
    t.equal(peer.next(1.5, pings=True), Nothing(1.5), "what came")
    peer.fence()


@area.case("SOCKETS_PING_TIMEOUT", feature=_KEEPALIVE)
def pings_without_timeout(t: Trial) -> None:
    """The interval is 0.2 s, the timeout ``None``; the client never answers, for 1.5 s.

    Expect: Pings, and the connection lives.
    """
    peer = t.connect(config={"ping_interval": 0.2, "ping_timeout": None})
    deadline = time.monotonic() + 1.5
    count = 0
    while (left := deadline - time.monotonic()) > 0:
        count += isinstance(peer.next(left, pings=True), Ping)
    t.true(count >= 2, f"{count} Pings")
    peer.fence()


@area.case("SOCKETS_PING_TIMEOUT", feature=_KEEPALIVE)
def ping_timeout_in_receive(t: Trial) -> None:
    """Interval and timeout are 0.5 s, the client is silent, the handler is in ``receive()``.

    Expect: ``None`` after 1 s, before 2 s (interval + timeout + 1 s).
    """

    def handler(ws: WebSocket) -> tuple[object, bool, float]:
        began = time.monotonic()
        message = ws.receive()
        return message, ws.closed, time.monotonic() - began

    peer = t.connect(handler, config={"ping_interval": 0.5, "ping_timeout": 0.5})
    message, closed, took = t.returned(peer)
    t.equal((message, closed), (None, True), "receive() and closed")
    t.true(0.8 < took < 2.1, f"receive() returned after {took:.2f} s")


@area.case("SOCKETS_PING_TIMEOUT", feature=_KEEPALIVE)
def ping_timeout_while_pushing(t: Trial) -> None:
    """Interval and timeout are 0.5 s, the client is silent, the handler never receives.

    Expect: ``closed`` is true after 1 s, before 2 s (interval + timeout + 1 s).
    """

    def handler(ws: WebSocket) -> float:
        began = time.monotonic()
        t.wait(lambda: ws.closed, "closed is true")
        return time.monotonic() - began

    peer = t.connect(handler, config={"ping_interval": 0.5, "ping_timeout": 0.5})
    took = t.returned(peer)
    t.true(0.8 < took < 2.1, f"closed after {took:.2f} s")


@area.case("SOCKETS_PING_TIMEOUT", feature=_KEEPALIVE)
def pong_in_time(t: Trial) -> None:
    """Interval 0.3 s, timeout 0.6 s; the client answers each Ping after 0.3 s.

    Expect: the connection lives for 2 s.
    """
    peer = t.connect(config={"ping_interval": 0.3, "ping_timeout": 0.6})
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        came = peer.next(pings=True)
        time.sleep(0.3)
        _answer(t, came, peer)
    peer.fence()


@area.case("SOCKETS_PING_INTERVAL", feature=_KEEPALIVE)
def route_ping_interval(t: Trial) -> None:
    """The app has no Pings, a route has an interval of 0.3 s.

    Expect: a Ping within a second and a half.
    """
    peer = t.connect(config={"ping_interval": None}, route={"ping_interval": 0.3})
    with t.takes(1.5, "the first Ping"):
        _answer(t, peer.next(pings=True), peer)


@area.case("SOCKETS_PING_TIMEOUT", feature=_KEEPALIVE)
def route_ping_timeout(t: Trial) -> None:
    """The app's timeout is 20 s, a route's 0.3 s; the client is silent.

    Expect: the connection is over within 2 s.
    """
    peer = t.connect(
        lambda ws: ws.receive(), config={"ping_interval": 0.3}, route={"ping_timeout": 0.3}
    )
    with t.takes(2.0, "giving up"):
        t.returned(peer)


@area.case("SOCKETS_MAX_MESSAGE_SIZE", feature=Feature.MESSAGE_LIMIT)
def route_raises_size(t: Trial) -> None:
    """The app's limit is 100 bytes, a route's 1,000.

    Expect: 1,000 bytes pass, 1,001 do not.
    """
    peer = t.connect(config={"max_message_size": 100}, route={"max_message_size": 1000})
    peer.send(text("x" * 1000))
    peer.expect(Text("x" * 1000))
    peer.send(text("x" * 1001))
    peer.expect_end(1009)


@area.case("SOCKETS_MAX_MESSAGE_SIZE", feature=Feature.MESSAGE_LIMIT)
def route_lowers_size(t: Trial) -> None:
    """The app has the default, a route a limit of 10 bytes.

    Expect: 11 bytes end with 1009.
    """
    peer = t.connect(route={"max_message_size": 10})
    peer.send(text("x" * 11))
    peer.expect_end(1009)


@area.case("SOCKETS_CLOSE_TIMEOUT", feature=Feature.CLOSE_TIMEOUT)
def route_close_timeout(t: Trial) -> None:
    """A route's close timeout is 0.5 s, the app's 5 s; the client does not answer.

    Expect: the stream ends before 2 s.
    """
    peer = t.connect(lambda _: None, route={"close_timeout": 0.5})
    peer.expect(Close(1000))
    with t.takes(2.0, "the end of the stream"):
        peer.expect(Eof())


@area.case("SOCKETS_CLOSE_TIMEOUT", feature=Feature.CLOSE_TIMEOUT)
def close_timeout_gives_time(t: Trial) -> None:
    """The close timeout is 4 s and the client answers after 2 s.

    Expect: the stream is open until the answer, then ends at once.
    """
    peer = t.connect(lambda _: None, config={"close_timeout": 4})
    peer.expect(Close(1000))
    t.equal(peer.next(2.0), Nothing(2.0), "what came within 2 s")
    peer.close()
    with t.takes(1.0, "the end of the stream"):
        peer.expect(Eof())


@area.case("SOCKETS_SEND_TIMEOUT", feature=Feature.SEND_TIMEOUT)
def route_send_timeout(t: Trial) -> None:
    """A route's send timeout is 0.5 s, the app's 30 s; the client reads nothing.

    Expect: ``send`` raises before 2 s.
    """

    def handler(ws: WebSocket) -> float:
        began = time.monotonic()
        t.raises(OSError, lambda: ws.send(bytes(64_000_000)))
        return time.monotonic() - began

    peer = t.connect(handler, route={"send_timeout": 0.5}, receive_buffer=8192)
    took = t.returned(peer)
    t.true(0.3 < took < 2, f"send took {took:.2f} s")


@area.case("SOCKETS_MAX_QUEUE", feature=Feature.QUEUE_LIMIT)
def route_max_queue(t: Trial) -> None:
    """A route's queue holds 2 messages, the app's 100,000; the handler is busy.

    Expect: TCP pushes back.
    """
    done = _hold(3 * t.patience)
    peer = t.connect(lambda _: done.wait(), config={"max_queue": 100_000}, route={"max_queue": 2})
    message = b"\x82\xfe\xc3\x50" + bytes(50_004)
    sent = peer.send_what_fits(message * 2000, quiet=1.0)
    done.set()
    t.true(sent < 30_000_000, f"the server took {sent} bytes")


@area.case("SOCKETS_COMPRESSION", feature=Feature.COMPRESSION)
def route_compression_on(t: Trial) -> None:
    """The app does not compress, a route does.

    Expect: the offer is accepted.
    """
    _, response = t.ask(request_head("/echo", OFFER), site=t.site(route={"compression": True}))
    t.true(response.get("Sec-WebSocket-Extensions"), "the offer was declined")


@area.case("SOCKETS_COMPRESSION", feature=Feature.COMPRESSION)
def route_compression_off(t: Trial) -> None:
    """The app compresses, a route does not.

    Expect: the offer is declined.
    """
    site = t.site({"compression": True}, {"compression": False})
    _, response = t.ask(request_head("/echo", OFFER), site=site)
    t.equal(response.get("Sec-WebSocket-Extensions"), None, "Sec-WebSocket-Extensions")


@area.case("subprotocols")
def required_subprotocol(t: Trial) -> None:
    """A route requires a subprotocol and the client offers none of them.

    Expect: 400.
    """
    site = t.site(route={"subprotocols": ["chat"], "require_subprotocol": True})
    _, response = t.ask(request_head("/echo", {"Sec-WebSocket-Protocol": "mqtt"}), site=site)
    t.equal(response.status, 400, "status")

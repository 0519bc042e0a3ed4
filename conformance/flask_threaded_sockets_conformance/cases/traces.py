"""What endings leave behind: log records, errors, threads, descriptors."""

from __future__ import annotations

import logging
import threading

from flask_threaded_sockets import WebSocket, WebSocketError
from flask_threaded_sockets.backend import Feature

from ..arrivals import Close, Eof, Text
from ..observer import descriptors, log_records
from ..peer import Peer
from ..response import Response as Head
from ..server import Site
from ..trial import Trial, request_head
from ..wire import FIN, close, frame, text
from .endings import Deliberate, area, raising, raising_site

__all__: list[str] = []


@area.case("router swallows its own", exclusive=True)
def own_error_is_quiet(t: Trial) -> None:
    """The handler ends by sending on its own closed WebSocket, as the seed's echo loop does.

    Expect: nothing is logged from WARNING on, the client's Close is answered.
    """

    def handler(ws: WebSocket) -> None:
        while True:
            ws.send(ws.receive())  # type: ignore[arg-type]

    site, events = raising_site(t)
    with log_records() as records:
        peer = t.connect(handler, site=site)
        peer.send(text("a"))
        peer.expect(Text("a"))
        peer.close(1000)
        peer.expect(Close(1000), Eof())
        t.wait(lambda: not site.server.accepted, "the request has ended")
    t.equal([record.getMessage() for record in records], [], "log records")
    t.equal(events.exceptions, [], "got_request_exception")


@area.case("router swallows its own")
def foreign_error_is_not(t: Trial) -> None:
    """A handler sends on another, closed WebSocket and does not catch the error.

    Expect: Close 1011 and ``got_request_exception``, as for any exception; its ``ws``
    names the other.
    """
    site, events = raising_site(t)
    site.app.logger.disabled = True
    other = t.connect(lambda _: None, site=site)
    other.expect_end(1000)
    stale = t.websocket(other)
    peer = t.connect(lambda _: stale.send("too late"), site=site)
    peer.expect_end(1011)
    t.wait(lambda: events.exceptions, "got_request_exception")
    t.true(getattr(events.exceptions[0], "ws", None) is stale, "the error's ws is not the other")


@area.case("after the end")
def ended_with_handler(t: Trial) -> None:
    """Another thread uses the WebSocket after the handler has returned.

    Expect: ``closed`` is true; ``send`` and ``receive`` raise WebSocketError.
    """
    peer = t.connect(lambda _: None)
    peer.expect_end(1000)
    ws = t.websocket(peer)
    t.equal(ws.closed, True, "closed")
    t.raises(WebSocketError, lambda: ws.send("late"))
    t.wait(lambda: ws.handler is not None, "handler is readable")


def _probe(t: Trial, site: Site) -> Head:
    peer, response = t.ask(request_head("/echo", {"Sec-WebSocket-Key": "zzz"}), site=site)
    peer.leave()
    return response


@area.case("logs nothing", exclusive=True)
def quiet_endings(t: Trial) -> None:
    """Normal closes, resets, port probes and malformed handshakes, several of each.

    Expect: nothing is logged at WARNING or above.
    """
    site, events = raising_site(t)
    with log_records(logging.WARNING) as records:
        for _ in range(5):
            peer = t.connect(site=site)
            peer.close(1000)
            peer.expect(Close(1000), Eof())
            t.connect(site=site).reset()
            t.connect(site=site).leave()
            t.dial(site).leave()
            half = t.dial(site)
            half.send(b"GET /echo HTTP/1.1\r\nHo")
            half.leave()
            t.equal(_probe(t, site).status, 400, "status")
        t.wait(lambda: not site.server.accepted, "the requests have ended")
    t.equal([record.getMessage() for record in records], [], "log records")
    t.equal(events.exceptions, [], "got_request_exception")


@area.case("nothing outlives its connection", exclusive=True)
def no_leaks(t: Trial) -> None:
    """A hundred connections come and end in all ways.

    Expect: threads and file descriptors are back where they were within 2 s.
    """
    site = t.own_site(config={"close_timeout": 1})
    site.app.logger.disabled = True
    _all_ways(t, site, 1)
    t.wait(lambda: not site.server.accepted, "the requests have ended")
    # What starts once per process is there now; other cases' sites have threads, too.
    threads, files = set(threading.enumerate()), descriptors()
    _all_ways(t, site, 20)
    t.wait(
        lambda: threads.issuperset(threading.enumerate()) and descriptors() <= files,
        f"no thread more than {len(threads)}, no descriptor more than {files}",
        within=3.0,
    )


@area.case("nothing outlives its connection", feature=Feature.CLOSE_TIMEOUT)
def socket_let_go(t: Trial) -> None:
    """Both sides have closed, the handler goes on, and the client goes on sending.

    Expect: the socket is gone the close timeout of 1 s later, and what is sent then fails.
    """
    done = threading.Event()
    peer = t.connect(lambda _: done.wait(3 * t.patience), config={"close_timeout": 1})
    try:
        peer.close(1000)
        peer.expect(Close(1000), Eof())
        t.wait(lambda: not _takes(peer), "the socket is gone", within=4.0)
    finally:
        done.set()


def _takes(peer: Peer) -> bool:
    try:
        peer.socket.send(b"x")
    except OSError:
        return False
    return True


def _all_ways(t: Trial, site: Site, times: int) -> None:
    for _ in range(times):
        peer = t.connect(site=site)
        peer.send(close(1000))
        peer.expect(Close(1000), Eof())
        peer.leave()
        t.connect(site=site).reset()
        t.connect(site=site).leave()
        peer = t.connect(raising(Deliberate()), site=site)
        peer.expect_end(1011)
        peer.leave()
        peer = t.connect(site=site)
        peer.send(frame(FIN | 0x3))
        peer.expect_end(1002)
        peer.leave()

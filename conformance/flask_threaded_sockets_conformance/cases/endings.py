"""The table "how things end", row by row: what a handler does, as the README has it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, abort, redirect

from flask_threaded_sockets import Sockets, WebSocket, WebSocketError

from ..arrivals import Close, Eof, Text
from ..case import Area, Case
from ..exchange import collect
from ..observer import AppEvents, log_records
from ..server import Site
from ..trial import Trial, request_head
from ..wire import FIN, frame, text

__all__ = ["Deliberate", "area", "raising", "raising_site"]

area = Area("endings", "How things end, row by row")


class Deliberate(Exception):
    """Be raised by a case's handler."""


def raising(error: Exception) -> Callable[[WebSocket], None]:
    """Give a handler that raises."""

    def handler(_: WebSocket) -> None:
        raise error

    return handler


def _after_message(action: Callable[[WebSocket], Any]) -> Callable[[WebSocket], Any]:
    def handler(ws: WebSocket) -> Any:
        ws.send(ws.receive() or "nothing")
        return action(ws)

    return handler


# What the handler does, and the code of the Close.
_HANDLER_ENDS: tuple[tuple[str, str, str, Callable[[WebSocket], Any], int], ...] = (
    ("returns", "handler returns", "returns at once", lambda _: None, 1000),
    ("returns-value", "handler returns", "returns a value", lambda _: "a value", 1000),
    ("returns-after-message", "handler returns", "echoes a message and returns",
     _after_message(lambda _: None), 1000),
    ("raises", "handler raises", "raises at once", raising(Deliberate()), 1011),
    ("raises-after-message", "handler raises", "echoes a message and raises",
     _after_message(raising(Deliberate())), 1011),
    ("raises-key-error", "handler raises", "raises KeyError, which no router may take for its own",
     raising(KeyError("no such key")), 1011),
    ("raises-type-error", "handler raises", "raises TypeError", raising(TypeError()), 1011),
    ("raises-os-error", "handler raises", "raises OSError, but no WebSocketError",
     raising(OSError("of the case")), 1011),
    ("raises-timeout-error", "handler raises", "lets the TimeoutError of receive(0.01) out",
     lambda ws: (ws.receive(), ws.receive(0.01)), 1011),
    ("aborts-403", "abort(4xx) after the 101", "calls abort(403)", lambda _: abort(403), 1008),
    ("aborts-404", "abort(4xx) after the 101", "calls abort(404)", lambda _: abort(404), 1008),
    ("aborts-401-after-message", "abort(4xx) after the 101", "echoes a message, calls abort(401)",
     _after_message(lambda _: abort(401)), 1008),
    ("aborts-with-response", "abort(4xx) after the 101", "calls abort() with a response",
     lambda _: abort(Response("no", 403)), 1008),
)  # fmt: skip


def _handler_ends(handler: Callable[[WebSocket], Any], code: int) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        peer = t.connect(handler, site=_quiet_site(t))
        peer.send(text("message"))
        came = peer.next()
        if came == Text("message"):
            came = peer.next()
        t.equal(came, Close(code, None, getattr(came, "frames", ())), "the Close")
        peer.close()
        peer.expect(Eof())

    return run


def _quiet_site(t: Trial) -> Site:
    """Give a site whose handlers' errors are not printed."""
    site = t.site(route={"max_queue": 15})
    site.app.logger.disabled = True
    return site


for _name, _row, _words, _handler, _code in _HANDLER_ENDS:
    area.add(
        Case(
            _name,
            area.name,
            _row,
            "must",
            f"The handler {_words}.",
            f"Close {_code}, then the end of the stream; no byte that is no frame.",
            _handler_ends(_handler, _code),
        )
    )


@area.case("handler returns")
def close_without_answer(t: Trial) -> None:
    """The handler returns and the client ends its stream without answering the Close.

    Expect: Close 1000 and the end of the stream, within a second.
    """
    peer = t.connect(lambda _: None)
    peer.expect(Close(1000))
    peer.fin()
    with t.takes(1.0, "the end of the stream"):
        peer.expect(Eof())


@area.case("handler returns")
def flooding_client(t: Trial) -> None:
    """The client goes on sending after the server's Close, without one of its own.

    Expect: the server's thread is gone within 2 s.
    """
    site = t.own_site(config={"close_timeout": 1})
    peer = t.connect(lambda _: None, site=site)
    peer.expect(Close(1000))
    address = peer.socket.getsockname()
    with t.takes(2.5, "ending the request"):
        deadline = time.monotonic() + t.patience
        while address in site.server.accepted and time.monotonic() < deadline:
            peer.send(text("still here"))
            time.sleep(0.01)
    t.true(address not in site.server.accepted, "the request has not ended")


def raising_site(t: Trial, config: dict[str, Any] | None = None) -> tuple[Site, AppEvents]:
    """Give a site whose app answers exceptions with a page, and what Flask tells of it."""

    def prepare(app: Flask, _: Sockets) -> None:
        app.config.update(config or {})

    site = t.own_site(prepare=prepare)
    return site, AppEvents(site.app)


@area.case("handler raises", exclusive=True)
def raises_is_logged_once(t: Trial) -> None:
    """The handler raises.

    Expect: one log record with the traceback, and no other from WARNING on.
    """
    site, _ = raising_site(t)
    with log_records() as records:
        peer = t.connect(raising(Deliberate()), site=site)
        peer.expect_end(1011)
        t.wait(lambda: not site.server.accepted, "the request has ended")
    told = [record.exc_info and record.exc_info[0] for record in records]
    t.equal(told, [Deliberate], "the records' exceptions")


@area.case("handler raises")
def raises_is_signalled(t: Trial) -> None:
    """The handler raises.

    Expect: ``got_request_exception`` is sent once, teardown runs once.
    """
    site, events = raising_site(t)
    site.app.logger.disabled = True
    t.connect(raising(Deliberate()), site=site).expect_end(1011)
    t.wait(lambda: not site.server.accepted, "the request has ended")
    t.equal([type(error) for error in events.exceptions], [Deliberate], "signals")
    t.equal(events.teardowns, 1, "teardowns")


@area.case("handler raises")
def raises_while_testing(t: Trial) -> None:
    """The handler raises in an app with ``TESTING``, which lets exceptions out.

    Expect: Close 1011 all the same, no byte of a traceback.
    """
    site, _ = raising_site(t, {"TESTING": True, "DEBUG": True})
    site.app.logger.disabled = True
    t.connect(raising(Deliberate()), site=site).expect_end(1011)


def _once(action: Callable[[WebSocket], Any], how: str) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        site, events = raising_site(t)
        peer = t.connect(action, site=site)
        if how == "reset":
            t.websocket(peer)
            peer.reset()
        else:
            if how == "close":
                peer.close()
            came = peer.next()
            t.true(isinstance(came, Close), f"expected a Close, came {came}")
            peer.close()
            peer.expect(Eof())
        t.wait(lambda: not site.server.accepted, "the request has ended")
        t.equal(events.teardowns, 1, "teardowns")
        t.equal(events.exceptions, [], "got_request_exception")

    return run


for _name, _words, _handler, _how in (
    ("return", "the handler returns", lambda _: None, "own"),
    ("close", "the client closes", collect, "close"),
    ("reset", "the client resets", collect, "reset"),
    ("abort", "the handler calls abort(403)", lambda _: abort(403), "own"),
):
    area.add(
        Case(
            f"teardown-after-{_name}",
            area.name,
            "teardown once",
            "must",
            f"A connection ends because {_words}.",
            "Teardown runs once; got_request_exception is not sent.",
            _once(_handler, _how),
        )
    )


@area.case("abort(4xx) after the 101")
def abort_with_error_page(t: Trial) -> None:
    """The handler calls ``abort(403)`` in an app with an error page for it.

    Expect: Close 1008 and the end of the stream; no byte of the page.
    """

    def prepare(app: Flask, _: Sockets) -> None:
        app.register_error_handler(403, lambda _: ("<h1>forbidden</h1>", 403))

    site = t.own_site(prepare=prepare)
    t.connect(lambda _: abort(403), site=site).expect_end(1008)


# before_request functions and the response's status.
_BEFORE: tuple[tuple[str, str, Callable[[], Any], int], ...] = (
    ("aborts-401", "calls abort(401)", lambda: abort(401), 401),
    ("returns-403", "returns a response with the status 403", lambda: ("no", 403), 403),
    ("redirects", "returns a redirect", lambda: redirect("/login"), 302),
)


def _before(function: Callable[[], Any], status: int) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        site = t.own_site(prepare=lambda app, _: app.before_request(function) and None)
        path, call = site.enlist(lambda ws: ws.send("started"))
        peer, response = t.ask(request_head(path), site=site)
        t.equal(response.status, status, "status")
        peer.read_body()
        t.true(not call.started.is_set(), "the handler was started")

    return run


for _name, _words, _function, _status in _BEFORE:
    area.add(
        Case(
            f"before-request-{_name}",
            area.name,
            "before_request before the 101",
            "must",
            f"A before_request function {_words}.",
            f"That response, {_status}; the handler never starts.",
            _before(_function, _status),
        )
    )


@area.case("abort before the 101")
def abort_in_view(t: Trial) -> None:
    """A plain view calls ``abort(401)`` before it uses its WebSocket.

    Expect: the response 401.
    """
    site = t.site()
    path, _ = site.enlist(lambda _: abort(401))
    _, response = t.ask(request_head(path.replace("/call/", "/view/")), site=site)
    t.equal(response.status, 401, "status")


_FAILURES = (
    ("protocol-error", frame(FIN | 0x3), 1002),
    ("bad-utf-8", text(b"\xff"), 1007),
    ("too-big", text("x" * 2001), 1009),
)


def _failure(data: bytes, code: int) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        def handler(ws: WebSocket) -> tuple[object, int | None, bool, str]:
            ws.send("ready")
            message = ws.receive()
            error = t.raises(WebSocketError, lambda: ws.send("more"))
            return message, ws.close_code, ws.closed, type(error).__name__

        peer = t.connect(handler, config={"max_message_size": 2000})
        peer.expect(Text("ready"))
        with t.takes(1.0, "waking receive()"):
            peer.send(data)
            t.equal(t.returned(peer)[:3], (None, code, True), "receive(), close_code, closed")
        peer.expect_end(code)

    return run


for _name, _data, _code in _FAILURES:
    area.add(
        Case(
            f"{_name}-wakes-receive",
            area.name,
            "protocol error / bad UTF-8 / too big",
            "must",
            f"The client commits a {_name.replace('-', ' ')} while the handler is in receive().",
            f"Close {_code}; receive() gives None within a second, close_code is {_code}.",
            _failure(_data, _code),
        )
    )

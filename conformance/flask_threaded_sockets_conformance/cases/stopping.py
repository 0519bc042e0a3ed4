"""The rows "server stops" and "peer vanishes" of the table of endings."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from flask_threaded_sockets import WebSocket

from ..arrivals import Close, Eof, Mismatch, Text
from ..case import Case
from ..peer import Peer
from ..process import Child
from ..trial import Trial, request_head
from ..wire import text
from .endings import area

__all__: list[str] = []


def _dial(t: Trial, address: tuple[str, int], path: str) -> Peer:
    peer = t.dial_address(address)
    peer.socket.sendall(request_head(path))
    t.equal(peer.read_head().status, 101, "status")
    peer.expect(Text("ready"))
    return peer


def _stopped_by(number: int, path: str, told: str) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        with Child(t.stack.backend, patience=3 * t.patience) as child:
            address = child.address
            peers = [_dial(t, address, path) for _ in range(3)]
            child.signal(number)
            for peer in peers:
                peer.expect(Close(1001))
                peer.close(1001)
                peer.expect(Eof())
            child.gone_within(3.0)
            if told:
                t.equal(child.told("code"), 1001, "close_code in the handler")
            errors = "".join(child.errors)
            t.true("Traceback" not in errors, f"the process printed {errors[-800:]}")

    return run


for _number in (signal.SIGTERM, signal.SIGINT):
    for _path, _verb, _words, _told in (
        ("/wait", "waits", "is in receive()", "received"),
        ("/push", "pushes", "looks at closed", "closed"),
        ("/busy", "is-busy", "sleeps", ""),
    ):
        area.add(
            Case(
                f"{_number.name.lower()}-while-handler-{_verb}",
                area.name,
                "server stops",
                "must",
                f"{_number.name} with three clients, whose handler {_words}.",
                "Close 1001 for each; the process is gone within 3 s, without a traceback"
                + (", and the handler has seen 1001." if _told else "."),
                _stopped_by(_number, _path, _told),
            )
        )


@area.case("server stops")
def sigterm_and_silent_clients(t: Trial) -> None:
    """SIGTERM with ten clients, none of which answers the Close.

    Expect: Close 1001 for each; the process is gone within 3 s.
    """
    with Child(t.stack.backend, patience=3 * t.patience) as child:
        address = child.address
        peers = [_dial(t, address, "/wait") for _ in range(10)]
        child.signal(signal.SIGTERM)
        for peer in peers:
            peer.expect(Close(1001))
        child.gone_within(3.0)


@area.case("server stops")
def reload(t: Trial) -> None:
    """Werkzeug's reloader sees a changed file while a client is connected.

    Expect: Close 1001 or 1012, and a new process serves.
    """
    with tempfile.NamedTemporaryFile(suffix=".py") as watched:
        patience = 3 * t.patience
        with Child(t.stack.backend, patience=patience, reload=watched.name) as child:
            peer = _dial(t, child.address, "/wait")
            peer.patience = patience
            time.sleep(1.1)  # the reloader compares times
            os.utime(watched.name)
            peer.expect(Close((1001, 1012)))
            peer.close(1001)
            again = _dial(t, child.address, "/wait")
            again.leave()
            child.signal(signal.SIGTERM)


@area.case("SOCKETS_HANDLE_SIGNALS")
def signals_not_handled(t: Trial) -> None:
    """SIGTERM where ``SOCKETS_HANDLE_SIGNALS`` is false.

    Expect: the process ends as by default, at once and without a Close.
    """
    options = {"handle_signals": False}
    with Child(t.stack.backend, options, patience=3 * t.patience) as child:
        peer = _dial(t, child.address, "/wait")
        child.signal(signal.SIGTERM)
        came = peer.next()
        t.true(not isinstance(came, Close), f"expected no Close, came {came}")
        child.gone_within(3.0)
        t.equal(child.process.returncode, -signal.SIGTERM, "the process's exit status")


@area.case("server stops")
def server_shutdown(t: Trial) -> None:
    """``server.shutdown()`` while handlers are in ``receive()``, sleeping and sending.

    Expect: Close 1001 for each client; ``receive()`` gives ``None``, ``close_code`` 1001.
    """
    site = t.own_site()
    gone = threading.Event()

    def pushes(ws: WebSocket) -> None:
        while not ws.closed:
            ws.send("tick")
            time.sleep(0.02)

    waiting = t.connect(lambda ws: (ws.receive(), ws.close_code), site=site)
    pushing = t.connect(pushes, site=site)
    sleeping = t.connect(lambda _: gone.wait(t.patience), site=site)
    for peer in (waiting, pushing, sleeping):
        t.websocket(peer)
    thread = threading.Thread(target=site.server.shutdown, daemon=True)
    thread.start()
    for peer in (waiting, pushing, sleeping):
        came = peer.next_but(Text("tick"))
        if came != Close(1001):
            raise Mismatch(f"expected Close 1001, came {came}")
        peer.close(1001)
    gone.set()
    thread.join()
    t.equal(t.returned(waiting), (None, 1001), "receive() and close_code")


_VANISHING: tuple[tuple[str, str, Callable[[Peer], None], tuple[int, ...]], ...] = (
    ("fin", "its stream ends", lambda peer: peer.fin(), (1006,)),
    ("reset", "it resets", lambda peer: peer.reset(), (1006,)),
    ("close", "it closes with 4000", lambda peer: peer.close(4000), (4000,)),
)


def _vanishes_in_receive(
    vanish: Callable[[Peer], None], codes: tuple[int, ...]
) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        def handler(ws: WebSocket) -> tuple[Any, int | None, bool]:
            ws.send("here")
            return ws.receive(), ws.close_code, ws.closed

        peer = t.connect(handler)
        peer.expect(Text("here"))
        with t.takes(1.0, "waking receive()"):
            vanish(peer)
            message, code, closed = t.returned(peer)
        t.equal((message, closed), (None, True), "receive() and closed")
        t.true(code in codes, f"close_code is {code}, expected {codes}")

    return run


def _vanishes_while_pushing(
    vanish: Callable[[Peer], None], codes: tuple[int, ...]
) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        def handler(ws: WebSocket) -> int | None:
            # Never receives, never sends: as one that waits for a device.
            t.wait(lambda: ws.closed, "closed is true")
            return ws.close_code

        peer = t.connect(handler)
        t.websocket(peer)
        with t.takes(1.2, "closed"):
            vanish(peer)
            code = t.returned(peer)
        t.true(code in codes, f"close_code is {code}, expected {codes}")

    return run


for _name, _words, _vanish, _codes in _VANISHING:
    area.add(
        Case(
            f"{_name}-in-receive",
            area.name,
            "peer vanishes",
            "must",
            f"The handler is blocked in receive() when the client vanishes: {_words}.",
            f"receive() gives None within a second; close_code is {_codes[0]}.",
            _vanishes_in_receive(_vanish, _codes),
        )
    )
    area.add(
        Case(
            f"{_name}-while-pushing",
            area.name,
            "peer vanishes",
            "must",
            f"The handler never receives when the client vanishes: {_words}.",
            f"closed is true within a second; close_code is {_codes[0]}.",
            _vanishes_while_pushing(_vanish, _codes),
        )
    )


@area.case("peer vanishes")
def fin_behind_messages(t: Trial) -> None:
    """The client sends more messages than the queue holds and vanishes; the handler is busy.

    Expect: ``closed`` is true within a second.
    """

    def handler(ws: WebSocket) -> bool:
        t.wait(lambda: ws.closed, "closed is true")
        return True

    peer = t.connect(handler, config={"max_queue": 4})
    t.websocket(peer)
    peer.send(*(text(str(index)) for index in range(30)))
    with t.takes(1.5, "closed"):
        peer.fin()
        t.returned(peer)

"""Several threads on one connection, and several connections at once."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask_threaded_sockets import WebSocket, WebSocketError

from ..arrivals import Binary, Mismatch, Ping, Pong, Text
from ..case import Area, Case
from ..peer import Peer
from ..server import clients_of
from ..trial import Trial
from ..wire import binary, ping, text
from .negotiation import OFFER, ON

__all__ = ["area", "in_threads"]

area = Area("concurrency", "Concurrency")

_SENDERS = 8
_EACH = 60


def in_threads(*functions: Callable[[], object]) -> None:
    """Run functions side by side and raise the first of their errors."""
    errors: list[BaseException] = []

    def guarded(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=guarded, args=(function,), daemon=True) for function in functions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _message(sender: int, number: int) -> str:
    return json.dumps({"sender": sender, "number": number, "x": "y" * (number * 997 % 6000)})


def _many_senders(t: Trial, config: Mapping[str, Any], headers: Mapping[str, Any]) -> None:
    def handler(ws: WebSocket) -> None:
        def sends(sender: int) -> Callable[[], None]:
            def run() -> None:
                for number in range(_EACH):
                    ws.send(_message(sender, number))

            return run

        in_threads(*(sends(sender) for sender in range(_SENDERS)))

    peer = t.connect(handler, config=config, headers=headers)
    stop = threading.Event()

    def pings() -> None:
        number = 0
        while not stop.is_set() and number < 2000:
            peer.send(ping(b"%d" % number))
            number += 1
            time.sleep(0.001)

    thread = threading.Thread(target=pings, daemon=True)
    thread.start()
    try:
        _read_all(t, peer)
    finally:
        stop.set()
        thread.join()


def _read_all(t: Trial, peer: Peer) -> None:
    following = [0] * _SENDERS
    while sum(following) < _SENDERS * _EACH:
        came = peer.next()
        if isinstance(came, Pong):
            continue
        if not isinstance(came, Text):
            raise Mismatch(f"expected a message, came {came}")
        told = json.loads(came.data)
        sender = told["sender"]
        t.equal(came.data, _message(sender, following[sender]), f"message of sender {sender}")
        following[sender] += 1


@area.case("send(): thread-safe")
def eight_senders(t: Trial) -> None:
    """Eight threads send 60 messages each of up to 6 KB while the client pings at 1 kHz.

    Expect: no frame is mixed with another; each thread's messages come in its order.
    """
    _many_senders(t, {}, {})


def _eight_compressing(t: Trial) -> None:
    _many_senders(t, ON, OFFER)


area.add(
    Case(
        "eight-senders-compressed",
        area.name,
        "send(): thread-safe",
        "must",
        "The same with compression.",
        "Every message inflates: encoding and writing are in the same order.",
        _eight_compressing,
    )
)


@area.case("send(): thread-safe")
def pings_between_large_messages(t: Trial) -> None:
    """Two threads send 1 MB messages while the client pings without a pause.

    Expect: every frame is whole; Pongs come between, not within, the last Ping's, too.
    """

    def handler(ws: WebSocket) -> None:
        def sends() -> None:
            for _ in range(8):
                ws.send(bytes(1_000_000))

        in_threads(sends, sends)
        # Behind a Close of ours no Ping is answered: it must not be on its way yet.
        ws.receive()

    peer = t.connect(handler)
    for number in range(100):
        peer.send(ping(b"%d" % number))
    messages, answered = 0, b""
    # A Ping that another one follows may stay without an answer (RFC 6455 section 5.5.3).
    while messages < 16 or answered != b"99":
        came = peer.next()
        if isinstance(came, Pong):
            answered = came.payload
        else:
            t.equal(came, Binary(bytes(1_000_000)), "message")
            messages += 1
    peer.send(text("done"))
    peer.expect_end(1000)


@area.case("ping()")
def pings_of_many_threads(t: Trial) -> None:
    """Eight threads ping 25 times each, with the same payload.

    Expect: two hundred Pings, no error.
    """

    def handler(ws: WebSocket) -> None:
        def pings() -> None:
            for _ in range(25):
                ws.ping(b"same")

        in_threads(*[pings] * 8)

    peer = t.connect(handler)
    peer.expect(*[Ping(b"same")] * 200)
    t.returned(peer)


@area.case("receive()")
def receivers(t: Trial) -> None:
    """Four threads receive while 100 messages come, then a Close.

    Expect: each message goes to one of them; all of them end.
    """

    def handler(ws: WebSocket) -> list[object]:
        got: list[object] = []

        def receives() -> None:
            threads.append(threading.get_ident())
            with contextlib.suppress(WebSocketError):
                while (message := ws.receive()) is not None:
                    got.append(message)

        in_threads(*[receives] * 4)
        return got

    threads: list[int] = []
    peer = t.connect(handler)
    t.wait(lambda: len(threads) == 4, "four threads have started")
    for thread in threads:
        t.wait_for_thread(thread)
    for number in range(100):
        peer.send(text(str(number)))
    peer.close()
    got = t.returned(peer)
    t.equal(sorted(got, key=int), [str(number) for number in range(100)], "messages")


@area.case("receive()")
def send_while_receiving(t: Trial) -> None:
    """A thread sends while the handler is blocked in ``receive()``.

    Expect: the messages come at once, and the handler's still arrive.
    """
    peer = t.connect(lambda ws: ws.receive())
    ws = t.websocket(peer)
    with t.takes(1.0, "ten messages"):
        for number in range(10):
            ws.send(str(number))
            peer.expect(Text(str(number)))
    peer.send(text("done"))
    t.equal(t.returned(peer), "done", "receive()")


@area.case("handler.server.clients")
def broadcast_while_clients_come_and_go(t: Trial) -> None:
    """One thread broadcasts while four others connect and leave.

    Expect: no error from the snapshots, and who stays gets every message in order.
    """
    site = t.own_site()
    stays = t.connect(lambda ws: ws.receive(), site=site)
    ws = t.websocket(stays)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            peer = t.connect(site=site)
            peer.close()
            peer.leave()

    def broadcasts() -> None:
        try:
            for number in range(200):
                for client in clients_of(ws).values():
                    with contextlib.suppress(WebSocketError):
                        client.ws.send(str(number))
        finally:
            stop.set()

    in_threads(broadcasts, *[churn] * 4)
    stays.expect(*(Text(str(number)) for number in range(200)))


@area.case("Sockets.broadcast()")
def sockets_broadcast(t: Trial) -> None:
    """``Sockets.broadcast()`` sends a text and a binary message to three clients.

    Expect: each gets both, in order, and the result names all three as having them.
    """
    site = t.own_site()
    done = threading.Event()
    peers = [t.connect(lambda _: done.wait(2 * t.patience), site=site) for _ in range(3)]
    sockets = {t.websocket(peer) for peer in peers}
    try:
        for message in ("to all", b"\x00\xff"):
            result = site.sockets.broadcast(message)
            t.equal(set(result.delivered), sockets, "delivered")
            t.equal(dict(result.failed), {}, "failed")
        for peer in peers:
            peer.expect(Text("to all"), Binary(b"\x00\xff"))
    finally:
        done.set()


@area.case("Sockets.broadcast()")
def broadcast_of_all_lengths(t: Trial) -> None:
    """``Sockets.broadcast()`` sends messages of every length form, the longest 100,000 bytes.

    Expect: both clients get each, its length written as short as can be.
    """
    sizes = (0, 125, 126, 65535, 65536, 100_000)
    site = t.own_site()
    done = threading.Event()
    peers = [t.connect(lambda _: done.wait(2 * t.patience), site=site) for _ in range(2)]
    for peer in peers:
        t.websocket(peer)
    try:
        for size in sizes:
            site.sockets.broadcast(bytes(size))
            for peer in peers:
                peer.expect(Binary(bytes(size)))
    finally:
        done.set()


@area.case("two floods")
def both_flood(t: Trial) -> None:
    """Client and server both send 20 MB at the same time, each reading in another thread.

    Expect: no deadlock: all of it arrives at both ends.
    """
    count, size = 200, 100_000

    def handler(ws: WebSocket) -> int:
        def sends() -> None:
            for _ in range(count):
                ws.send(bytes(size))

        got: list[int] = []

        def receives() -> None:
            got.extend(len(ws.receive() or b"") for _ in range(count))

        in_threads(sends, receives)
        return sum(got)

    peer = t.connect(handler)
    data = binary(bytes(size))

    def sends() -> None:
        for _ in range(count):
            peer.socket.sendall(data)

    def reads() -> None:
        for _ in range(count):
            t.equal(peer.next(), Binary(bytes(size)), "message")

    in_threads(sends, reads)
    t.equal(t.returned(peer), count * size, "bytes the handler got")


@area.case("many connections")
def fifty_at_once(t: Trial) -> None:
    """Fifty clients are connected and talk in turn.

    Expect: each gets its own echo.
    """
    site = t.own_site()
    peers = [t.connect(site=site) for _ in range(50)]
    for turn in range(3):
        for number, peer in enumerate(peers):
            peer.send(text(f"{turn} {number}"))
        for number, peer in enumerate(peers):
            peer.expect(Text(f"{turn} {number}"))

"""Concurrency: ``close()`` against whatever other threads do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flask_threaded_sockets import WebSocket, WebSocketError

from ..arrivals import Close, Eof, Text
from ..peer import Peer
from ..trial import Trial
from .concurrency import area, in_threads

__all__: list[str] = []


@area.case("close(): from any thread")
def close_against_receive(t: Trial) -> None:
    """Thirty times a thread closes at about the moment the handler begins to receive.

    Expect: one Close each time, and no handler is left behind.
    """
    site = t.site()
    for turn in range(30):
        peer = t.connect(lambda ws: ws.receive(), site=site)
        ws = t.websocket(peer)
        time.sleep(turn * 0.0002)
        ws.close(4000)
        peer.expect_end(4000)
        t.equal(t.returned(peer), None, "receive()") if _ended_well(peer) else None
        peer.leave()


def _ended_well(peer: Peer) -> bool:
    """Tell whether the handler was in ``receive()`` in time; else it raised, rightly."""
    call = peer.call
    return bool(call and call.done.wait(peer.patience) and call.error is None)


@area.case("close(): from any thread")
def close_against_send(t: Trial) -> None:
    """Twenty times a thread closes while the handler sends without a pause.

    Expect: whole frames, one Close, nothing behind it; the handler is told.
    """

    def handler(ws: WebSocket) -> bool:
        try:
            while True:
                ws.send("x" * 2000)
        except WebSocketError:
            return ws.closed

    for turn in range(20):
        peer = t.connect(handler)
        ws = t.websocket(peer)
        time.sleep(turn * 0.0003)
        ws.close(4000)
        came = peer.next_but(Text("x" * 2000))
        t.true(came == Close(4000), f"expected Close 4000, came {came}")
        peer.close(4000)
        peer.expect(Eof())
        t.equal(t.returned(peer), True, "closed")
        peer.leave()


@area.case("close(): idempotent")
def closes_at_once(t: Trial) -> None:
    """Eight threads close at the same moment, with different codes.

    Expect: one Close; ``close_code`` is its code.
    """

    def handler(ws: WebSocket) -> int | None:
        barrier = threading.Barrier(8)

        def closes(code: int) -> Callable[[], None]:
            def close_with_the_others() -> None:
                barrier.wait()
                ws.close(code)

            return close_with_the_others

        in_threads(*(closes(4000 + number) for number in range(8)))
        return ws.close_code

    for _ in range(5):
        peer = t.connect(handler)
        came = peer.next()
        peer.close()
        peer.expect(Eof())
        t.equal(t.returned(peer), getattr(came, "code", None), "close_code")
        peer.leave()


@area.case("close(): bounded")
def close_while_send_blocks(t: Trial) -> None:
    """One thread is blocked in ``send`` to a client that does not read; another closes.

    Expect: ``close()`` returns within 2 s, and the sender is told before the send timeout
    of 4 s and the close timeout of 2 s are over.
    """

    def handler(ws: WebSocket) -> bool:
        t.raises(WebSocketError, lambda: ws.send(bytes(64_000_000)))
        return ws.closed

    config = {"send_timeout": 4, "close_timeout": 2}
    peer = t.connect(handler, config=config, receive_buffer=8192)
    ws = t.websocket(peer)
    time.sleep(0.3)  # until the buffers are full
    with t.takes(2.0, "close()"):
        ws.close(4000)
    with t.takes(7.0, "the end of send"):
        t.equal(t.returned(peer), True, "closed")

"""The ``WebSocket`` contract's rows ``receive`` and iteration, as the README has it."""

from __future__ import annotations

import threading
import time

from flask_threaded_sockets import WebSocket, WebSocketError

from ..arrivals import Close, Text
from ..exchange import collect
from ..trial import Trial
from ..wire import binary, close, cont, text
from .contract import CLOSED_TEXT, area

__all__: list[str] = []

_ROW = "receive()"


@area.case(_ROW)
def receive_text(t: Trial) -> None:
    """A text message comes.

    Expect: ``receive()`` gives a ``str``.
    """
    peer = t.connect(lambda ws: ws.receive())
    peer.send(text("grüße"))
    t.equal(t.returned(peer), "grüße", "receive()")


@area.case(_ROW)
def receive_binary(t: Trial) -> None:
    """A binary message comes.

    Expect: ``receive()`` gives a ``bytearray``, as gevent-websocket does.
    """
    peer = t.connect(lambda ws: ws.receive())
    peer.send(binary(b"\x00\xff"))
    t.equal(t.returned(peer), bytearray(b"\x00\xff"), "receive()")


@area.case(_ROW)
def receive_large_binary(t: Trial) -> None:
    """A binary message of 1 MB comes.

    Expect: ``receive()`` gives a ``bytearray``, which may be changed.
    """

    def handler(ws: WebSocket) -> object:
        message = ws.receive()
        if isinstance(message, bytearray):
            message[0] = 1
        return message

    peer = t.connect(handler)
    peer.send(binary(bytes(1_000_000)))
    t.equal(t.returned(peer), bytearray(b"\x01" + bytes(999_999)), "receive()")


@area.case(_ROW)
def receive_fragmented_binary(t: Trial) -> None:
    """A binary message comes in fragments.

    Expect: ``receive()`` gives one ``bytearray``.
    """
    peer = t.connect(lambda ws: ws.receive())
    peer.send(binary(b"ab", fin=False), cont("cd"))
    t.equal(t.returned(peer), bytearray(b"abcd"), "receive()")


@area.case(_ROW)
def receive_empty(t: Trial) -> None:
    """An empty text and an empty binary message come.

    Expect: ``receive()`` gives ``''`` and ``bytearray()``, not ``None``.
    """
    peer = t.connect(lambda ws: [ws.receive(), ws.receive()])
    peer.send(text(""), binary(b""))
    t.equal(t.returned(peer), ["", bytearray()], "receive()")


@area.case(_ROW)
def receive_timeout(t: Trial) -> None:
    """No message comes within ``receive(0.3)``.

    Expect: ``TimeoutError`` after 0.3 s, and not before.
    """

    def handler(ws: WebSocket) -> float:
        began = time.monotonic()
        t.raises(TimeoutError, lambda: ws.receive(0.3))
        return time.monotonic() - began

    took = t.returned(t.connect(handler))
    t.true(0.28 < took < 2, f"TimeoutError after {took:.2f} s")


@area.case(_ROW)
def receive_timeout_positional_and_keyword(t: Trial) -> None:
    """The timeout is given by position, by keyword, as ``int`` and as ``None``.

    Expect: all of them work.
    """

    def handler(ws: WebSocket) -> list[object]:
        return [ws.receive(5), ws.receive(timeout=5), ws.receive(5.5), ws.receive(None)]

    peer = t.connect(handler)
    peer.send(*map(text, "abcd"))
    t.equal(t.returned(peer), list("abcd"), "messages")


@area.case(_ROW)
def usable_after_timeout(t: Trial) -> None:
    """A message comes after a ``TimeoutError``.

    Expect: the next ``receive()`` gives it.
    """

    def handler(ws: WebSocket) -> object:
        t.raises(TimeoutError, lambda: ws.receive(0.05))
        ws.send("now")
        return ws.receive()

    peer = t.connect(handler)
    peer.expect(Text("now"))
    peer.send(text("late"))
    t.equal(t.returned(peer), "late", "receive()")


@area.case(_ROW)
def half_message_survives_timeout(t: Trial) -> None:
    """Half a message is there when ``receive`` times out; then the rest comes.

    Expect: nothing is lost.
    """

    def handler(ws: WebSocket) -> object:
        t.raises(TimeoutError, lambda: ws.receive(0.3))
        ws.send("now")
        return ws.receive()

    peer = t.connect(handler)
    data = text("first half ", fin=False) + cont("second half")
    peer.send(data[:20])
    peer.expect(Text("now"))
    peer.send(data[20:])
    t.equal(t.returned(peer), "first half second half", "receive()")


@area.case(_ROW)
def timeout_zero_without_message(t: Trial) -> None:
    """``receive(timeout=0)`` without a message.

    Expect: ``TimeoutError`` within half a second.
    """

    def handler(ws: WebSocket) -> float:
        began = time.monotonic()
        t.raises(TimeoutError, lambda: ws.receive(timeout=0))
        return time.monotonic() - began

    took = t.returned(t.connect(handler))
    t.true(took < 0.5, f"TimeoutError after {took:.2f} s")


@area.case(_ROW)
def timeout_zero_with_second_message(t: Trial) -> None:
    """Two messages come in one segment; one is received, then ``receive(timeout=0)``.

    Expect: it gives the second.
    """
    peer = t.connect(lambda ws: [ws.receive(), ws.receive(timeout=0)])
    peer.send(text("a") + text("b"))
    t.equal(t.returned(peer), ["a", "b"], "messages")


@area.case(_ROW)
def timeout_zero_with_message_there(t: Trial) -> None:
    """A message has come while the handler was busy; then ``receive(timeout=0)``.

    Expect: it gives the message.
    """
    sent = threading.Event()

    def handler(ws: WebSocket) -> object:
        sent.wait(t.patience)
        time.sleep(0.5)  # twice what may pass until somebody reads
        return ws.receive(timeout=0)

    peer = t.connect(handler)
    peer.send(text("there"))
    sent.set()
    t.equal(t.returned(peer), "there", "receive(timeout=0)")


@area.case(_ROW)
def polling(t: Trial) -> None:
    """The handler polls with ``receive(timeout=0)``, in vain at first; then fifty messages come.

    Expect: all of them, in order.
    """
    polled = threading.Event()

    def handler(ws: WebSocket) -> list[object]:
        got: list[object] = []
        deadline = time.monotonic() + t.patience
        while len(got) < 50 and time.monotonic() < deadline:
            try:
                got.append(ws.receive(timeout=0))
            except TimeoutError:
                polled.set()
                time.sleep(0.001)
        return got

    peer = t.connect(handler)
    polled.wait(t.patience / 2)  # if it never is, that is another case's affair
    for index in range(50):
        peer.send(text(str(index)))
    t.equal(t.returned(peer), [str(index) for index in range(50)], "messages")


@area.case(_ROW)
def messages_before_close(t: Trial) -> None:
    """Three messages and a Close come while the handler is busy.

    Expect: the messages, then ``None``.
    """
    go = threading.Event()

    def handler(ws: WebSocket) -> tuple[object, ...]:
        go.wait(2 * t.patience)  # longer than the Close is waited for
        return collect(ws)

    peer = t.connect(handler)
    peer.send(text("a"), binary(b"b"), text("c"), close(1000))
    peer.expect(Close(1000))
    go.set()
    t.equal(t.returned(peer), ("a", bytearray(b"b"), "c", None, 1000), "messages")


@area.case(_ROW)
def messages_before_fin(t: Trial) -> None:
    """Two messages come, then the client's stream ends without a Close.

    Expect: the messages, then ``None``; ``close_code`` is 1006.
    """
    go = threading.Event()

    def handler(ws: WebSocket) -> tuple[object, ...]:
        go.wait(2 * t.patience)  # longer than closed is waited for
        return collect(ws)

    peer = t.connect(handler)
    peer.send(text("a"), text("b"))
    peer.fin()
    t.wait(lambda: t.websocket(peer).closed, "closed is true")
    go.set()
    t.equal(t.returned(peer), ("a", "b", None, 1006), "messages")


@area.case(_ROW)
def none_once(t: Trial) -> None:
    """The client closes and the handler receives twice.

    Expect: ``None``, then a WebSocketError with gevent-websocket's words.
    """

    def handler(ws: WebSocket) -> tuple[object, str]:
        first = ws.receive()
        return first, str(t.raises(WebSocketError, ws.receive))

    peer = t.connect(handler)
    peer.close()
    t.equal(t.returned(peer), (None, CLOSED_TEXT), "receive() twice")


@area.case(_ROW)
def receive_after_own_close(t: Trial) -> None:
    """The handler closes, then receives.

    Expect: a WebSocketError with gevent-websocket's words.
    """

    def handler(ws: WebSocket) -> str:
        ws.close()
        return str(t.raises(WebSocketError, ws.receive))

    t.equal(t.returned(t.connect(handler)), CLOSED_TEXT, "the error")


@area.case(_ROW)
def receive_timeout_after_close(t: Trial) -> None:
    """The client has closed; the handler receives with a timeout, also of 0.

    Expect: ``None`` rather than ``TimeoutError``.
    """

    def handler(ws: WebSocket) -> object:
        t.wait(lambda: ws.closed, "closed is true")
        return ws.receive(timeout=0)

    peer = t.connect(handler)
    peer.close()
    t.equal(t.returned(peer), None, "receive(timeout=0)")


@area.case(_ROW)
def close_within_timeout(t: Trial) -> None:
    """The client closes during ``receive(30)``.

    Expect: ``None`` within a second.
    """

    def handler(ws: WebSocket) -> object:
        ws.send("waiting")
        return ws.receive(30)

    peer = t.connect(handler)
    peer.expect(Text("waiting"))
    with t.takes(1.0, "receive()"):
        peer.close()
        t.equal(t.returned(peer), None, "receive(30)")


@area.case("iteration")
def iteration(t: Trial) -> None:
    """``for message in ws`` while three messages and a Close come.

    Expect: the three messages, then the loop ends.
    """
    peer = t.connect(list)
    peer.send(text("a"), binary(b"b"), text(""), close())
    t.equal(t.returned(peer), ["a", bytearray(b"b"), ""], "messages")


@area.case("iteration")
def iteration_over_closed(t: Trial) -> None:
    """``for message in ws`` on a WebSocket that has told its end.

    Expect: the loop ends at once, without an error.
    """
    peer = t.connect(lambda ws: [ws.receive(), list(ws)])
    peer.close()
    t.equal(t.returned(peer), [None, []], "receive() and the loop")


@area.case(_ROW)
def gevent_loop(t: Trial) -> None:
    """The loop of gevent-websocket's examples: ``while not ws.closed``, receive, send.

    Expect: it echoes and ends without an error, also where it ends with ``send(None)``.
    """

    def handler(ws: WebSocket) -> str:
        while not ws.closed:
            message = ws.receive()
            if message is None:
                break
            ws.send(message)
        return "ended"

    peer = t.connect(handler)
    peer.send(text("a"))
    peer.expect(Text("a"))
    peer.close()
    t.equal(t.returned(peer), "ended", "the handler")
    peer.expect(Close(1000))

"""The closing handshake (RFC 6455 sections 5.5.1 and 7)."""

from __future__ import annotations

import threading

from flask_threaded_sockets import WebSocket

from ..arrivals import Close, Eof, Raw, Text
from ..case import Area
from ..exchange import Exchange, add_exchanges
from ..trial import Trial
from ..wire import CLOSE, FIN, close, close_body, frame, text, wire

__all__ = ["area"]

area = Area("close", "Closing handshake")

_GOOD = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
_OURS = (3000, 3999, 4000, 4999)
_BAD = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)

add_exchanges(
    area,
    *(
        Exchange(
            f"code-{code}",
            "7.4",
            f"A Close with the code {code}.",
            close(code),
            (Close(code),),
        )
        for code in (*_GOOD, *_OURS)
    ),
    *(
        Exchange(
            f"bad-code-{code}",
            "7.4",
            f"A Close with the code {code}, which must not be sent.",
            close(code),
            (Close(1002),),
        )
        for code in _BAD
    ),
    Exchange(
        "no-body",
        "5.5.1",
        "A Close without a body.",
        wire("88 80", "37 fa 21 3d"),
        (Close((None, 1000)),),
    ),
    Exchange(
        "one-byte-body",
        "5.5.1",
        "A Close with a body of one byte.",
        frame(FIN | CLOSE, b"\x03"),
        (Close(1002),),
    ),
    Exchange("reason", "5.5.1", "A Close with a reason.", close(1000, "bye"), (Close(1000),)),
    Exchange(
        "reason-utf-8",
        "5.5.1",
        "A Close with a reason beyond ASCII.",
        close(1000, "adieu, été 😀"),
        (Close(1000),),
    ),
    Exchange(
        "reason-123",
        "5.5.1",
        "A Close with a reason of 123 bytes, the longest there is.",
        close(1000, "x" * 123),
        (Close(1000),),
    ),
    Exchange(
        "reason-invalid",
        "8.1",
        "A Close whose reason is not UTF-8.",
        close(1000, b"\xff"),
        (Close((1002, 1007)),),
    ),
    Exchange(
        "reason-cut",
        "8.1",
        "A Close whose reason ends within a character.",
        close(1000, b"caf\xc3"),
        (Close((1002, 1007)),),
    ),
    Exchange(
        "message-then-close",
        "7.1.2",
        "A message and a Close in one segment.",
        text("last") + close(1000),
        (Close(1000),),
        app=("last", None, 1000),
    ),
    Exchange(
        "message-behind",
        "5.5.1",
        "A message behind the Close.",
        close(1000) + text("too late"),
        (Close(1000),),
    ),
    Exchange(
        "close-twice",
        "5.5.1",
        "Two Closes.",
        close(1000) + close(1001),
        (Close(1000),),
    ),
    Exchange(
        "garbage-behind",
        "5.5.1",
        "Bytes that are no frame behind the Close.",
        close(1000) + bytes(range(1, 60)),
        (Close(1000),),
    ),
)


@area.case("7.1.1")
def server_ends_stream(t: Trial) -> None:
    """The server begins the closing handshake and the client answers.

    Expect: the server ends the stream, within a second.
    """
    peer = t.connect(lambda ws: ws.close(1000))
    peer.expect(Close(1000))
    peer.close()
    with t.takes(1.0, "the end of the stream"):
        peer.expect(Eof())


@area.case("7.1.1")
def server_ends_stream_after_client(t: Trial) -> None:
    """The client begins the closing handshake.

    Expect: the server answers and ends the stream, within a second.
    """
    peer = t.connect()
    peer.close(1000, "done")
    with t.takes(1.0, "the answer and the end of the stream"):
        peer.expect(Close(1000), Eof())


@area.case("5.5.1")
def answer_while_busy(t: Trial) -> None:
    """A Close comes while the handler neither receives nor sends.

    Expect: the answer comes within a second, not when the handler is done.
    """
    done = threading.Event()
    peer = t.connect(lambda _: done.wait(t.patience))
    peer.close(1000)
    try:
        with t.takes(1.0, "the answer"):
            peer.expect(Close(1000))
    finally:
        done.set()


@area.case("5.5.1")
def stream_ends_before_handler(t: Trial) -> None:
    """The handler closes and goes on with something else; the client answers the Close.

    Expect: the stream ends within a second, not when the handler is done.
    """
    done = threading.Event()

    def handler(ws: WebSocket) -> None:
        ws.close(1000)
        done.wait(2 * t.patience)

    peer = t.connect(handler)
    try:
        peer.expect(Close(1000))
        peer.close()
        with t.takes(1.0, "the end of the stream"):
            peer.expect(Eof())
    finally:
        done.set()


@area.case("5.5.1")
def stream_ends_before_busy_handler(t: Trial) -> None:
    """The client closes while the handler neither receives nor sends, and goes on so.

    Expect: the answer and the end of the stream within a second.
    """
    done = threading.Event()
    peer = t.connect(lambda _: done.wait(2 * t.patience))
    try:
        peer.close(1000)
        with t.takes(1.0, "the answer and the end of the stream"):
            peer.expect(Close(1000), Eof())
    finally:
        done.set()


@area.case("5.5.1")
def nothing_after_close(t: Trial) -> None:
    """The server closes and its handler goes on trying to send.

    Expect: after the Close nothing but the end of the stream.
    """

    def handler(ws: WebSocket) -> None:
        ws.send("before")
        ws.close(1000)
        for call in (
            lambda: ws.send("after"),
            lambda: ws.ping(),
            lambda: ws.send_frame(b"", ws.OPCODE_PONG),
        ):
            t.raises(OSError, call)

    peer = t.connect(handler)
    peer.expect(Text("before"), Close(1000))
    peer.close()
    peer.expect(Eof())
    t.returned(peer)


@area.case("7.1.4")
def crossing(t: Trial) -> None:
    """Both sides close at the same time, with different codes.

    Expect: one Close from the server, with its own code, then the end of the stream.
    """
    both = threading.Barrier(2, timeout=t.patience)

    def handler(ws: WebSocket) -> None:
        both.wait()
        ws.close(4000)

    peer = t.connect(handler)
    both.wait()
    peer.close(4001)
    peer.expect(Close((4000, 4001)), Eof())


@area.case("1.4")
def messages_before_answer(t: Trial) -> None:
    """After the server's Close the client sends messages before its own.

    Expect: they are discarded, and the stream ends with the client's Close.
    """
    peer = t.connect(lambda ws: ws.close(1000))
    peer.expect(Close(1000))
    peer.send(text("on its way"), text("too"))
    peer.close()
    peer.expect(Eof())


@area.case("7.1.5")
def exact_bytes(t: Trial) -> None:
    """The handler closes with the code 1000 and the reason ``bye``.

    Expect: exactly the bytes ``88 05 03 e8 62 79 65``.
    """
    peer = t.connect(lambda ws: ws.close(1000, b"bye"))
    peer.expect(Raw(wire("88 05", "03 e8 62 79 65")))


@area.case("7.1.5")
def exact_bytes_1007(t: Trial) -> None:
    """The handler closes with the code 1007 and no reason.

    Expect: exactly the bytes ``88 02 03 ef``.
    """
    peer = t.connect(lambda ws: ws.close(1007))
    peer.expect(Raw(wire("88 02", "03 ef")))


@area.case("7.2.1")
def fin_without_close(t: Trial) -> None:
    """The client ends its stream without a Close.

    Expect: no Close is needed from the server, but the stream ends; ``close_code`` 1006.
    """
    peer = t.connect(lambda ws: [ws.receive(), ws.close_code])
    peer.fin()
    t.equal(t.returned(peer), [None, 1006], "receive() and close_code")
    came = peer.next()
    if came != Eof():
        t.true(isinstance(came, Close), f"expected a Close or the end, came {came}")
        peer.expect(Eof())


@area.case("7.2.1")
def fin_within_frame(t: Trial) -> None:
    """The client ends its stream in the middle of a frame.

    Expect: the half message is not delivered; ``close_code`` is 1006.
    """
    peer = t.connect(lambda ws: [ws.receive(), ws.close_code])
    peer.send(frame(FIN | 0x1, b"Hello")[:-2])
    peer.fin()
    t.equal(t.returned(peer), [None, 1006], "receive() and close_code")


@area.case("7.1.6")
def app_sees_code_and_reason(t: Trial) -> None:
    """The client closes with a code and a reason.

    Expect: ``close_code`` and ``close_reason`` are the client's.
    """
    peer = t.connect(lambda ws: [ws.receive(), ws.close_code, ws.close_reason])
    peer.send(frame(FIN | CLOSE, close_body(4321, "grüße")))
    t.equal(t.returned(peer), [None, 4321, "grüße"], "receive(), close_code, close_reason")

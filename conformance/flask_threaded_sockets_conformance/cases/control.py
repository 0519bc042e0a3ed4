"""Control frames: Ping and Pong, and what all of them must be (RFC 6455 section 5.5)."""

from __future__ import annotations

import threading

from flask_threaded_sockets import WebSocket

from ..arrivals import Close, Eof, Pong, Raw, Text
from ..case import Area
from ..exchange import Exchange, add_exchanges
from ..trial import Trial
from ..wire import CLOSE, FIN, PING, PONG, close, close_body, frame, ping, pong, text, wire

__all__ = ["area"]

area = Area("control", "Control frames")

_LONG = bytes(range(125))

add_exchanges(
    area,
    Exchange(
        "rfc-ping",
        "5.7",
        "The RFC's example: a masked Ping with the body 'Hello'.",
        wire("89 85", "37 fa 21 3d", "7f 9f 4d 51 58"),
        (Raw(wire("8a 05", "48 65 6c 6c 6f")),),
    ),
    Exchange("ping-empty", "5.5.2", "A Ping without a payload.", ping(), (Raw(wire("8a 00")),)),
    Exchange(
        "ping-binary",
        "5.5.2",
        "A Ping with bytes that are not UTF-8.",
        ping(b"\x00\xff\xfe\x80"),
        (Pong(b"\x00\xff\xfe\x80"),),
    ),
    Exchange("ping-124", "5.5", "A Ping of 124 bytes.", ping(_LONG[:124]), (Pong(_LONG[:124]),)),
    Exchange("ping-125", "5.5", "A Ping of 125 bytes.", ping(_LONG), (Pong(_LONG),)),
    Exchange(
        "pings-in-a-row",
        "5.5.3",
        "Ten Pings in one segment.",
        b"".join(ping(b"ping %d" % index) for index in range(10)),
        tuple(Pong(b"ping %d" % index) for index in range(10)),
        level="should",
        expectation="Ten Pongs in order. (The RFC lets a server answer only the last.)",
    ),
    Exchange(
        "ping-before-message",
        "5.5.2",
        "A Ping, then a message.",
        ping(b"first") + text("second"),
        (Pong(b"first"), Text("second")),
    ),
    Exchange("pong-empty", "5.5.3", "An unsolicited Pong without a payload.", pong()),
    Exchange("pong-125", "5.5.3", "An unsolicited Pong of 125 bytes.", pong(_LONG)),
    Exchange(
        "pong-then-ping",
        "5.5.3",
        "An unsolicited Pong, then a Ping.",
        pong(b"no") + ping(b"yes"),
        (Pong(b"yes"),),
    ),
    *(
        Exchange(
            f"{name}-126",
            "5.5",
            f"A {name.title()} of 126 bytes.",
            frame(FIN | opcode, close_body(1000, "x" * 124)),
            (Close(1002),),
        )
        for name, opcode in (("ping", PING), ("pong", PONG), ("close", CLOSE))
    ),
    *(
        Exchange(
            f"{name}-65536",
            "5.5",
            f"A {name.title()} of 65,536 bytes, of which only the header is sent.",
            wire(f"{FIN | opcode:02x} ff 00 00 00 00 00 01 00 00", "37 fa 21 3d"),
            (Close(1002),),
        )
        for name, opcode in (("ping", PING), ("close", CLOSE))
    ),
    *(
        Exchange(
            f"{name}-fragmented",
            "5.5",
            f"A {name.title()} without FIN.",
            frame(opcode, close_body(1000)),
            (Close(1002),),
        )
        for name, opcode in (("ping", PING), ("pong", PONG), ("close", CLOSE))
    ),
    Exchange(
        "ping-then-close",
        "5.5",
        "A Ping and a Close in one segment.",
        ping(b"last") + close(1000),
        (Pong(b"last"), Close(1000)),
    ),
)


@area.case("5.5.2")
def ping_while_handler_is_busy(t: Trial) -> None:
    """A Ping comes while the handler computes and neither receives nor sends.

    Expect: a Pong all the same.
    """
    done = threading.Event()
    peer = t.connect(lambda _: done.wait(t.patience))
    peer.send(ping(b"busy?"))
    try:
        peer.expect(Pong(b"busy?"))
    finally:
        done.set()


@area.case("5.5.2")
def ping_behind_messages_while_busy(t: Trial) -> None:
    """Three messages and a Ping come while the handler does not receive.

    Expect: the Pong does not wait for the handler, and no message is lost.
    """
    done = threading.Event()

    def handler(ws: WebSocket) -> list[object]:
        done.wait(2 * t.patience)  # longer than the Pong is waited for
        return [ws.receive() for _ in range(3)]

    peer = t.connect(handler)
    peer.send(text("a"), text("b"), text("c"), ping(b"behind"))
    try:
        peer.expect(Pong(b"behind"))
    finally:
        done.set()
    t.equal(t.returned(peer), ["a", "b", "c"], "messages")


@area.case("5.5.1")
def ping_after_close(t: Trial) -> None:
    """The client sends a Ping behind its own Close.

    Expect: the Close is answered, the Ping is not.
    """
    peer = t.connect()
    peer.send(close(1000), ping(b"too late"))
    peer.expect(Close(1000), Eof())


@area.case("5.5.3")
def pong_is_no_message(t: Trial) -> None:
    """Pings and Pongs come around a message.

    Expect: ``receive()`` gives the message alone.
    """
    peer = t.connect(lambda ws: [ws.receive(), ws.receive()])
    peer.send(ping(b"1"), pong(b"2"), text("message"), ping(b"3"), close())
    t.equal(t.returned(peer), ["message", None], "messages")

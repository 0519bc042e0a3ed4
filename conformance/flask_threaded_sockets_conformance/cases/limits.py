"""Limits: sizes, the queue, time, bombs (the README's "Configuration"; RFC 6455 section 10.4)."""

from __future__ import annotations

import threading
import time
import tracemalloc
import zlib

from flask_threaded_sockets import WebSocket
from flask_threaded_sockets.backend import Feature

from ..arrivals import Binary, Close, Eof, Pong, Text
from ..case import Area
from ..exchange import Exchange, add_exchanges, collect
from ..trial import Trial
from ..wire import CONT, FIN, RSV1, TEXT, binary, close, cont, frame, ping, text, wire
from .negotiation import OFFER, deflate

__all__ = ["area"]

area = Area("limits", "Limits")

_SIZE = Feature.MESSAGE_LIMIT
_SMALL = {"max_message_size": 1000}
# Ends a part of a message where a byte does (RFC 7692 section 7.2.1 takes it off the last).
_FLUSH = b"\x00\x00\xff\xff"
_SMALL_ON = {"max_message_size": 1000, "compression": True}


def _row(name: str, description: str, send: bytes, *expect: object) -> Exchange:
    return Exchange(
        name,
        "SOCKETS_MAX_MESSAGE_SIZE",
        description,
        send,
        expect,  # type: ignore[arg-type]
        config=_SMALL,
        feature=_SIZE,
    )


add_exchanges(
    area,
    _row(
        "text-at-limit",
        "A text message of exactly the limit, 1,000 bytes.",
        text("x" * 1000),
        Text("x" * 1000),
    ),
    _row(
        "binary-at-limit",
        "A binary message of exactly the limit.",
        binary(bytes(1000)),
        Binary(bytes(1000)),
    ),
    _row(
        "text-above-limit",
        "A text message of one byte more than the limit.",
        text("x" * 1001),
        Close(1009),
    ),
    _row(
        "binary-above-limit",
        "A binary message of one byte more than the limit.",
        binary(bytes(1001)),
        Close(1009),
    ),
    _row(
        "bytes-not-characters",
        "A text of 600 characters that are 1,200 bytes.",
        text("é" * 600),
        Close(1009),
    ),
    _row(
        "fragments-at-limit",
        "Fragments that add up to the limit.",
        text("x" * 400, fin=False) + cont("x" * 400, fin=False) + cont("x" * 200),
        Text("x" * 1000),
    ),
    _row(
        "fragments-above-limit",
        "Fragments that add up to one byte more.",
        text("x" * 400, fin=False) + cont("x" * 400, fin=False) + cont("x" * 201),
        Close(1009),
    ),
    _row(
        "fragments-without-end",
        "Fragments above the limit, the last of which never comes.",
        text("x" * 400, fin=False) + cont("x" * 601, fin=False),
        Close(1009),
    ),
    _row(
        "announced",
        "A header that announces 1,001 bytes, and no payload.",
        wire("82 fe 03 e9", "37 fa 21 3d"),
        Close(1009),
    ),
    _row(
        "announced-fragment",
        "A fragment, then a header that announces too much.",
        text("x" * 500, fin=False) + wire("80 fe 01 f5", "37 fa 21 3d"),
        Close(1009),
    ),
    _row(
        "announced-2-62",
        "A header that announces 2^62 bytes.",
        wire("82 ff 40 00 00 00 00 00 00 00", "37 fa 21 3d"),
        Close(1009),
    ),
    _row(
        "announced-2-63",
        "A header that announces 2^63 bytes, which is invalid.",
        wire("82 ff 80 00 00 00 00 00 00 00", "37 fa 21 3d"),
        Close(1002),
    ),
    _row(
        "limit-is-per-message",
        "Three messages of 600 bytes.",
        text("x" * 600) * 3,
        *[Text("x" * 600)] * 3,
    ),
    _row(
        "control-frames-do-not-count",
        "A message at the limit with Pings between its fragments.",
        text("x" * 500, fin=False) + ping(b"y" * 125) * 3 + cont("x" * 500),
        *[Pong(b"y" * 125)] * 3,
        Text("x" * 1000),
    ),
    Exchange(
        "inflated-at-limit",
        "SOCKETS_MAX_MESSAGE_SIZE",
        "A compressed message that inflates to exactly the limit.",
        frame(FIN | RSV1 | TEXT, deflate(b"x" * 1000)),
        (Text("x" * 1000),),
        config=_SMALL_ON,
        headers=OFFER,
        feature=Feature.COMPRESSION,
    ),
    Exchange(
        "inflated-shrinks",
        "SOCKETS_MAX_MESSAGE_SIZE",
        "A message of exactly the limit, which compressing has made a few bytes longer.",
        frame(FIN | RSV1 | TEXT, deflate(b"x" * 1000, level=0)),
        (Text("x" * 1000),),
        config=_SMALL_ON,
        headers=OFFER,
        feature=Feature.COMPRESSION,
    ),
    Exchange(
        "inflated-above-limit",
        "SOCKETS_MAX_MESSAGE_SIZE",
        "A compressed message that inflates to one byte more than the limit.",
        frame(FIN | RSV1 | TEXT, deflate(b"x" * 1001)),
        (Close(1009),),
        config=_SMALL_ON,
        headers=OFFER,
        feature=Feature.COMPRESSION,
    ),
    Exchange(
        "inflated-fragments-add-up",
        "SOCKETS_MAX_MESSAGE_SIZE",
        "Compressed fragments that inflate to 600 bytes each, together more than the limit.",
        frame(RSV1 | TEXT, deflate(b"x" * 600) + _FLUSH) + frame(CONT, deflate(b"y" * 600)),
        (Close(1009),),
        config=_SMALL_ON,
        headers=OFFER,
        feature=Feature.COMPRESSION,
    ),
    Exchange(
        "inflated-fragments",
        "SOCKETS_MAX_MESSAGE_SIZE",
        "Compressed fragments that inflate to more than the limit before the last one.",
        frame(RSV1 | TEXT, deflate(b"x" * 5000)) + frame(CONT, b"\x00"),
        (Close(1009),),
        config=_SMALL_ON,
        headers=OFFER,
        feature=Feature.COMPRESSION,
    ),
)


@area.case("SOCKETS_MAX_MESSAGE_SIZE", feature=_SIZE)
def no_limit(t: Trial) -> None:
    """The limit is ``None`` and a message has 20 MiB, more than the default limit.

    Expect: it comes back whole.
    """
    size = 20 * 1024 * 1024
    peer = t.connect(lambda ws: len(ws.receive() or ""), config={"max_message_size": None})
    peer.send(binary(bytes(size)))
    t.equal(t.returned(peer), size, "the message's size")


@area.case("SOCKETS_MAX_MESSAGE_SIZE", feature=_SIZE)
def default_limit(t: Trial) -> None:
    """Nothing is configured and a header announces 16 MiB and one byte.

    Expect: Close 1009, as the default is 16 MiB.
    """
    peer = t.connect()
    size = 16 * 1024 * 1024
    peer.send(wire("82 ff") + size.to_bytes(8, "big") + bytes(4))
    peer.send(bytes(1000))  # so far so good
    peer.leave()
    peer = t.connect()
    peer.send(wire("82 ff") + (size + 1).to_bytes(8, "big") + bytes(4))
    peer.expect_end(1009)


@area.case("receive()", feature=_SIZE)
def app_sees_1009(t: Trial) -> None:
    """A message is too large while the handler receives.

    Expect: ``receive()`` gives ``None`` and ``close_code`` is 1009.
    """
    peer = t.connect(collect, config=_SMALL)
    peer.send(text("x" * 1001))
    t.equal(t.returned(peer), (None, 1009), "receive() and close_code")


@area.case("RFC 6455 10.4", feature=Feature.COMPRESSION, exclusive=True)
def bomb(t: Trial) -> None:
    """A frame of some 100 KB that inflates to 100 MB, with a limit of 64 KiB.

    Expect: Close 1009, and memory grows by less than the limit and 4 MiB.
    """
    limit = 64 * 1024
    config = {"max_message_size": limit, "compression": True}
    packer = zlib.compressobj(9, wbits=-15)
    packed = b"".join(packer.compress(bytes(1_000_000)) for _ in range(100))
    packed += packer.flush(zlib.Z_SYNC_FLUSH)
    data = frame(FIN | RSV1 | 0x2, packed)
    peer = t.connect(config=config, headers=OFFER)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        peer.send(data)
        peer.expect(Close(1009))
        grown = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    t.true(grown < limit + 4 * 1024 * 1024, f"memory grew by {grown} bytes")


@area.case("RFC 6455 10.4", feature=_SIZE, exclusive=True)
def lying_length(t: Trial) -> None:
    """A header announces 15 MiB, and little comes.

    Expect: memory grows by less than 20 MiB, and the connection lives.
    """
    peer = t.connect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        peer.send(wire("82 ff 00 00 00 00 00 f0 00 00", "00 00 00 00"), bytes(1000))
        peer.settle()
        grown = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    t.true(grown < 20 * 1024 * 1024, f"memory grew by {grown} bytes")


_QUEUE = {"max_queue": 4, "ping_interval": None}
_PIECE = 50_000


@area.case("SOCKETS_MAX_QUEUE", feature=Feature.QUEUE_LIMIT)
def queue_pushes_back(t: Trial) -> None:
    """The handler is busy while the client sends 100 MB in messages of 50,000 bytes.

    Expect: the client is stopped by TCP after 4 messages and the kernel's buffers.
    """
    done = threading.Event()
    peer = t.connect(lambda _: done.wait(3 * t.patience), config=_QUEUE)
    try:
        sent = peer.send_what_fits(binary(bytes(_PIECE)) * 2000, quiet=1.0)
        t.true(sent < 30_000_000, f"the server took {sent} bytes")
    finally:
        done.set()


@area.case("SOCKETS_MAX_QUEUE", feature=Feature.QUEUE_LIMIT)
def queue_loses_nothing(t: Trial) -> None:
    """Two hundred messages come while the handler is busy with a queue of 4.

    Expect: it is given all of them, in order.
    """
    go = threading.Event()

    def handler(ws: WebSocket) -> list[object]:
        go.wait(t.patience)
        return [ws.receive() for _ in range(200)]

    peer = t.connect(handler, config=_QUEUE)
    peer.send(*(text(str(index)) for index in range(200)))
    go.set()
    t.equal(t.returned(peer), [str(index) for index in range(200)], "messages")


@area.case("SOCKETS_MAX_QUEUE", feature=Feature.QUEUE_LIMIT)
def queue_full_then_close(t: Trial) -> None:
    """The queue is full and more messages and a Close wait; then the handler receives.

    Expect: all messages, then ``None``.
    """
    go = threading.Event()

    def handler(ws: WebSocket) -> tuple[object, ...]:
        go.wait(t.patience)
        return collect(ws)

    peer = t.connect(handler, config=_QUEUE)
    peer.send(*(text(str(index)) for index in range(50)), close(1000))
    go.set()
    t.equal(t.returned(peer), (*map(str, range(50)), None, 1000), "messages")


@area.case("SOCKETS_MAX_QUEUE", feature=Feature.QUEUE_LIMIT)
def queue_full_then_closed_by_handler(t: Trial) -> None:
    """The queue is full and more waits when the handler closes.

    Expect: the Close comes, and the stream ends within the close timeout.
    """
    go = threading.Event()

    def handler(ws: WebSocket) -> None:
        go.wait(t.patience)
        ws.close(4000)

    peer = t.connect(handler, config={**_QUEUE, "close_timeout": 2})
    peer.send(*(text(str(index)) for index in range(50)))
    go.set()
    peer.expect(Close(4000))
    peer.close()
    with t.takes(3.5, "the end of the stream"):
        peer.expect(Eof())


@area.case("SOCKETS_SEND_TIMEOUT", feature=Feature.SEND_TIMEOUT)
def send_timeout(t: Trial) -> None:
    """The handler sends 64 MB to a client that reads nothing, with a timeout of 1 s.

    Expect: ``send`` raises a WebSocketError within 3 s; the next one raises at once.
    """

    def handler(ws: WebSocket) -> tuple[float, float, bool]:
        began = time.monotonic()
        t.raises(OSError, lambda: ws.send(bytes(64_000_000)))
        first = time.monotonic() - began
        t.raises(OSError, lambda: ws.send("more"))
        return first, time.monotonic() - began - first, ws.closed

    peer = t.connect(handler, config={"send_timeout": 1}, receive_buffer=8192)
    first, second, closed = t.returned(peer)
    t.true(0.5 < first < 3, f"send took {first:.2f} s")
    t.true(second < 0.5, f"the second send took {second:.2f} s")
    t.true(closed, "closed is false")


@area.case("SOCKETS_SEND_TIMEOUT", feature=Feature.SEND_TIMEOUT)
def slow_reader_gets_all(t: Trial) -> None:
    """A client reads 24 MB slowly: ``send`` lasts longer than its timeout of 3 s.

    Expect: the timeout is for standstill alone: all bytes come.
    """
    size = 24_000_000  # the kernel takes some 4 MB at once
    go = threading.Event()

    def handler(ws: WebSocket) -> None:
        go.wait(t.patience)
        ws.send(bytes(size))

    peer = t.connect(handler, config={"send_timeout": 3}, receive_buffer=65536)
    go.set()  # nothing of it was read with the 101
    got = 0
    while got < size + 10:
        data = peer.socket.recv(240_000)
        if not data:
            break
        got += len(data)
        time.sleep(0.018)
    t.true(got >= size + 10, f"{got} bytes came")


@area.case("SOCKETS_CLOSE_TIMEOUT", feature=Feature.CLOSE_TIMEOUT)
def close_timeout(t: Trial) -> None:
    """The handler returns and the client does not answer the Close; the timeout is 1 s.

    Expect: the stream ends after 1 s, before 3 s.
    """
    peer = t.connect(lambda _: None, config={"close_timeout": 1})
    peer.expect(Close(1000))
    with t.takes(3.0, "the end of the stream", at_least=0.5):
        peer.expect(Eof())

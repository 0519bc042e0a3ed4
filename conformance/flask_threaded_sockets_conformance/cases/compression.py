"""permessage-deflate: the frames (RFC 7692 section 7.2)."""

from __future__ import annotations

import zlib

from flask_threaded_sockets import WebSocket
from flask_threaded_sockets.backend import Feature

from ..arrivals import Binary, Close, Pong, Text, first_frame
from ..case import Area
from ..exchange import Exchange, Want, add_exchanges
from ..trial import Trial
from ..wire import CONT, FIN, PING, RSV1, RSV2, TEXT, frame, ping, text, wire
from .negotiation import OFFER, ON, add_negotiation, deflate

__all__ = ["area"]

area = Area("compression", "Compression", Feature.COMPRESSION, rfc="RFC 7692")
add_negotiation(area)

# 5,000 lines that repeat far apart, so that a window's size matters.
_LONG = "".join(f"line {index * 7919 % 1000} of many\n" for index in range(5000))


def _row(name: str, section: str, description: str, send: bytes, *expect: Want) -> Exchange:
    return Exchange(
        name,
        section,
        description,
        send,
        expect,
        config=ON,
        headers=OFFER,
    )


def _packed(data: bytes, first: int = FIN | TEXT) -> bytes:
    return frame(first | RSV1, deflate(data))


_HELLO = wire("f2 48 cd c9 c9 07 00")

add_exchanges(
    area,
    _row(
        "rfc-one-block",
        "7.2.3.1",
        "The RFC's example: 'Hello' in one block, masked.",
        wire("c1 87", "37 fa 21 3d") + frame(0, _HELLO)[6:],
        Text("Hello"),
    ),
    _row(
        "rfc-fragmented",
        "7.2.3.1",
        "The RFC's example: 'Hello' in two fragments.",
        frame(RSV1 | TEXT, _HELLO[:3]) + frame(FIN | CONT, _HELLO[3:]),
        Text("Hello"),
    ),
    _row(
        "rfc-shared-window",
        "7.2.3.2",
        "The RFC's example: the second 'Hello' refers to the first.",
        frame(FIN | RSV1 | TEXT, _HELLO) + frame(FIN | RSV1 | TEXT, wire("f2 00 11 00 00")),
        Text("Hello"),
        Text("Hello"),
    ),
    _row(
        "rfc-no-compression-block",
        "7.2.3.3",
        "The RFC's example: a block without compression.",
        frame(FIN | RSV1 | TEXT, wire("00 05 00 fa ff 48 65 6c 6c 6f 00")),
        Text("Hello"),
    ),
    _row(
        "rfc-bfinal",
        "7.2.3.4",
        "The RFC's example: a block with BFINAL set.",
        frame(FIN | RSV1 | TEXT, wire("f3 48 cd c9 c9 07 00 00")),
        Text("Hello"),
    ),
    _row(
        "rfc-two-blocks",
        "7.2.3.5",
        "The RFC's example: two blocks in one message.",
        frame(FIN | RSV1 | TEXT, wire("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")),
        Text("Hello"),
    ),
    _row(
        "rfc-empty",
        "7.2.3.6",
        "The RFC's example: an empty message, compressed.",
        frame(FIN | RSV1 | TEXT, b"\x00"),
        Text(""),
    ),
    _row(
        "message-after-bfinal",
        "7.2.3.4",
        "A message behind one with BFINAL set.",
        frame(FIN | RSV1 | TEXT, wire("f3 48 cd c9 c9 07 00 00")) + _packed(b"next"),
        Text("Hello"),
        Text("next"),
    ),
    _row(
        "blocks-behind-bfinal",
        "7.2.3.4",
        "A message of two blocks: one with BFINAL set, and another behind it.",
        frame(FIN | RSV1 | TEXT, wire("f3 48 cd c9 c9 07 00", "f2 48 cd c9 c9 07 00")),
        Text("HelloHello"),
    ),
    _row("not-compressed", "6", "A message without RSV1.", text("plain"), Text("plain")),
    _row(
        "mixed",
        "6",
        "Compressed and other messages in turn.",
        _packed(b"a") + text("b") + _packed(b"c") + text("d"),
        Text("a"),
        Text("b"),
        Text("c"),
        Text("d"),
    ),
    _row(
        "binary",
        "6",
        "A compressed binary message.",
        _packed(bytes(range(256)), FIN | 0x2),
        Binary(bytes(range(256))),
    ),
    _row(
        "long",
        "6",
        "A compressed message of 100,000 characters.",
        _packed(_LONG[:100_000].encode()),
        Text(_LONG[:100_000]),
    ),
    _row(
        "fragments-of-one-byte",
        "6.1",
        "A compressed message in fragments of one byte.",
        frame(RSV1 | TEXT, _HELLO[:1])
        + b"".join(frame(CONT, bytes([byte])) for byte in _HELLO[1:])
        + frame(FIN | CONT),
        Text("Hello"),
    ),
    _row(
        "ping-between",
        "6.1",
        "A Ping between the fragments of a compressed message.",
        frame(RSV1 | TEXT, _HELLO[:4]) + ping(b"now") + frame(FIN | CONT, _HELLO[4:]),
        Pong(b"now"),
        Text("Hello"),
    ),
    _row(
        "character-split",
        "6.1",
        "A character of four bytes across compressed fragments.",
        frame(RSV1 | TEXT, deflate("😀é".encode())[:3])
        + frame(FIN | CONT, deflate("😀é".encode())[3:]),
        Text("😀é"),
    ),
    _row(
        "rsv1-on-continuation",
        "6.1",
        "RSV1 on a continuation of a compressed message.",
        frame(RSV1 | TEXT, _HELLO[:3]) + frame(FIN | RSV1 | CONT, _HELLO[3:]),
        Close(1002),
    ),
    _row(
        "rsv1-on-plain-continuation",
        "6.1",
        "RSV1 on a continuation of another message.",
        text("a", fin=False) + frame(FIN | RSV1 | CONT, b"b"),
        Close(1002),
    ),
    _row("rsv1-on-ping", "6", "RSV1 on a Ping.", frame(FIN | RSV1 | PING, b"hi"), Close(1002)),
    _row(
        "rsv1-on-close", "6", "RSV1 on a Close.", frame(FIN | RSV1 | 0x8, b"\x03\xe8"), Close(1002)
    ),
    _row(
        "rsv2",
        "6",
        "RSV2 on a compressed message.",
        frame(FIN | RSV1 | RSV2 | TEXT, _HELLO),
        Close(1002),
    ),
    _row(
        "corrupt",
        "7.2.2",
        "Bytes that are no DEFLATE stream.",
        frame(FIN | RSV1 | TEXT, b"\xff\xff\xff\xff"),
        Close((1002, 1007)),
    ),
    _row(
        "corrupt-stored",
        "7.2.2",
        "A stored block whose length does not match its check.",
        frame(FIN | RSV1 | TEXT, wire("00 05 00 00 00 48 65 6c 6c 6f 00")),
        Close((1002, 1007)),
    ),
    _row(
        "window-too-far-back",
        "7.2.2",
        "A reference to before the first message's beginning.",
        frame(FIN | RSV1 | TEXT, wire("f2 00 11 00 00")),
        Close((1002, 1007)),
    ),
    _row(
        "invalid-text",
        "6",
        "Compressed text that is not UTF-8.",
        _packed(b"\xed\xa0\x80"),
        Close(1007),
    ),
    _row(
        "valid-text",
        "6",
        "Compressed text with all kinds of characters.",
        _packed("aé日😀".encode()),
        Text("aé日😀"),
    ),
)


@area.case("7.2.3.2", level="should")
def context_is_used(t: Trial) -> None:
    """The server sends the same message twice.

    Expect: the second frame is shorter, as it refers to the first.
    """

    def handler(ws: WebSocket) -> None:
        ws.send(_LONG[:2000])
        ws.send(_LONG[:2000])

    peer = t.connect(handler, config=ON, headers=OFFER)
    sizes = []
    for _ in range(2):
        arrived = peer.next()
        t.equal(arrived, Text(_LONG[:2000]), "message")
        sizes.append(sum(len(part.payload) for part in getattr(arrived, "frames", ())))
    t.true(sizes[1] < sizes[0] // 4, f"frames of {sizes[0]} and {sizes[1]} bytes")


@area.case("6")
def messages_are_compressed(t: Trial) -> None:
    """The server sends a message of 5,000 equal letters.

    Expect: RSV1 and less than 500 bytes.
    """
    peer = t.connect(lambda ws: ws.send("x" * 5000), config=ON, headers=OFFER)
    arrived = peer.next()
    t.equal(arrived, Text("x" * 5000), "message")
    first = first_frame(arrived)
    t.true(first.rsv == RSV1, "the frame is not compressed")
    t.true(len(first.payload) < 500, f"the frame has {len(first.payload)} bytes")


@area.case("WebSocket.send")
def do_compress_false(t: Trial) -> None:
    """The handler sends with ``do_compress=False``, then compressed again.

    Expect: the first frame has no RSV1, the second has.
    """

    def handler(ws: WebSocket) -> None:
        ws.send("x" * 500, do_compress=False)
        ws.send("x" * 500)

    peer = t.connect(handler, config=ON, headers=OFFER)
    bits = []
    for _ in range(2):
        arrived = peer.next()
        t.equal(arrived, Text("x" * 500), "message")
        bits.append(first_frame(arrived).rsv)
    t.equal(bits, [0, RSV1], "reserved bits")


@area.case("WebSocket.send_frame")
def send_frame_is_not_compressed(t: Trial) -> None:
    """The handler sends with ``send_frame``, whose ``do_compress`` is false by default.

    Expect: the frame has no RSV1.
    """
    peer = t.connect(lambda ws: ws.send_frame("x" * 500, ws.OPCODE_TEXT), config=ON, headers=OFFER)
    arrived = peer.next()
    t.equal(arrived, Text("x" * 500), "message")
    t.equal(first_frame(arrived).rsv, 0, "reserved bits")


@area.case("WebSocket.send_frame")
def send_frame_compressed(t: Trial) -> None:
    """The handler sends with ``send_frame`` and ``do_compress=True``.

    Expect: the frame has RSV1.
    """
    peer = t.connect(
        lambda ws: ws.send_frame("x" * 500, ws.OPCODE_TEXT, True), config=ON, headers=OFFER
    )
    arrived = peer.next()
    t.equal(arrived, Text("x" * 500), "message")
    t.equal(first_frame(arrived).rsv, RSV1, "reserved bits")


@area.case("7.2")
def many_messages(t: Trial) -> None:
    """Five hundred compressed messages go back and forth with shared windows.

    Expect: all of them come back as they were.
    """
    peer = t.connect(config=ON, headers=OFFER)
    packer = zlib.compressobj(wbits=-15)
    for index in range(500):
        message = _LONG[index * 13 : index * 13 + index]
        data = packer.compress(message.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
        peer.send(frame(FIN | RSV1 | TEXT, data.removesuffix(b"\x00\x00\xff\xff")))
        peer.expect(Text(message))


@area.case("6.1")
def many_fragments(t: Trial) -> None:
    """Twenty compressed messages of 100,000 characters, in fragments of 256 bytes.

    Expect: all of them come back as they were.
    """
    peer = t.connect(config=ON, headers=OFFER)
    packed = deflate(_LONG[:100_000].encode(), level=0)
    parts = [packed[index : index + 256] for index in range(0, len(packed), 256)]
    data = b"".join(
        frame((RSV1 | TEXT if index == 0 else CONT), part) for index, part in enumerate(parts)
    ) + frame(FIN | CONT)
    for _ in range(20):
        peer.send(data)
        peer.expect(Text(_LONG[:100_000]))

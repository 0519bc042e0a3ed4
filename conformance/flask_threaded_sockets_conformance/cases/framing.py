"""Base framing: lengths, reserved bits, reserved opcodes (RFC 6455 section 5.2)."""

from __future__ import annotations

from flask_threaded_sockets import WebSocket

from ..arrivals import Binary, Close, Raw, Text
from ..case import Area
from ..exchange import Exchange, add_exchanges
from ..trial import Trial
from ..wire import FIN, RSV1, RSV2, RSV3, binary, close, frame, ping, text, wire

__all__ = ["area"]

area = Area("framing", "Framing")

_LENGTHS = (0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 65535, 65536, 65537, 200_000)


def _pattern(length: int) -> bytes:
    return bytes(index % 251 for index in range(length))


def _letters(length: int) -> str:
    return ("abcdefghijklmnopqrstuvwxyz" * (length // 26 + 1))[:length]


add_exchanges(
    area,
    Exchange(
        "rfc-hello",
        "5.7",
        "The RFC's example: a single-frame masked text message 'Hello'.",
        wire("81 85", "37 fa 21 3d", "7f 9f 4d 51 58"),
        (Raw(wire("81 05", "48 65 6c 6c 6f")),),
    ),
    Exchange(
        "rfc-256-bytes",
        "5.7",
        "The RFC's example: 256 bytes of binary message in a single frame.",
        wire("82 fe 01 00", "00 00 00 00") + bytes(range(256)),
        (Raw(wire("82 7e 01 00") + bytes(range(256))),),
    ),
    Exchange(
        "rfc-64-kib",
        "5.7",
        "The RFC's example: 64 KiB of binary message in a single frame.",
        wire("82 ff 00 00 00 00 00 01 00 00", "00 00 00 00") + _pattern(65536),
        (Raw(wire("82 7f 00 00 00 00 00 01 00 00") + _pattern(65536)),),
    ),
    *(
        Exchange(
            f"text-{length}",
            "5.2",
            f"A text message of {length} bytes.",
            text(_letters(length)),
            (Text(_letters(length)),),
        )
        for length in _LENGTHS
    ),
    *(
        Exchange(
            f"binary-{length}",
            "5.2",
            f"A binary message of {length} bytes.",
            binary(_pattern(length)),
            (Binary(_pattern(length)),),
        )
        for length in _LENGTHS
    ),
    Exchange(
        "many-in-one-segment",
        "5.2",
        "Fifty small messages in one segment.",
        b"".join(text(f"m{index}") for index in range(50)),
        tuple(Text(f"m{index}") for index in range(50)),
    ),
    Exchange(
        "mixed-in-one-segment",
        "5.2",
        "Messages of all three length forms behind each other.",
        text("a") + binary(_pattern(300)) + binary(_pattern(70_000)) + text("z"),
        (Text("a"), Binary(_pattern(300)), Binary(_pattern(70_000)), Text("z")),
    ),
)

_RESERVED_BITS = (
    ("rsv1", RSV1),
    ("rsv2", RSV2),
    ("rsv3", RSV3),
    ("rsv1-2-3", RSV1 | RSV2 | RSV3),
)

add_exchanges(
    area,
    *(
        Exchange(
            f"{name}-on-{kind}",
            "5.2",
            f"Reserved bits 0x{bits:02x} on a {kind.upper()} frame; no extension was agreed.",
            frame(FIN | bits | opcode, b"\x03\xe8" if kind == "close" else b"hi"),
            (Close(1002),),
        )
        for name, bits in _RESERVED_BITS
        for kind, opcode in (("text", 1), ("binary", 2), ("close", 8), ("ping", 9))
    ),
    Exchange(
        "rsv1-on-continuation",
        "5.2",
        "RSV1 on the second fragment of a message; no extension was agreed.",
        text("a", fin=False) + frame(FIN | RSV1, b"b"),
        (Close(1002),),
    ),
    *(
        Exchange(
            f"opcode-{opcode:x}",
            "5.2",
            f"The reserved opcode 0x{opcode:X}.",
            frame(FIN | opcode, b"hi"),
            (Close(1002),),
        )
        for opcode in (*range(0x3, 0x8), *range(0xB, 0x10))
    ),
    Exchange(
        "opcode-3-after-message",
        "5.2",
        "A message, then a reserved opcode in the same segment.",
        text("first") + frame(FIN | 0x3, b"hi"),
        (Close(1002),),
        app=("first", None, 1002),
    ),
    Exchange(
        "opcode-3-before-others",
        "7.1.7",
        "A reserved opcode; a message, a Ping and a Close behind it in the same segment.",
        frame(FIN | 0x3, b"hi") + text("behind") + ping(b"behind") + close(),
        (Close(1002),),
        app=(None, 1002),
    ),
    Exchange(
        "16-bit-length-not-minimal",
        "5.2",
        "A length of 5 bytes written in 16 bits.",
        frame(FIN | 0x1, b"Hello", form=126),
        (Close(1002),),
    ),
    Exchange(
        "16-bit-length-of-125",
        "5.2",
        "A length of 125 bytes, the last that fits seven bits, written in 16 bits.",
        frame(FIN | 0x2, bytes(125), form=126),
        (Close(1002),),
    ),
    Exchange(
        "64-bit-length-not-minimal",
        "5.2",
        "A length of 300 bytes written in 64 bits.",
        frame(FIN | 0x2, bytes(300), form=127),
        (Close(1002),),
    ),
    Exchange(
        "64-bit-length-of-65535",
        "5.2",
        "A length of 65,535 bytes, the last that fits 16 bits, written in 64 bits.",
        frame(FIN | 0x2, bytes(65535), form=127),
        (Close(1002),),
    ),
    Exchange(
        "64-bit-length-highest-bit",
        "5.2",
        "A 64-bit length with its most significant bit set.",
        wire("82 ff 80 00 00 00 00 00 00 01", "37 fa 21 3d", "00"),
        (Close(1002),),
    ),
)


@area.case("5.2")
def server_lengths(t: Trial) -> None:
    """The server sends messages of every length form's first and last size.

    Expect: each frame's length is written as short as can be.
    """
    sizes = (0, 1, 125, 126, 127, 65535, 65536)

    def handler(ws: WebSocket) -> None:
        for size in sizes:
            ws.send(bytes(size))

    peer = t.connect(handler)
    peer.expect(*(Binary(bytes(size)) for size in sizes))

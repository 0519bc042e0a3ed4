"""Masking (RFC 6455 sections 5.1 and 5.3)."""

from __future__ import annotations

from flask_threaded_sockets import WebSocket

from ..arrivals import Binary, Close, Text
from ..case import Area
from ..exchange import Exchange, add_exchanges
from ..trial import Trial
from ..wire import CONT, FIN, PING, PONG, binary, close_body, mask, text
from ..wire import frame as make

__all__ = ["area"]

area = Area("masking", "Masking")

_UNMASKED = (
    ("text", FIN | 0x1, b"Hello"),
    ("text-empty", FIN | 0x1, b""),
    ("text-126", FIN | 0x1, b"x" * 126),
    ("text-65536", FIN | 0x1, b"x" * 65536),
    ("binary", FIN | 0x2, b"\x00\x01\x02"),
    ("first-fragment", 0x1, b"Hel"),
    ("ping", FIN | PING, b"hi"),
    ("pong", FIN | PONG, b"hi"),
    ("close", FIN | 0x8, close_body(1000)),
)

_KEYS = (
    ("zero", "00000000"),
    ("ones", "ffffffff"),
    ("one-byte", "00000001"),
    ("first-byte", "ff000000"),
    ("like-text", "48656c6c"),
)

add_exchanges(
    area,
    *(
        Exchange(
            f"unmasked-{name}",
            "5.1",
            f"A frame that is not masked: {name.replace('-', ' ')}.",
            make(first, payload, None),
            (Close(1002),),
        )
        for name, first, payload in _UNMASKED
    ),
    Exchange(
        "unmasked-continuation",
        "5.1",
        "A masked first fragment, then a continuation that is not masked.",
        text("a", fin=False) + make(FIN | CONT, b"b", None),
        (Close(1002),),
    ),
    Exchange(
        "unmasked-after-masked",
        "5.1",
        "A masked message, then one that is not.",
        text("first") + make(FIN | 0x1, b"second", None),
        (Close(1002),),
        app=("first", None, 1002),
    ),
    *(
        Exchange(
            f"key-{name}",
            "5.3",
            f"The masking key {key}, on payloads of all lengths modulo 4.",
            b"".join(binary(b"Hello, world"[:size], bytes.fromhex(key)) for size in range(4, 12)),
            tuple(Binary(b"Hello, world"[:size]) for size in range(4, 12)),
        )
        for name, key in _KEYS
    ),
    Exchange(
        "key-changes",
        "5.3",
        "Each frame with a key of its own.",
        b"".join(
            text(f"message {index}", bytes([index, 7, 99, 255 - index])) for index in range(9)
        ),
        tuple(Text(f"message {index}") for index in range(9)),
    ),
    Exchange(
        "key-per-fragment",
        "5.3",
        "A fragmented message, each fragment of odd length with a key of its own.",
        make(0x2, b"abc", b"\x01\x02\x03\x04")
        + make(CONT, b"defgh", b"\xf0\x0f\xaa\x55")
        + make(FIN | CONT, b"i", b"\x80\x40\x20\x10"),
        (Binary(b"abcdefghi"),),
    ),
    Exchange(
        "payload-is-key",
        "5.3",
        "A payload that equals its key, so that all masked bytes are zero.",
        make(FIN | 0x2, b"keykkeyk", b"keyk"),
        (Binary(b"keykkeyk"),),
    ),
    Exchange(
        "masked-bytes-look-like-frames",
        "5.3",
        "A payload whose masked bytes are a whole Close frame.",
        binary(mask(make(FIN | 0x8, close_body(1000)))),
        (Binary(mask(make(FIN | 0x8, close_body(1000)))),),
    ),
)


@area.case("5.1")
def server_never_masks(t: Trial) -> None:
    """The server sends each kind of frame.

    Expect: none of them is masked.
    """

    def handler(ws: WebSocket) -> None:
        ws.send("text")
        ws.send(b"binary")
        ws.ping(b"ping")
        ws.send_frame(b"pong", ws.OPCODE_PONG)
        ws.close(1000, b"bye")

    peer = t.connect(handler)
    kinds = set()
    while 0x8 not in kinds:
        frame = peer.read_frame()
        if frame is None:
            break
        kinds.add(frame.opcode)  # read_frame() has checked the mask
    t.equal(kinds, {0x1, 0x2, 0x8, PING, PONG}, "opcodes")

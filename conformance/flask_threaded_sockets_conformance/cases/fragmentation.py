"""Fragmentation (RFC 6455 section 5.4)."""

from __future__ import annotations

from ..arrivals import Binary, Close, Pong, Text
from ..case import Area
from ..exchange import Exchange, add_exchanges
from ..wire import binary, close, cont, ping, pong, text, wire

__all__ = ["area"]

area = Area("fragmentation", "Fragmentation")

add_exchanges(
    area,
    Exchange(
        "rfc-two-fragments",
        "5.7",
        "The RFC's example, masked: 'Hel' and 'lo'.",
        wire("01 83", "37 fa 21 3d", "7f 9f 4d") + wire("80 82", "37 fa 21 3d", "5b 95"),
        (Text("Hello"),),
    ),
    Exchange(
        "three-fragments",
        "5.4",
        "A text message in three fragments.",
        text("one ", fin=False) + cont("two ", fin=False) + cont("three"),
        (Text("one two three"),),
    ),
    Exchange(
        "binary-fragments",
        "5.4",
        "A binary message in three fragments.",
        binary(b"\x00\x01", fin=False) + cont(b"\xfe", fin=False) + cont(b"\xff"),
        (Binary(b"\x00\x01\xfe\xff"),),
    ),
    Exchange(
        "fragments-of-one-byte",
        "5.4",
        "A hundred fragments of one byte.",
        text("x", fin=False) + cont("x", fin=False) * 98 + cont("x"),
        (Text("x" * 100),),
    ),
    Exchange(
        "many-fragments",
        "5.4",
        "Five thousand fragments of one byte.",
        binary(b"x", fin=False) + cont("x", fin=False) * 4998 + cont("x"),
        (Binary(b"x" * 5000),),
        level="should",
    ),
    Exchange(
        "large-fragments",
        "5.4",
        "Three fragments of 70,000 bytes.",
        binary(b"a" * 70_000, fin=False) + cont(b"b" * 70_000, fin=False) + cont(b"c" * 70_000),
        (Binary(b"a" * 70_000 + b"b" * 70_000 + b"c" * 70_000),),
    ),
    Exchange(
        "first-empty",
        "5.4",
        "An empty first fragment.",
        text("", fin=False) + cont("rest"),
        (Text("rest"),),
    ),
    Exchange(
        "middle-empty",
        "5.4",
        "An empty fragment in the middle.",
        text("a", fin=False) + cont("", fin=False) + cont("b"),
        (Text("ab"),),
    ),
    Exchange(
        "last-empty",
        "5.4",
        "An empty last fragment.",
        text("begin", fin=False) + cont(""),
        (Text("begin"),),
    ),
    Exchange(
        "all-empty",
        "5.4",
        "Three fragments, all empty.",
        text("", fin=False) + cont("", fin=False) + cont(""),
        (Text(""),),
    ),
    Exchange(
        "two-messages",
        "5.4",
        "Two fragmented messages behind each other.",
        text("a", fin=False) + cont("b") + binary(b"c", fin=False) + cont(b"d"),
        (Text("ab"), Binary(b"cd")),
    ),
    Exchange(
        "then-whole",
        "5.4",
        "A fragmented message, then a whole one.",
        text("a", fin=False) + cont("b") + text("c"),
        (Text("ab"), Text("c")),
    ),
    Exchange(
        "ping-between",
        "5.4",
        "A Ping between two fragments.",
        text("a", fin=False) + ping(b"now") + cont("b"),
        (Pong(b"now"), Text("ab")),
    ),
    Exchange(
        "pings-between-all",
        "5.4",
        "A Ping after each of ten fragments.",
        text("0", fin=False)
        + b"".join(ping(b"%d" % index) + cont(str(index), fin=False) for index in range(1, 10))
        + cont("!"),
        (*(Pong(b"%d" % index) for index in range(1, 10)), Text("0123456789!")),
    ),
    Exchange(
        "pong-between",
        "5.4",
        "An unsolicited Pong between two fragments.",
        text("a", fin=False) + pong(b"now") + cont("b"),
        (Text("ab"),),
    ),
    Exchange(
        "close-between",
        "5.5.1",
        "A Close between two fragments, in the place of the second.",
        text("a", fin=False) + close(1000),
        (Close(1000),),
        level="should",
        expectation="The server answers the Close with 1000, and the message is lost.",
    ),
    Exchange(
        "character-split",
        "5.6",
        "A character of four bytes, one byte to a fragment.",
        text(b"\xf0", fin=False)
        + cont(b"\x9f", fin=False)
        + cont(b"\x98", fin=False)
        + cont(b"\x80"),
        (Text("\N{GRINNING FACE}"),),
    ),
)

_WRONG = (
    ("lone-continuation", "A final continuation with nothing to continue.", cont("a")),
    (
        "lone-continuation-open",
        "A continuation that is not final, with nothing to continue.",
        cont("a", fin=False),
    ),
    ("lone-continuation-empty", "An empty continuation with nothing to continue.", cont("")),
    (
        "text-inside",
        "A text message in the middle of a fragmented one.",
        text("a", fin=False) + text("b"),
    ),
    (
        "binary-inside",
        "A binary message in the middle of a fragmented text message.",
        text("a", fin=False) + binary(b"b"),
    ),
    (
        "text-fragment-inside",
        "The first fragment of a text message in the middle of a fragmented one.",
        text("a", fin=False) + text("b", fin=False),
    ),
    (
        "text-inside-after-ping",
        "A fragment, a Ping, then a whole message.",
        text("a", fin=False) + ping(b"") + text("b"),
    ),
)

add_exchanges(
    area,
    *(
        Exchange(
            name,
            "5.4",
            description,
            data,
            (Pong(b""), Close(1002)) if "ping" in name else (Close(1002),),
        )
        for name, description, data in _WRONG
    ),
    Exchange(
        "continuation-after-end",
        "5.4",
        "A continuation behind a message's last fragment.",
        text("a", fin=False) + cont("b") + cont("c"),
        (Close(1002),),
        app=("ab", None, 1002),
    ),
    Exchange(
        "continuation-after-whole",
        "5.4",
        "A continuation behind a message in one frame.",
        text("a") + cont("b"),
        (Close(1002),),
        app=("a", None, 1002),
    ),
)

"""Text is UTF-8 (RFC 6455 sections 5.6 and 8.1)."""

from __future__ import annotations

import threading

from flask_threaded_sockets import WebSocket
from flask_threaded_sockets.backend import Feature

from ..arrivals import Binary, Close, Text
from ..case import Area
from ..exchange import Exchange, add_exchanges
from ..trial import Trial
from ..wire import TEXT, binary, cont, frame, text

__all__ = ["area"]

area = Area("text", "Text (UTF-8)")

_VALID = (
    ("ascii", "The quick brown fox"),
    ("two-bytes", "\u0080\u07ff é ß"),
    ("three-bytes", "\u0800\uffff κόσμε 日本"),
    ("four-bytes", "\U00010000\U0010ffff 😀"),
    ("around-surrogates", "\ud7ff\ue000"),
    ("noncharacters", "\ufffe\uffff\U0001fffe"),
    ("bom", "\ufeffwith a byte order mark"),
    ("nul", "a\x00b"),
    ("combining", "e\u0301 \u0928\u093f"),
)

_INVALID = (
    ("lone-continuation", "80"),
    ("continuations", "80 bf 80"),
    ("fe", "fe"),
    ("ff", "ff"),
    ("overlong-2", "c0 af"),
    ("overlong-2-c1", "c1 bf"),
    ("overlong-3", "e0 80 af"),
    ("overlong-4", "f0 80 80 af"),
    ("overlong-nul", "c0 80"),
    ("surrogate-first", "ed a0 80"),
    ("surrogate-last", "ed bf bf"),
    ("surrogate-pair", "ed a0 80 ed b0 80"),
    ("above-10ffff", "f4 90 80 80"),
    ("five-bytes", "f8 88 80 80 80"),
    ("cut-2", "c3"),
    ("cut-3", "e2 82"),
    ("cut-4", "f0 9f 98"),
    ("cut-inside", "e2 28 a1"),
    ("good-then-bad", "ce ba cf 8c ed a0 80 65"),
)

add_exchanges(
    area,
    *(
        Exchange(
            f"valid-{name}",
            "5.6",
            f"Valid UTF-8: {name.replace('-', ' ')}.",
            text(data),
            (Text(data),),
        )
        for name, data in _VALID
    ),
    Exchange(
        "valid-fragmented",
        "5.6",
        "All kinds of characters, cut into fragments of one byte.",
        text(b"", fin=False)
        + b"".join(cont(bytes([byte]), fin=False) for byte in "aé日😀".encode())
        + cont(b""),
        (Text("aé日😀"),),
    ),
    *(
        Exchange(
            f"invalid-{name}",
            "8.1",
            f"A text message of the bytes {data}.",
            text(bytes.fromhex(data)),
            (Close(1007),),
        )
        for name, data in _INVALID
    ),
    Exchange(
        "invalid-far-in",
        "8.1",
        "A text message of 200,000 bytes, one of which is bad, behind three quarters of it.",
        text(b"x" * 150_000 + b"\xff" + b"x" * 49_999),
        (Close(1007),),
    ),
    Exchange(
        "invalid-last-fragment",
        "8.1",
        "A good fragment, then a bad one.",
        text("good", fin=False) + cont(b"\xff"),
        (Close(1007),),
    ),
    Exchange(
        "invalid-first-fragment",
        "8.1",
        "A bad fragment, then a good one.",
        text(b"\xff", fin=False) + cont("good"),
        (Close(1007),),
    ),
    Exchange(
        "cut-at-end-of-fragments",
        "8.1",
        "A message that ends within a character, the cut at a fragment's end.",
        text(b"caf", fin=False) + cont(b"\xc3"),
        (Close(1007),),
    ),
    Exchange(
        "invalid-after-message",
        "8.1",
        "A good message, then a bad one in the same segment.",
        text("good") + text(b"\xff"),
        (Close(1007),),
        app=("good", None, 1007),
    ),
    Exchange(
        "binary-is-not-checked",
        "5.6",
        "A binary message that is not UTF-8.",
        binary(b"\xff\xfe\xc0"),
        (Binary(b"\xff\xfe\xc0"),),
    ),
    Exchange(
        "fail-fast-fragment",
        "8.1",
        "A bad fragment of a text message that is not over.",
        text(b"\xed\xa0\x80", fin=False),
        (Close(1007),),
        level="should",
        feature=Feature.FAIL_FAST_UTF8,
        expectation="A Close 1007 at once, without waiting for the message's end.",
    ),
    Exchange(
        "fail-fast-frame",
        "8.1",
        "The beginning of a long text frame, with a bad byte in it.",
        frame(0x80 | TEXT, b"ab\xffcd" + b"x" * 95)[:20],
        (Close(1007),),
        level="should",
        feature=Feature.FAIL_FAST_UTF8,
        expectation="A Close 1007 at once, without waiting for the frame's end.",
    ),
)


@area.case("8.1")
def invalid_while_busy(t: Trial) -> None:
    """Bad text comes while the handler does not receive.

    Expect: Close 1007; the handler is given ``None`` and the code, not the text.
    """
    done = threading.Event()

    def handler(ws: WebSocket) -> list[object]:
        done.wait(t.patience)
        return [ws.receive(), ws.close_code]

    peer = t.connect(handler)
    peer.send(text(b"\xff"))
    try:
        peer.expect(Close(1007))
    finally:
        done.set()
    t.equal(t.returned(peer), [None, 1007], "receive() and close_code")

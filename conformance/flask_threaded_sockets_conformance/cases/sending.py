"""The ``WebSocket`` contract's rows ``send``, ``send_frame`` and ``ping``, as the README has it."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from flask_threaded_sockets import ProtocolError, WebSocket, WebSocketError

from ..arrivals import Binary, Close, Eof, Raw, Text
from ..case import Case
from ..trial import Trial
from ..wire import wire
from .contract import CLOSED_TEXT, area

__all__: list[str] = []

_Send = Callable[[WebSocket], object]

# What the handler does, and the bytes it must make.
_EXACT: tuple[tuple[str, str, str, _Send, bytes], ...] = (
    ("send-str", "send()", "send('Hello')", lambda ws: ws.send("Hello"),
     wire("81 05", "48 65 6c 6c 6f")),
    ("send-str-utf-8", "send()", "send('é')", lambda ws: ws.send("é"), wire("81 02", "c3 a9")),
    ("send-bytes", "send()", "send(b'ab')", lambda ws: ws.send(b"ab"), wire("82 02", "61 62")),
    ("send-bytearray", "send()", "send(bytearray(b'ab'))", lambda ws: ws.send(bytearray(b"ab")),
     wire("82 02", "61 62")),
    ("send-memoryview", "send()", "send(memoryview(b'ab'))",
     lambda ws: ws.send(memoryview(b"ab")), wire("82 02", "61 62")),
    ("send-strided-memoryview", "send()", "send(memoryview(b'a-b-')[::2])",
     lambda ws: ws.send(memoryview(b"a-b-")[::2]), wire("82 02", "61 62")),
    ("send-array", "send()", "send() of an array of two-byte items",
     lambda ws: ws.send(array("H", [0x6161, 0x6262])), wire("82 04", "61 61 62 62")),
    ("send-empty-str", "send()", "send('')", lambda ws: ws.send(""), wire("81 00")),
    ("send-empty-bytes", "send()", "send(b'')", lambda ws: ws.send(b""), wire("82 00")),
    ("send-str-as-binary", "send()", "send('é', binary=True)",
     lambda ws: ws.send("é", binary=True), wire("82 02", "c3 a9")),
    ("send-str-binary-positional", "send()", "send('a', True)", lambda ws: ws.send("a", True),
     wire("82 01", "61")),
    ("send-bytes-as-text", "send()", "send(b'a', binary=False)",
     lambda ws: ws.send(b"a", binary=False), wire("81 01", "61")),
    ("send-str-binary-false", "send()", "send('a', binary=False)",
     lambda ws: ws.send("a", binary=False), wire("81 01", "61")),
    ("send-bytes-binary-true", "send()", "send(b'a', binary=True)",
     lambda ws: ws.send(b"a", binary=True), wire("82 01", "61")),
    ("frame-text", "send_frame()", "send_frame('a', OPCODE_TEXT)",
     lambda ws: ws.send_frame("a", ws.OPCODE_TEXT), wire("81 01", "61")),
    ("frame-binary", "send_frame()", "send_frame(b'a', OPCODE_BINARY)",
     lambda ws: ws.send_frame(b"a", ws.OPCODE_BINARY), wire("82 01", "61")),
    ("frame-ping", "send_frame()", "send_frame(b'a', OPCODE_PING)",
     lambda ws: ws.send_frame(b"a", ws.OPCODE_PING), wire("89 01", "61")),
    ("frame-ping-empty", "send_frame()", "send_frame('', OPCODE_PING)",
     lambda ws: ws.send_frame("", ws.OPCODE_PING), wire("89 00")),
    ("frame-ping-125", "send_frame()", "send_frame() of a Ping of 125 bytes",
     lambda ws: ws.send_frame(bytes(125), ws.OPCODE_PING), wire("89 7d") + bytes(125)),
    ("frame-pong", "send_frame()", "send_frame('a', OPCODE_PONG)",
     lambda ws: ws.send_frame("a", ws.OPCODE_PONG), wire("8a 01", "61")),
    ("frame-close", "send_frame()", "send_frame(b'\\x03\\xe8bye', OPCODE_CLOSE)",
     lambda ws: ws.send_frame(b"\x03\xe8bye", ws.OPCODE_CLOSE), wire("88 05", "03 e8 62 79 65")),
    ("frame-close-empty", "send_frame()", "send_frame(b'', OPCODE_CLOSE)",
     lambda ws: ws.send_frame(b"", ws.OPCODE_CLOSE), wire("88 00")),
    ("ping", "ping()", "ping()", lambda ws: ws.ping(), wire("89 00")),
    ("ping-payload", "ping()", "ping(b'ab')", lambda ws: ws.ping(b"ab"), wire("89 02", "61 62")),
    ("ping-str", "ping()", "ping('ab')", lambda ws: ws.ping("ab"), wire("89 02", "61 62")),
)  # fmt: skip


def _exact(send: _Send, data: bytes) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        peer = t.connect(send)
        peer.expect(Raw(data), pings=True)

    return run


# What the handler does, and what it raises; the connection must stay as it was.
_REFUSED: tuple[tuple[str, str, str, _Send, type[Exception]], ...] = (
    ("send-int", "send()", "send(5)", lambda ws: ws.send(5), TypeError),  # type: ignore[arg-type]
    ("send-none", "send()", "send(None)",
     lambda ws: ws.send(None), TypeError),  # type: ignore[arg-type]
    ("send-list", "send()", "send(['a'])",
     lambda ws: ws.send(["a"]), TypeError),  # type: ignore[arg-type]
    ("send-invalid-text", "send()", "send(b'\\xff', binary=False)",
     lambda ws: ws.send(b"\xff", binary=False), ValueError),
    ("send-surrogate", "send()", "send('\\ud800')", lambda ws: ws.send("\ud800"), ValueError),
    ("frame-int", "send_frame()", "send_frame(5, OPCODE_TEXT)",
     lambda ws: ws.send_frame(5, ws.OPCODE_TEXT), TypeError),  # type: ignore[arg-type]
    ("frame-ping-126", "send_frame()", "send_frame() of a Ping of 126 bytes",
     lambda ws: ws.send_frame(bytes(126), ws.OPCODE_PING), ProtocolError),
    ("frame-pong-126", "send_frame()", "send_frame() of a Pong of 126 bytes",
     lambda ws: ws.send_frame(bytes(126), ws.OPCODE_PONG), ProtocolError),
    ("frame-close-126", "send_frame()", "send_frame() of a Close of 126 bytes",
     lambda ws: ws.send_frame(b"\x03\xe8" + bytes(124), ws.OPCODE_CLOSE), ProtocolError),
    ("frame-close-1-byte", "send_frame()", "send_frame(b'\\x03', OPCODE_CLOSE)",
     lambda ws: ws.send_frame(b"\x03", ws.OPCODE_CLOSE), ProtocolError),
    ("frame-close-1005", "send_frame()", "send_frame() of a Close with the code 1005",
     lambda ws: ws.send_frame(b"\x03\xed", ws.OPCODE_CLOSE), ProtocolError),
    ("frame-close-bad-reason", "send_frame()", "send_frame() of a Close with a bad reason",
     lambda ws: ws.send_frame(b"\x03\xe8\xff", ws.OPCODE_CLOSE), ProtocolError),
    ("frame-continuation", "send_frame()", "send_frame('a', OPCODE_CONTINUATION)",
     lambda ws: ws.send_frame("a", ws.OPCODE_CONTINUATION), ProtocolError),
    ("frame-opcode-3", "send_frame()", "send_frame('a', 3)",
     lambda ws: ws.send_frame("a", 3), ValueError),
    ("ping-126", "ping()", "ping() of 126 bytes", lambda ws: ws.ping(bytes(126)), ProtocolError),
)  # fmt: skip


def _refused(send: _Send, kind: type[Exception]) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        def handler(ws: WebSocket) -> None:
            t.raises(kind, lambda: send(ws))
            ws.send("fine")

        peer = t.connect(handler)
        peer.expect(Text("fine"), pings=True)
        t.returned(peer)

    return run


for _name, _row, _words, _function, _data in _EXACT:
    area.add(
        Case(
            _name,
            area.name,
            _row,
            "must",
            f"The handler calls {_words}.",
            f"The client gets exactly {_data.hex(' ') if len(_data) < 9 else 'one such frame'}.",
            _exact(_function, _data),
        )
    )
for _name, _row, _words, _function, _kind in _REFUSED:
    area.add(
        Case(
            f"refuses-{_name}",
            area.name,
            _row,
            "must",
            f"The handler calls {_words}.",
            f"{_kind.__name__}; nothing is sent and the connection is as it was.",
            _refused(_function, _kind),
        )
    )


@area.case("send()")
def send_large(t: Trial) -> None:
    """The handler sends a text and a binary message of 5 MB.

    Expect: both come whole.
    """

    def handler(ws: WebSocket) -> None:
        ws.send("x" * 5_000_000)
        ws.send(bytes(5_000_000))

    peer = t.connect(handler)
    peer.expect(Text("x" * 5_000_000), Binary(bytes(5_000_000)))


@area.case("send()")
def buffer_may_be_reused(t: Trial) -> None:
    """The handler changes a ``bytearray`` as soon as ``send`` has returned.

    Expect: what was sent is what it was at the call.
    """

    def handler(ws: WebSocket) -> None:
        buffer = bytearray(50_000)
        for index in range(20):
            buffer[:] = bytes([index]) * 50_000
            ws.send(buffer)

    peer = t.connect(handler)
    peer.expect(*(Binary(bytes([index]) * 50_000) for index in range(20)))


def _on_closed(action: Callable[[WebSocket], object], how: str) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        def handler(ws: WebSocket) -> tuple[str, bool]:
            if how == "own":
                ws.close()
            t.wait(lambda: ws.closed, "closed is true")
            error = t.raises(WebSocketError, lambda: action(ws))
            return str(error), getattr(error, "ws", None) is ws

        peer = t.connect(handler)
        if how == "peer":
            peer.close()
        elif how == "fin":
            peer.fin()
        elif how == "reset":
            t.websocket(peer)
            peer.reset()
        t.equal(t.returned(peer), (CLOSED_TEXT, True), "the error and whether its ws is this")

    return run


_ACTIONS: tuple[tuple[str, _Send], ...] = (
    ("send", lambda ws: ws.send("a")),
    ("send-none", lambda ws: ws.send(None)),  # type: ignore[arg-type]
    ("send-frame", lambda ws: ws.send_frame("a", ws.OPCODE_TEXT)),
    ("ping", lambda ws: ws.ping()),
)
_ENDS = (
    ("own", "the handler's own Close"),
    ("peer", "the client's Close"),
    ("fin", "the end of the client's stream"),
    ("reset", "a reset"),
)

for _name, _function in _ACTIONS:
    _member = f"{_name.removesuffix('-none').replace('-', '_')}()"
    _call = "send(None)" if _name == "send-none" else _member
    for _end, _words in _ENDS:
        area.add(
            Case(
                f"{_name}-after-{_end}",
                area.name,
                _member,
                "must",
                f"The handler calls {_call} after {_words}.",
                f"A WebSocketError {CLOSED_TEXT!r}, whose ws is this WebSocket.",
                _on_closed(_function, _end),
            )
        )


@area.case("send_frame()")
def frame_close_closes(t: Trial) -> None:
    """The handler sends a Close with ``send_frame``.

    Expect: ``closed`` is true at once, and after the client's Close the stream ends.
    """

    def handler(ws: WebSocket) -> bool:
        ws.send_frame(b"\x0f\xa0", ws.OPCODE_CLOSE)
        return ws.closed

    peer = t.connect(handler)
    peer.expect(Close(4000))
    t.equal(t.returned(peer), True, "closed")
    peer.close(4000)
    peer.expect(Eof())


@area.case("send_frame()")
def opcode_constants(t: Trial) -> None:
    """The class has the opcodes as constants.

    Expect: they are RFC 6455's numbers.
    """
    names = ("CONTINUATION", "TEXT", "BINARY", "CLOSE", "PING", "PONG")
    came: list[Any] = [int(getattr(WebSocket, f"OPCODE_{name}")) for name in names]
    t.equal(came, [0, 1, 2, 8, 9, 10], "opcodes")

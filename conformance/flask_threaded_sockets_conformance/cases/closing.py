"""The ``WebSocket`` contract's row ``close``, as the README has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_threaded_sockets import WebSocket

from ..arrivals import Close, Eof, Text
from ..case import Case
from ..trial import Trial
from .contract import area

__all__: list[str] = []


# What the handler calls, and the code and reason on the wire.
_CLOSES: tuple[tuple[str, str, Callable[[WebSocket], object], int, str], ...] = (
    ("default", "close()", lambda ws: ws.close(), 1000, ""),
    ("code", "close(4001)", lambda ws: ws.close(4001), 4001, ""),
    ("bytes-reason", "close(1000, b'bye')", lambda ws: ws.close(1000, b"bye"), 1000, "bye"),
    ("str-reason", "close(1001, 'été')", lambda ws: ws.close(1001, "été"), 1001, "été"),
    ("keywords", "close(code=3000, message='x')",
     lambda ws: ws.close(code=3000, message="x"), 3000, "x"),
    ("reason-123", "close() with a reason of 123 bytes",
     lambda ws: ws.close(1000, "x" * 123), 1000, "x" * 123),
    ("reason-cut", "close() with a reason of 200 bytes",
     lambda ws: ws.close(1000, "x" * 200), 1000, "x" * 123),
    ("reason-cut-2", "close() with a reason of 100 characters of two bytes",
     lambda ws: ws.close(1000, "é" * 100), 1000, "é" * 61),
    ("reason-cut-3", "close() with a reason of 50 characters of three bytes and a letter",
     lambda ws: ws.close(1000, "x" + "日" * 50), 1000, "x" + "日" * 40),
    ("reason-cut-4", "close() with a reason of 40 characters of four bytes, as bytes",
     lambda ws: ws.close(1000, ("😀" * 40).encode()), 1000, "😀" * 30),
)  # fmt: skip


def _closes(
    action: Callable[[WebSocket], object], code: int, reason: str
) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        def handler(ws: WebSocket) -> tuple[bool, int | None, str | None]:
            action(ws)
            return ws.closed, ws.close_code, ws.close_reason

        peer = t.connect(handler)
        peer.expect_end(code, reason)
        t.equal(t.returned(peer), (True, code, reason), "closed, close_code, close_reason")

    return run


for _name, _words, _action, _code, _reason in _CLOSES:
    area.add(
        Case(
            f"close-{_name}",
            area.name,
            "close()",
            "must",
            f"The handler calls {_words}.",
            f"Close {_code} with the reason {_reason[:10]!r} ({len(_reason.encode())} bytes); "
            "closed, close_code and close_reason tell the same.",
            _closes(_action, _code, _reason),
        )
    )

_BAD_CODES = (-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000)


def _bad_code(code: int) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        def handler(ws: WebSocket) -> None:
            t.raises(ValueError, lambda: ws.close(code))
            ws.send("open")

        t.connect(handler).expect(Text("open"), Close(1000))

    return run


for _code in _BAD_CODES:
    area.add(
        Case(
            f"close-refuses-{_code}",
            area.name,
            "close()",
            "must",
            f"The handler calls close({_code}).",
            "ValueError; nothing is sent and the connection is open.",
            _bad_code(_code),
        )
    )


@area.case("close()")
def close_is_idempotent(t: Trial) -> None:
    """The handler closes three times, with different codes.

    Expect: one Close, with the first code.
    """

    def handler(ws: WebSocket) -> int | None:
        for code in (4001, 4002, 1000):
            ws.close(code)
        return ws.close_code

    peer = t.connect(handler)
    peer.expect_end(4001)
    t.equal(t.returned(peer), 4001, "close_code")


@area.case("close()")
def close_after_peer(t: Trial) -> None:
    """The handler closes after the client has.

    Expect: no error, no second Close; ``close_code`` stays the client's.
    """

    def handler(ws: WebSocket) -> int | None:
        t.wait(lambda: ws.closed, "closed is true")
        ws.close(4002)
        return ws.close_code

    peer = t.connect(handler)
    peer.close(4001)
    peer.expect(Close(4001), Eof())
    t.equal(t.returned(peer), 4001, "close_code")


@area.case("close()")
def close_on_dead_link(t: Trial) -> None:
    """The handler closes after a reset.

    Expect: no error.
    """

    def handler(ws: WebSocket) -> None:
        t.wait(lambda: ws.closed, "closed is true")
        ws.close()

    peer = t.connect(handler)
    t.websocket(peer)
    peer.reset()
    t.returned(peer)


@area.case("close()")
def close_does_not_wait(t: Trial) -> None:
    """The handler closes and the client does not answer.

    Expect: ``close()`` returns within a second.
    """

    def handler(ws: WebSocket) -> None:
        with t.takes(1.0, "close()"):
            ws.close()

    t.returned(t.connect(handler))


def _says_here_and_receives(ws: WebSocket) -> Any:
    ws.send("here")
    return ws.receive()


@area.case("close()")
def close_wakes_receive(t: Trial) -> None:
    """Another thread closes while the handler is blocked in ``receive()``.

    Expect: the Close comes, and ``receive()`` returns within a second, though the client
    does not answer.
    """
    peer = t.connect(_says_here_and_receives)
    peer.expect(Text("here"))
    ws = t.websocket(peer)
    t.wait_for_receive(peer)
    with t.takes(1.5, "waking receive()"):
        ws.close(4000)
        t.equal(t.returned(peer), None, "receive()")
    peer.expect(Close(4000))

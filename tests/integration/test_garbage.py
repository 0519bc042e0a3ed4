"""What an ended connection leaves for the garbage collector: nothing of ours."""

from __future__ import annotations

import contextlib
import gc
from collections import Counter
from collections.abc import Iterator

import flask
import pytest
from live import HOSTS, eventually
from peer import CLOSE, PING, PONG, TEXT, Frame, close_frame, request
from wire import frame

from flask_threaded_sockets import Sockets, WebSocketError
from flask_threaded_sockets.monitor import monitor

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)

ROUNDS = 200
CONNECTION = "flask_threaded_sockets.connection.ThreadedConnection"


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    def nothing_of_earlier_tests() -> bool:
        gc.collect()
        return not ours("builtin")[CONNECTION]

    # Some end in cycles, and not before their threads do.
    eventually(nothing_of_earlier_tests)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# The libraries of the other backends make cycles of their own, with what hangs on them.
REQUEST = ("clients", "gateway", "opening", "refusals", "serving", "websocket")


def ours(backend: str) -> Counter[str]:
    """Count the living objects of this package's types."""
    modules = [""] if backend == "builtin" else [f".{name}" for name in REQUEST]
    prefixes = tuple(f"flask_threaded_sockets{name}" for name in modules)
    names = (f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    return Counter(name for name in names if name.startswith(prefixes))


def test_ended_connections_leave_nothing_to_the_garbage_collector(serve, backend):
    app = flask.Flask("garbage")
    app.config["SOCKETS_PING_INTERVAL"] = None
    sockets = Sockets(app)

    @sockets.route("/echo")
    def echo(ws):
        for message in ws:
            ws.send(message)
            if message == "late":
                ws.close()
                with contextlib.suppress(WebSocketError):
                    ws.send(message)

    live = serve(app=app)

    def come_and_go(number: int) -> None:
        with live.connect() as peer:
            # Not one that is refused: Flask keeps an HTTPException in a cycle itself.
            peer.send(request("/echo"))
            assert peer.head().status == 101
            peer.text("late" if number % 10 == 1 else "word")
            assert peer.frame().first == TEXT
            if number % 10 == 1:
                assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]
            elif number % 10 == 2:
                peer.reset()
            else:
                peer.send(close_frame())
                assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]

    for number in range(10):
        come_and_go(number)
    eventually(lambda: len(monitor) == 0)
    with no_collector():
        before = ours(backend)
        for number in range(ROUNDS):
            come_and_go(number)
        eventually(lambda: len(monitor) == 0)
        # The last request's thread may be on its way.
        with contextlib.suppress(TimeoutError):
            eventually(lambda: not ours(backend) - before, within=5)
        assert ours(backend) - before == Counter()


def test_monitor_lets_go_of_the_last_connection_it_has_read(serve):
    app = flask.Flask("idle")
    sockets = Sockets(app)
    seen = []

    @sockets.route("/idle")
    def idle(ws):
        eventually(lambda: ws.closed)
        seen.append(ws.receive())

    live = serve(app=app)
    with no_collector():
        for _ in range(3):
            with live.connect() as peer:
                peer.send(request("/idle"))
                assert peer.head().status == 101
                for payload in (b"once", b"twice"):  # the second time it waits for this one
                    peer.send(frame(PING, payload))
                    assert peer.frame() == Frame(PONG, payload)
                peer.send(frame(TEXT, b"read by the monitor") + close_frame())
                assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]
        eventually(lambda: len(monitor) == 0)
        eventually(lambda: not ours("builtin")[CONNECTION])
    assert seen == ["read by the monitor"] * 3

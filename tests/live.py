"""Servers under test, in this process, on a port of their own; and waiting with a deadline."""

from __future__ import annotations

import contextlib
import gc
import queue
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Self

import flask
from peer import ACCEPT, DEADLINE, Head, Peer, request
from werkzeug.serving import make_server

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer, WebSocket

__all__ = ["HOSTS", "Live", "Pair", "app_of", "eventually", "in_thread"]

HOSTS = ("own", "werkzeug")


def eventually(
    condition: Callable[[], object], what: str = "it", *, within: float = DEADLINE
) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come about within {within:g} s")
        time.sleep(0.002)


class in_thread:
    """Run a function in a thread; ``result()`` gives its value or raises its exception."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(function, args), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._outcome.put((function(*args), None))
        except BaseException as error:
            self._outcome.put((None, error))

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def receiving(self) -> Self:
        """Wait until the thread is in ``Connection.receive``, called by ``WebSocket.receive``."""
        eventually(lambda: self._stack().count("receive") >= 2, "a call of receive()")
        return self

    def _stack(self) -> list[str]:
        # CPython 3.11 stands still for ever where the collector runs in here while another
        # thread starts (python/cpython issue 106883).
        gc.disable()
        try:
            frame = sys._current_frames().get(self._thread.ident or 0)
        finally:
            gc.enable()
        names = []
        while frame is not None:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        return names

    def result(self, within: float = DEADLINE) -> Any:
        value, error = self._outcome.get(timeout=within)
        self._thread.join(DEADLINE)
        if error is not None:
            raise error
        return value


def app_of(handler: Callable[..., object], *, name: str = "live", **config: Any) -> flask.Flask:
    """Make an app with one WebSocket handler, at ``/``."""
    app = flask.Flask(name)
    app.config.update(config)
    sockets = Sockets(app)
    sockets.route("/")(handler)
    return app


class Live:
    """A running server and the peers that were connected to it."""

    def __init__(
        self,
        app: Any,
        host: str = "own",
        *,
        certificate: tuple[str, str] | None = None,
        bind: str = "127.0.0.1",
    ) -> None:
        if host == "own":
            self.server: Any = ThreadedWebsocketServer(bind, 0, app, ssl_context=certificate)
        else:
            self.server = make_server(bind, 0, app, threaded=True, ssl_context=certificate)
        self.app = app
        address = self.server.server_address
        self.port: Any = address[1] if bind == "127.0.0.1" else address
        self.tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.tls = ssl.create_default_context(cafile=certificate[0])
        self._peers: list[Peer] = []
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def connect(self, **options: Any) -> Peer:
        """Connect, and say nothing yet."""
        peer = Peer(self.port, tls=self.tls, **options)
        self._peers.append(peer)
        return peer

    def ask(self, data: bytes) -> tuple[Head, Peer]:
        """Connect, send a request, read the response's head."""
        peer = self.connect()
        peer.send(data)
        return peer.head(), peer

    def open(
        self,
        path: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        *,
        early: bytes = b"",
        **options: Any,
    ) -> Peer:
        """Connect and open a WebSocket."""
        peer = self.connect(**options)
        peer.send(request(path, headers), early)
        head = peer.head()
        assert head.status == 101, head
        assert head.headers["sec-websocket-accept"] == ACCEPT
        return peer

    def get(self, path: str, headers: Iterable[tuple[str, str]] = ()) -> tuple[Head, bytes]:
        """Make an ordinary request; give the response's head and body."""
        fields = (("Host", "test.example"), ("Connection", "close"), *headers)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        head, peer = self.ask(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        return head, peer.to_end()

    def hang_up(self) -> None:
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.close()

    def stop(self) -> None:
        self.hang_up()
        self.server.shutdown()
        self._thread.join(DEADLINE)
        self.server.server_close()


class Pair:
    """Handlers that give their WebSocket to the test and return when they are told to."""

    def __init__(self) -> None:
        self._given: queue.SimpleQueue[WebSocket] = queue.SimpleQueue()
        self._released = threading.Event()

    def handler(self, ws: WebSocket) -> None:
        self._given.put(ws)
        self._released.wait(10 * DEADLINE)

    def take(self) -> WebSocket:
        """Give the WebSocket of the handler that began last."""
        return self._given.get(timeout=DEADLINE)

    def release(self) -> None:
        self._released.set()

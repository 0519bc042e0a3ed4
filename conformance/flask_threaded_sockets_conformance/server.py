"""The real stack with the backend under judgement in it: a server, an app, its routes.

A :class:`Site` is one Flask app with one configuration behind one
``ThreadedWebsocketServer``; a :class:`Stack` keeps the sites of one backend, started when
first needed and kept for the session. A case gives its handler as a function, which runs
as a route's handler in the server's own thread.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import socket
import termios
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from flask import Flask, got_request_exception, request

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer, WebSocket

from .arrivals import Mismatch

__all__ = ["Call", "Handler", "PlainSite", "Site", "Stack", "clients_of"]

Handler = Callable[[WebSocket], Any]

# Held while an app gets its routes: Werkzeug makes a tree of Python's syntax for each, and
# CPython 3.11 now and then fails threads that do so at once with "AST constructor recursion
# depth mismatch".
_building = threading.Lock()

# How long a server is waited for, which takes two seconds where clients do not leave.
_STOPPING: Final = 5.0

# How long a piece of data may stay unread before the next one is sent all the same.
_SETTLE: Final = 0.5


class Call:
    """Be one run of a handler, as seen from outside.

    Attributes:
        started: set when the handler has its WebSocket.
        done: set when it has returned or raised.
        thread: the identity of the thread it runs in.
        value: what it returned.
        error: what it raised.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.started = threading.Event()
        self.done = threading.Event()
        self.ws: WebSocket | None = None
        self.thread = 0
        self.value: Any = None
        self.error: BaseException | None = None

    def __call__(self, ws: WebSocket, **_: Any) -> None:
        """Run the handler, as the route's view."""
        self.ws = ws
        self.thread = threading.get_ident()
        self.started.set()
        try:
            self.value = self._handler(ws)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.done.set()


def clients_of(ws: WebSocket) -> Mapping[Any, Any]:
    """Give the clients that ``ws.handler.server`` knows, address by address."""
    handler = ws.handler
    if handler is None:
        raise Mismatch("ws.handler is None")
    return handler.server.clients


class _Server(ThreadedWebsocketServer):
    """Remember the accepted sockets, to see whether data was read from them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.accepted: dict[Any, socket.socket] = {}
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.accepted[client_address] = request
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        for address, sock in list(self.accepted.items()):
            if sock is request:
                del self.accepted[address]
        super().shutdown_request(request)


class Site:
    """Serve one app with one configuration.

    Args:
        backend: the backend's name.
        config: options of the app, named as a route's, e.g. ``max_message_size``.
        route: options of the routes.
        prepare: called with the app and its ``Sockets`` before it serves.
        before: called with the app before its ``Sockets`` is made.
        sockets: one that has no app yet, or others.

    Attributes:
        app: the Flask app.
        sockets: its ``Sockets``.
        address: where it listens.
    """

    _numbers = itertools.count(1)

    def __init__(
        self,
        backend: str,
        config: Mapping[str, Any] | None = None,
        route: Mapping[str, Any] | None = None,
        prepare: Callable[[Flask, Sockets], None] | None = None,
        before: Callable[[Flask], None] | None = None,
        sockets: Sockets | None = None,
    ) -> None:
        with _building:
            self._build(backend, config, route, prepare, before, sockets)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.server = _Server("127.0.0.1", 0, self.app)
        self.address = ("127.0.0.1", int(self.server.port))
        self._watchers: dict[Any, Callable[[BaseException], None]] = {}
        got_request_exception.connect(self._tell_error, self.app)
        self._thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def _build(
        self,
        backend: str,
        config: Mapping[str, Any] | None,
        route: Mapping[str, Any] | None,
        prepare: Callable[[Flask, Sockets], None] | None,
        before: Callable[[Flask], None] | None,
        sockets: Sockets | None,
    ) -> None:
        self.app = Flask(f"conformance{next(self._numbers)}")
        self.app.config["SECRET_KEY"] = "not one"  # noqa: S105
        # The process's signals belong to pytest.
        self.app.config["SOCKETS_HANDLE_SIGNALS"] = False
        for name, value in (config or {}).items():
            self.app.config[f"SOCKETS_{name.upper()}"] = value
        if before is not None:
            before(self.app)
        self.sockets = Sockets(backend=backend) if sockets is None else sockets
        self.sockets.init_app(self.app)
        self._calls: dict[str, Call] = {}
        self._tokens = itertools.count(1)
        options = dict(route or {})
        if sockets is None:
            self.sockets.add_url_rule("/call/<token>", "call", self._call, **options)
            self.sockets.add_url_rule("/echo", "echo", self._echo, **options)
            self.sockets.add_url_rule("/slash/", "slash", self._echo, **options)
        self.app.add_url_rule("/http", "http", lambda: "plain\n")
        self.app.add_url_rule("/view/<token>", "view", self._view)
        if prepare is not None:
            prepare(self.app, self.sockets)

    def enlist(self, handler: Handler) -> tuple[str, Call]:
        """Take a handler; give the path it is called by."""
        call = Call(handler)
        token = str(next(self._tokens))
        self._calls[token] = call
        return f"/call/{token}", call

    def _call(self, ws: WebSocket, token: str) -> None:
        self._calls.pop(token)(ws)

    def _echo(self, ws: WebSocket) -> None:
        for message in ws:
            ws.send(message)

    def _view(self, token: str) -> str:
        self._calls.pop(token)(request.environ["wsgi.websocket"])
        return "a response"

    def settle(self, address: Any) -> None:
        """Wait until the server has read what a client sent, half a second at most."""
        sock = self.server.accepted.get(address)
        deadline = time.monotonic() + _SETTLE
        pause = 0.00005
        while sock is not None and time.monotonic() < deadline and _unread(sock):
            time.sleep(pause)
            pause = min(2 * pause, 0.002)

    def watch(self, address: Any, tell: Callable[[BaseException], None]) -> None:
        """Tell of an exception that ends a client's request."""
        self._watchers[address[1]] = tell

    def _tell_error(self, _: Flask, exception: BaseException, **__: Any) -> None:
        tell = self._watchers.get(request.environ.get("REMOTE_PORT"))
        if tell is not None:
            tell(exception)

    def forget(self, address: Any, deadline: float) -> None:
        """Wait until a client's request has ended or the time has come; watch it no more."""
        while address in self.server.accepted and time.monotonic() < deadline:
            time.sleep(0.002)
        self._watchers.pop(address[1], None)

    def stop(self) -> None:
        """Stop serving; ends the connections that are left, if the backend lets it."""
        _shut_down(self.server, self._thread)


def _shut_down(server: ThreadedWebsocketServer, serving: threading.Thread) -> None:
    """Stop a server, and leave it to itself where a connection's end never comes."""
    threading.Thread(target=server.shutdown, daemon=True).start()
    serving.join(_STOPPING)


def _unread(sock: socket.socket) -> bool:
    try:
        count = fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4))
    except (OSError, ValueError):
        return False
    return any(count)


class PlainSite:
    """Serve something without Flask; a context manager.

    Args:
        server: not serving yet.
    """

    def __init__(self, server: ThreadedWebsocketServer) -> None:
        self.server = server
        self.address = ("127.0.0.1", int(server.port))
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        _shut_down(self.server, self._thread)

    def settle(self, _: Any) -> None:
        """Do nothing: which socket is whose is not known here."""


class Stack:
    """Keep the sites of one backend; thread-safe.

    Args:
        backend: the backend's name.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._lock = threading.Lock()  # guards _sites
        self._sites: dict[str, Site] = {}

    def site(
        self, config: Mapping[str, Any] | None = None, route: Mapping[str, Any] | None = None
    ) -> Site:
        """Give the site with this configuration, starting it at the first call."""
        key = repr((sorted((config or {}).items()), sorted((route or {}).items())))
        with self._lock:
            if key not in self._sites:
                self._sites[key] = Site(self.backend, config, route)
            return self._sites[key]

    def stop(self) -> None:
        """Stop all sites."""
        with self._lock:
            sites, self._sites = self._sites, {}
        for site in sites.values():
            site.stop()

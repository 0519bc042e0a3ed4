"""A threaded WSGI server for development and devices, built on Werkzeug's."""

from __future__ import annotations

import contextlib
import errno
import http.client
import io
import socket
import ssl
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from .accesslog import ENDING_KEY
from .clients import Client, clients
from .codes import CloseCode
from .extension import state_of
from .handshake import is_upgrade
from .hosting import OPENED_KEY
from .stopping import STOP_TIMEOUT, close_all
from .wsgi import websocket_middleware

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

__all__ = ["ThreadedWebsocketServer", "ThreadedWsWSGIServer"]

# Seconds a client has for its TLS handshake and the head of its request together.
_HEAD_TIMEOUT: Final = 20.0

# What accept() fails with where the system is short of something, and how long the server
# then waits: the client stays at the door, so that trying at once would be a busy loop.
_SHORT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE: Final = 0.1  # seconds

# Seconds between two looks at who is becoming a client while the server stops.
_LOOK: Final = 0.01

# In the place of a WebSocket's request headers, which stand in its environ.
_NO_HEADERS: Final = http.client.HTTPMessage()


class _RequestReader(io.RawIOBase):
    """Read a request, with a deadline for its head as a whole.

    A timeout per read would let a client in that sends one byte now and then.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline: float | None = deadline

    def readable(self) -> bool:
        return True

    def head_is_read(self) -> None:
        """Let the rest take its time."""
        self._deadline = None
        self._sock.settimeout(None)

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the request's head did not arrive in time")
            self._sock.settimeout(left)
        try:
            return self._sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None


class _RequestHandler(WSGIRequestHandler):
    """Serve one request."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        # What is left after a TLS handshake; a thread-local would cost each open WebSocket
        # half a kilobyte.
        left = self.connection.gettimeout()
        server: Any = self.server
        deadline = time.monotonic() + (server.head_timeout if left is None else left)
        self._reader = _RequestReader(self.connection, deadline)
        # Half of the 1024 bytes of most heads, but an open WebSocket keeps it.
        self.rfile = io.BufferedReader(self._reader, 512)

    def make_environ(self) -> WSGIEnvironment:
        environ = super().make_environ()
        if is_upgrade(environ):
            # An open WebSocket would keep both.
            self.headers = _NO_HEADERS
            environ[ENDING_KEY] = ""
            server: Any = self.server
            environ[OPENED_KEY] = partial(server.end_opening, threading.get_ident())
        return environ

    def run_wsgi(self) -> None:
        self._reader.head_is_read()
        if "Upgrade" not in self.headers:
            super().run_wsgi()
            return
        server: Any = self.server
        me = threading.get_ident()
        if not server.begin_opening(me):
            self.send_error(503, "Server is stopping")
            return
        try:
            super().run_wsgi()
        finally:
            server.end_opening(me)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        # Of a WebSocket this is the end: its code and duration stand behind the line.
        ending = self.environ.get(ENDING_KEY) if hasattr(self, "environ") else None
        super().log_request(code, f"{size} {ending}" if ending else size)

    def log_error(self, format: str, *args: Any) -> None:  # noqa: A002
        # A port probe or a client that goes away is no error of this server.
        self.log("info", format, *args)


class ThreadedWebsocketServer(ThreadedWSGIServer):
    """Serve a WSGI application, one thread per connection.

    Args:
        host: the address to listen on, or ``unix://`` and a path.
        port: the port; ``0``: a free one, which :attr:`port` then tells.
        app: a Flask app or any WSGI application; WebSocket requests have
            ``environ["wsgi.websocket"]``.
        ssl_context: an ``ssl.SSLContext``, a pair of paths of a certificate and its key,
            or ``"adhoc"``; ``None``: plain TCP.
        kwargs: further arguments of Werkzeug's ``ThreadedWSGIServer``.

    Raises:
        ConfigurationError: the app's configuration is wrong or its backend unusable.

    Attributes:
        port: the port it listens on.
        head_timeout: seconds a client has for the head of its request.
    """

    head_timeout: float = _HEAD_TIMEOUT

    def __init__(
        self,
        host: str,
        port: int,
        app: WSGIApplication,
        ssl_context: Any = None,
        **kwargs: Any,
    ) -> None:
        state = state_of(app)
        if state is None:
            app = websocket_middleware(app)
        else:
            state.check()  # a Flask app with a Sockets brings the same
        kwargs.setdefault("handler", _RequestHandler)
        super().__init__(host, port, app, ssl_context=ssl_context, **kwargs)
        if isinstance(self.socket, ssl.SSLSocket):
            # Werkzeug wraps the listening socket, so that one client that stalls in its
            # TLS handshake would keep all others out. It is done per connection instead.
            family, fd = self.socket.family, self.socket.detach()
            self.socket = socket.socket(family, socket.SOCK_STREAM, fileno=fd)
        self._lock = threading.Lock()  # guards the three below
        self._serving: threading.Thread | None = None
        self._stopped = False
        self._opening: set[int] = set()  # threads whose request may become a WebSocket
        self._short = False  # the last accept() has failed for want of something
        self._interrupt: BaseException | None = None

    @property
    def clients(self) -> dict[Any, Client]:
        """The open WebSockets, a snapshot: address -> client with ``.address`` and ``.ws``."""
        address = self.server_address
        return clients.of_server(address[1] if isinstance(address, tuple) else address)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; let those that are open go on where no more can be."""
        try:
            accepted = super().get_request()
        except OSError as error:
            if error.errno in _SHORT_OF:
                if not self._short:
                    self.log("warning", "no connection can be accepted: %s", error.strerror)
                self._short = True
                time.sleep(_PAUSE)
            raise
        self._short = False
        return accepted

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread."""
        try:
            super().process_request(request, client_address)
        except (KeyboardInterrupt, SystemExit) as interrupt:
            # From here, socketserver would close the socket under a thread that has begun.
            self._interrupt = interrupt

    def service_actions(self) -> None:
        """Let Ctrl-C go on that came while a thread was started."""
        if self._interrupt is not None:
            raise self._interrupt
        super().service_actions()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection; runs in its own thread."""
        # Clients that go away, port probes and failed TLS handshakes are nobody's error.
        with contextlib.suppress(ConnectionError, TimeoutError, ssl.SSLError):
            if self.ssl_context is None:
                super().finish_request(request, client_address)
                return
            deadline = time.monotonic() + self.head_timeout
            request.settimeout(self.head_timeout)  # for the whole of the handshake
            with self.ssl_context.wrap_socket(request, server_side=True) as tls:
                tls.settimeout(max(deadline - time.monotonic(), 0.001))
                super().finish_request(tls, client_address)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Log as Werkzeug does, but that a client has gone, which is no error of ours."""
        # What Werkzeug finds of it when it asks for the client's certificate.
        gone = message == "Cannot fetch SSL peer certificate info"
        super().log("info" if gone else type, message, *args)

    def serve_forever(self, poll_interval: float = 0.1) -> None:
        """Serve until :meth:`shutdown` or Ctrl-C; then close all clients with 1001.

        Args:
            poll_interval: seconds within which a :meth:`shutdown` is noticed.
        """
        with self._lock:
            if self._stopped:
                self.server_close()
                return
            self._serving = threading.current_thread()
        try:
            super().serve_forever(poll_interval)
        finally:
            with self._lock:
                self._serving = None
                self._stopped = True
            self._close_clients()

    def begin_opening(self, thread: int) -> bool:
        """Note that a thread answers an opening handshake; tell whether it still may."""
        with self._lock:
            if not self._stopped:
                self._opening.add(thread)
            return not self._stopped

    def end_opening(self, thread: int) -> None:
        """Note that its client is registered, or that there is none; idempotent."""
        with self._lock:
            self._opening.discard(thread)

    def _close_clients(self) -> None:
        """Close all clients, and those that become one while others are waited for."""
        deadline = time.monotonic() + STOP_TIMEOUT
        while (self._opening or self.clients) and time.monotonic() < deadline:
            for client in self.clients.values():
                if not client.connection.closed:
                    client.connection.close(CloseCode.GOING_AWAY, timeout=0)
            time.sleep(_LOOK)
        close_all(self.clients.values(), timeout=0)

    def shutdown(self) -> None:
        """Stop serving and close all clients with 1001; from any thread; idempotent.

        Blocks until :meth:`serve_forever` has ended, at most some 2 seconds, unless it is
        called from that very thread.
        """
        with self._lock:
            self._stopped = True
            serving = self._serving
        if serving is None:
            self.server_close()
            self._close_clients()
        elif serving is threading.current_thread():
            # serve_forever() cannot end before this call returns.
            threading.Thread(target=super().shutdown, daemon=True).start()
        else:
            super().shutdown()
            serving.join(0 if serving is threading.main_thread() else None)


ThreadedWsWSGIServer = ThreadedWebsocketServer
"""The name in version 0.3's documentation."""

"""WebSockets through Flask's test client: in process, without a port, never for ever.

``app.test_client().websocket("/path")`` goes through the app's WSGI middleware, the real
opening handshake and the backend that the app has chosen, over a pair of sockets. What is
the client's own here is the codec in the role of a client.
"""

from __future__ import annotations

import base64
import functools
import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, got_request_exception, request
from flask.testing import EnvironBuilder, FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request

from .builtin import BuiltinBackend
from .codec import BuiltinProtocol, Role
from .codes import CloseCode
from .connection import ThreadedConnection
from .exceptions import WebSocketError
from .handshake import accept_key
from .host import Host
from .negotiation import DEFLATE_OFFER, parse_agreed_deflate
from .opening import HOST_KEY
from .options import ConnectionOptions
from .transport import open_transport
from .websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.test import TestResponse

__all__ = ["ClientWebSocket", "WebSocketRefused", "add_websocket", "websocket"]

# Seconds that anything may take which a test waits for, unless it says otherwise.
TIMEOUT: Final = 5.0


class WebSocketRefused(Exception):
    """Tell that an opening handshake got an HTTP response instead of a 101.

    Attributes:
        response: that response, as the test client gives others.
    """

    def __init__(self, path: str, response: TestResponse) -> None:
        super().__init__(f"{path} answered {response.status} instead of opening a websocket")
        self.response = response


class _TestHost(Host):
    """Be the server of one connection: lend the app its end of a pair of sockets."""

    name = "test client"

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def claims(self, environ: WSGIEnvironment) -> bool:
        return environ.get(HOST_KEY) is self

    def take(self, environ: WSGIEnvironment) -> tuple[Any, bytes]:  # noqa: ARG002
        return self._sock, b""


class _Call:
    """Call the app with an opening handshake, in a thread, and keep how that ended.

    Attributes:
        response: the HTTP response, or the 101 of a connection that is over.
        failure: what the app has raised and nobody handled.
    """

    def __init__(self, client: FlaskClient, asked: Request, sock: socket.socket) -> None:
        self._client = client
        self._asked = asked
        self._sock = sock
        self._host = asked.environ[HOST_KEY] = _TestHost(sock)
        self.response: TestResponse | None = None
        self.failure: BaseException | None = None
        # A daemon, since a handler that does not end must not keep the test run.
        self._thread = threading.Thread(target=self._run, name="test websocket", daemon=True)
        self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until the app has returned; tell whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        app = self._client.application
        got_request_exception.connect(self._note, app)
        try:
            # This one adds the client's cookies and takes those of an HTTP response.
            parts = self._client.run_wsgi_app(self._asked.environ, buffered=True)
            self.response = self._client.response_wrapper(*parts, request=self._asked)
            self.response.json_module = app.json  # type: ignore[assignment]
        except BaseException as error:
            self.failure = error
        finally:
            got_request_exception.disconnect(self._note, app)
            self._sock.close()

    def _note(self, app: Flask, exception: BaseException, **_: Any) -> None:
        # As with other requests: who says False gets to see what a client would.
        is_wanted = app.config["PROPAGATE_EXCEPTIONS"] is not False
        if is_wanted and request.environ.get(HOST_KEY) is self._host:
            self.failure = exception


class ClientWebSocket(WebSocket):
    """Be the client's end of a WebSocket, in a test; made by :func:`websocket`.

    The surface is the handler's, with three differences: nothing waits for longer than
    the ``timeout`` that it was opened with; what the handler raises is raised here, by
    the call that finds out; and :meth:`close` waits until the handler has returned.

    Attributes:
        headers: those of the 101.
    """

    def __init__(
        self,
        call: _Call,
        sock: socket.socket,
        head: Headers,
        early: bytes,
        environ: WSGIEnvironment,
        timeout: float,
    ) -> None:
        super().__init__(environ, lambda: None)
        self.headers = head
        self.subprotocol = head.get("Sec-WebSocket-Protocol")
        self._call = call
        self._sock = sock
        self._timeout = timeout
        options = ConnectionOptions(
            max_message_size=None, ping_interval=None, close_timeout=timeout, send_timeout=timeout
        )
        deflate = parse_agreed_deflate(head.get("Sec-WebSocket-Extensions"))
        connection = ThreadedConnection(
            BuiltinProtocol(Role.CLIENT, deflate), open_transport(sock), options
        )
        self._carrier = connection
        self.attach(connection, BuiltinBackend())
        connection.start(early)

    def receive(self, timeout: float | None = None) -> str | bytearray | None:
        """Wait for the next message; see :meth:`WebSocket.receive`.

        Args:
            timeout: seconds; ``None``: those that the WebSocket was opened with.
        """
        try:
            message = super().receive(self._timeout if timeout is None else timeout)
        except WebSocketError:
            self._raise_failure()
            raise
        if message is None:
            self._raise_failure()
        return message

    def send(
        self, message: str | ReadableBuffer, binary: bool | None = None, do_compress: bool = True
    ) -> None:
        """Send a message; see :meth:`WebSocket.send`."""
        try:
            super().send(message, binary, do_compress)
        except WebSocketError:
            self._raise_failure()
            raise

    def close(self, code: int = CloseCode.NORMAL, message: str | ReadableBuffer = b"") -> None:
        """Close, and wait until the handler has returned; idempotent.

        Raises:
            TimeoutError: the handler goes on running.
            Exception: what the handler has raised, if it was not raised here before.
        """
        self._end(code, message)
        self._raise_failure()

    def _end(self, code: int, message: str | ReadableBuffer = b"") -> None:
        if self._sock.fileno() < 0:
            return
        super().close(code, message)
        self._carrier.close(code, timeout=self._timeout)
        has_returned = self._call.wait(self._timeout)
        self._carrier.abort()
        self._sock.close()
        if not has_returned:
            raise TimeoutError(
                f"handler of {self.path} is still running {self._timeout:g} seconds after the "
                "client has closed"
            )

    def _raise_failure(self) -> None:
        """Raise what the handler has raised, once."""
        if self.close_code == CloseCode.INTERNAL_ERROR:
            self._call.wait(self._timeout)  # the Close comes before Flask knows
        failure, self._call.failure = self._call.failure, None
        if failure is not None:
            raise failure

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._end(CloseCode.GOING_AWAY)


def websocket(
    client: FlaskClient,
    path: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    subprotocols: Iterable[str] = (),
    compression: bool = False,
    timeout: float = TIMEOUT,
    **options: Any,
) -> ClientWebSocket:
    """Open a WebSocket as ``client.websocket(...)`` does; use it in a ``with``.

    Args:
        client: Flask's test client. Its cookies and ``environ_base`` are sent, and it
            takes the cookies of the 101 or of the HTTP response.
        path: the path, or a whole ``ws://`` URL.
        headers: further headers, e.g. ``Origin``.
        subprotocols: to offer, in order of preference.
        compression: whether to offer permessage-deflate.
        timeout: seconds that each call on the WebSocket may take, this one included.
        options: further arguments of ``werkzeug.test.EnvironBuilder``.

    Raises:
        WebSocketRefused: the app has given an HTTP response.
        TimeoutError: it has given none in time.
        Exception: what the app has raised, where a request of the client would raise, too.
    """
    asked = _opening_request(client, path, headers, tuple(subprotocols), compression, options)
    ours, theirs = socket.socketpair()
    call = _Call(client, asked, theirs)
    try:
        head, early = _read_head(ours, time.monotonic() + timeout)
        if not head:
            call.wait(timeout)
            if call.response is not None:
                raise WebSocketRefused(path, call.response)
            raise call.failure or TimeoutError(f"{path} has not answered in time")
        fields = _parse_head(head, asked)
        # As Flask's own session_transaction() does.
        client._update_cookies_from_response(  # noqa: SLF001
            asked.host.partition(":")[0], asked.path, fields.getlist("Set-Cookie")
        )
        return ClientWebSocket(call, ours, fields, early, asked.environ, timeout)
    except BaseException:
        ours.close()
        raise


def _opening_request(
    client: FlaskClient,
    path: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None,
    subprotocols: tuple[str, ...],
    compression: bool,
    options: dict[str, Any],
) -> Request:
    if path.startswith(("ws://", "wss://")):
        path = f"http{path[2:]}"
    fields = Headers(
        {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
        }
    )
    if subprotocols:
        fields["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    if compression:
        fields["Sec-WebSocket-Extensions"] = DEFLATE_OFFER
    fields.update(headers or ())
    base = {**client.environ_base, **(options.pop("environ_base", None) or {})}
    builder = EnvironBuilder(
        client.application, path, headers=fields, environ_base=base, multithread=True, **options
    )
    try:
        return builder.get_request()
    finally:
        builder.close()


def _read_head(sock: socket.socket, deadline: float) -> tuple[bytes, bytes]:
    """Read up to the empty line; give the head, nothing at the stream's end, and the rest."""
    data = b""
    while b"\r\n\r\n" not in data:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the app has not answered the opening handshake in time")
        sock.settimeout(left)
        try:
            chunk = sock.recv(65536)
        except TimeoutError:
            continue
        if not chunk:
            return b"", b""
        data += chunk
    head, _, early = data.partition(b"\r\n\r\n")
    return head, early


def _parse_head(head: bytes, asked: Request) -> Headers:
    _, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    fields = Headers([(name, value) for name, _, value in pairs])
    if fields.get("Sec-WebSocket-Accept") != accept_key(asked.headers["Sec-WebSocket-Key"]):
        raise WebSocketError("the 101 does not answer this handshake's key")
    return fields


def add_websocket(app: Flask) -> None:
    """Give the test clients of an app, of whatever class, their method ``websocket``."""
    make = app.test_client

    @functools.wraps(make)
    def test_client(*args: Any, **kwargs: Any) -> FlaskClient:
        client = make(*args, **kwargs)
        if not hasattr(client, "websocket"):
            client.websocket = functools.partial(websocket, client)  # type: ignore[attr-defined]
        return client

    app.test_client = test_client  # type: ignore[method-assign]

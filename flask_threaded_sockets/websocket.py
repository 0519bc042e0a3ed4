"""The gevent-websocket-style :class:`WebSocket`: the surface, and nothing else.

Types, opcodes, close codes and reasons are checked here, before any backend sees them,
because libraries differ in what they refuse.
"""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .backend import Backend, Buffer, Connection
from .codes import (
    CONTROL_PAYLOAD_MAX,
    CloseCode,
    Opcode,
    is_sendable_close_code,
    truncate_reason,
)
from .exceptions import ConnectionClosed, LocalProtocolError, ProtocolError, WebSocketError

if TYPE_CHECKING:
    from typing import Self

    from _typeshed import ReadableBuffer
    from _typeshed.wsgi import WSGIEnvironment

    from .clients import Client, Handler

__all__ = ["WebSocket"]

_ALREADY_CLOSED = "Connection is already closed"

# Looking up an Enum's member takes 60 ns in CPython 3.11, which echo paths need not pay.
_TEXT: Final = Opcode.TEXT
_BINARY: Final = Opcode.BINARY


class WebSocket:
    """Talk to one WebSocket client, with blocking calls, from any thread.

    A handler is given one; a plain view or WSGI application finds it in
    ``environ["wsgi.websocket"]``, where the opening handshake is answered at the first
    use. It ends with the handler: afterwards everything but the attributes raises.

    Attributes:
        environ: the request's WSGI environ; readable after the end, too.
        subprotocol: the one agreed (RFC 6455 section 1.9), or ``None``.
        client: this connection's entry in the registry, once it is open.
        messages_received, messages_sent: how many were carried as a whole so far.
        bytes_received, bytes_sent: the bytes of their payloads, before compression.
    """

    OPCODE_CONTINUATION: ClassVar[int] = Opcode.CONTINUATION
    OPCODE_TEXT: ClassVar[int] = Opcode.TEXT
    OPCODE_BINARY: ClassVar[int] = Opcode.BINARY
    OPCODE_CLOSE: ClassVar[int] = Opcode.CLOSE
    OPCODE_PING: ClassVar[int] = Opcode.PING
    OPCODE_PONG: ClassVar[int] = Opcode.PONG

    __slots__ = (
        "__weakref__",
        "_backend",
        "_connection",
        "_open",
        "_over",
        "bytes_received",
        "bytes_sent",
        "client",
        "environ",
        "messages_received",
        "messages_sent",
        "subprotocol",
    )

    def __init__(self, environ: WSGIEnvironment, opener: Callable[[], None]) -> None:
        self.environ = environ
        self.subprotocol: str | None = None
        self._open = opener
        self._connection: Connection | None = None
        self._backend: Backend | None = None
        self.client: Client | None = None  # set by the core
        self._over = False  # receive() has said that it is over, or close() was called
        self.messages_received = 0
        self.messages_sent = 0
        self.bytes_received = 0
        self.bytes_sent = 0

    def attach(self, connection: Connection, backend: Backend) -> None:
        """Take the connection that the opening handshake has made; for the core."""
        self._connection = connection
        self._backend = backend

    def part(self) -> None:
        """Hold nothing any more that holds this object, its request being over; for the core."""
        self._open = _nothing
        if self.client is not None:
            self.client = dataclasses.replace(self.client, ws=weakref.proxy(self))

    def _link(self) -> Connection:
        """Give the connection, answering the opening handshake at the first use."""
        if self._connection is None:
            self._open()
            if self._connection is None:
                raise WebSocketError(_ALREADY_CLOSED, ws=self)
        return self._connection

    def receive(self, timeout: float | None = None) -> str | bytearray | None:
        """Wait for the next message (RFC 6455 section 5.6).

        Messages that arrived before the peer's Close come first, then ``None``, once.
        Several threads may call it; each message goes to one of them.

        Args:
            timeout: seconds; ``None``: wait for ever; ``0``: only what is already there.

        Returns:
            ``str`` for a text message, ``bytearray`` for a binary one, ``None`` when the
            connection has ended; :attr:`close_code` tells why.

        Raises:
            TimeoutError: no message in time; the connection stays usable.
            ValueError: the timeout is no number.
            WebSocketError: the end was told already, or :meth:`close` was called.
        """
        connection = self._connection or self._link()
        if self._over:
            raise WebSocketError(_ALREADY_CLOSED, ws=self)
        if timeout is not None and not timeout <= threading.TIMEOUT_MAX:
            if timeout != timeout:
                raise ValueError("timeout is no number (nan)")
            timeout = threading.TIMEOUT_MAX  # centuries, but no lock can wait longer
        try:
            message = connection.receive(timeout)
        except ConnectionClosed:
            self._over = True
            return None
        if isinstance(message, str) and not message.isascii():  # a str knows whether it is
            size = len(message.encode())
        else:
            size = len(message)
        self.messages_received += 1
        self.bytes_received += size  # a call within the addition could lose another thread's
        return message

    def __iter__(self) -> Iterator[str | bytearray]:
        """Give the messages until the connection ends; blocks for each."""
        while not self._over:
            message = self.receive()
            if message is None:
                return
            yield message

    def send(
        self,
        message: str | ReadableBuffer,
        binary: bool | None = None,
        do_compress: bool = True,
    ) -> None:
        """Send a message; blocks until the kernel has it, so while the peer reads slowly.

        Args:
            message: ``str`` is sent as text, bytes-like as binary; an empty one, too.
            binary: ``True`` or ``False`` overrides that. Bytes sent as text must be UTF-8.
            do_compress: whether to compress, where permessage-deflate was agreed.

        Raises:
            WebSocketError: the connection is closed, or has just died.
            TypeError: ``message`` is something else.
            ValueError: it cannot be sent as text, as it is not UTF-8.
        """
        connection = self._connection or self._link()
        payload: Buffer
        if isinstance(message, str):
            payload = message.encode()
            opcode = _BINARY if binary else _TEXT
        else:
            if connection.closed:  # comes before a TypeError: loops end with send(None)
                raise WebSocketError(_ALREADY_CLOSED, ws=self)
            payload = _as_buffer(message)
            opcode = _BINARY
            if binary is False:
                str(payload, "utf-8")  # RFC 6455 section 5.6: text MUST be valid UTF-8
                opcode = _TEXT
        try:
            connection.send(opcode, payload, compress=do_compress)
        except WebSocketError as error:
            raise self._translate(error) from error
        size = len(payload)
        self.messages_sent += 1
        self.bytes_sent += size

    def send_frame(
        self, message: str | ReadableBuffer, opcode: int, do_compress: bool = False
    ) -> None:
        """Send a single, final frame (RFC 6455 section 5.2).

        Args:
            message: the payload, ``str`` as UTF-8; for a Close the two bytes of the code
                and the reason, or nothing.
            opcode: one of the ``OPCODE_*`` constants.
            do_compress: whether to compress a message, where that was agreed.

        Raises:
            WebSocketError: the connection is closed, or has just died.
            ProtocolError: a control frame's payload is too long, a Close's body
                invalid, or a CONTINUATION has nothing to continue.
            TypeError: ``message`` is neither ``str`` nor bytes-like.
            ValueError: there is no such opcode.
        """
        kind = Opcode(opcode)
        if kind is Opcode.TEXT or kind is Opcode.BINARY:
            self.send(message, kind is Opcode.BINARY, do_compress)
            return
        connection = self._connection or self._link()
        if connection.closed:
            raise WebSocketError(_ALREADY_CLOSED, ws=self)
        payload = message.encode() if isinstance(message, str) else bytes(_as_buffer(message))
        if kind is Opcode.CONTINUATION:
            raise self._misuse("there is no fragmented message to continue")
        if len(payload) > CONTROL_PAYLOAD_MAX:
            raise self._misuse(
                f"control frame with {len(payload)} bytes exceeds limit of "
                f"{CONTROL_PAYLOAD_MAX} bytes"
            )
        if kind is Opcode.CLOSE:
            self._send_close_body(connection, payload)
            return
        try:
            (connection.ping if kind is Opcode.PING else connection.pong)(payload)
        except WebSocketError as error:
            raise self._translate(error) from error

    def _send_close_body(self, connection: Connection, payload: bytes) -> None:
        code = int.from_bytes(payload[:2]) if payload else None
        if len(payload) == 1 or (code is not None and not is_sendable_close_code(code)):
            raise self._misuse(f"close frame with invalid body {payload!r}")
        try:
            reason = payload[2:].decode()
        except UnicodeDecodeError as error:
            raise self._misuse("close reason is not UTF-8") from error
        self._over = True
        connection.close(code, reason, timeout=0)

    def ping(self, payload: str | ReadableBuffer = b"") -> None:
        """Send a Ping (RFC 6455 section 5.5.2); does not wait for the Pong.

        Raises:
            WebSocketError: the connection is closed.
            ProtocolError: the payload has more than 125 bytes.
        """
        self.send_frame(payload, Opcode.PING)

    def close(self, code: int = 1000, message: str | ReadableBuffer = b"") -> None:
        """Send a Close (RFC 6455 section 7.1.2); idempotent; wakes a blocked ``receive``.

        Does not wait for the peer's Close: that is done when the handler has returned,
        for at most ``SOCKETS_CLOSE_TIMEOUT``.

        Args:
            code: 1000 to 1003, 1007 to 1014 or 3000 to 4999 (section 7.4).
            message: the reason; cut to 123 bytes of UTF-8 at a character boundary.

        Raises:
            ValueError: the code may not be sent, or the reason is not UTF-8.
            TypeError: the reason is neither ``str`` nor bytes-like.
        """
        if not is_sendable_close_code(code):
            raise ValueError(f"close code {code!r} may not be sent (RFC 6455 section 7.4)")
        reason = message if isinstance(message, str) else str(_as_buffer(message), "utf-8")
        connection = self._link()
        self._over = True
        connection.close(code, truncate_reason(reason), timeout=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(CloseCode.NORMAL if kind is None else CloseCode.INTERNAL_ERROR)

    def _misuse(self, text: str) -> ProtocolError:
        return LocalProtocolError(text, ws=self)

    def _translate(self, error: WebSocketError) -> WebSocketError:
        """Name this socket in an error from below, so that the router knows its own."""
        if isinstance(error, ConnectionClosed):
            return WebSocketError(_ALREADY_CLOSED, ws=self)
        error.ws = self
        return error

    @property
    def closed(self) -> bool:
        """Whether either side has closed or the link has died.

        True as soon as a Close was sent or has come in, also in a handler that never
        receives. Messages that came before it are still there for :meth:`receive`.
        Like any use it answers the opening handshake where that was left open.
        """
        try:
            return (self._connection or self._link()).closed
        except WebSocketError:  # its request was answered over HTTP
            return True

    @property
    def close_code(self) -> int | None:
        """The code the connection ended with (section 7.1.5); ``None`` while it is open."""
        return None if self._connection is None else self._connection.close_code

    @property
    def close_reason(self) -> str | None:
        """The reason the connection ended with (section 7.1.6); ``None`` while open."""
        return None if self._connection is None else self._connection.close_reason

    @property
    def backend(self) -> Backend | None:
        """The protocol backend; ``None`` before the opening handshake is answered."""
        return self._backend

    @property
    def handler(self) -> Handler | None:
        """What gevent-websocket has there: ``server.clients`` and ``active_client``."""
        self._link()
        return None if self.client is None else self.client.handler

    @property
    def origin(self) -> str | None:
        """The request's ``Origin``."""
        return self.environ.get("HTTP_ORIGIN")

    @property
    def protocol(self) -> str | None:
        """The request's ``Sec-WebSocket-Protocol``, as sent; see also ``subprotocol``."""
        return self.environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL")

    @property
    def version(self) -> str | None:
        """The request's ``Sec-WebSocket-Version``."""
        return self.environ.get("HTTP_SEC_WEBSOCKET_VERSION")

    @property
    def path(self) -> str | None:
        """The request's path, without the prefix of ``SCRIPT_NAME``."""
        return self.environ.get("PATH_INFO")

    def __repr__(self) -> str:
        connection = self._connection
        state = "not yet open" if connection is None else "closed" if connection.closed else "open"
        return f"<WebSocket {self.path!r} {state}>"


def _nothing() -> None:
    """Stand for the opening handshake of a request that is over."""


def _as_buffer(message: ReadableBuffer) -> Buffer:
    """Give bytes that ``len`` counts; a TypeError for what is not bytes-like."""
    if isinstance(message, bytes | bytearray):
        return message
    try:
        view = memoryview(message)
    except TypeError:
        raise TypeError(f"a message is str or bytes-like, not {type(message).__name__}") from None
    # A view with a zero in its shape cannot be cast.
    return view.cast("B") if view.nbytes and view.c_contiguous else view.tobytes()


def __getattr__(name: str) -> Any:
    """Find ``WebSocketWSGI`` here too, where version 0.3 had it."""
    if name == "WebSocketWSGI":
        from .wsgi import WebSocketWSGI  # it stands above this module

        return WebSocketWSGI
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

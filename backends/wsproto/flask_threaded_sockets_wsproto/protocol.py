"""wsproto's sans-I/O connection as the core's :class:`Protocol`.

wsproto parses, unmasks, checks UTF-8 as it comes and serialises. It answers nothing by
itself and reports a violation like a Close of the peer's: which of the two it was shows
only in the connection's state.
"""

from __future__ import annotations

from io import StringIO
from typing import Final

import wsproto.events as wire
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.frame_protocol import CloseReason

from flask_threaded_sockets.backend import Buffer, DeflateParameters, Protocol
from flask_threaded_sockets.codes import CloseCode, Opcode, truncate_reason
from flask_threaded_sockets.events import Close, Event, Message, Ping, Pong
from flask_threaded_sockets.exceptions import LocalProtocolError

from .extension import MessageExtension

__all__ = ["WsprotoProtocol"]

# Bytes given to wsproto at once. All of a slice is inflated before wsproto hands over
# anything, in two more copies; deflate makes up to 1,032 bytes of one.
_SLICE: Final = 4 * 1024


class WsprotoProtocol(Protocol):
    """Speak RFC 6455 with wsproto, for a server.

    Args:
        deflate: permessage-deflate's parameters as agreed, or ``None``.
        max_message_size: bytes of one message after inflating; ``None``: no limit.

    Raises:
        ValueError: ``deflate`` has a window of 8 bits for the server, which zlib lacks.
    """

    __slots__ = (
        "_binary",
        "_connection",
        "_events",
        "_extension",
        "_output",
        "_over",
        "_sending",
        "_slice",
        "_text",
    )

    def __init__(
        self, deflate: DeflateParameters | None = None, max_message_size: int | None = None
    ) -> None:
        self._extension = MessageExtension(deflate, max_message_size)
        self._connection = Connection(ConnectionType.SERVER, [self._extension])
        self._slice = None if deflate is None else _SLICE
        self._events: list[Event] = []
        self._output: list[Buffer] = []
        self._over = False  # nothing more is received
        # What is there of the message being received, where it comes in pieces.
        self._text: StringIO | None = None
        self._binary: bytearray | None = None
        # The opcode of the message being sent in fragments.
        self._sending: int | None = None

    def receive_data(self, data: Buffer) -> None:
        """Take bytes from the peer; see :meth:`Protocol.receive_data`."""
        data = data if isinstance(data, bytes) else bytes(data)
        step = self._slice or len(data) or 1
        for start in range(0, len(data), step):
            if self._over:
                return
            self._connection.receive_data(data[start : start + step])
            self._take_events()

    def receive_eof(self) -> None:
        """Take the end of the peer's stream; see :meth:`Protocol.receive_eof`."""
        if not self._over:
            self._connection.receive_data(None)
            self._end(Close(CloseCode.ABNORMAL, clean=False))

    def events(self) -> list[Event]:
        """Hand over the events since the last call; see :meth:`Protocol.events`."""
        taken = self._events
        self._events = []
        return taken

    def _take_events(self) -> None:
        for event in self._connection.events():
            if isinstance(event, wire.TextMessage):
                self._take_text(event)
            elif isinstance(event, wire.BytesMessage):
                self._take_binary(event)
            elif isinstance(event, wire.Ping):
                self._events.append(Ping(bytes(event.payload)))
                if self._is_open:
                    # RFC 6455 section 5.5.3: a Pong carries its Ping's payload.
                    self._output.append(self._connection.send(event.response()))
            elif isinstance(event, wire.Pong):
                self._events.append(Pong(bytes(event.payload)))
            elif isinstance(event, wire.CloseConnection):
                self._take_close(event)
                return
        error = self._extension.error
        if error is not None:
            self._fail(error.code, str(error))

    def _take_text(self, event: wire.TextMessage) -> None:
        if self._text is None and event.message_finished:
            self._events.append(Message(event.data))
            return
        if self._text is None:
            # Not a list of pieces: a peer could make it one object for each character.
            self._text = StringIO()
        self._text.write(event.data)
        if event.message_finished:
            self._events.append(Message(self._text.getvalue()))
            self._text = None

    def _take_binary(self, event: wire.BytesMessage) -> None:
        if self._binary is None:
            self._binary = bytearray(event.data)
        else:
            self._binary += event.data
        if event.message_finished:
            self._events.append(Message(self._binary))
            self._binary = None

    def _take_close(self, event: wire.CloseConnection) -> None:
        state = self._connection.state
        if state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
            # No Close of the peer's would have left that state: a violation.
            code, error = int(event.code), self._extension.error
            known = error is not None and error.code == code
            self._fail(code, str(error) if known else event.reason or "")
            return
        code = CloseCode.BAD_GATEWAY if self._extension.bad_gateway else event.code
        if state is ConnectionState.REMOTE_CLOSING:
            # RFC 6455 section 5.5.1: an endpoint MUST send a Close in response, and
            # typically echoes the status code.
            self._output.append(self._connection.send(wire.CloseConnection(code)))
        self._end(Close(int(code), event.reason or ""))

    def _fail(self, code: int, reason: str) -> None:
        # RFC 6455 section 7.1.7: send a Close with an appropriate code, and process no
        # more of the peer's data.
        reason = truncate_reason(reason)
        if self._is_open:
            self._output.append(self._connection.send(wire.CloseConnection(code, reason)))
        self._end(Close(code, reason, clean=False))

    def _end(self, close: Close) -> None:
        self._over = True
        self._events.append(close)
        # The handler may keep the connection for long; zlib's state is large.
        self._extension.discard()
        self._text = self._binary = None

    @property
    def _is_open(self) -> bool:
        return self._connection.state is ConnectionState.OPEN

    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        """Encode a data frame; see :meth:`Protocol.send_message`."""
        self._check_open()
        if opcode == Opcode.CONTINUATION:
            if self._sending is None:
                raise LocalProtocolError("continuation frame without a message")
        else:
            if self._sending is not None:
                raise LocalProtocolError("message begins within a fragmented message")
            if opcode not in (Opcode.TEXT, Opcode.BINARY):
                raise LocalProtocolError(f"opcode {opcode:#x} is not a data frame's")
        # To wsproto a fragment is another part of a message of the same type.
        kind = opcode if self._sending is None else self._sending
        self._extension.stage(payload, first=self._sending is None, compress=compress)
        message = (
            wire.TextMessage(data="", message_finished=fin)
            if kind == Opcode.TEXT
            else wire.BytesMessage(data=b"", message_finished=fin)
        )
        self._output.append(self._connection.send(message))
        self._sending = None if fin else kind

    def send_ping(self, payload: bytes) -> None:
        """Encode a Ping; see :meth:`Protocol.send_ping`.

        Raises:
            LocalProtocolError: a Close was sent or received, or the stream ended.
        """
        self._check_open()
        self._output.append(self._connection.send(wire.Ping(payload)))

    def send_pong(self, payload: bytes) -> None:
        """Encode an unsolicited Pong; see :meth:`Protocol.send_pong`.

        Raises:
            LocalProtocolError: a Close was sent or received, or the stream ended.
        """
        self._check_open()
        self._output.append(self._connection.send(wire.Pong(payload)))

    def _check_open(self) -> None:
        if not self._is_open:
            raise LocalProtocolError("cannot send a frame on a connection that is not open")

    def send_close(self, code: int | None, reason: str = "") -> None:
        """Encode a Close, unless one was sent; see :meth:`Protocol.send_close`."""
        if self._is_open:
            # Only this very member of the enumeration makes wsproto leave the body out.
            chosen = CloseReason.NO_STATUS_RCVD if code is None else code
            close = wire.CloseConnection(chosen, reason or None)
            self._output.append(self._connection.send(close))

    def data_to_send(self) -> list[Buffer]:
        """Hand over the encoded bytes; see :meth:`Protocol.data_to_send`."""
        taken = self._output
        self._output = []
        return taken

"""The protocol object of the built-in codec: two halves and the state between them.

The state machine is :data:`TRANSITIONS`; only :meth:`BuiltinProtocol._advance` applies
it. States are RFC 6455's (section 7.1), seen from the frames: CLOSING after our own
Close, CLOSED when nothing more is to be received.
"""

from __future__ import annotations

from enum import Enum

from ..backend import Buffer, DeflateParameters, Protocol
from ..codes import CloseCode, Opcode, truncate_reason
from ..events import Close, Event
from ..exceptions import FrameTooLargeException, LocalProtocolError, RemoteProtocolError
from .frames import close_payload
from .masking import Masking, fastest
from .receiver import Receiver
from .role import Role
from .sender import Sender

__all__ = ["TRANSITIONS", "BuiltinProtocol", "Input", "State"]


class State(Enum):
    """Name the states of a connection whose opening handshake is done."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Input(Enum):
    """Name what moves, or is forbidden in, a state."""

    SEND_FRAME = "send a frame"
    SEND_CLOSE = "send a close"
    RECEIVE_CLOSE = "receive a close"
    FAIL = "fail the connection"
    END = "end of the stream"


# RFC 6455 section 5.5.1: after sending a Close, no more frames MUST be sent. What is
# missing here is an error of our caller's.
TRANSITIONS: dict[State, dict[Input, State]] = {
    State.OPEN: {
        Input.SEND_FRAME: State.OPEN,
        Input.SEND_CLOSE: State.CLOSING,
        Input.RECEIVE_CLOSE: State.CLOSED,
        Input.FAIL: State.CLOSED,
        Input.END: State.CLOSED,
    },
    State.CLOSING: {
        Input.SEND_CLOSE: State.CLOSING,
        Input.RECEIVE_CLOSE: State.CLOSED,
        Input.FAIL: State.CLOSED,
        Input.END: State.CLOSED,
    },
    State.CLOSED: {
        Input.SEND_CLOSE: State.CLOSED,
        Input.END: State.CLOSED,
    },
}


class BuiltinProtocol(Protocol):
    """Speak RFC 6455 and permessage-deflate, in pure Python.

    Args:
        role: which end this is.
        deflate: permessage-deflate's parameters as agreed, or ``None``.
        max_message_size: bytes of one message after inflating; ``None``: no limit.
        masking: an implementation; ``None``: the fastest of this installation.

    Raises:
        ValueError: ``deflate`` has a window of 8 bits for this end, which zlib lacks.
    """

    __slots__ = ("_events", "_receiver", "_sender", "_state", "encode_message", "take_message")

    def __init__(
        self,
        role: Role = Role.SERVER,
        deflate: DeflateParameters | None = None,
        max_message_size: int | None = None,
        *,
        masking: Masking | None = None,
    ) -> None:
        masking = masking or fastest()
        self._receiver = Receiver(role, deflate, max_message_size, masking)
        self._sender = Sender(role, deflate, masking)
        # A call less for each message.
        self.take_message = self._receiver.take_message  # type: ignore[method-assign]
        self.encode_message = self._sender.encode_message  # type: ignore[method-assign]
        self._events: list[Event] = []
        self._state = State.OPEN

    @property
    def state(self) -> State:
        """The state of the connection."""
        return self._state

    def receive_data(self, data: Buffer) -> None:
        """Take bytes from the peer; see :meth:`Protocol.receive_data`."""
        if self._state is State.CLOSED:
            return
        try:
            self._receiver.receive(data if type(data) is bytes else bytes(data), self._events)
        except (RemoteProtocolError, FrameTooLargeException) as error:
            self._answer()
            self._fail(error.code, str(error))
        else:
            if self._receiver.to_answer:
                self._answer()

    def receive_eof(self) -> None:
        """Take the end of the peer's stream; see :meth:`Protocol.receive_eof`."""
        if self._state is not State.CLOSED:
            self._advance(Input.END)
            self._events.append(Close(CloseCode.ABNORMAL, clean=False))

    def events(self) -> list[Event]:
        """Hand over the events since the last call; see :meth:`Protocol.events`."""
        events = self._events
        self._events = []
        return events

    def get_buffer(self) -> memoryview | None:
        """Offer memory for a large payload; see :meth:`Protocol.get_buffer`.

        Offered again, the same, until it is used or data comes another way.
        """
        return self._receiver.get_buffer()

    def buffer_updated(self, count: int) -> None:
        """Take the bytes read into it; see :meth:`Protocol.buffer_updated`.

        Raises:
            LocalProtocolError: no buffer was offered, or not so much.
        """
        if self._state is State.CLOSED:
            return  # it closed while the caller was reading
        try:
            self._receiver.buffer_updated(count, self._events)
        except RemoteProtocolError as error:
            self._fail(error.code, str(error))

    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        """Encode a data frame; see :meth:`Protocol.send_message`."""
        if self._state is not State.OPEN:
            self._advance(Input.SEND_FRAME)
        self._sender.send_data(opcode, payload, fin=fin, compress=compress)

    def send_ping(self, payload: bytes) -> None:
        """Encode a Ping; see :meth:`Protocol.send_ping`.

        Raises:
            LocalProtocolError: a Close was sent or received, or the stream ended.
        """
        self._advance(Input.SEND_FRAME)
        self._sender.send_control(Opcode.PING, payload)

    def send_pong(self, payload: bytes) -> None:
        """Encode an unsolicited Pong; see :meth:`Protocol.send_pong`.

        Raises:
            LocalProtocolError: a Close was sent or received, or the stream ended.
        """
        self._advance(Input.SEND_FRAME)
        self._sender.send_control(Opcode.PONG, payload)

    def send_close(self, code: int | None, reason: str = "") -> None:
        """Encode a Close, unless one was sent; see :meth:`Protocol.send_close`."""
        if self._state is State.OPEN:
            self._sender.send_control(Opcode.CLOSE, close_payload(code, reason))
        self._advance(Input.SEND_CLOSE)

    def data_to_send(self) -> list[Buffer]:
        """Hand over the encoded bytes; see :meth:`Protocol.data_to_send`."""
        output = self._sender.output
        self._sender.output = []
        return output

    def _advance(self, what: Input) -> None:
        try:
            self._state = TRANSITIONS[self._state][what]
        except KeyError:
            raise LocalProtocolError(
                f"cannot {what.value} on a connection that is {self._state.value}"
            ) from None
        if self._state is not State.OPEN:
            self._sender.stop()
        if self._state is State.CLOSED:
            # The handler may keep the connection for long; zlib's state is large.
            self._receiver.discard()
            self._sender.discard()

    def _answer(self) -> None:
        answers = self._receiver.to_answer
        self._receiver.to_answer = []
        for event in answers:
            is_open = self._state is State.OPEN
            if isinstance(event, Close):
                if is_open:
                    # RFC 6455 section 5.5.1: an endpoint MUST send a Close in response,
                    # and typically echoes the status code.
                    code = None if event.code == CloseCode.NO_STATUS else event.code
                    self._sender.send_control(Opcode.CLOSE, close_payload(code))
                self._advance(Input.RECEIVE_CLOSE)
            elif is_open:
                # RFC 6455 section 5.5.3: a Pong carries its Ping's payload.
                self._sender.send_control(Opcode.PONG, event.payload)

    def _fail(self, code: int, reason: str) -> None:
        # RFC 6455 section 7.1.7: send a Close with an appropriate code, and process no
        # more of the peer's data.
        reason = truncate_reason(reason)
        if self._state is State.OPEN:
            self._sender.send_control(Opcode.CLOSE, close_payload(code, reason))
        self._advance(Input.FAIL)
        self._events.append(Close(code, reason, clean=False))

"""The interfaces a protocol backend implements.

Two doors. The easy one: a sans-I/O :class:`Protocol`, wrapped by
``flask_threaded_sockets.protocol_backend.ProtocolBackend``, which brings sockets, threads,
locks, timeouts, keepalive and limits. The wide one: a :class:`Connection`, for a
library that owns its I/O. A backend starts where the 101 ends: the opening handshake,
the origin policy, the subprotocol and the negotiation of permessage-deflate are the
core's. Nothing here implements anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from .events import Event
from .options import ConnectionOptions

if TYPE_CHECKING:
    from .transport import Transport

__all__ = [
    "INTERFACE_VERSION",
    "Backend",
    "Buffer",
    "Connection",
    "DeflateParameters",
    "Feature",
    "Protocol",
    "SharedPayload",
    "Upgrade",
]

# Raised when a method is added that the core calls without a default. A backend says
# which version it was written for in ``Backend.interface_version``.
INTERFACE_VERSION = 1

Buffer = bytes | bytearray | memoryview


class SharedPayload(bytes):
    """Be the payload of one message that goes to many connections.

    To a protocol these are bytes like any others. As a frame that is neither masked nor
    compressed is the same for every connection, it may be kept here and encoded once.

    Attributes:
        frame: that frame; ``None``: not encoded yet.
    """

    frame: bytes | None = None


class Feature(Enum):
    """Name the abilities of a backend; each stands for the options that need it."""

    COMPRESSION = "compression"
    MESSAGE_LIMIT = "message limit"
    QUEUE_LIMIT = "queue limit"
    KEEPALIVE = "keepalive"
    SEND_TIMEOUT = "send timeout"
    CLOSE_TIMEOUT = "close timeout"
    FRAGMENTED_SEND = "fragmented send"
    FAIL_FAST_UTF8 = "fail-fast utf-8"


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """Hold the parameters of permessage-deflate as agreed (RFC 7692 section 7.1).

    Attributes:
        server_no_context_takeover: the server resets its compressor for each message.
        client_no_context_takeover: the client does.
        server_max_window_bits: the server's LZ77 window, 8 to 15 bits.
        client_max_window_bits: the client's.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Tell a backend what the opening handshake agreed (RFC 6455 section 4.2.2).

    Attributes:
        path: the request target's path, with the query string where there is one.
        headers: the request's headers, names in Title-Case, in no particular order.
        subprotocol: the one chosen, or ``None``.
        deflate: permessage-deflate's parameters, or ``None`` where it is not used.
        early: bytes the client sent behind its request, already read from the socket.
    """

    path: str = "/"
    headers: Sequence[tuple[str, str]] = ()
    subprotocol: str | None = None
    deflate: DeflateParameters | None = None
    early: bytes = b""


class Protocol(ABC):
    """Speak RFC 6455 without doing I/O: bytes in, events out, bytes to send out.

    The caller serialises all calls under one lock of its own and never holds it over
    I/O; an implementation needs no lock. After every call that may have produced
    output the caller takes it with :meth:`data_to_send` and writes it in that order.
    """

    __slots__ = ()

    @abstractmethod
    def receive_data(self, data: Buffer) -> None:
        """Take bytes from the peer, any number of them.

        Never raises for what a peer sends: a violation becomes a
        ``Close(clean=False)`` event, with the Close frame that fails the connection in
        :meth:`data_to_send` (RFC 6455 section 7.1.7). After that, and after a peer's
        Close, data is ignored. A Ping's Pong and the answer to a Close are put into
        :meth:`data_to_send`.
        """

    @abstractmethod
    def receive_eof(self) -> None:
        """Take the end of the peer's stream; ``Close(1006)`` unless a Close came first."""

    @abstractmethod
    def events(self) -> list[Event]:
        """Hand over, in order, the events since the last call."""

    def get_buffer(self) -> memoryview | None:
        """Offer memory to read a large payload into, or ``None`` to be given bytes.

        The caller reads at most ``len(view)`` bytes into it, calls
        :meth:`buffer_updated`, and drops the view.
        """
        return None

    def buffer_updated(self, count: int) -> None:
        """Take the ``count`` bytes (at least one) now in the buffer last offered."""
        raise NotImplementedError

    @abstractmethod
    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        """Encode a data frame: a whole message, or with ``fin=False`` a fragment.

        Args:
            opcode: TEXT or BINARY for a message's first frame, CONTINUATION after it.
            payload: bytes; for text, UTF-8. Not kept beyond :meth:`data_to_send` and
                never changed.
            fin: whether the frame ends its message.
            compress: whether to compress, where that was agreed; looked at on a
                message's first frame.

        Raises:
            LocalProtocolError: the frame does not fit the state, e.g. a CONTINUATION
                without a message, or anything after a Close.
        """

    @abstractmethod
    def send_ping(self, payload: bytes) -> None:
        """Encode a Ping; the payload has at most 125 bytes, checked by the caller.

        Raises:
            LocalProtocolError: a Close was sent or has come in (RFC 6455 section 5.5.1).
        """

    @abstractmethod
    def send_pong(self, payload: bytes) -> None:
        """Encode an unsolicited Pong; at most 125 bytes, checked by the caller.

        Raises:
            LocalProtocolError: a Close was sent or has come in (RFC 6455 section 5.5.1).
        """

    @abstractmethod
    def send_close(self, code: int | None, reason: str = "") -> None:
        """Encode a Close; does nothing when one was sent already.

        Args:
            code: a code that may be sent, checked by the caller; ``None``: no body.
            reason: at most 123 bytes in UTF-8, checked by the caller.
        """

    @abstractmethod
    def data_to_send(self) -> list[Buffer]:
        """Hand over the encoded bytes since the last call, as buffers in order."""

    # Shortcuts for short messages, which a protocol may leave out. Other than the methods
    # above they are called while another thread may be in one of them: take_message while
    # something is encoded, encode_message while something is received or encoded. So
    # they change nothing that those look at.

    def take_message(self, data: bytes) -> str | bytearray | None:  # noqa: ARG002
        """Take bytes that are one whole message and nothing else.

        Returns:
            The message. ``None``: nothing was taken, the bytes go to :meth:`receive_data`.
        """
        return None

    def encode_message(self, opcode: int, payload: Buffer, compress: bool) -> Buffer | None:  # noqa: ARG002
        """Encode a whole message to one buffer.

        Returns:
            What to send. ``None``: nothing was encoded, :meth:`send_message` is to do it.
        """
        return None


class Connection(ABC):
    """Carry one accepted WebSocket, blocking; every method from any thread.

    The core has checked opcodes, sizes, close codes and reasons before it calls.
    """

    __slots__ = ("__weakref__",)

    @abstractmethod
    def receive(self, timeout: float | None = None) -> str | bytearray:
        """Wait for the next message.

        Args:
            timeout: seconds; ``None``: for ever; ``0``: only what is already there.

        Raises:
            TimeoutError: none came in time; the connection stays usable.
            ConnectionClosed: the connection ended and all messages were given.
        """

    @abstractmethod
    def send(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        """Send a data frame; blocks until the kernel has it, at most ``send_timeout``.

        Raises:
            ConnectionClosed: the connection is closing, closed or dead.
            LocalProtocolError: the frame does not fit the state.
        """

    def send_soon(self, opcode: int, payload: bytes, *, compress: bool = True) -> bool:
        """Take a message without waiting for room; what finds none goes out behind.

        For broadcasts. At most one message at a time is kept like this: so a peer that
        does not read costs no more than that, and a thread for nobody. A connection that
        cannot do it leaves this out, and broadcasts call :meth:`send` in threads.

        Returns:
            Whether it was taken; ``False``: an earlier one has not gone out yet.

        Raises:
            ConnectionClosed: the connection is closing, closed or dead.
        """
        raise NotImplementedError

    def flush(self) -> bool:
        """Write what :meth:`send_soon` took, as far as there is room; never blocks.

        Returns:
            Whether all of it is out.

        Raises:
            ConnectionClosed: the connection died before.
        """
        return True

    @abstractmethod
    def ping(self, payload: bytes = b"") -> None:
        """Send a Ping of at most 125 bytes; does not wait for the Pong.

        Raises:
            ConnectionClosed: the connection is closing, closed or dead.
        """

    @abstractmethod
    def pong(self, payload: bytes = b"") -> None:
        """Send an unsolicited Pong of at most 125 bytes (RFC 6455 section 5.5.3).

        Raises:
            ConnectionClosed: the connection is closing, closed or dead.
        """

    @abstractmethod
    def close(
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        """Send a Close and wait for the peer's; idempotent; never raises for the peer's sake.

        Wakes a blocked :meth:`receive` within a second, whether or not the peer answers.

        Args:
            code: a code that may be sent; ``None``: a Close without a body.
            reason: at most 123 bytes in UTF-8.
            timeout: seconds to wait for the peer's Close; ``None``: ``close_timeout``;
                ``0``: return as soon as the Close is on its way. When the time is over
                the connection is closed from outside, by the core.
        """

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection at once, without a Close; never blocks, never raises."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether either side's Close is out or in, or the link is dead."""

    @property
    @abstractmethod
    def close_code(self) -> int | None:
        """The code the connection ended with; ``None`` while it is open."""

    @property
    @abstractmethod
    def close_reason(self) -> str | None:
        """The reason the connection ended with; ``None`` while it is open."""


class Backend(ABC):
    """Open connections; what a plugin's hook returns; one object per process.

    Attributes:
        name: the name it is selected by; the name of its entry point.
        features: the abilities it has.
        interface_version: the :data:`INTERFACE_VERSION` it was written for.
    """

    name: str
    features: frozenset[Feature] = frozenset()
    interface_version: int = INTERFACE_VERSION

    @abstractmethod
    def open(
        self, transport: Transport, upgrade: Upgrade, options: ConnectionOptions
    ) -> Connection:
        """Take over a socket on which the 101 has just been written.

        Args:
            transport: the socket; the core ends it after the connection's end.
            upgrade: what the opening handshake agreed.
            options: all of them are to be honoured.
        """

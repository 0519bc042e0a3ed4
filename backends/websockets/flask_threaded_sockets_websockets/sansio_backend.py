"""The plugin ``websockets-sansio``: the codec in the core's I/O shell."""

from __future__ import annotations

from websockets.exceptions import ProtocolError
from websockets.protocol import State

from flask_threaded_sockets.backend import Backend, Buffer, DeflateParameters, Protocol, Upgrade
from flask_threaded_sockets.events import Event
from flask_threaded_sockets.exceptions import LocalProtocolError
from flask_threaded_sockets.hookspecs import hookimpl
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.protocol_backend import ProtocolBackend

from .codec import ServerCodec

__all__ = ["SansioBackend", "SansioProtocol", "websocket_backend"]


class SansioProtocol(Protocol):
    """Give the codec the core's interface.

    Args:
        deflate: permessage-deflate's parameters as agreed, or ``None``.
        max_message_size: bytes of one message after inflating; ``None``: no limit.

    Raises:
        ValueError: ``deflate`` has a window of 8 bits for the server, which zlib lacks.
    """

    __slots__ = ("_codec",)

    def __init__(
        self, deflate: DeflateParameters | None = None, max_message_size: int | None = None
    ) -> None:
        self._codec = ServerCodec(deflate, max_message_size)

    def receive_data(self, data: Buffer) -> None:
        """Take bytes from the peer; see :meth:`Protocol.receive_data`."""
        self._codec.receive_data(data)

    def receive_eof(self) -> None:
        """Take the end of the peer's stream; see :meth:`Protocol.receive_eof`."""
        self._codec.receive_eof()

    def events(self) -> list[Event]:
        """Hand over the events since the last call; see :meth:`Protocol.events`."""
        return self._codec.events_received()

    def send_message(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        """Encode a data frame; see :meth:`Protocol.send_message`."""
        self._check_open()
        try:
            self._codec.send_message(opcode, payload, fin=fin, compress=compress)
        except ProtocolError as error:
            raise LocalProtocolError(str(error)) from error

    def send_ping(self, payload: bytes) -> None:
        """Encode a Ping; see :meth:`Protocol.send_ping`.

        Raises:
            LocalProtocolError: a Close was sent or received, or the stream ended.
        """
        self._check_open()
        self._codec.send_ping(payload)

    def send_pong(self, payload: bytes) -> None:
        """Encode an unsolicited Pong; see :meth:`Protocol.send_pong`.

        Raises:
            LocalProtocolError: a Close was sent or received, or the stream ended.
        """
        self._check_open()
        self._codec.send_pong(payload)

    def _check_open(self) -> None:
        if self._codec.state is not State.OPEN:
            raise LocalProtocolError("cannot send a frame on a connection that is not open")

    def send_close(self, code: int | None, reason: str = "") -> None:
        """Encode a Close, unless one was sent; see :meth:`Protocol.send_close`."""
        if self._codec.state is State.OPEN:
            self._codec.send_close(code, reason)

    def data_to_send(self) -> list[Buffer]:
        """Hand over the encoded bytes; see :meth:`Protocol.data_to_send`."""
        # An empty one asks for the end of our stream, which is the shell's to decide.
        return [data for data in self._codec.data_to_send() if data]


class SansioBackend(ProtocolBackend):
    """Speak RFC 6455 with websockets' sans-I/O protocol, in the core's I/O shell."""

    name = "websockets-sansio"

    def protocol(self, upgrade: Upgrade, options: ConnectionOptions) -> Protocol:  # noqa: D102
        return SansioProtocol(deflate=upgrade.deflate, max_message_size=options.max_message_size)


@hookimpl
def websocket_backend() -> Backend:
    """Provide the backend ``websockets-sansio``."""
    return SansioBackend()

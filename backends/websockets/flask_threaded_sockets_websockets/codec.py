"""``websockets.server.ServerProtocol``, held to the core's contract.

The library parses, unmasks, answers and serialises. It judges a frame when all of it is
there, leaves reassembly and UTF-8 to its shells, counts control frames against the size
limit, and takes lengths that are not minimal. So each header is judged here before the
library is given the frame, which is done frame by frame, and messages are assembled by
the core's assembler. Both of this distribution's backends are built on it.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import Final

from websockets.exceptions import ProtocolError
from websockets.frames import Close as CloseBody
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from flask_threaded_sockets.backend import Buffer, DeflateParameters
from flask_threaded_sockets.codec import Role
from flask_threaded_sockets.codec.assembler import Assembler, invalid_text
from flask_threaded_sockets.codec.deflate import deflater_for, inflater_for
from flask_threaded_sockets.codec.frames import FrameHeader, parse_close, parse_header
from flask_threaded_sockets.codec.masking import fastest, rotate_key
from flask_threaded_sockets.codes import CloseCode, truncate_reason
from flask_threaded_sockets.events import Close, Event, Message, Ping, Pong
from flask_threaded_sockets.exceptions import FrameTooLargeException, RemoteProtocolError

from .extension import MessageDeflate

__all__ = ["ServerCodec"]

# A client's empty final CONTINUATION, with a masking key of zeros.
_END_OF_MESSAGE: Final = b"\x80\x80\x00\x00\x00\x00"

_utf8_decoder = getincrementaldecoder("utf-8")


def _is_part_of_close(header: FrameHeader, size: int) -> bool:
    return header.opcode == Opcode.CLOSE and header.start + header.length > size


class ServerCodec(ServerProtocol):
    """Speak RFC 6455 with websockets, from a connection that is open already.

    :meth:`events_received` gives the core's events, a Close for every end among them.

    Args:
        deflate: permessage-deflate's parameters as agreed, or ``None``.
        limit: bytes of one message after inflating; ``None``: no limit.

    Raises:
        ValueError: ``deflate`` has a window of 8 bits for the server, which zlib lacks.
    """

    def __init__(self, deflate: DeflateParameters | None = None, limit: int | None = None) -> None:
        super().__init__(state=State.OPEN, max_size=None)
        inflater = None
        self._deflate: MessageDeflate | None = None
        if deflate is not None:
            inflater = inflater_for(Role.SERVER, deflate)
            self._deflate = MessageDeflate(deflater_for(Role.SERVER, deflate))
            self.extensions = [self._deflate]
        self._assembler = Assembler(limit, inflater)
        self._unmask = fastest().apply
        self._told: list[Event] = []
        self._over = False  # nothing more is received
        self._ready: list[bytes] = []  # encoded before what the library has
        # The frame being received: its header as far as it is there, the bytes of it
        # still to come, and what is to be done with them.
        self._rest = b""
        self._left = 0
        self._key = b""
        self._final = False
        self._ignored = False
        self._checked = False
        # The message being received.
        self._in_message = False
        self._text = False
        self._utf8 = _utf8_decoder()

    def receive_data(self, data: Buffer) -> None:
        """Take bytes from the peer; never raises for what they are."""
        if self._over:
            return
        data = self._rest + data
        self._rest = b""
        position = 0
        try:
            while position < len(data) and not self._over:
                position = self._take_frame(data, position)
        except UnicodeDecodeError:
            self._refuse(invalid_text())
        except (RemoteProtocolError, FrameTooLargeException) as error:
            self._refuse(error)

    def _take_frame(self, data: bytes, position: int) -> int:
        """Take a frame, or what is there of it, and give the position behind it."""
        payload = position
        if not self._left:
            header = parse_header(data, position, len(data), masked=True)
            if header is None or _is_part_of_close(header, len(data)):
                self._rest = data[position:]
                return len(data)
            self._begin_frame(header)
            payload = header.start
            if header.opcode == Opcode.CLOSE:
                body = data[payload : payload + header.length]
                parse_close(bytes(self._unmask(body, header.key)))
            self._left = payload - position + header.length
        stop = min(position + self._left, len(data))
        self._left -= stop - position
        # What ends a message is checked with the whole of it.
        if self._checked and (self._left or not self._final):
            self._check_text(data[payload:stop])
        if not self._ignored:
            answering = self.state is State.OPEN
            super().receive_data(data[position:stop])
            self._collect(answering)
        return stop

    def _begin_frame(self, header: FrameHeader) -> None:
        self._key = header.key
        self._final = header.fin
        self._checked = False
        # RFC 6455 section 5.5.1: after our Close the library would still answer a Ping.
        self._ignored = header.opcode == Opcode.PING and self.state is not State.OPEN
        if header.opcode == Opcode.CLOSE and self._in_message:
            # RFC 6455 section 5.4: control frames may come between fragments. The library
            # takes a Close there for a violation, so the message is ended for it first.
            super().receive_data(_END_OF_MESSAGE)
            super().events_received()
        if header.opcode >= Opcode.CLOSE:
            return
        # RFC 6455 section 5.4: fragments are not interleaved with another message's.
        if (header.opcode == Opcode.CONT) != self._in_message:
            raise RemoteProtocolError("fragments are out of order")
        # RFC 7692 section 6.1: RSV1 is set on a message's first frame only.
        if header.rsv1 and (self._in_message or self._deflate is None):
            raise RemoteProtocolError("reserved bits are set")
        if not self._in_message:
            self._text = header.opcode == Opcode.TEXT
            self._utf8.reset()
            self._assembler.begin(text=self._text, compressed=header.rsv1)
        self._in_message = not header.fin
        self._checked = self._text and not self._assembler.compressed
        self._assembler.announce(header.length)

    def _check_text(self, portion: bytes) -> None:
        """Meet a bad byte as it comes, where the library waits for the frame's end."""
        if portion:
            self._utf8.decode(bytes(self._unmask(portion, self._key)))
            self._key = rotate_key(self._key, len(portion))

    def _collect(self, answering: bool) -> None:
        """Turn the frames the library has parsed into the core's events."""
        for frame in super().events_received():
            if not isinstance(frame, Frame):
                continue
            data = bytes(frame.data)
            if frame.opcode == Opcode.PING:
                self._told.append(Ping(data))
            elif frame.opcode == Opcode.PONG:
                self._told.append(Pong(data))
            elif frame.opcode == Opcode.CLOSE:
                if answering:
                    self._shorten_answer(data)
                close = CloseBody.parse(data)
                self._end(Close(int(close.code), close.reason))
            else:
                # Text has been checked, but for a part that finish() checks.
                self._assembler.extend(data, last=True)
                if frame.fin:
                    self._told.append(Message(self._assembler.finish()))

    def _shorten_answer(self, body: bytes) -> None:
        """Answer a Close with its code alone, as all backends do, where the library echoes.

        RFC 6455 section 5.5.1: an endpoint typically echoes the status code.
        """
        echo, answer = (bytes([0x88, len(part)]) + part for part in (body, body[:2]))
        self._ready += (answer if data == echo else data for data in super().data_to_send())

    def data_to_send(self) -> list[bytes]:
        """Hand over the encoded bytes since the last call; empty ones end the stream."""
        taken = self._ready
        self._ready = []
        return taken + super().data_to_send()

    def _refuse(self, error: RemoteProtocolError | FrameTooLargeException) -> None:
        self.fail(error.code, truncate_reason(str(error)))

    def fail(self, code: int, reason: str = "") -> None:
        """Fail the connection, and tell so; the library calls this for all it finds."""
        super().fail(code, reason)
        # 1006 is the end of the stream without a Close.
        self._end(Close(int(code), "" if code == CloseCode.ABNORMAL else reason, clean=False))

    def _end(self, close: Close) -> None:
        if self._over:
            return
        self._over = True
        self._told.append(close)
        # The handler may keep the connection for long; zlib's state is large.
        self._assembler.discard()
        if self._deflate is not None:
            self._deflate.discard()

    def events_received(self) -> list[Event]:  # type: ignore[override]
        """Hand over the core's events since the last call, instead of frames."""
        taken = self._told
        self._told = []
        return taken

    def send_message(self, opcode: int, payload: Buffer, *, fin: bool, compress: bool) -> None:
        """Encode a data frame; see ``Protocol.send_message``.

        Raises:
            ProtocolError: websockets', the frame does not fit the state.
        """
        if isinstance(payload, memoryview) and payload.itemsize != 1:
            payload = payload.tobytes()  # its len() would not count bytes
        if self._deflate is not None:
            self._deflate.wanted = compress
        if opcode == Opcode.CONT:
            self.send_continuation(payload, fin)
        elif opcode == Opcode.TEXT:
            self.send_text(payload, fin)
        elif opcode == Opcode.BINARY:
            self.send_binary(payload, fin)
        else:
            raise ProtocolError(f"opcode {opcode:#x} is not a data frame's")

"""The kit's own tiny client: it sends literal bytes, and reads and checks what comes.

Every frame of the server is held to RFC 6455 section 5 as it arrives, whatever the case
is about: what breaks a rule there raises :class:`Mismatch`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterable

from .arrivals import Arrival, Binary, Close, Eof, Mismatch, Nothing, Ping, Pong, Raw, Reset, Text
from .response import Response
from .server import Call
from .timeline import Timeline, show_frame
from .wire import BINARY, CLOSE, CONT, PING, PONG, RSV1, TEXT, Frame, FrameReader
from .wire import close as close_frame

__all__ = ["Peer"]

# RFC 6455 section 7.4.1: never to be set by an endpoint, and outside what is registered.
_SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


class Peer:
    """Be one client connection.

    Args:
        address: the server's.
        timeline: where all bytes are noted.
        number: this connection's, in the timeline.
        patience: seconds to wait for what must come.
        receive_buffer: the size of the socket's buffer in bytes, or ``None``.

    Attributes:
        settle: waits until the server has read what was sent; set by the server.
        call: the run of the handler at the other end, where the case gave one.
        inflater: undoes permessage-deflate, where it was agreed.
        reset_inflater: whether each message begins anew (``server_no_context_takeover``).
        window: the server's window in bits.
    """

    def __init__(
        self,
        address: tuple[str, int],
        timeline: Timeline,
        number: int = 1,
        patience: float = 10.0,
        receive_buffer: int | None = None,
    ) -> None:
        self.timeline = timeline
        self.number = number
        self.patience = patience
        self.settle: Callable[[], None] = lambda: None
        self.call: Call | None = None
        self.inflater: zlib._Decompress | None = None
        self.reset_inflater = False
        self.window = 15
        self._reader = FrameReader()
        self._fragments: list[Frame] = []
        self._ended: Eof | Reset | None = None
        self._end_told = False
        self._close_sent = False
        self._close_came = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # Sending

    def send(self, *parts: bytes) -> None:
        """Send bytes in one call; a server that is gone is noticed when reading."""
        data = b"".join(parts)
        self.timeline.add("client", self.number, data)
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def deliver(self, pieces: Iterable[bytes]) -> None:
        """Send pieces, each after the server has read the one before."""
        for index, piece in enumerate(pieces):
            if index:
                self.settle()
            self.send(piece)

    def send_what_fits(self, data: bytes, quiet: float) -> int:
        """Send until the server takes no more for ``quiet`` seconds; the bytes it took."""
        self.socket.settimeout(quiet)
        view = memoryview(data)
        sent = 0
        with contextlib.suppress(TimeoutError, ConnectionError):
            while sent < len(data):
                sent += self.socket.send(view[sent : sent + 65536])
        self.socket.settimeout(self.patience)
        self.timeline.add("client", self.number, f"{sent} of {len(data)} bytes fitted")
        return sent

    def close(self, code: int | None = 1000, reason: str | bytes = b"") -> None:
        """Send a Close."""
        self._close_sent = True
        self.send(close_frame(code, reason))

    def fin(self) -> None:
        """End our stream, so that the server sees a FIN."""
        self.timeline.add("client", self.number, "FIN")
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Drop the connection so that the server sees an RST."""
        self.timeline.add("client", self.number, "RST")
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def leave(self) -> None:
        """Close the socket, whatever the state."""
        self.socket.close()

    # Reading

    def read_head(self) -> Response:
        """Read the head of the server's HTTP response."""
        deadline = time.monotonic() + self.patience
        rest = self._reader.rest
        while b"\r\n\r\n" not in rest:
            if not self._receive(deadline, note=False):
                came = bytes(rest) or "nothing"
                raise Mismatch(f"no response to the opening handshake; came: {came!r}")
        head, _, behind = bytes(rest).partition(b"\r\n\r\n")
        self._reader.rest = bytearray(behind)
        self.timeline.add("server", self.number, head.decode("latin-1"))
        if behind:
            self.timeline.add("server", self.number, behind)
        return Response.parse(head)

    def read_body(self) -> bytes:
        """Read what follows a head until the end of the stream."""
        deadline = time.monotonic() + self.patience
        while self._receive(deadline, note=False) and time.monotonic() < deadline:
            pass
        return bytes(self._reader.rest)

    def _receive(self, deadline: float, *, note: bool = True) -> bool:
        if self._ended:
            return False
        # Behind the deadline, too, what is there is taken: this thread, or the whole
        # process, may have been stopped in the meantime, and the server as well.
        self.socket.settimeout(max(0.0, deadline - time.monotonic()))
        try:
            data = self.socket.recv(262144)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError:
            self._ended = Reset()
            self.timeline.add("server", self.number, "RST")
            return False
        finally:
            with contextlib.suppress(OSError):
                self.socket.settimeout(self.patience)  # for who sends next
        if not data:
            self._ended = Eof()
            self.timeline.add("server", self.number, "FIN")
            return False
        if note:
            self.timeline.add("server", self.number, data)
        self._reader.feed(data)
        return True

    def read_frame(self, patience: float | None = None) -> Frame | None:
        """Read the next frame, checked by itself; ``None``: no more, or not in time."""
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        while (frame := self._reader.next()) is None:
            if not self._receive(deadline):
                if self._ended and self._reader.rest:
                    raise Mismatch(
                        f"the stream ended within a frame: {bytes(self._reader.rest[:40])!r}"
                    )
                return None
        self._check(frame)
        return frame

    def next(self, patience: float | None = None, *, pings: bool = False) -> Arrival:
        """Read what comes next: a whole message, a control frame or an end.

        Args:
            patience: seconds; ``None``: the peer's.
            pings: whether a Ping of the server's counts; else it is passed over.

        Raises:
            Mismatch: the end of the stream was given before.
        """
        while (frame := self.read_frame(patience)) is not None:
            arrival = self._arrive(frame)
            if arrival is not None and (pings or not isinstance(arrival, Ping)):
                return arrival
        if self._ended is None:
            return Nothing(self.patience if patience is None else patience)
        if self._end_told:
            # Who waits for something else in a loop would wait for ever.
            raise Mismatch(f"expected more to come, but {self._ended} has come")
        self._end_told = True
        return self._ended

    def next_but(self, passed: Arrival) -> Arrival:
        """Read past any number of these; give the first that is something else.

        Raises:
            Mismatch: they go on for longer than the patience.
        """
        deadline = time.monotonic() + self.patience
        while (came := self.next()) == passed:
            if time.monotonic() > deadline:
                raise Mismatch(f"nothing but {passed} within {self.patience:g} s")
        return came

    def _arrive(self, frame: Frame) -> Arrival | None:
        frames: tuple[Frame, ...] = (frame,)
        if frame.opcode == PING:
            return Ping(frame.payload, frames)
        if frame.opcode == PONG:
            return Pong(frame.payload, frames)
        if frame.opcode == CLOSE:
            self._close_came = True
            return _close_of(frame)
        self._fragments.append(frame)
        if not frame.fin:
            return None
        frames = tuple(self._fragments)
        self._fragments = []
        data = b"".join(part.payload for part in frames)
        if frames[0].rsv:
            data = self._inflate(data)
        if frames[0].opcode == BINARY:
            return Binary(data, frames)
        try:
            return Text(data.decode(), frames)
        except UnicodeDecodeError:
            raise Mismatch(f"the server sent text that is not UTF-8: {data[:40]!r}") from None

    def _inflate(self, data: bytes) -> bytes:
        assert self.inflater is not None  # noqa: S101  (checked with the frame)
        try:
            inflated = self.inflater.decompress(data + b"\x00\x00\xff\xff")
        except zlib.error as error:
            raise Mismatch(f"the server's message does not inflate: {error}") from None
        if self.reset_inflater:
            self.inflater = zlib.decompressobj(-self.window)
        return inflated

    def _check(self, frame: Frame) -> None:
        """Hold a frame of the server's to RFC 6455 section 5."""
        wrong = ""
        inside = bool(self._fragments)
        if self._close_came:
            wrong = "a frame after its Close (section 5.5.1)"
        elif frame.key is not None:
            wrong = "a masked frame (section 5.1)"
        elif not frame.minimal or (len(frame.head) == 10 and frame.head[2] & 0x80):
            wrong = "a length not minimally encoded (section 5.2)"
        elif frame.opcode not in (CONT, TEXT, BINARY, CLOSE, PING, PONG):
            wrong = "a reserved opcode (section 5.2)"
        elif frame.rsv and (frame.rsv != RSV1 or self.inflater is None or inside):
            wrong = "a reserved bit that was not agreed (section 5.2)"
        elif frame.opcode >= CLOSE:
            if frame.rsv:
                wrong = "a reserved bit on a control frame (RFC 7692 section 6)"
            elif not frame.fin or len(frame.payload) > 125:
                wrong = "a fragmented or too long control frame (section 5.5)"
        elif inside != (frame.opcode == CONT):
            wrong = "a continuation out of place (section 5.4)"
        if wrong:
            raise Mismatch(f"the server sent {wrong}: {show_frame(frame)}")

    # Expecting

    def expect(
        self, *wanted: Arrival | Raw, patience: float | None = None, pings: bool = False
    ) -> None:
        """Read as many arrivals as are wanted and compare.

        Raises:
            Mismatch: something else came.
        """
        pings = pings or any(isinstance(want, Ping) for want in wanted)
        for want in wanted:
            came = self.next(patience, pings=pings)
            if not want == came:
                raise Mismatch(f"expected {want}, came {came}")

    def expect_end(
        self, code: int | tuple[int | None, ...] | None, reason: str | None = None
    ) -> None:
        """Expect a Close, answer it unless ours is out, then expect EOF and nothing else."""
        self.expect(Close(code, reason))
        if not self._close_sent:
            self.close()
        self.expect(Eof())

    def fence(self) -> None:
        """Have a message echoed: so nothing else was on its way, and the server lives."""
        self.send(b"\x81\x85" + bytes(4) + b"fence")
        self.expect(Text("fence"))


def _close_of(frame: Frame) -> Close:
    payload = frame.payload
    if not payload:
        return Close(None, "", (frame,))
    code = int.from_bytes(payload[:2], "big")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise Mismatch(f"the server sent a close reason that is not UTF-8: {payload!r}") from None
    if len(payload) == 1 or code not in _SENDABLE:
        raise Mismatch(f"the server sent a Close that may not be sent: {show_frame(frame)}")
    return Close(code, reason, (frame,))

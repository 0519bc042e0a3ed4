"""The I/O shell around a sans-I/O :class:`~flask_threaded_sockets.backend.Protocol`.

One thread per connection: the host's. ``receive()`` reads the socket right there.

Locks, outermost first; only the first two are ever held over I/O:

* ``_read_lock``: who reads the socket and takes messages out; held over a blocking read.
* ``_out.lock``: who writes to the socket; held over a blocking write. A reader only tries
  it, and leaves its Pong to whoever is writing: peers that flood each other still read.
* ``_codec_lock``: the protocol object, and how the connection ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from .backend import Buffer, Connection, Protocol
from .codes import CloseCode
from .ending import Ending
from .events import Close, Message
from .exceptions import ConnectionClosed
from .inbound import Inbound
from .keepalive import Keepalive
from .options import ConnectionOptions
from .outbound import Outbound
from .transport import Transport

__all__ = ["GRACE", "Shell"]

# Seconds a thread blocked in receive() is left to see the peer's Close by itself after
# ours went out, and seconds in which data may still come instead of that Close.
GRACE: Final = 0.5

# Seconds within which the monitor has let go of a connection.
_INSTANT: Final = 0.05


class Shell(Connection):
    """Carry one WebSocket for a :class:`Protocol`, on the handler's own thread.

    Works with nothing else running; what comes while nobody receives, and the deadlines,
    are left to :class:`~flask_threaded_sockets.connection.ThreadedConnection`.
    """

    __slots__ = (
        "_codec_lock",
        "_ending",
        "_finished",
        "_in",
        "_keepalive",
        "_last_word",
        "_messages",
        "_options",
        "_out",
        "_protocol",
        "_read_lock",
        "_transport",
    )

    def __init__(
        self, protocol: Protocol, transport: Transport, options: ConnectionOptions
    ) -> None:
        self._protocol = protocol
        self._transport = transport
        self._options = options
        self._read_lock = threading.Lock()
        self._codec_lock = threading.Lock()
        self._in = Inbound(transport)
        self._out = Outbound(transport, self._codec_lock)
        self._messages: list[str | bytearray] = []  # few; an empty deque takes 760 bytes
        self._keepalive = Keepalive(options, time.monotonic())
        self._ending: Ending | None = None  # a Close is out or in, or the link is dead
        self._last_word = False  # the peer's Close or its end is in, or it was failed
        self._finished = False  # receive() has nothing to wait for any more

    def start(self, early: bytes) -> None:
        """Take the bytes that came with the handshake."""
        if early:
            with self._read_lock:
                self._take(early)

    # Receiving

    def receive(self, timeout: float | None = None) -> str | bytearray:  # noqa: D102
        if timeout is not None:
            return self._receive_within(timeout)
        self._read_lock.acquire()  # `with` takes 80 ns longer
        try:
            while not self._messages:
                if self._finished:
                    raise self._closed_error()
                try:
                    data = self._in.read()  # blocks in the kernel
                except OSError:
                    self._drop(CloseCode.ABNORMAL)
                    continue
                if type(data) is bytes and self._ending is None:
                    message = self._protocol.take_message(data)
                    if message is not None:
                        self._keepalive.heard = True
                        return message
                self._take(data)
            return self._messages.pop(0)
        finally:
            self._read_lock.release()

    def _receive_within(self, timeout: float) -> str | bytearray:
        deadline = time.monotonic() + timeout
        # The monitor holds the lock for an instant only, to queue what is there already.
        if not self._read_lock.acquire(timeout=max(_INSTANT, timeout)):
            raise TimeoutError(f"no message within {timeout} seconds")
        try:
            while not self._messages:
                if self._finished:
                    raise self._closed_error()
                if not self._transport.wait(max(0, deadline - time.monotonic())):
                    raise TimeoutError(f"no message within {timeout} seconds")
                self._read_ready()
            return self._messages.pop(0)
        finally:
            self._read_lock.release()

    def _read_ready(self) -> bool:
        """Read what is there; tell whether anything was; under the read lock."""
        try:
            data = self._in.read_ready()
            if data is None:
                return False
            self._take(data)
        except OSError:
            self._drop(CloseCode.ABNORMAL)
        return True

    def _end_of_stream(self) -> None:
        if self._transport.woken and not self._transport.ended:
            # That was wake(): who is in receive() returns, and who closes waits on.
            self._finished = True
            return
        with self._codec_lock:
            self._begin_closing(CloseCode.ABNORMAL)  # before the protocol refuses a sender
            if not self._last_word:
                self._protocol.receive_eof()
        self._drop(CloseCode.ABNORMAL)

    def _take(self, data: bytes | int) -> None:
        """Give the protocol its bytes, or the count of those it has; under the read lock."""
        if not data:
            self._end_of_stream()
            return
        self._keepalive.heard = True
        if self._last_word:
            return  # what comes after a Close is discarded (RFC 6455 section 5.5.1)
        with self._codec_lock:
            protocol = self._protocol
            if isinstance(data, int):
                protocol.buffer_updated(data)
            else:
                protocol.receive_data(data)
            events = protocol.events()
            if not events:  # in the middle of a message, which may be a large one
                self._in.into = protocol.get_buffer()
            output = protocol.data_to_send()
            if output:
                self._out.pending += output
            for event in events:
                if type(event) is Message:
                    if self._ending is None:
                        self._messages.append(event.data)
                elif type(event) is Close:
                    self._begin_closing(event.code, event.reason).clean = event.clean
                    self._last_word = self._finished = True
        if self._ending is not None and not self._last_word:
            self._ending.late_data = time.monotonic() > self._ending.since + GRACE
        if output or self._last_word:
            self._flush()

    # Sending

    def send(  # noqa: D102
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        out = self._out
        out.lock.acquire()  # `with` takes 80 ns longer
        try:
            # What is put down from here on goes out behind this, a Close too.
            message = None
            if fin and self._ending is None and not out.pending:
                message = self._protocol.encode_message(opcode, payload, compress)
            buffers = [message] if message else self._encode(opcode, payload, fin, compress)
            try:
                self._transport.write(buffers, self._options.send_timeout)
            except OSError as error:  # a TimeoutError too: a frame may be half written
                self._lose_writing(error)
                raise self._closed_error() from error
            out.written = out.taken
        finally:
            out.lock.release()
            # Who came meanwhile has left it to this thread, which may be failing itself.
            if out.pending or self._last_word:
                self._flush()

    def _encode(self, opcode: int, payload: Buffer, fin: bool, compress: bool) -> list[Buffer]:
        with self._codec_lock:
            if self._ending is not None:
                raise self._closed_error()
            self._protocol.send_message(opcode, payload, fin=fin, compress=compress)
            return self._out.take() + self._protocol.data_to_send()

    def send_soon(  # noqa: D102
        self, opcode: int, payload: bytes, *, compress: bool = True
    ) -> bool:
        with self._codec_lock:
            if self._ending is not None:
                raise self._closed_error()
            if self._out.pending:
                return False
            self._protocol.send_message(opcode, payload, compress=compress)
            self._out.put(self._protocol.data_to_send())
        self._flush()
        return True

    def flush(self) -> bool:  # noqa: D102
        self._flush()
        if self._transport.ended:
            raise self._closed_error()
        return self._out.put_is_out

    def ping(self, payload: bytes = b"") -> None:  # noqa: D102
        self._send_control(self._protocol.send_ping, payload)

    def pong(self, payload: bytes = b"") -> None:  # noqa: D102
        self._send_control(self._protocol.send_pong, payload)

    def _send_control(self, encode: Callable[[bytes], None], payload: bytes) -> None:
        """Put a control frame behind what is being written; never blocks."""
        with self._codec_lock:
            if self._ending is not None:
                raise self._closed_error()
            encode(payload)
            self._out.pending += self._protocol.data_to_send()
        self._flush()

    def _flush(self) -> None:
        """Write waiting control frames as far as there is room; never blocks."""
        try:
            self._out.flush()
        except OSError:
            self._drop(CloseCode.ABNORMAL)
        if self._last_word and self._out.idle:
            # Both have said their last: the server ends the stream first (RFC 6455
            # section 7.1.1). finish() or the monitor discards what may still come.
            self._transport.half_close()

    # Ending

    def close(  # noqa: D102
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        limit = self._options.close_timeout if timeout is None else timeout
        with self._codec_lock:
            is_first = self._ending is None
            ending = self._begin_closing(CloseCode.NO_STATUS if code is None else code, reason)
            if is_first:
                self._protocol.send_close(code, reason)
                self._out.pending += self._protocol.data_to_send()
        self._flush()
        if limit > 0:
            ending.closer_waits = True
            self._await_close(ending, min(time.monotonic() + limit, ending.deadline))

    def _begin_closing(self, code: int, reason: str = "") -> Ending:
        """Let no message out any more; the first cause counts; under the codec lock."""
        if self._ending is None:
            self._ending = Ending(code, reason, self._options.close_timeout)
        return self._ending

    def _await_close(self, ending: Ending, deadline: float) -> None:
        """Read, dropping messages, until the peer's last word or the deadline."""
        while not (self._last_word or self._transport.ended):
            left = min(deadline - time.monotonic(), GRACE)
            if left <= 0:
                return
            if ending.late_data:  # a peer that floods us must not keep this thread
                self._drop(CloseCode.ABNORMAL)
                return
            if not self._read_lock.acquire(timeout=left):
                self._transport.wake()  # another thread is blocked in receive()
                continue
            try:
                if self._transport.woken:
                    # The descriptor counts as readable for good now: look at times.
                    time.sleep(min(left, 0.02))
                    self._read_ready()
                elif self._transport.wait(left):
                    self._read_ready()
            finally:
                self._read_lock.release()
            self._flush()

    def abort(self) -> None:  # noqa: D102
        self._drop(CloseCode.ABNORMAL)

    def _lose_writing(self, error: OSError) -> None:
        """Note that the link is dead, but for a Close that is in and not yet read."""
        if not isinstance(error, TimeoutError) and self._read_lock.acquire(timeout=GRACE):
            try:
                while not (self._last_word or self._transport.ended) and self._read_ready():
                    pass
            finally:
                self._read_lock.release()
        self._drop(CloseCode.ABNORMAL)

    def _drop(self, code: int, reason: str = "") -> None:
        with self._codec_lock:
            self._begin_closing(code, reason)
            self._last_word = self._finished = True
        self._transport.end()

    def _closed_error(self) -> ConnectionClosed:
        return (self._ending or Ending(CloseCode.ABNORMAL, "", 0)).error()

    @property
    def closed(self) -> bool:  # noqa: D102
        return self._ending is not None

    @property
    def close_code(self) -> int | None:  # noqa: D102
        return None if self._ending is None else self._ending.code

    @property
    def close_reason(self) -> str | None:  # noqa: D102
        return None if self._ending is None else self._ending.reason

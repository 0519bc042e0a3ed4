"""The core's ``Connection`` on a hosted connection of ``websockets.sync``.

Here is what the library has no notion of: a Close that counts as soon as its frame is
in, deadlines that hold whatever the peer does, and keepalive that takes any byte for a
sign of life. The deadlines are looked at by the core's monitor, which never blocks here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

from websockets.exceptions import ProtocolError
from websockets.protocol import State

from flask_threaded_sockets.backend import Buffer, Connection
from flask_threaded_sockets.codes import CloseCode
from flask_threaded_sockets.events import Close, Event, Message
from flask_threaded_sockets.exceptions import LocalProtocolError, WebSocketError
from flask_threaded_sockets.keepalive import Keepalive, KeepaliveAction
from flask_threaded_sockets.monitor import monitor
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.transport import LINGER, Transport

from .ending import Ending
from .hosted import HostedCodec, HostedConnection
from .inbox import Inbox

__all__ = ["SyncConnection"]

# Seconds in which data may still come instead of the peer's Close after ours, and in
# which the reader may find a Close that explains why writing failed.
_GRACE: Final = 0.5


class SyncConnection(Connection):
    """Carry one WebSocket on the threads of ``websockets.sync``.

    Args:
        codec: the protocol, in state OPEN.
        transport: the socket.
        options: all are honoured.
        early: bytes that came with the handshake.
    """

    __slots__ = (
        "_codec",
        "_ending",
        "_heard_at",
        "_hosted",
        "_inbox",
        "_keepalive",
        "_last_word",
        "_options",
        "_transport",
    )

    def __init__(
        self, codec: HostedCodec, transport: Transport, options: ConnectionOptions, early: bytes
    ) -> None:
        self._codec = codec
        self._transport = transport
        self._options = options
        self._inbox = Inbox(options.max_queue)
        self._keepalive = Keepalive(options, time.monotonic())
        self._heard_at = 0.0
        self._ending = Ending(options.close_timeout)
        self._last_word = threading.Event()  # the peer's Close, a failure or the end is in
        self._hosted = HostedConnection(
            transport, codec, options.close_timeout, self._inbox, early, self._take, self._lose
        )
        monitor.watch(self)

    # Receiving

    def receive(self, timeout: float | None = None) -> str | bytearray:  # noqa: D102
        message = self._inbox.get(timeout)
        if message is None:
            raise self._ending.error()
        return message

    def _take(self, event: Event) -> None:
        """Act on an event; in the reader's thread."""
        if isinstance(event, Message):
            if not self._ending.begun:
                self._inbox.put(event.data)
        elif isinstance(event, Close):
            self._ending.begin(event.code, event.reason)
            self._ending.clean = event.clean
            self._say_last_word()

    def _lose(self) -> None:
        """Note that the reader has ended; in its thread."""
        self._ending.begin(CloseCode.ABNORMAL)
        self._say_last_word()

    def _say_last_word(self) -> None:
        self._last_word.set()
        self._inbox.end()

    # Sending

    def send(  # noqa: D102
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        def encode() -> None:
            self._check_open()
            self._codec.send_message(opcode, payload, fin=fin, compress=compress)

        try:
            self._hosted.transmit(encode, self._options.send_timeout)
        except ProtocolError as error:
            raise LocalProtocolError(str(error)) from error
        except WebSocketError:
            raise
        except OSError as error:
            if not isinstance(error, TimeoutError):
                self._last_word.wait(_GRACE)  # a Close may be in that says why
            self._drop(CloseCode.ABNORMAL)
            raise self._ending.error() from error

    def ping(self, payload: bytes = b"") -> None:  # noqa: D102
        self._send_control(self._codec.send_ping, payload)

    def pong(self, payload: bytes = b"") -> None:  # noqa: D102
        self._send_control(self._codec.send_pong, payload)

    def _send_control(self, send: Callable[[bytes], None], payload: bytes) -> None:
        def encode() -> None:
            self._check_open()
            send(payload)

        self._hosted.post(encode)

    def _check_open(self) -> None:
        """Raise what is told to senders; under the protocol's mutex."""
        if self._ending.begun or self._codec.state is not State.OPEN:
            raise self._ending.error()

    # Ending

    def close(  # noqa: D102
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        def encode() -> None:
            if self._codec.state is State.OPEN:
                self._codec.send_close(code, reason)

        limit = self._options.close_timeout if timeout is None else timeout
        if self._ending.begin(CloseCode.NO_STATUS if code is None else code, reason):
            self._hosted.post(encode)
            self._inbox.end()  # wakes receive()
        if limit > 0:
            self._await_close(min(time.monotonic() + limit, self._ending.deadline))

    def _await_close(self, deadline: float) -> None:
        """Wait for the peer's last word until the deadline."""
        while not self._last_word.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                return
            if self._is_late_data():  # a peer that floods us must not keep this thread
                self._drop(CloseCode.ABNORMAL)
                return
            self._hosted.flush()
            self._last_word.wait(min(left, 0.1))

    def _is_late_data(self) -> bool:
        """Tell whether the peer goes on sending long after our Close."""
        return self._ending.begun and self._hosted.heard_at > self._ending.since + _GRACE

    def abort(self) -> None:  # noqa: D102
        self._drop(CloseCode.ABNORMAL)
        # The library waits in an epoll, which forgets a descriptor that its owner closes:
        # a reader that has not looked by then would wait for ever. This wakes it.
        self._hosted.close_socket()

    def _drop(self, code: int) -> None:
        self._ending.begin(code)
        self._say_last_word()
        self._transport.end()  # ends the reader, too

    @property
    def closed(self) -> bool:  # noqa: D102
        return self._ending.begun

    @property
    def close_code(self) -> int | None:  # noqa: D102
        return self._ending.code

    @property
    def close_reason(self) -> str | None:  # noqa: D102
        return self._ending.reason if self._ending.begun else None

    # What the monitor asks (see Supervised); none of these blocks.

    def fileno(self) -> int:
        """Give no descriptor: the library's thread does the reading."""
        return -1

    def pump(self) -> bool:
        """Read nothing."""
        return False

    def tick(self, now: float) -> bool:
        """Send what is due and enforce the deadlines; ``False`` when all is over."""
        if self._transport.ended:
            return False
        self._hosted.flush()
        if self._hosted.stuck(now, self._options.send_timeout):
            self._drop(CloseCode.ABNORMAL)
        elif not self._ending.begun:
            if self._inbox.full and self._transport.hung_up():
                # After the peer's FIN no more than the kernel's buffer can come: read
                # it, since a Close may wait behind the messages.
                self._inbox.unlimit()
            self._keep_alive(now)
        elif self._last_word.is_set():
            if now > self._ending.since + min(self._options.close_timeout, LINGER) + LINGER:
                self._transport.end()
        elif now > self._ending.deadline or self._is_late_data():
            self._drop(CloseCode.ABNORMAL)
        return True

    def _keep_alive(self, now: float) -> None:
        heard_at = self._hosted.heard_at
        if heard_at != self._heard_at:
            self._heard_at = heard_at
            self._keepalive.heard = True
        reading = not self._inbox.full
        action = self._keepalive.due(now, reading=reading, taken=self._transport.taken)
        if action is KeepaliveAction.PING:
            self._hosted.post(self._encode_ping)
        elif action is KeepaliveAction.GIVE_UP:
            self.close(CloseCode.INTERNAL_ERROR, "keepalive ping timeout", timeout=0)
            self._drop(CloseCode.INTERNAL_ERROR)

    def _encode_ping(self) -> None:
        if self._codec.state is State.OPEN:
            self._codec.send_ping(os.urandom(4))

"""Mutants of the I/O shell: waiting, waking, closing, timeouts, the queue, the locks."""

from __future__ import annotations

import time

from flask_threaded_sockets_conformance.wire import close

from flask_threaded_sockets.backend import Buffer
from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.exceptions import ConnectionClosed

from .mutant import Mutant

__all__ = ["LIVING"]

# Seconds a mutant sleeps where the contract lets it take one.
_LATE = 3.0


class CloseAgain(ThreadedConnection):
    """Send another Close at each further call."""

    __slots__ = ()

    def close(
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        if self._ending is not None and not self._last_word:
            self._out.pending.append(close(code, reason, None))
        super().close(code, reason, timeout)


class CloseWaits(ThreadedConnection):
    __slots__ = ()

    def close(
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        super().close(code, reason, None)


class CloseRaises(ThreadedConnection):
    __slots__ = ()

    def close(
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        if self._ending is not None:
            raise self._closed_error()
        super().close(code, reason, timeout)


class Unwatched(ThreadedConnection):
    """Leave the connection to the handler's own calls."""

    __slots__ = ()

    def start(self, early: bytes) -> None:
        if early:
            with self._read_lock:
                self._take(early)


class EarlyBytesLost(ThreadedConnection):
    __slots__ = ()

    def start(self, early: bytes) -> None:
        super().start(b"")


class Wire1006(ThreadedConnection):
    """Send what must never be on the wire, when the stream ends without a Close."""

    __slots__ = ()

    def _end_of_stream(self) -> None:
        if self._ending is None:
            self._out.pending.append(close(1006, key=None))
            self._flush()
        super()._end_of_stream()


class NotWoken(ThreadedConnection):
    """Come back from ``receive()`` late, after some endings."""

    __slots__ = ()

    def late(self, error: ConnectionClosed) -> bool:
        raise NotImplementedError

    def receive(self, timeout: float | None = None) -> str | bytearray:
        was_open = self._ending is None
        try:
            return super().receive(timeout)
        except ConnectionClosed as error:
            if was_open and self.late(error):
                time.sleep(_LATE)
            raise


class NotWokenByPeersClose(NotWoken):
    __slots__ = ()

    def late(self, error: ConnectionClosed) -> bool:
        return error.clean and self._ending is not None and not self._ending.closer_waits


class NotWokenByLinksEnd(NotWoken):
    __slots__ = ()

    def late(self, error: ConnectionClosed) -> bool:
        return self._ending is not None and self._ending.code == 1006


class NotWokenByFailure(NotWoken):
    __slots__ = ()

    def late(self, error: ConnectionClosed) -> bool:
        return self._ending is not None and self._ending.code in (1002, 1007, 1009)


class ZeroLoses(ThreadedConnection):
    """Drop what a look at what is there finds."""

    __slots__ = ()

    def receive(self, timeout: float | None = None) -> str | bytearray:
        message = super().receive(timeout)
        if timeout == 0:
            raise TimeoutError("no message within 0 seconds")
        return message


class TimeoutCloses(ThreadedConnection):
    __slots__ = ()

    def receive(self, timeout: float | None = None) -> str | bytearray:
        try:
            return super().receive(timeout)
        except TimeoutError:
            self.close(1000, timeout=0)
            raise


class TimeoutIsNone(ThreadedConnection):
    __slots__ = ()

    def receive(self, timeout: float | None = None) -> str | bytearray:
        return super().receive(None if timeout is None else timeout + _LATE)


class MessagesLostOnClose(ThreadedConnection):
    __slots__ = ()

    def _take(self, data: bytes | int) -> None:
        super()._take(data)
        if self._ending is not None:
            self._messages.clear()


class QueueDrops(ThreadedConnection):
    """Drop messages that find the queue full."""

    __slots__ = ()

    def _take(self, data: bytes | int) -> None:
        super()._take(data)
        del self._messages[self._options.max_queue :]


class Mixed(ThreadedConnection):
    """Write a frame in two parts, and let others in between."""

    __slots__ = ()

    def send(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        with self._codec_lock:
            if self._ending is not None:
                raise self._closed_error()
            self._protocol.send_message(opcode, payload, fin=fin, compress=compress)
            data = b"".join(self._protocol.data_to_send())
        middle = len(data) // 2
        for part in (data[:middle], data[middle:]):
            with self._out.lock:
                try:
                    self._transport.write([part], self._options.send_timeout)
                except OSError as error:
                    self._lose_writing(error)
                    raise self._closed_error() from error
            if len(data) > 100:
                time.sleep(0.001)
        if self._out.pending:
            self._flush()


class SilentOnClosed(ThreadedConnection):
    """Swallow what is sent after the end."""

    __slots__ = ()

    def send(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        try:
            super().send(opcode, payload, fin=fin, compress=compress)
        except ConnectionClosed:
            pass


class ForeignError(ThreadedConnection):
    """Let a library's own exception out."""

    __slots__ = ()

    def send(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        try:
            super().send(opcode, payload, fin=fin, compress=compress)
        except ConnectionClosed as error:
            raise RuntimeError("stream is closed") from error


class BroadcastLost(ThreadedConnection):
    __slots__ = ()

    def send_soon(self, opcode: int, payload: bytes, *, compress: bool = True) -> bool:
        if self._ending is not None:
            raise self._closed_error()
        return True


class CodeNotTold(ThreadedConnection):
    """Say 1000 whatever came."""

    __slots__ = ()

    @property
    def close_code(self) -> int | None:
        return None if self._ending is None else 1000


class AbnormalIsNormal(ThreadedConnection):
    """Take an end without a Close for a normal one."""

    __slots__ = ()

    @property
    def close_code(self) -> int | None:
        code = super().close_code
        return 1000 if code == 1006 else code


class DeafToPongs(ThreadedConnection):
    """Take a Pong for no sign of life."""

    __slots__ = ()

    def _take(self, data: bytes | int) -> None:
        super()._take(data)
        self._keepalive.heard = False


_FOR_EVER = 1e6

# Where a handler's end is looked at, by way of its Close.
ENDS = ("close.*", "websocket.*", "endings.*", "limits.*", "configuration.*", "liveness.*")

LIVING = (
    Mutant(
        "close-sent-again",
        ("websocket.close-is-idempotent", "close.server-ends-stream", "close.messages-*"),
        connection=CloseAgain,
        may_fail=ENDS,
    ),
    Mutant(
        "close-waits-for-peer",
        ("websocket.close-does-not-wait",),
        connection=CloseWaits,
        may_fail=ENDS,
    ),
    Mutant(
        "second-close-raises",
        ("websocket.close-is-idempotent", "websocket.close-after-peer"),
        connection=CloseRaises,
        may_fail=ENDS,
    ),
    Mutant(
        "nothing-seen-without-receive",
        ("close.answer-while-busy", "control.ping-while-handler-is-busy"),
        connection=Unwatched,
        may_fail=(*ENDS, "control.*", "text.*", "concurrency.*"),
    ),
    Mutant(
        "early-bytes-lost",
        ("handshake.early-frame", "handshake.early-half-frame"),
        connection=EarlyBytesLost,
    ),
    Mutant(
        "1006-on-the-wire",
        ("close.fin-without-close",),
        connection=Wire1006,
        may_fail=("endings.fin-*", "websocket.*-after-fin", "websocket.messages-before-fin"),
    ),
    Mutant(
        "receive-not-woken-by-close",
        ("endings.close-in-receive",),
        connection=NotWokenByPeersClose,
        may_fail=(*ENDS, "control.*"),
    ),
    Mutant(
        "receive-not-woken-by-end",
        ("endings.fin-in-receive", "endings.reset-in-receive"),
        connection=NotWokenByLinksEnd,
        may_fail=ENDS,
    ),
    Mutant(
        "receive-not-woken-by-failure",
        (
            "endings.protocol-error-wakes-receive",
            "endings.bad-utf-8-wakes-receive",
            "endings.too-big-wakes-receive",
        ),
        connection=NotWokenByFailure,
        may_fail=("*",),
    ),
    Mutant(
        "timeout-zero-loses",
        ("websocket.timeout-zero-with-message-there",),
        connection=ZeroLoses,
        may_fail=("websocket.timeout-zero-*", "websocket.polling"),
    ),
    Mutant(
        "timeout-closes",
        ("websocket.usable-after-timeout",),
        connection=TimeoutCloses,
        may_fail=("websocket.*",),
    ),
    Mutant(
        "timeout-ignored",
        ("websocket.receive-timeout",),
        connection=TimeoutIsNone,
        may_fail=("websocket.*",),
    ),
    Mutant(
        "messages-lost-on-close",
        ("close.message-then-close", "websocket.messages-before-close"),
        connection=MessagesLostOnClose,
        may_fail=(
            *ENDS,
            "text.invalid-*",
            "fragmentation.continuation-after-*",
            "framing.*",
            "control.pong-is-no-message",
        ),
    ),
    Mutant(
        "full-queue-drops",
        ("limits.queue-loses-nothing",),
        connection=QueueDrops,
        may_fail=(
            "framing.*",
            "limits.*",
            "websocket.*",
            "liveness.*",
            "concurrency.*",
            "compression.*",
            "configuration.*",
        ),
    ),
    Mutant(
        "queue-unlimited",
        ("limits.queue-pushes-back",),
        options={"max_queue": 10**9},
        may_fail=("configuration.route-max-queue", "limits.queue-*", "liveness.*"),
    ),
    Mutant(
        "frames-mixed",
        ("concurrency.eight-senders",),
        connection=Mixed,
        may_fail=("concurrency.*", "limits.*", "liveness.*", "configuration.*"),
    ),
    Mutant(
        "send-on-closed-ignored",
        ("websocket.send-after-*", "websocket.send-frame-after-*", "close.nothing-after-close"),
        connection=SilentOnClosed,
        may_fail=(*ENDS, "concurrency.*"),
    ),
    Mutant(
        "send-raises-foreign-error",
        ("websocket.send-after-*", "websocket.send-frame-after-*", "close.nothing-after-close"),
        connection=ForeignError,
        may_fail=(*ENDS, "concurrency.*"),
    ),
    Mutant(
        "broadcast-lost",
        ("concurrency.sockets-broadcast",),
        connection=BroadcastLost,
    ),
    Mutant(
        "close-code-not-told",
        (
            "close.fin-without-close",
            "close.fin-within-frame",
            "close.app-sees-code-and-reason",
            "framing.opcode-3-after-message",
            "limits.app-sees-1009",
        ),
        connection=CodeNotTold,
        may_fail=(*ENDS, "text.invalid-*", "fragmentation.continuation-after-*"),
    ),
    Mutant(
        "end-without-close-is-normal",
        ("close.fin-without-close", "close.fin-within-frame"),
        connection=AbnormalIsNormal,
        may_fail=ENDS,
    ),
    Mutant(
        "pong-is-no-sign-of-life",
        ("configuration.pong-in-time",),
        connection=DeafToPongs,
        may_fail=("configuration.*", "liveness.*"),
    ),
    Mutant(
        "no-keepalive",
        ("configuration.pings-while-receiving", "configuration.pings-while-busy"),
        options={"ping_interval": None},
        may_fail=("configuration.*", "liveness.*"),
    ),
    Mutant(
        "no-ping-timeout",
        ("configuration.ping-timeout-in-receive", "configuration.ping-timeout-while-pushing"),
        options={"ping_timeout": None},
        may_fail=("configuration.*", "liveness.*"),
    ),
    Mutant(
        "no-send-timeout",
        ("limits.send-timeout",),
        options={"send_timeout": _FOR_EVER},
        may_fail=("configuration.*", "liveness.*", "concurrency.*"),
    ),
    Mutant(
        "no-close-timeout",
        ("limits.close-timeout",),
        options={"close_timeout": 20.0},
        may_fail=("configuration.*", "liveness.*", "endings.*", "concurrency.*", "limits.*"),
    ),
)

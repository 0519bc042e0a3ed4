"""Mutants whose ``receive()`` waits wrongly, or loses what came."""

from __future__ import annotations

import time

from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.exceptions import ConnectionClosed

from .mutant import Mutant

__all__ = ["WAITING"]

# Seconds a mutant sleeps where the contract lets it take one.
_LATE = 3.0


class EarlyBytesLost(ThreadedConnection):
    __slots__ = ()

    def start(self, early: bytes) -> None:
        super().start(b"")


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


WAITING = (
    Mutant(
        "early-bytes-lost",
        ("handshake.early-frame", "handshake.early-half-frame"),
        connection=EarlyBytesLost,
    ),
    Mutant(
        "receive-not-woken-by-close",
        ("endings.close-in-receive", "websocket.close-within-timeout"),
        connection=NotWokenByPeersClose,
    ),
    Mutant(
        "receive-not-woken-by-end",
        ("endings.fin-in-receive", "endings.reset-in-receive"),
        connection=NotWokenByLinksEnd,
    ),
    Mutant(
        "receive-not-woken-by-failure",
        (
            "endings.protocol-error-wakes-receive",
            "endings.bad-utf-8-wakes-receive",
            "endings.too-big-wakes-receive",
        ),
        connection=NotWokenByFailure,
    ),
    Mutant(
        "timeout-zero-loses",
        (
            "websocket.timeout-zero-with-message-there",
            "websocket.polling",
            "websocket.timeout-zero-with-second-message",
        ),
        connection=ZeroLoses,
    ),
    Mutant(
        "timeout-closes",
        (
            "websocket.usable-after-timeout",
            "endings.raises-timeout-error",
            "liveness.silent-within-frame",
            "websocket.half-message-survives-timeout",
            "websocket.polling",
        ),
        connection=TimeoutCloses,
    ),
    Mutant(
        "timeout-ignored",
        (
            "websocket.receive-timeout",
            "liveness.silent-within-frame",
            "websocket.timeout-zero-without-message",
        ),
        connection=TimeoutIsNone,
    ),
    Mutant(
        "messages-lost-on-close",
        (
            "close.message-then-close",
            "websocket.messages-before-close",
            "concurrency.receivers",
            "control.pong-is-no-message",
            "fragmentation.continuation-*",
            "framing.opcode-3-after-message",
            "limits.queue-full-then-close",
            "liveness.queues-for-later",
            "masking.unmasked-after-masked",
            "text.invalid-after-message",
            "websocket.iteration",
            "websocket.messages-before-fin",
        ),
        connection=MessagesLostOnClose,
    ),
    Mutant(
        "full-queue-drops",
        (
            "limits.queue-loses-nothing",
            "concurrency.receivers",
            "framing.many-in-one-segment",
            "limits.queue-full-then-close",
            "websocket.polling",
        ),
        connection=QueueDrops,
    ),
    Mutant(
        "queue-unlimited",
        ("limits.queue-pushes-back",),
        options={"max_queue": 10**9},
    ),
)

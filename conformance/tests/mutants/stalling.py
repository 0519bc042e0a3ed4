"""Mutants that let one thread, one peer or a pause hold up what must go on."""

from __future__ import annotations

import threading
import time

from flask_threaded_sockets.backend import Buffer
from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.ending import Ending

from .filtered import Filtered
from .mutant import Mutant

__all__ = ["STALLING"]

# Seconds that no case allows.
_LONG = 3.0


class SendWaitsForReceive(ThreadedConnection):
    """Have one lock for both directions, and give up what waits too long for it."""

    __slots__ = ()

    def send(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        if not self._read_lock.acquire(timeout=_LONG):
            self.abort()
            raise self._closed_error()
        try:
            super().send(opcode, payload, fin=fin, compress=compress)
        finally:
            self._read_lock.release()


class OneReceiver(ThreadedConnection):
    """Refuse a second thread in ``receive()``."""

    __slots__ = ("_receiving",)

    def start(self, early: bytes) -> None:
        self._receiving = threading.Lock()
        super().start(early)

    def receive(self, timeout: float | None = None) -> str | bytearray:
        if not self._receiving.acquire(blocking=False):
            raise RuntimeError("another thread is receiving")
        try:
            return super().receive(timeout)
        finally:
            self._receiving.release()


class OnePing(ThreadedConnection):
    """Drop a Ping whose payload is the last one's."""

    __slots__ = ("_last_ping",)

    def ping(self, payload: bytes = b"") -> None:
        if payload and getattr(self, "_last_ping", None) == payload:
            return
        self._last_ping = payload
        super().ping(payload)


class CloseWaitsForSender(ThreadedConnection):
    __slots__ = ()

    def close(
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        with self._out.lock:
            pass
        super().close(code, reason, timeout)


class OneSenderOfAll(ThreadedConnection):
    """Have one lock for the sends of all connections."""

    __slots__ = ()
    lock = threading.RLock()

    def send(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        with self.lock:
            super().send(opcode, payload, fin=fin, compress=compress)


class WaitsForWholeMessage(ThreadedConnection):
    """Wait without a limit once a message has begun."""

    __slots__ = ()

    def _receive_within(self, timeout: float) -> str | bytearray:
        try:
            return super()._receive_within(timeout)
        except TimeoutError:
            if timeout and getattr(self._protocol, "_payload", 0):
                return super().receive()
            raise


class Impatient(ThreadedConnection):
    """Give up a peer that says nothing for a second."""

    __slots__ = ("_start",)

    def tick(self, now: float) -> bool:
        if not hasattr(self, "_start"):
            self._start: float = now
        if self._ending is None and not self._keepalive.heard and now - self._start > 1.0:
            self.close(1011, "silent", timeout=0)
        self._start = now if self._keepalive.heard else self._start
        return super().tick(now)


class NoPingsWhileSending(ThreadedConnection):
    """Let a sender's lock keep the keepalive waiting."""

    __slots__ = ()

    def tick(self, now: float) -> bool:
        return True if self._out.lock.locked() else super().tick(now)


class PingsOnlyInReceive(ThreadedConnection):
    __slots__ = ()

    def _keep_alive(self, now: float) -> None:
        if self._read_lock.locked():
            super()._keep_alive(now)


class PingsOnlyOutOfReceive(ThreadedConnection):
    __slots__ = ()

    def _keep_alive(self, now: float) -> None:
        if not self._read_lock.locked():
            super()._keep_alive(now)


class EndNotSeen(ThreadedConnection):
    """Leave ``closed`` false until somebody receives or sends."""

    __slots__ = ("_asked",)

    def receive(self, timeout: float | None = None) -> str | bytearray:
        self._asked: bool = True
        return super().receive(timeout)

    @property
    def closed(self) -> bool:
        by_peer = self._ending is not None and self._last_word
        return self._ending is not None and (not by_peer or hasattr(self, "_asked"))


class GoingAwayNotSent(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(code, reason)
        if code == 1001:
            self._output.clear()


class SendTimeoutInAll(ThreadedConnection):
    """Let the send timeout run from the beginning of a large message to its end."""

    __slots__ = ()

    def send(
        self, opcode: int, payload: Buffer, *, fin: bool = True, compress: bool = True
    ) -> None:
        timer = threading.Timer(self._options.send_timeout, self.abort)
        if len(payload) > 1_000_000:
            timer.start()
        try:
            super().send(opcode, payload, fin=fin, compress=compress)
        finally:
            timer.cancel()


class ClosingProlonged(ThreadedConnection):
    """Begin the close timeout anew with whatever the peer sends."""

    __slots__ = ()

    def _take(self, data: bytes | int) -> None:
        super()._take(data)
        if self._ending is not None:
            self._ending.since = time.monotonic()
            self._ending.deadline = self._ending.since + self._options.close_timeout
            self._ending.late_data = False

    def _await_close(self, ending: Ending, deadline: float) -> None:
        while time.monotonic() < ending.deadline:
            super()._await_close(ending, ending.deadline)
            if self._last_word or self._transport.ended:
                return


STALLING = (
    Mutant(
        "send-waits-for-receive",
        (
            "concurrency.send-while-receiving",
            "concurrency.broadcast-while-clients-come-and-go",
        ),
        connection=SendWaitsForReceive,
    ),
    Mutant("one-receiver-only", ("concurrency.receivers",), connection=OneReceiver),
    Mutant("same-ping-once", ("concurrency.pings-of-many-threads",), connection=OnePing),
    Mutant(
        "close-waits-for-sender",
        (
            "concurrency.close-while-send-blocks",
            "liveness.never-reads-and-handler-returns",
            "liveness.never-reads-keepalive",
        ),
        connection=CloseWaitsForSender,
    ),
    Mutant(
        "one-sender-of-all", ("liveness.stalled-does-not-delay-others",), connection=OneSenderOfAll
    ),
    Mutant(
        "timeout-ends-with-message",
        ("liveness.silent-within-frame",),
        connection=WaitsForWholeMessage,
    ),
    Mutant(
        "silence-is-an-end",
        ("liveness.silence-is-no-end", "configuration.no-pings"),
        connection=Impatient,
        may_fail={"endings.reload": "the reloader looks once a second, and the client is silent"},
    ),
    Mutant(
        "no-keepalive-while-sending",
        ("liveness.never-reads-keepalive",),
        connection=NoPingsWhileSending,
    ),
    Mutant(
        "pings-only-in-receive",
        (
            "configuration.pings-while-busy",
            "configuration.ping-timeout-while-pushing",
            "liveness.never-reads-keepalive",
        ),
        connection=PingsOnlyInReceive,
    ),
    Mutant(
        "pings-only-out-of-receive",
        (
            "configuration.pings-while-receiving",
            "configuration.ping-timeout-in-receive",
            "configuration.pings-without-timeout",
            "configuration.pong-in-time",
            "configuration.route-ping-*",
            "liveness.silent-within-frame-is-given-up",
        ),
        connection=PingsOnlyOutOfReceive,
    ),
    Mutant(
        "end-not-seen-without-receive",
        (
            "endings.*-while-pushing",
            "concurrency.close-while-send-blocks",
            "configuration.ping-timeout-while-pushing",
            "endings.ended-with-handler",
            "endings.fin-behind-messages",
            "limits.send-timeout",
            "liveness.never-reads-keepalive",
            "websocket.attributes-after-close",
            # After a FIN, the peer's Close or a reset.
            "websocket.*-after-[fpr]*",
            "websocket.close-on-dead-link",
            "websocket.messages-before-fin",
            "websocket.receive-timeout-after-close",
        ),
        connection=EndNotSeen,
    ),
    Mutant(
        "going-away-not-sent",
        (
            "endings.reload",
            "endings.server-shutdown",
            "endings.sigint-*",
            "endings.sigterm-*",
            "websocket.close-str-reason",
        ),
        GoingAwayNotSent,
    ),
    Mutant(
        "closing-prolonged-by-peer",
        ("endings.flooding-client", "endings.socket-let-go", "liveness.drips-after-close"),
        connection=ClosingProlonged,
    ),
    Mutant("send-timeout-in-all", ("limits.slow-reader-gets-all",), connection=SendTimeoutInAll),
)

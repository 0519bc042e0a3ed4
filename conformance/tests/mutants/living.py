"""Mutants that do not look after a connection: keepalive, deadlines, locks."""

from __future__ import annotations

import time

from flask_threaded_sockets.backend import Buffer
from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.shell import Shell

from .mutant import Mutant

__all__ = ["LIVING"]

_FOR_EVER = 1e6


class Unwatched(ThreadedConnection):
    """Leave the connection to the handler's own calls."""

    __slots__ = ()

    def start(self, early: bytes) -> None:
        Shell.start(self, early)


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


class BroadcastLost(ThreadedConnection):
    __slots__ = ()

    def send_soon(self, opcode: int, payload: bytes, *, compress: bool = True) -> bool:
        if self._ending is not None:
            raise self._closed_error()
        return True


class LongBroadcastLost(BroadcastLost):
    __slots__ = ()

    def send_soon(self, opcode: int, payload: bytes, *, compress: bool = True) -> bool:
        kind = BroadcastLost if len(payload) > 16 * 1024 else ThreadedConnection
        return kind.send_soon(self, opcode, payload, compress=compress)


class DeafToPongs(ThreadedConnection):
    """Take a Pong for no sign of life."""

    __slots__ = ()

    def _take(self, data: bytes | int) -> None:
        super()._take(data)
        self._keepalive.heard = False


class PatientWithPongs(ThreadedConnection):
    """Let Pongs wait for ever."""

    __slots__ = ()

    def tick(self, now: float) -> bool:
        self._out._waiting_since = None
        return super().tick(now)


class ImpatientWithPongs(ThreadedConnection):
    """Take a peer that leaves a Pong waiting for one that never reads."""

    __slots__ = ()

    def tick(self, now: float) -> bool:
        if self._out.pending and not self._out.lock.locked():
            self._drop(1006)
        return super().tick(now)


LIVING = (
    Mutant(
        "patient-with-pongs",
        ("liveness.pongs-wait-in-vain",),
        connection=PatientWithPongs,
    ),
    Mutant(
        "impatient-with-pongs",
        ("liveness.pongs-wait-for-reader",),
        connection=ImpatientWithPongs,
    ),
    Mutant(
        "nothing-seen-without-receive",
        (
            "close.stream-ends-before-*",
            "close.answer-while-busy",
            "control.ping-behind-messages-while-busy",
            "control.ping-while-handler-is-busy",
            "configuration.ping-*",
            "configuration.pings-*",
            "configuration.pong-in-time",
            "configuration.route-ping-*",
            "endings.close-while-pushing",
            "endings.fin-behind-messages",
            "endings.fin-while-pushing",
            "endings.reset-while-pushing",
            "endings.socket-let-go",
            "liveness.never-reads-keepalive",
            "liveness.pongs-wait-*",
            "liveness.pushes-*",
            "liveness.silent-within-frame-is-given-up",
            # After a FIN, the peer's Close or a reset.
            "websocket.*-after-[fpr]*",
            "websocket.close-on-dead-link",
            "websocket.close-wakes-receive",
            "websocket.messages-before-close",
            "websocket.messages-before-fin",
            "websocket.receive-timeout-after-close",
        ),
        connection=Unwatched,
    ),
    Mutant(
        "frames-mixed",
        (
            "concurrency.eight-senders",
            "concurrency.close-against-send",
            "concurrency.eight-senders-compressed",
            "concurrency.pings-between-large-messages",
        ),
        connection=Mixed,
    ),
    Mutant(
        "broadcast-lost",
        ("concurrency.broadcast-of-all-lengths", "concurrency.sockets-broadcast"),
        connection=BroadcastLost,
    ),
    Mutant(
        "long-broadcast-lost",
        ("concurrency.broadcast-of-all-lengths",),
        connection=LongBroadcastLost,
    ),
    Mutant(
        "pong-is-no-sign-of-life",
        (
            "configuration.pong-in-time",
            "configuration.pings-while-busy",
        ),
        connection=DeafToPongs,
    ),
    Mutant(
        "no-keepalive",
        (
            "configuration.pings-while-receiving",
            "configuration.pings-while-busy",
            "configuration.ping-*",
            "configuration.pings-without-timeout",
            "configuration.pong-in-time",
            "configuration.route-ping-*",
            "liveness.never-reads-keepalive",
            "liveness.silent-within-frame-is-given-up",
        ),
        options={"ping_interval": None},
    ),
    Mutant(
        "no-ping-timeout",
        (
            "configuration.ping-timeout-in-receive",
            "configuration.ping-timeout-while-pushing",
            "configuration.route-ping-timeout",
            "liveness.never-reads-keepalive",
            "liveness.silent-within-frame-is-given-up",
        ),
        options={"ping_timeout": None},
    ),
    Mutant(
        "no-send-timeout",
        (
            "limits.send-timeout",
            "configuration.route-send-timeout",
            "liveness.pongs-wait-in-vain",
        ),
        options={"send_timeout": _FOR_EVER},
    ),
    Mutant(
        "no-close-timeout",
        (
            "limits.close-timeout",
            "configuration.route-close-timeout",
            "liveness.never-reads-and-handler-returns",
        ),
        options={"close_timeout": 20.0},
    ),
)

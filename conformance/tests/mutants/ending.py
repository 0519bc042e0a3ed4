"""Mutants that end a connection wrongly, or tell the app wrongly."""

from __future__ import annotations

from flask_threaded_sockets_conformance.wire import close

from flask_threaded_sockets.backend import Buffer
from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.exceptions import ConnectionClosed

from .mutant import Mutant

__all__ = ["ENDING"]


class CloseAgain(ThreadedConnection):
    """Send another Close at each further call with a code of the app's own."""

    __slots__ = ()

    def close(
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        if code and code >= 4000 and self._ending is not None and not self._last_word:
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


class Wire1006(ThreadedConnection):
    """Send what must never be on the wire, when the stream ends without a Close."""

    __slots__ = ()

    def _end_of_stream(self) -> None:
        if self._ending is None:
            self._out.pending.append(close(1006, key=None))
            self._flush()
        super()._end_of_stream()


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


# Where something is sent on a connection that has ended.
SENT_ON_CLOSED = (
    "websocket.send-after-*",
    "websocket.send-frame-after-*",
    "close.nothing-after-close",
    "concurrency.close-against-send",
    "concurrency.close-while-send-blocks",
    "configuration.route-send-timeout",
    "endings.bad-utf-8-wakes-receive",
    "endings.ended-with-handler",
    "endings.foreign-error-is-not",
    "endings.protocol-error-wakes-receive",
    "endings.too-big-wakes-receive",
    "limits.send-timeout",
    "liveness.never-reads-keepalive",
    "liveness.pushes-until-closed",
)

ENDING = (
    Mutant(
        "close-sent-again",
        ("websocket.close-is-idempotent", "concurrency.closes-at-once"),
        connection=CloseAgain,
    ),
    Mutant(
        "close-waits-for-peer",
        (
            "websocket.close-does-not-wait",
            "concurrency.close-while-send-blocks",
            "liveness.never-reads-keepalive",
            "websocket.close-wakes-receive",
            "websocket.frame-close-closes",
            "websocket.receive-after-own-close",
            "websocket.send-frame-after-own",
            "websocket.send-none-after-own",
        ),
        connection=CloseWaits,
    ),
    Mutant(
        "second-close-raises",
        (
            "websocket.close-is-idempotent",
            "websocket.close-after-peer",
            "concurrency.closes-at-once",
            "configuration.close-timeout-gives-time",
            "endings.own-error-is-quiet",
            "endings.quiet-endings",
            "endings.raises-is-logged-once",
            "endings.raises-while-testing",
            "endings.teardown-after-close",
            "endings.teardown-after-reset",
            "limits.close-timeout",
            "websocket.close-on-dead-link",
        ),
        connection=CloseRaises,
    ),
    Mutant(
        "1006-on-the-wire",
        ("close.fin-without-close",),
        connection=Wire1006,
    ),
    Mutant(
        "send-on-closed-ignored",
        SENT_ON_CLOSED,
        connection=SilentOnClosed,
    ),
    Mutant(
        "send-raises-foreign-error",
        SENT_ON_CLOSED,
        connection=ForeignError,
    ),
    Mutant(
        "close-code-not-told",
        (
            "close.fin-without-close",
            "close.fin-within-frame",
            "close.app-sees-code-and-reason",
            "framing.opcode-3-after-message",
            "framing.opcode-3-before-others",
            "limits.app-sees-1009",
            "concurrency.closes-at-once",
            "endings.bad-utf-8-wakes-receive",
            "endings.close-in-receive",
            "endings.close-while-pushing",
            "endings.fin-in-receive",
            "endings.fin-while-pushing",
            "endings.protocol-error-wakes-receive",
            "endings.reset-*",
            "endings.server-shutdown",
            "endings.too-big-wakes-receive",
            "fragmentation.continuation-*",
            "masking.unmasked-after-masked",
            "text.invalid-after-message",
            "text.invalid-while-busy",
            "websocket.attributes-after-close",
            "websocket.close-after-peer",
            "websocket.close-code",
            "websocket.close-is-idempotent",
            "websocket.close-keywords",
            "websocket.close-str-reason",
            "websocket.messages-before-fin",
        ),
        connection=CodeNotTold,
    ),
    Mutant(
        "end-without-close-is-normal",
        (
            "close.fin-without-close",
            "close.fin-within-frame",
            "endings.fin-in-receive",
            "endings.fin-while-pushing",
            "endings.reset-*",
            "websocket.messages-before-fin",
        ),
        connection=AbnormalIsNormal,
    ),
)

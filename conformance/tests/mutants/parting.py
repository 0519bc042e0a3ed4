"""Mutants that send the app's Close wrongly."""

from __future__ import annotations

from flask_threaded_sockets_conformance.wire import FIN, TEXT, frame

from flask_threaded_sockets.connection import ThreadedConnection

from .filtered import Filtered
from .mutant import Mutant

__all__ = ["PARTING"]


class CloseReasonDropped(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(code)


class CloseAlwaysNormal(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(code and 1000, reason)


class CloseAlwaysWithCode(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(1000 if code is None else code, reason)


class ErrorNotSent(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(code, reason)
        if code == 1011:
            self._output.clear()


class GoingAwayForNormal(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(1001 if code == 1000 and not reason else code, reason)


class MessageAfterClose(Filtered):
    def send_close(self, code: int | None, reason: str = "") -> None:
        super().send_close(code, reason)
        if code == 1008:
            self._output += frame(FIN | TEXT, b"late", None)


class SocketKept(ThreadedConnection):
    """Leave the socket to the core, which comes when the handler is done."""

    __slots__ = ()

    def tick(self, now: float) -> bool:
        return not self._transport.ended if self._last_word else super().tick(now)


class StreamLeftOpen(SocketKept):
    """Leave the end of the stream to the core, too."""

    def _flush(self) -> None:
        try:
            self._out.flush()
        except OSError:
            self._drop(1006)


class SecondToAnswer(ThreadedConnection):
    """Wait a second for the answer to a Close, whatever the timeout."""

    __slots__ = ()

    def tick(self, now: float) -> bool:
        ending = self._ending
        if ending is not None and not self._last_word and now > ending.since + 1:
            self._drop(1006)
        return super().tick(now)


PARTING = (
    Mutant("socket-kept", ("endings.socket-let-go",), connection=SocketKept),
    Mutant(
        "second-to-answer-close",
        ("configuration.close-timeout-gives-time",),
        connection=SecondToAnswer,
    ),
    Mutant(
        "stream-left-open",
        ("close.stream-ends-before-*", "endings.socket-let-go"),
        connection=StreamLeftOpen,
    ),
    Mutant(
        "close-reason-dropped",
        (
            "websocket.close-bytes-reason",
            "websocket.close-str-reason",
            "close.exact-bytes",
            "websocket.close-keywords",
            "websocket.close-reason-*",
            "websocket.frame-close",
        ),
        CloseReasonDropped,
    ),
    Mutant(
        "close-code-ignored",
        (
            "websocket.close-code",
            "close.exact-bytes-1007",
            "endings.raises",
            "endings.aborts-*",
            "close.crossing",
            "concurrency.close-against-*",
            "concurrency.closes-at-once",
            "endings.abort-with-error-page",
            "endings.foreign-error-is-not",
            "endings.no-leaks",
            "endings.raises-*",
            "endings.server-shutdown",
            "limits.queue-full-then-closed-by-handler",
            "websocket.attributes-after-close",
            "websocket.close-is-idempotent",
            "websocket.close-keywords",
            "websocket.close-str-reason",
            "websocket.close-wakes-receive",
            "websocket.frame-close-closes",
            "websocket.with-block-raises",
        ),
        CloseAlwaysNormal,
    ),
    Mutant("close-without-code-has-one", ("websocket.frame-close-empty",), CloseAlwaysWithCode),
    Mutant(
        "1011-not-sent",
        (
            "endings.raises",
            "endings.foreign-error-is-not",
            "endings.no-leaks",
            "endings.raises-*",
            "websocket.with-block-raises",
        ),
        ErrorNotSent,
    ),
    Mutant(
        "1001-for-1000",
        (
            "close.stream-ends-before-handler",
            "endings.returns",
            "close.messages-before-answer",
            "close.nothing-after-close",
            "close.server-ends-stream",
            "concurrency.pings-between-large-messages",
            "configuration.close-timeout-gives-time",
            "configuration.route-close-timeout",
            "endings.close-without-answer",
            "endings.ended-with-handler",
            "endings.flooding-client",
            "endings.foreign-error-is-not",
            "endings.returns-*",
            "limits.close-timeout",
            "liveness.drips-after-close",
            "websocket.close-default",
            "websocket.close-refuses-*",
            "websocket.plain-view-response",
            "websocket.with-block",
        ),
        GoingAwayForNormal,
    ),
    Mutant(
        "message-after-1008",
        (
            "endings.aborts-403",
            "endings.abort-with-error-page",
            "endings.aborts-*",
            "endings.teardown-after-abort",
        ),
        MessageAfterClose,
    ),
)

"""Mutants that take or answer a Close wrongly."""

from __future__ import annotations

from flask_threaded_sockets_conformance.wire import CLOSE, FIN, KEY, PING, PONG, close, frame

from flask_threaded_sockets.codes import is_receivable_close_code
from flask_threaded_sockets.events import Close, Event

from .filtered import Answering, Filtered, Header
from .mutant import Mutant

__all__ = ["CLOSES"]


class CloseNotAnswered(Answering):
    clean = False

    def came_control(self, header: Header, payload: bytes) -> bytes:
        code = int.from_bytes(payload[:2], "big")
        self.clean = header.opcode == CLOSE and (not payload or is_receivable_close_code(code))
        return super().came_control(header, payload)

    def answer_close(self, payload: bytes) -> bytes:
        ours = payload[:2] in (b"\x03\xea", b"\x03\xef", b"\x03\xf1") and len(payload) > 2
        return frame(FIN | CLOSE, payload, None) if ours or not self.clean else b""


class AlwaysNormal(Answering):
    def answer_close(self, payload: bytes) -> bytes:
        # Only a failure has a reason.
        return frame(FIN | CLOSE, payload if len(payload) > 2 else b"\x03\xe8", None)


class AnyCloseCode(Filtered):
    def came_control(self, header: Header, payload: bytes) -> bytes:
        code = int.from_bytes(payload[:2], "big")
        if header.opcode == CLOSE and len(payload) > 1 and not is_receivable_close_code(code):
            return close(1000)
        return super().came_control(header, payload)


class OneByteBody(Filtered):
    def came_control(self, header: Header, payload: bytes) -> bytes:
        if header.opcode == CLOSE and len(payload) == 1:
            return close(None)
        return super().came_control(header, payload)


class ReasonNotChecked(Filtered):
    def came_control(self, header: Header, payload: bytes) -> bytes:
        if header.opcode == CLOSE and is_receivable_close_code(int.from_bytes(payload[:2], "big")):
            return frame(header.first, payload[:2], header.key)
        return super().came_control(header, payload)


class ReadsOnAfterClose(Filtered):
    """Answer what comes behind a Close."""

    over = False

    def came_control(self, header: Header, payload: bytes) -> bytes:
        if self.over and header.opcode == PING:
            self._output += frame(FIN | PONG, payload, None)
        self.over = self.over or header.opcode == CLOSE
        return super().came_control(header, payload)

    def receive_data(self, data: bytes) -> None:  # type: ignore[override]
        super().receive_data(data)


class AppSeesCloseAs1000(Filtered):
    def told(self, event: Event) -> list[Event]:
        if isinstance(event, Close) and event.clean:
            event.code = 1000
        return [event]


class AppSeesNoReason(Filtered):
    def told(self, event: Event) -> list[Event]:
        if isinstance(event, Close):
            event.reason = ""
        return [event]


class Wire1005(Filtered):
    def going(self, first: int, payload: bytes) -> bytes:
        empty = first == FIN | CLOSE and not payload
        return frame(first, b"\x03\xed" if empty else payload, None)


class MaskedClose(Answering):
    def answer_close(self, payload: bytes) -> bytes:
        of_app = len(payload) == 2 and payload >= b"\x0b\xb8"  # 3000
        return frame(FIN | CLOSE, payload, KEY if of_app else None)


CLOSES = (
    Mutant(
        "close-not-answered",
        (
            "close.stream-ends-before-busy-handler",
            "close.code-*",
            "close.no-body",
            "close.reason",
            "close.reason-utf-8",
            "close.reason-123",
            "close.message-*",
            "close.close-twice",
            "close.garbage-behind",
            "close.server-ends-stream-after-client",
            "close.answer-while-busy",
            "fragmentation.close-between",
            "control.ping-then-close",
            "configuration.max-connections",
            "endings.no-leaks",
            "endings.own-error-is-quiet",
            "endings.quiet-endings",
            "endings.socket-let-go",
            "endings.teardown-after-close",
            "liveness.pushes-until-closed",
            "websocket.clients-leave",
            "websocket.close-after-peer",
            "websocket.gevent-loop",
            "websocket.messages-before-close",
            "websocket.plain-view",
            "websocket.wsgi-application",
        ),
        CloseNotAnswered,
    ),
    Mutant(
        "close-answered-with-1000",
        (
            "close.code-*",
            "!close.code-1000",
            "websocket.close-after-peer",
        ),
        AlwaysNormal,
    ),
    Mutant("any-close-code-accepted", ("close.bad-code-*",), AnyCloseCode),
    Mutant("one-byte-close-accepted", ("close.one-byte-body",), OneByteBody),
    Mutant(
        "close-reason-not-checked",
        ("close.reason-invalid", "close.reason-cut", "close.app-sees-code-and-reason"),
        ReasonNotChecked,
    ),
    Mutant("ping-answered-after-close", ("control.ping-after-close",), ReadsOnAfterClose),
    Mutant(
        "close-told-as-1000",
        (
            "close.app-sees-code-and-reason",
            "endings.close-in-receive",
            "endings.close-while-pushing",
            "websocket.close-after-peer",
        ),
        AppSeesCloseAs1000,
    ),
    Mutant("close-told-without-reason", ("close.app-sees-code-and-reason",), AppSeesNoReason),
    Mutant("1005-on-the-wire", ("close.no-body", "websocket.frame-close-empty"), Wire1005),
    Mutant(
        "answer-to-apps-code-masked",
        (
            "close.code-3000",
            "close.code-3999",
            "close.code-4000",
            "close.code-4999",
            "websocket.close-after-peer",
        ),
        MaskedClose,
    ),
)

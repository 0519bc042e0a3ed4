"""Mutants that answer wrongly: Pongs, Closes and their codes."""

from __future__ import annotations

from flask_threaded_sockets_conformance.wire import CLOSE, FIN, KEY, PING, PONG, close, frame

from flask_threaded_sockets.backend import Upgrade
from flask_threaded_sockets.codes import is_receivable_close_code
from flask_threaded_sockets.events import Close, Event, Message, Ping
from flask_threaded_sockets.options import ConnectionOptions

from .filtered import Filtered, Header
from .mutant import Mutant

__all__ = ["CONTROL"]


class Answering(Filtered):
    """Tell answers from what the app sends."""

    def __init__(self, upgrade: Upgrade, options: ConnectionOptions) -> None:
        super().__init__(upgrade, options)
        self.of_app = False

    def going(self, first: int, payload: bytes) -> bytes:
        if first == FIN | PONG and not self.of_app:
            return self.answer(payload)
        if first == FIN | CLOSE and not self.of_app:
            return self.answer_close(payload)
        return frame(first, payload, None)

    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PONG, payload, None)

    def answer_close(self, payload: bytes) -> bytes:
        """Write the Close that answers one, or that fails the connection."""
        return frame(FIN | CLOSE, payload, None)

    def send_pong(self, payload: bytes) -> None:
        self.of_app = True
        super().send_pong(payload)
        self.of_app = False

    def send_close(self, code: int | None, reason: str = "") -> None:
        self.of_app = True
        super().send_close(code, reason)
        self.of_app = False


class NoPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return b""


class EmptyPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PONG, b"", None)


class ShortPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PONG, payload[:124], None)


class MaskedPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PONG, payload, KEY)


class TwoPongs(Answering):
    def answer(self, payload: bytes) -> bytes:
        return 2 * frame(FIN | PONG, payload, None)


class PingForPong(Answering):
    def answer(self, payload: bytes) -> bytes:
        return frame(FIN | PING, payload, None)


class LatePong(Answering):
    """Answer a Ping in the middle of a message only behind the message."""

    waiting = b""
    within = False

    def came(self, header: Header) -> bytes | None:
        if not header.is_control:
            self.within = not header.first & FIN
        return header.raw

    def answer(self, payload: bytes) -> bytes:
        pong = frame(FIN | PONG, payload, None)
        if self.within:
            self.waiting += pong
            return b""
        return pong

    def _pull(self) -> None:
        super()._pull()
        if not self.within:
            self._output += self.waiting
            self.waiting = b""


class PongAnswered(Filtered):
    def came(self, header: Header) -> bytes | None:
        pong = header.opcode == PONG
        return bytes([header.first & 0xF0 | PING]) + header.raw[1:] if pong else header.raw


class PingIsMessage(Filtered):
    def told(self, event: Event) -> list[Event]:
        return [event, Message(bytearray(event.payload))] if isinstance(event, Ping) else [event]


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


class Recode(Filtered):
    """Fail a connection with another code."""

    codes: dict[int, int] = {}

    def going(self, first: int, payload: bytes) -> bytes:
        code = int.from_bytes(payload[:2], "big")
        if first == FIN | CLOSE and len(payload) > 2 and code in self.codes:
            payload = self.codes[code].to_bytes(2, "big") + payload[2:]
        return frame(first, payload, None)

    def told(self, event: Event) -> list[Event]:
        if isinstance(event, Close) and not event.clean:
            event.code = self.codes.get(event.code, event.code)
        return [event]


class No1002(Recode):
    codes = {1002: 1003}


class No1007(Recode):
    codes = {1007: 1003}


class No1009(Recode):
    codes = {1009: 1008}


class FailsWithoutClose(Recode):
    def going(self, first: int, payload: bytes) -> bytes:
        code = int.from_bytes(payload[:2], "big")
        silent = first == FIN | CLOSE and len(payload) > 2 and code in (1002, 1007, 1009)
        return b"" if silent else frame(first, payload, None)


class AppSeesFailureAs1006(Filtered):
    def told(self, event: Event) -> list[Event]:
        if isinstance(event, Close) and not event.clean:
            event.code = 1006
        return [event]


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


class MaskedClose(Filtered):
    def going(self, first: int, payload: bytes) -> bytes:
        return frame(first, payload, KEY if first == FIN | CLOSE else None)


PONGS = (
    "fragmentation.ping-between",
    "fragmentation.pings-between-all",
    "fragmentation.text-inside-after-ping",
    "control.rfc-ping",
    "control.ping-empty",
    "control.ping-binary",
    "control.ping-124",
    "control.ping-125",
    "control.pings-in-a-row",
    "control.ping-before-message",
    "control.pong-then-ping",
    "control.ping-then-close",
    "control.ping-while-handler-is-busy",
    "control.ping-behind-messages-while-busy",
    "compression.ping-between",
    "limits.control-frames-do-not-count",
)

NOT_BUSY = (
    "!control.ping-while-handler-is-busy",
    "!control.ping-behind-messages-while-busy",
)

FAILURES_1002 = (
    "framing.rsv*",
    "framing.opcode-*",
    "framing.*-not-minimal",
    "framing.64-bit-length-highest-bit",
    "masking.unmasked-*",
    "fragmentation.lone-*",
    "fragmentation.*-inside*",
    "fragmentation.continuation-after-*",
    "control.*-126",
    "control.*-65536",
    "control.*-fragmented",
    "close.bad-code-*",
    "close.one-byte-body",
    "compression.rsv*",
    "limits.announced-2-63",
    "endings.protocol-error-wakes-receive",
)

FAILURES_1007 = (
    "text.invalid-*",
    "text.cut-at-end-of-fragments",
    "text.fail-fast-*",
    "close.reason-invalid",
    "close.reason-cut",
    "compression.corrupt*",
    "compression.window-too-far-back",
    "compression.invalid-text",
    "endings.bad-utf-8-wakes-receive",
)

FAILURES_1009 = (
    "limits.text-above-limit",
    "limits.binary-above-limit",
    "limits.bytes-not-characters",
    "limits.fragments-above-limit",
    "limits.fragments-without-end",
    "limits.announced",
    "limits.announced-fragment",
    "limits.announced-2-62",
    "limits.inflated-above-limit",
    "limits.inflated-fragments",
    "limits.default-limit",
    "limits.app-sees-1009",
    "endings.too-big-wakes-receive",
)

# Cases of the configuration that look at a limit.
SIZES_OF_OTHERS = ("configuration.*",)

CONTROL = (
    Mutant("pong-missing", PONGS, NoPong),
    Mutant(
        "pong-without-payload",
        (*PONGS, "!control.ping-empty", "!fragmentation.text-inside-after-ping"),
        EmptyPong,
    ),
    Mutant(
        "pong-of-124-bytes",
        ("control.ping-125", "limits.control-frames-do-not-count"),
        ShortPong,
    ),
    Mutant("pong-masked", PONGS, MaskedPong),
    Mutant("pong-twice", (*PONGS, *NOT_BUSY), TwoPongs),
    Mutant("ping-answered-by-ping", PONGS, PingForPong),
    Mutant(
        "pong-behind-message",
        ("fragmentation.pings-between-all", "fragmentation.text-inside-after-ping"),
        LatePong,
    ),
    Mutant(
        "pong-answered",
        (
            "fragmentation.pong-between",
            "control.pong-empty",
            "control.pong-125",
            "control.pong-then-ping",
        ),
        PongAnswered,
    ),
    Mutant("ping-is-a-message", (*PONGS, *NOT_BUSY, "control.pong-is-no-message"), PingIsMessage),
    Mutant(
        "close-not-answered",
        (
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
        ),
        CloseNotAnswered,
        may_fail=("websocket.*", "endings.*", "control.ping-after-close"),
    ),
    Mutant(
        "close-answered-with-1000",
        ("close.code-*", "!close.code-1000"),
        AlwaysNormal,
        may_fail=("websocket.close-after-peer",),
    ),
    Mutant("any-close-code-accepted", ("close.bad-code-*",), AnyCloseCode),
    Mutant("one-byte-close-accepted", ("close.one-byte-body",), OneByteBody),
    Mutant(
        "close-reason-not-checked",
        ("close.reason-invalid", "close.reason-cut", "close.app-sees-code-and-reason"),
        ReasonNotChecked,
    ),
    Mutant("ping-answered-after-close", ("control.ping-after-close",), ReadsOnAfterClose),
    Mutant("1003-for-1002", FAILURES_1002, No1002),
    Mutant("1003-for-1007", FAILURES_1007, No1007),
    Mutant("1008-for-1009", FAILURES_1009, No1009, may_fail=SIZES_OF_OTHERS),
    Mutant(
        "fails-without-close",
        (*FAILURES_1002, *FAILURES_1007, *FAILURES_1009, "!limits.app-sees-1009"),
        FailsWithoutClose,
        may_fail=(*SIZES_OF_OTHERS, "endings.*-wakes-receive"),
    ),
    Mutant(
        "failure-told-as-1006",
        (
            "framing.opcode-3-after-message",
            "fragmentation.continuation-after-*",
            "text.invalid-after-message",
            "text.invalid-while-busy",
            "limits.app-sees-1009",
            "endings.protocol-error-wakes-receive",
            "endings.bad-utf-8-wakes-receive",
            "endings.too-big-wakes-receive",
        ),
        AppSeesFailureAs1006,
    ),
    Mutant(
        "close-told-as-1000",
        ("close.app-sees-code-and-reason",),
        AppSeesCloseAs1000,
        may_fail=("endings.close-*", "websocket.close-after-peer"),
    ),
    Mutant("close-told-without-reason", ("close.app-sees-code-and-reason",), AppSeesNoReason),
    Mutant("1005-on-the-wire", ("close.no-body", "websocket.frame-close-empty"), Wire1005),
    Mutant(
        "close-masked",
        (
            "close.*",
            "!close.fin-*",
            "!close.app-sees-*",
            "framing.rsv*",
            "framing.opcode-*",
            "masking.unmasked-*",
            "text.invalid-*",
        ),
        MaskedClose,
        may_fail=(
            "framing.*",
            "fragmentation.*",
            "control.*",
            "text.*",
            "compression.*",
            "limits.*",
            "websocket.*",
            "endings.*",
            "configuration.*",
            "concurrency.*",
            "liveness.*",
            "close.server-ends-stream*",
        ),
    ),
)

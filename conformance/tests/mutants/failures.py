"""Mutants that fail a connection in another way than the rule says."""

from __future__ import annotations

from flask_threaded_sockets_conformance.wire import CLOSE, FIN, frame

from flask_threaded_sockets.backend import Upgrade
from flask_threaded_sockets.events import Close, Event
from flask_threaded_sockets.options import ConnectionOptions

from .filtered import Filtered, Header
from .mutant import Mutant

__all__ = ["FAILURES"]

FAILURES_1002 = (
    "framing.rsv*",
    "framing.opcode-*",
    "framing.*-length-not-minimal",
    "framing.*-length-of-*",
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
    "limits.inflated-fragments*",
    "limits.default-limit",
    "limits.app-sees-1009",
    "endings.too-big-wakes-receive",
)


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


class GoesOnAfterFailure(Filtered):
    """Take and tell what stands behind a violation."""

    def __init__(self, upgrade: Upgrade, options: ConnectionOptions) -> None:
        super().__init__(upgrade, options)
        self.upgrade = upgrade
        self.held: list[Event] = []

    def came(self, header: Header) -> bytes | None:
        self.held += self.inner.events()
        if not any(isinstance(event, Close) for event in self.held):
            return header.raw
        self._pull()
        self.inner = self.make(self.upgrade, self.options)
        return None if header.opcode == CLOSE else header.raw

    def events(self) -> list[Event]:
        events, self.held = self.held + self.inner.events(), []
        ends = [event for event in events if isinstance(event, Close)]
        return [event for event in events if event not in ends] + ends[:1]


FAILURES = (
    Mutant("goes-on-after-failure", ("framing.opcode-3-before-others",), GoesOnAfterFailure),
    Mutant("1003-for-1002", (*FAILURES_1002, "endings.no-leaks"), No1002),
    Mutant("1003-for-1007", FAILURES_1007, No1007),
    Mutant(
        "1008-for-1009",
        (
            *FAILURES_1009,
            "configuration.configured-after-sockets",
            "configuration.route-lowers-size",
            "configuration.route-raises-size",
            "configuration.two-apps",
            "limits.bomb",
        ),
        No1009,
    ),
    Mutant(
        "fails-without-close",
        (
            *FAILURES_1002,
            *FAILURES_1007,
            *FAILURES_1009,
            "!limits.app-sees-1009",
            "configuration.configured-after-sockets",
            "configuration.route-lowers-size",
            "configuration.route-raises-size",
            "configuration.two-apps",
            "endings.no-leaks",
            "limits.bomb",
        ),
        FailsWithoutClose,
    ),
    Mutant(
        "failure-told-as-1006",
        (
            "framing.opcode-3-after-message",
            "framing.opcode-3-before-others",
            "fragmentation.continuation-after-*",
            "text.invalid-after-message",
            "text.invalid-while-busy",
            "limits.app-sees-1009",
            "endings.protocol-error-wakes-receive",
            "endings.bad-utf-8-wakes-receive",
            "endings.too-big-wakes-receive",
            "masking.unmasked-after-masked",
        ),
        AppSeesFailureAs1006,
    ),
)

"""Mutants that measure messages wrongly."""

from __future__ import annotations

from flask_threaded_sockets.codec.assembler import Assembler
from flask_threaded_sockets.codec.deflate import Inflater
from flask_threaded_sockets.exceptions import FrameTooLargeException, RemoteProtocolError

from .assembling import assembling
from .filtered import Filtered, Header
from .mutant import Mutant

__all__ = ["SIZES"]

LIMITS = (
    "limits.*-above-limit",
    "limits.bytes-not-characters",
    "limits.fragments-without-end",
    "limits.announced",
    "limits.announced-fragment",
    "limits.announced-2-62",
    "limits.inflated-fragments*",
    "limits.default-limit",
    "limits.app-sees-1009",
    "endings.too-big-wakes-receive",
)

OPTIONS = ("configuration.configured-after-sockets", "configuration.route-*-size")


class NoLimit(Assembler):
    def __init__(self, limit: int | None, inflater: Inflater | None) -> None:
        super().__init__(None, inflater)


class NoLimitOnSum(Assembler):
    """Look at each frame alone."""

    def announce(self, length: int) -> None:
        if self._limit is not None and not self.compressed and length > self._limit:
            raise FrameTooLargeException(length, self._limit)


class NoLimitOnInflated(Assembler):
    def _add_inflated(self, piece: bytes) -> None:
        limit, self._limit = self._limit, None
        super()._add_inflated(piece)
        self._limit = limit


class NoLimitOnInflatedSum(Assembler):
    """Look at each frame alone, once it is inflated."""

    def announce(self, length: int) -> None:
        super().announce(length)
        self.before = self.filled

    def _add_inflated(self, piece: bytes) -> None:
        limit = self._limit
        self._limit = limit and limit + self.before
        super()._add_inflated(piece)
        self._limit = limit


class NoLimitOnAnnounced(Assembler):
    """Judge what has come, not what is announced."""

    def announce(self, length: int) -> None:
        pass

    def extend(self, payload: bytes | bytearray, *, last: bool) -> None:
        super().extend(payload, last=last)
        self._judge()

    def commit(self, count: int, *, last: bool) -> None:
        super().commit(count, last=last)
        self._judge()

    def _judge(self) -> None:
        if self._limit is not None and self.filled > self._limit:
            raise RemoteProtocolError("too big", 1009)


class LimitIsOneLess(Assembler):
    def __init__(self, limit: int | None, inflater: Inflater | None) -> None:
        super().__init__(limit and limit - 1, inflater)


class LimitIsOneMore(Assembler):
    def __init__(self, limit: int | None, inflater: Inflater | None) -> None:
        super().__init__(limit and limit + 1, inflater)


class LimitOnConnection(Assembler):
    """Count all messages together."""

    total = 0

    def announce(self, length: int) -> None:
        self.total += length
        if self._limit is not None and self.total > self._limit:
            raise FrameTooLargeException(self.total, self._limit)


class LimitInCharacters(Assembler):
    def announce(self, length: int) -> None:
        if self._limit is not None and length > 4 * self._limit:
            raise FrameTooLargeException(length, self._limit)

    def finish(self) -> str | bytearray:
        message = super().finish()
        if self._limit is not None and len(message) > self._limit:
            raise FrameTooLargeException(len(message), self._limit)
        return message


class ControlCounts(Filtered):
    count = 0

    def came(self, header: Header) -> bytes | None:
        limit = self.options.max_message_size
        self.count += header.length if header.is_control else 0
        if limit is not None and self.count > limit:
            header.length = 1 << 40
            header.first = 0x82
            return header.encoded()
        return header.raw


class CompressedCounts(Filtered):
    """Hold the limit against the length of a frame that is still compressed."""

    def came(self, header: Header) -> bytes | None:
        limit = self.options.max_message_size
        if limit is not None and header.first & 0x40 and header.length > limit:
            header.length = 1 << 40
            return header.encoded()
        return header.raw


SIZES = (
    Mutant(
        "no-limit",
        (
            *LIMITS,
            "configuration.configured-after-sockets",
            "configuration.route-lowers-size",
            "configuration.route-raises-size",
            "configuration.two-apps",
            "limits.bomb",
        ),
        assembling(NoLimit),
    ),
    Mutant(
        "no-limit-on-sum",
        (
            "limits.fragments-above-limit",
            "limits.fragments-without-end",
            "limits.announced-fragment",
        ),
        assembling(NoLimitOnSum),
    ),
    Mutant(
        "no-limit-on-inflated",
        ("limits.inflated-above-limit", "limits.inflated-fragments*"),
        assembling(NoLimitOnInflated),
    ),
    Mutant(
        "no-limit-on-inflated-sum",
        ("limits.inflated-fragments-add-up",),
        assembling(NoLimitOnInflatedSum),
    ),
    Mutant(
        "no-limit-on-announced",
        (
            "limits.announced",
            "limits.announced-2-62",
            "limits.announced-fragment",
            "limits.default-limit",
        ),
        assembling(NoLimitOnAnnounced),
    ),
    Mutant(
        "limit-one-less",
        (
            "limits.text-at-limit",
            "limits.binary-at-limit",
            "limits.fragments-at-limit",
            "configuration.route-raises-size",
            "limits.control-frames-do-not-count",
            "limits.inflated-at-limit",
            "limits.inflated-shrinks",
        ),
        assembling(LimitIsOneLess),
    ),
    Mutant(
        "limit-one-more",
        (
            "limits.text-above-limit",
            "limits.binary-above-limit",
            "limits.fragments-above-limit",
            "configuration.configured-after-sockets",
            "configuration.route-lowers-size",
            "configuration.route-raises-size",
            "endings.too-big-wakes-receive",
            "limits.announced",
            "limits.announced-fragment",
            "limits.app-sees-1009",
            "limits.default-limit",
            "limits.fragments-without-end",
            "limits.inflated-above-limit",
        ),
        assembling(LimitIsOneMore),
    ),
    Mutant(
        "limit-on-connection",
        (
            "limits.limit-is-per-message",
            "concurrency.both-flood",
            "limits.binary-at-limit",
            "limits.control-frames-do-not-count",
            "limits.fragments-at-limit",
            "limits.inflated-shrinks",
            "limits.text-at-limit",
        ),
        assembling(LimitOnConnection),
    ),
    Mutant(
        "limit-in-characters",
        (
            "limits.bytes-not-characters",
            "limits.announced",
            "limits.announced-fragment",
            "limits.default-limit",
            "limits.fragments-without-end",
        ),
        assembling(LimitInCharacters),
    ),
    Mutant("limit-counts-compressed", ("limits.inflated-shrinks",), CompressedCounts),
    Mutant("limit-counts-control", ("limits.control-frames-do-not-count",), ControlCounts),
)

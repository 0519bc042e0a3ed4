"""Mutants that accept headers which RFC 6455 section 5 forbids."""

from __future__ import annotations

from flask_threaded_sockets.backend import Upgrade
from flask_threaded_sockets.options import ConnectionOptions

from .filtered import Filtered, Header
from .mutant import Mutant

__all__ = ["FRAMING"]


class NoMaskingCheck(Filtered):
    def came(self, header: Header) -> bytes | None:
        if header.key is None:
            header.key = bytes(4)
            return bytes([header.raw[0], header.raw[1] | 0x80]) + header.raw[2:] + header.key
        return header.raw


class Rsv23NotChecked(Filtered):
    def came(self, header: Header) -> bytes | None:
        return bytes([header.first & 0xCF]) + header.raw[1:]


class Rsv1NotChecked(Filtered):
    def came(self, header: Header) -> bytes | None:
        return header.raw if self.deflate else bytes([header.first & 0xBF]) + header.raw[1:]


class Rsv1OnContinuation(Filtered):
    def came(self, header: Header) -> bytes | None:
        allowed = self.deflate and header.opcode == 0
        return bytes([header.first & 0xBF]) + header.raw[1:] if allowed else header.raw


class Rsv1OnControl(Filtered):
    def came(self, header: Header) -> bytes | None:
        allowed = self.deflate and header.is_control
        return bytes([header.first & 0xBF]) + header.raw[1:] if allowed else header.raw


class ReservedDataOpcodes(Filtered):
    def came(self, header: Header) -> bytes | None:
        return None if 3 <= header.opcode <= 7 else header.raw


class ReservedControlOpcodes(Filtered):
    def came(self, header: Header) -> bytes | None:
        return None if header.opcode >= 0xB else header.raw


class FragmentedControl(Filtered):
    def came(self, header: Header) -> bytes | None:
        return bytes([header.first | 0x80]) + header.raw[1:] if header.is_control else header.raw


class OversizeControl(Filtered):
    def came(self, header: Header) -> bytes | None:
        if header.is_control and header.length > 125:
            header.length = 125
            return bytes([header.first, 0x80 | 125]) + (header.key or b"")
        return header.raw


class LongLength16(Filtered):
    def came(self, header: Header) -> bytes | None:
        return header.encoded() if header.raw[1] & 0x7F == 126 and header.key else header.raw


class LongLength64(Filtered):
    def came(self, header: Header) -> bytes | None:
        wide = header.raw[1] & 0x7F == 127 and header.key and header.length < 65536
        return header.encoded() if wide else header.raw


class Longest7In16(LongLength16):
    def came(self, header: Header) -> bytes | None:
        return super().came(header) if header.length == 125 else header.raw


class Longest16In64(LongLength64):
    def came(self, header: Header) -> bytes | None:
        return super().came(header) if header.length == 65535 else header.raw


class HighestBit(Filtered):
    def came(self, header: Header) -> bytes | None:
        if header.length >> 63 and header.length & 0xFF:
            header.length &= (1 << 63) - 1
            return header.encoded()
        return header.raw


class InMessage(Filtered):
    """Know whether a fragmented message is in progress."""

    def __init__(self, upgrade: Upgrade, options: ConnectionOptions) -> None:
        super().__init__(upgrade, options)
        self.in_message = False

    def came(self, header: Header) -> bytes | None:
        if header.is_control:
            return header.raw
        raw = self.changed(header)
        self.in_message = not header.first & 0x80
        return raw

    def changed(self, header: Header) -> bytes:
        return header.raw


class LoneContinuation(InMessage):
    def changed(self, header: Header) -> bytes:
        lone = header.opcode == 0 and not self.in_message
        return bytes([header.first | 0x1]) + header.raw[1:] if lone else header.raw


class MessageInside(InMessage):
    def changed(self, header: Header) -> bytes:
        inside = header.opcode in (1, 2) and self.in_message
        return bytes([header.first & 0xF0]) + header.raw[1:] if inside else header.raw


class FirstKeyForMessage(Filtered):
    """Unmask all of a message with its first frame's key."""

    key = bytes(4)

    def came(self, header: Header) -> bytes | None:
        if header.key is None or header.is_control:
            return header.raw
        if header.opcode:
            self.key = header.key
        return header.raw[:-4] + self.key


class EmptyFragmentEnds(Filtered):
    """Take an empty continuation for a message's last."""

    def came(self, header: Header) -> bytes | None:
        ends = header.opcode == 0 and not header.length
        return bytes([header.first | 0x80]) + header.raw[1:] if ends else header.raw


FRAMING = (
    Mutant("no-masking-check", ("masking.unmasked-*",), NoMaskingCheck),
    Mutant(
        "rsv2-and-rsv3-not-checked",
        ("framing.rsv2-on-*", "framing.rsv3-on-*", "compression.rsv2"),
        Rsv23NotChecked,
    ),
    Mutant("rsv1-not-checked", ("framing.rsv1-on-*",), Rsv1NotChecked),
    Mutant(
        "rsv1-on-continuation-accepted",
        ("compression.rsv1-on-continuation", "compression.rsv1-on-plain-continuation"),
        Rsv1OnContinuation,
    ),
    Mutant(
        "rsv1-on-control-accepted",
        ("compression.rsv1-on-ping", "compression.rsv1-on-close"),
        Rsv1OnControl,
    ),
    Mutant(
        "reserved-data-opcodes-ignored",
        (
            "framing.opcode-[3-7]*",
            "endings.protocol-error-wakes-receive",
            "endings.no-leaks",
        ),
        ReservedDataOpcodes,
    ),
    Mutant("reserved-control-opcodes-ignored", ("framing.opcode-[b-f]",), ReservedControlOpcodes),
    Mutant("fragmented-control-accepted", ("control.*-fragmented",), FragmentedControl),
    Mutant("oversize-control-accepted", ("control.*-126", "control.*-65536"), OversizeControl),
    Mutant("long-16-bit-length-accepted", ("framing.16-bit-length-*",), LongLength16),
    Mutant(
        "long-64-bit-length-accepted",
        ("framing.64-bit-length-not-minimal", "framing.64-bit-length-of-65535"),
        LongLength64,
    ),
    Mutant("125-in-16-bits-accepted", ("framing.16-bit-length-of-125",), Longest7In16),
    Mutant("65535-in-64-bits-accepted", ("framing.64-bit-length-of-65535",), Longest16In64),
    Mutant("length-of-63-bits", ("framing.64-bit-length-highest-bit",), HighestBit),
    Mutant(
        "lone-continuation-accepted",
        ("fragmentation.lone-continuation*", "fragmentation.continuation-after-*"),
        LoneContinuation,
    ),
    Mutant("message-inside-message-accepted", ("fragmentation.*-inside*",), MessageInside),
    Mutant(
        "empty-fragment-ends-message",
        ("fragmentation.middle-empty", "fragmentation.all-empty"),
        EmptyFragmentEnds,
    ),
    Mutant("first-key-for-whole-message", ("masking.key-per-fragment",), FirstKeyForMessage),
)

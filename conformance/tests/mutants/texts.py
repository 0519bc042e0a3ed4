"""Mutants that take the wrong bytes for text."""

from __future__ import annotations

from flask_threaded_sockets.codec.assembler import Assembler

from .assembling import assembling
from .mutant import Mutant

__all__ = ["TEXTS"]


class TextNotChecked(Assembler):
    def _check_text(self) -> None:
        pass

    def finish(self) -> str | bytearray:
        text, self._text = self._text, False
        message = super().finish()
        assert isinstance(message, bytearray)
        return message.decode("utf-8", "replace") if text else message


class TextCheckedAtEnd(Assembler):
    def _check_text(self) -> None:
        pass


class LongTextNotChecked(Assembler):
    """Check the first 64 KiB of a message."""

    def _check_text(self) -> None:
        if self.filled <= 65536:
            super()._check_text()

    def finish(self) -> str | bytearray:
        text, self._text = self._text, self._text and self.filled <= 65536
        message = super().finish()
        return (
            message.decode("utf-8", "replace")
            if text and isinstance(message, bytearray)
            else message
        )


class Surrogates(Assembler):
    def _check_text(self) -> None:
        pass

    def finish(self) -> str | bytearray:
        text, self._text = self._text, False
        message = super().finish()
        assert isinstance(message, bytearray)
        if not text:
            return message
        return message.decode("utf-8", "surrogatepass").encode("utf-8", "replace").decode()


class LaxText(Assembler):
    """Drop an incomplete character at a message's end."""

    def _check_text(self) -> None:
        pass

    def finish(self) -> str | bytearray:
        text, self._text = self._text, False
        message = super().finish()
        assert isinstance(message, bytearray)
        if not text:
            return message
        try:
            return message.decode()
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                raise
            return message[: error.start].decode()


class FragmentsAreCharacters(Assembler):
    """Take each frame's payload for whole characters."""

    def extend(self, payload: bytes | bytearray, *, last: bool) -> None:
        super().extend(payload, last=last)
        if self._text and not self.compressed:
            self.buffer.decode()


class NoNoncharacters(Assembler):
    def finish(self) -> str | bytearray:
        message = super().finish()
        if isinstance(message, str) and "\ufffe" in message:
            raise UnicodeDecodeError("utf-8", b"", 0, 0, "noncharacter")
        return message


class BomDropped(Assembler):
    def finish(self) -> str | bytearray:
        message = super().finish()
        return message.removeprefix("\ufeff") if isinstance(message, str) else message


class NulEnds(Assembler):
    def finish(self) -> str | bytearray:
        message = super().finish()
        return message.partition("\0")[0] if isinstance(message, str) else message


class BinaryIsText(Assembler):
    def finish(self) -> str | bytearray:
        message = super().finish()
        bytes(message, "utf-8") if isinstance(message, str) else message.decode()
        return message


TEXTS = (
    Mutant(
        "text-not-checked",
        (
            "text.invalid-*",
            "text.cut-at-end-of-fragments",
            "text.fail-fast-*",
            "compression.invalid-text",
            "endings.bad-utf-8-wakes-receive",
        ),
        assembling(TextNotChecked),
    ),
    Mutant(
        "text-checked-at-end",
        ("text.fail-fast-*",),
        assembling(TextCheckedAtEnd),
    ),
    Mutant("long-text-not-checked", ("text.invalid-far-in",), assembling(LongTextNotChecked)),
    Mutant(
        "surrogates-accepted",
        (
            "text.invalid-surrogate-*",
            "text.invalid-good-then-bad",
            "text.fail-fast-*",
            "compression.invalid-text",
        ),
        assembling(Surrogates),
    ),
    Mutant(
        "cut-text-accepted",
        ("text.invalid-cut-[234]", "text.cut-at-end-of-fragments", "text.fail-fast-*"),
        assembling(LaxText),
    ),
    Mutant(
        "text-checked-by-frame",
        (
            "fragmentation.character-split",
            "text.valid-fragmented",
            "text.valid-two-bytes",
            "text.valid-three-bytes",
            "text.valid-four-bytes",
            "text.valid-around-surrogates",
            "text.valid-noncharacters",
            "text.valid-bom",
            "text.valid-combining",
        ),
        assembling(FragmentsAreCharacters),
    ),
    Mutant("noncharacters-refused", ("text.valid-noncharacters",), assembling(NoNoncharacters)),
    Mutant("bom-dropped", ("text.valid-bom",), assembling(BomDropped)),
    Mutant("nul-ends-text", ("text.valid-nul",), assembling(NulEnds)),
    Mutant(
        "binary-checked-as-text",
        (
            "framing.rfc-256-bytes",
            "framing.rfc-64-kib",
            "framing.binary-6553[567]",
            "framing.binary-200000",
            "framing.mixed-in-one-segment",
            "fragmentation.binary-fragments",
            "text.binary-is-not-checked",
            "compression.binary",
            "websocket.receive-binary",
            "masking.masked-bytes-look-like-frames",
        ),
        assembling(BinaryIsText),
    ),
)

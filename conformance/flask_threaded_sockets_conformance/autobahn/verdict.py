"""What the Autobahn test suite says of a case, and what it means for a backend."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["AutobahnVerdict", "InvalidAreaError", "selected"]

# Autobahn's grades of the messages and of the closing handshake that are no violation:
# what a SHOULD asks (NON-STRICT) and what no RFC says (INFORMATIONAL) is the peer's choice.
_ACCEPTED: Final = frozenset({"OK", "NON-STRICT", "INFORMATIONAL"})
_ACCEPTED_CLOSE: Final = frozenset({"OK", "INFORMATIONAL"})

# The shortest deadline of a case is half a second.
_LAG: Final = 0.1

_AREA = re.compile(r"(\d+(?:\.\d+)*)(?:-(\d+))?")


class InvalidAreaError(ValueError):
    """Say that a selection of areas cannot be understood, or selects nothing."""


@dataclass(frozen=True, slots=True)
class AutobahnVerdict:
    """Hold what came of a case, in types that JSON has.

    Attributes:
        case: the case's id, e.g. ``"7.1.5"``; its first number is the area.
        behavior: Autobahn's grade of the messages.
        behavior_close: its grade of the closing handshake.
        result: the former in words.
        result_close: the latter in words.
        close_code: the close code that the server sent, if any.
        description: what was done.
        expectation: what a conformant server does.
        expected: what would have been accepted.
        received: what came.
        seconds: how long it took.
        lag: how many of them a thread of the judging process was kept waiting at worst.
            The cases' own deadlines, mostly of a second, are wrong by so much.
    """

    case: str
    behavior: str
    behavior_close: str
    result: str = ""
    result_close: str = ""
    close_code: int | None = None
    description: str = ""
    expectation: str = ""
    expected: str = ""
    received: str = ""
    seconds: float = 0.0
    lag: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether no MUST was violated."""
        return self.behavior in _ACCEPTED and self.behavior_close in _ACCEPTED_CLOSE

    @property
    def skipped(self) -> bool:
        """Whether the server lacks what the case is about, by its own handshake."""
        return self.behavior == "UNIMPLEMENTED"

    @property
    def doubtful(self) -> bool:
        """Whether it failed where the machine may have been too slow for a deadline."""
        return not self.passed and self.lag > _LAG

    @property
    def grade(self) -> str:
        """Autobahn's word for the whole: the worse of the two."""
        return (
            self.behavior_close if self.behavior in _ACCEPTED and not self.passed else self.behavior
        )

    def to_json(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        return asdict(self)

    def explain(self, backend: str) -> str:
        """Tell a failure: what was done, expected and seen.

        Args:
            backend: the backend's name.
        """
        code = "none" if self.close_code is None else str(self.close_code)
        rows = {
            "case": f"Autobahn {self.case}",
            "backend": backend,
            "does": self.description,
            "expected": self.expectation,
            "messages": f"{self.behavior}: {self.result}",
            "accepted": self.expected,
            "came": self.received,
            "close": f"{self.behavior_close}: {self.result_close} (the server's code: {code})",
            "slow": f"the machine kept the judge waiting for {self.lag:.1f} s"
            if self.doubtful
            else "",
        }
        return "\n".join(f"{label:<12}{text}" for label, text in rows.items() if text)


def selected(ids: Iterable[str], areas: str) -> list[str]:
    """Give the ids that a selection names, in their order.

    Args:
        ids: all there are.
        areas: areas, ranges of areas, groups or cases, e.g. ``"1-7,9.3,12.1.1"``;
            empty: all.

    Raises:
        InvalidAreaError: a part is malformed or names no case.
    """
    ids = list(ids)
    if not areas.strip():
        return ids
    wanted: set[str] = set()
    for part in areas.split(","):
        named = set(_named(ids, part.strip()))
        if not named:
            raise InvalidAreaError(f"there is no case in area {part.strip()!r}")
        wanted |= named
    return [name for name in ids if name in wanted]


def _named(ids: Iterable[str], part: str) -> Iterable[str]:
    match = _AREA.fullmatch(part)
    if match is None or (match[2] and "." in match[1]):
        raise InvalidAreaError(f"{part!r} is no area; write e.g. 1-7, 9 or 12.1")
    if match[2]:
        return (name for name in ids if int(match[1]) <= int(name.split(".")[0]) <= int(match[2]))
    return (name for name in ids if f"{name}.".startswith(f"{match[1]}."))

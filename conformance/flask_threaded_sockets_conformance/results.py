"""What came of each case on each backend, and the grade that follows from it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from .case import Case
from .cases import all_cases
from .runner import Outcome, Verdict

__all__ = ["Grade", "Judgement", "Result", "Results"]


class Grade(Enum):
    """Say what a backend is."""

    CONFORMANT = "conformant"
    WITH_XFAILS = "conformant with xfails"
    NOT_CONFORMANT = "not conformant"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Result:
    """Hold what came of a case on a backend, in types that JSON has.

    Attributes:
        backend: the backend's name.
        case: the case's id.
        verdict: what pytest made of it.
        message: what was wrong, or why it was skipped.
        reason: why it may fail, where it was xfailed.
        delivery: the delivery in which it went wrong.
        log: the wire log, line by line.
        seconds: how long it took.
    """

    backend: str
    case: str
    verdict: Verdict
    message: str = ""
    reason: str = ""
    delivery: str = ""
    log: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def of(cls, backend: str, outcome: Outcome, verdict: Verdict, reason: str = "") -> Result:
        """Make one of a runner's outcome."""
        return cls(
            backend,
            outcome.case.id,
            verdict,
            outcome.message,
            reason,
            outcome.delivery,
            list(outcome.log),
            round(outcome.seconds, 3),
        )

    def to_json(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Hold the grade of a backend and what it rests on.

    Attributes:
        backend: the backend's name.
        grade: the grade.
        counts: cases by verdict.
        total: how many cases there are.
    """

    backend: str
    grade: Grade
    counts: Mapping[str, int]
    total: int

    @property
    def told(self) -> str:
        """The counts in words."""
        ran = sum(self.counts.values())
        verdicts = ("passed", "xfailed", "failed", "xpassed", "skipped")
        words = [f"{self.counts[name]} {name}" for name in verdicts if self.counts.get(name)]
        return f"{ran} of {self.total} cases: {', '.join(words) or 'none run'}"


class Results:
    """Collect results by backend and case; thread-safe.

    Attributes:
        cases: all cases there are, by id, in the order of a report.
    """

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {case.id: case for case in all_cases()}
        self._lock = threading.Lock()  # guards _results
        self._results: dict[str, dict[str, Result]] = {}

    def add(self, result: Result) -> None:
        """Take a result; a later one of the same case replaces it."""
        with self._lock:
            self._results.setdefault(result.backend, {})[result.case] = result

    @property
    def backends(self) -> list[str]:
        """The backends that were asked, in order."""
        with self._lock:
            return list(self._results)

    def of(self, backend: str) -> dict[str, Result]:
        """Give a backend's results by case."""
        with self._lock:
            return dict(self._results.get(backend, {}))

    def wrong(self, result: Result) -> bool:
        """Tell whether a result keeps a backend from being conformant.

        That is a failure without a reason, an xfail that passes, and a *must* that was
        skipped.
        """
        must = self.cases[result.case].level == "must"
        return result.verdict in ("failed", "xpassed") or (must and result.verdict == "skipped")

    def judge(self, backend: str) -> Judgement:
        """Give a backend its grade."""
        results = self.of(backend)
        counts = Counter[str](result.verdict for result in results.values())
        grade = Grade.CONFORMANT
        if any(self.wrong(result) for result in results.values()):
            grade = Grade.NOT_CONFORMANT
        elif len(results) < len(self.cases):
            grade = Grade.NOT_JUDGED
        elif counts["xfailed"]:
            grade = Grade.WITH_XFAILS
        return Judgement(backend, grade, counts, len(self.cases))

"""Run cases without pytest: what the pytest plugin, the mutants and a debugger share."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias

from flask_threaded_sockets.plugins import load_backend

from .arrivals import Mismatch
from .case import Case
from .server import Stack
from .trial import Trial

__all__ = ["Outcome", "Verdict", "lacks", "run_case", "run_cases"]

Verdict: TypeAlias = Literal["passed", "failed", "skipped", "xfailed", "xpassed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what came of one case.

    Attributes:
        case: the case.
        verdict: passed, failed or skipped; pytest adds the rest.
        message: what was wrong, or why it was skipped.
        delivery: the delivery in which it went wrong.
        log: the timeline, line by line.
        seconds: how long it took.
        error: what was raised.
    """

    case: Case
    verdict: Verdict
    message: str = ""
    delivery: str = ""
    log: tuple[str, ...] = ()
    seconds: float = 0.0
    error: BaseException | None = None


def lacks(case: Case, backend: str) -> str | None:
    """Tell why a backend cannot be asked this case, or ``None``."""
    if case.feature is None or case.feature in load_backend(backend).features:
        return None
    return f"backend {backend!r} lacks the feature {case.feature.value!r}"


def run_case(case: Case, stack: Stack, *, patience: float = 10.0, thorough: bool = True) -> Outcome:
    """Run one case and tell what came of it; raises nothing of the case's.

    Args:
        case: the case.
        stack: the backend's.
        patience: see :class:`~.trial.Trial`.
        thorough: see :class:`~.trial.Trial`.
    """
    reason = lacks(case, stack.backend)
    if reason is not None:
        return Outcome(case, "skipped", reason)
    began = time.monotonic()
    trial = Trial(stack, patience=patience, thorough=thorough)
    try:
        with trial:
            case.run(trial)
    except Exception as error:
        message = str(error) if isinstance(error, Mismatch) else f"{type(error).__name__}: {error}"
        log = tuple(trial.timeline.lines())
        seconds = time.monotonic() - began
        return Outcome(case, "failed", message, trial.delivery, log, seconds, error)
    log = tuple(trial.first.lines())
    return Outcome(case, "passed", "", "", log, time.monotonic() - began)


def run_cases(
    cases: Iterable[Case],
    stack: Stack,
    *,
    threads: int = 16,
    patience: float = 10.0,
    thorough: bool = True,
) -> list[Outcome]:
    """Run many cases, side by side where they allow it; the outcomes in order."""
    together: list[Case] = []
    alone: list[Case] = []
    for case in cases:
        (alone if case.exclusive else together).append(case)

    def run(case: Case) -> Outcome:
        return run_case(case, stack, patience=patience, thorough=thorough)

    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(pool.map(run, together))
    return outcomes + [run(case) for case in alone]

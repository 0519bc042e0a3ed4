"""Run cases without pytest: what the pytest plugin, the mutants and a debugger share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from flask_threaded_sockets.plugins import load_backend

from .arrivals import Mismatch
from .case import Case
from .server import Stack
from .trial import Trial, frame_of

__all__ = ["Outcome", "Verdict", "lacks", "run_case", "run_cases"]

# Seconds that a case may take besides what it waits for; the longest take some ten.
_LONGEST: Final = 30

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


def blocked_in(thread: threading.Thread) -> str:
    """Tell what a thread is doing, the innermost first, as far as it is no library's wait."""
    frame = frame_of(thread.ident or 0)
    places: list[str] = []
    while frame is not None and len(places) < 3:
        code = frame.f_code
        if code.co_filename != threading.__file__:
            places.append(f"{code.co_name} ({Path(code.co_filename).name}, line {frame.f_lineno})")
        frame = frame.f_back
    return f"blocked in {', called by '.join(places)}" if places else "its thread has died"


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
    trial = Trial(stack, patience=patience, thorough=thorough)
    outcomes: list[Outcome] = []
    # In a thread of its own: a backend's close() that never returns is a verdict, too.
    thread = threading.Thread(target=lambda: outcomes.append(_run(case, trial)), daemon=True)
    thread.start()
    limit = _LONGEST + 9 * patience
    thread.join(limit)
    if outcomes:
        return outcomes[0]
    message = f"the case did not end within {limit:g} s: {blocked_in(thread)}"
    return Outcome(case, "failed", message, trial.delivery, tuple(trial.timeline.lines()), limit)


def _run(case: Case, trial: Trial) -> Outcome:
    began = time.monotonic()
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

"""Live progress in the terminal: a line for each backend and area that is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import pytest

from .cases import AREAS
from .results import Result, Results
from .suite import CaseItem

__all__ = ["LiveTerminal", "Progress"]

_TITLES: Final = {area.name: area.title for area in AREAS}


class Progress:
    """Tell what is done; on a terminal also how far the rest is.

    Args:
        results: what came so far.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._planned: Counter[tuple[str, str]] = Counter()
        self._done: Counter[tuple[str, str]] = Counter()
        self._wrong: Counter[tuple[str, str]] = Counter()

    def plan(self, names: Iterable[str]) -> None:
        """Take what will run: items' names, of which the cases are ``backend-area.case``."""
        self._planned.clear()
        for name in names:
            before, dot, _ = name.rpartition("::")[2].partition(".")
            backend, dash, area = before.rpartition("-")
            if dot and dash and area in _TITLES:
                self._planned[backend, area] += 1

    def count(self, result: Result) -> str | None:
        """Count a result; give a line when it was the last of its backend and area."""
        key = result.backend, self._results.cases[result.case].area
        self._done[key] += 1
        self._wrong[key] += self._results.wrong(result)
        planned = self._planned[key]
        if not planned or self._done[key] != planned:
            return None
        good = planned - self._wrong[key]
        mark = "✗" if self._wrong[key] else "✓"
        return f"{mark} {result.backend:<18} {_TITLES[key[1]]:<38} {good:>3} of {planned}"

    @property
    def running(self) -> str:
        """How far all backends are, in one line."""
        planned: Counter[str] = Counter()
        done: Counter[str] = Counter()
        for (backend, area), number in self._planned.items():
            planned[backend] += number
            done[backend] += self._done[backend, area]
        return "  ".join(f"{name} {done[name]}/{planned[name]}" for name in planned)


class LiveTerminal:
    """Write the progress where pytest would write dots.

    Args:
        config: pytest's.
        results: what came so far.
    """

    def __init__(self, config: pytest.Config, results: Results) -> None:
        self._progress = Progress(results)
        terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._terminal = terminal
        # With -v pytest tells each case in a line of its own, with -q it writes dots.
        self._own = terminal is not None and config.option.verbose == 0
        self._live = self._own and terminal.isatty
        self._over = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn what will run here."""
        self._plan([item.name for item in session.items])
        if self._own and all(isinstance(item, CaseItem) for item in session.items):
            # Else the module's path comes again behind each line.
            self._terminal.showfspath = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Learn what xdist's workers will run."""
        self._plan(ids)

    def _plan(self, names: list[str]) -> None:
        if names:
            self._progress.plan(names)

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Write no dot for a case."""
        if not self._own or not hasattr(report, "ws_result"):
            return None
        category = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        # The word is for pytest's short summary alone; before it, it would be progress.
        return category, "", category.upper() if self._over else ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Learn that no more cases come."""
        self._over = True

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Write a line when an area is done."""
        told: dict[str, Any] | None = getattr(report, "ws_result", None)
        if told is None:
            return
        line = self._progress.count(Result(**told))
        if not self._own:
            return
        if line is not None:
            if self._live:
                self._terminal.rewrite("", erase=True)
            self._terminal.ensure_newline()
            self._terminal.write_line(line, red=line[0] == "✗", green=line[0] == "✓")
        if self._live:
            self._terminal.rewrite(self._progress.running, erase=True)

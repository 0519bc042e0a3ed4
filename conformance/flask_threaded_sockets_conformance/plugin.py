"""The pytest plugin: options, verdicts, grades."""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from flask_threaded_sockets.exceptions import BackendError
from flask_threaded_sockets.plugins import backend_names, load_backend

from .process import IMPORT_VARIABLE, import_backends
from .progress import LiveTerminal
from .report import write_report
from .results import Grade, Result, Results
from .runner import Outcome, Verdict
from .suite import CaseFailed, CaseItem, ConformanceSuite, Settings, SuiteCollector, settings_key

__all__ = ["results_key"]

results_key = pytest.StashKey[Results]()

_COLOURS: Final = {
    Grade.CONFORMANT: {"green": True},
    Grade.WITH_XFAILS: {"yellow": True},
    Grade.NOT_CONFORMANT: {"red": True},
    Grade.NOT_JUDGED: {"yellow": True},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("flask-threaded-sockets conformance")
    group.addoption(
        "--ws-backend",
        action="append",
        default=[],
        metavar="NAME",
        help="judge this backend; also several, repeated or with commas; 'all': each installed",
    )
    group.addoption(
        "--ws-import",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module that registers a backend, here and in the server processes",
    )
    group.addoption(
        "--ws-patience",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="wait so long for what must come (default: 10)",
    )
    group.addoption(
        "--ws-report",
        metavar="PATH",
        type=Path,
        help="write a page with all results, beside it JSON and a badge for each backend",
    )
    group.addoption(
        "--ws-quick", action="store_true", help="split wire data in a few places, not everywhere"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check what was asked for.

    Raises:
        UsageError: a backend is not there or does not load, or the report has no place.
    """
    modules = _listed(config.getoption("--ws-import"))
    if modules:
        os.environ[IMPORT_VARIABLE] = ",".join(modules)
        try:
            import_backends()
        except Exception as error:
            told = str(error) if isinstance(error, ImportError) else repr(error)
            raise pytest.UsageError(f"--ws-import: {told}") from error
    _check_report(config.getoption("--ws-report"))
    names = _listed(config.getoption("--ws-backend"))
    if "all" in names:
        names = backend_names()
    try:
        for name in names:
            load_backend(name)
    except BackendError as error:
        raise pytest.UsageError(f"--ws-backend: {error}") from error
    config.stash[settings_key] = Settings(
        tuple(dict.fromkeys(names)),
        config.getoption("--ws-patience"),
        not config.getoption("--ws-quick"),
    )
    config.stash[results_key] = Results()


def _check_report(path: Path | None) -> None:
    """Find out now, not after the run, that the report cannot be written."""
    if path is None:
        return
    if path.suffix in (".json", ".svg") or path.is_dir():
        raise pytest.UsageError(f"--ws-report: {path} is no name for a page, e.g. report.html")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"--ws-report: {path}: {error.strerror}") from error
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise pytest.UsageError(f"--ws-report: {path}: it may not be written")


def _listed(values: list[str]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers."""
    if settings_key in config.stash:
        config.stash[settings_key].stop()


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> SuiteCollector | None:
    """Collect the subclasses of :class:`~.suite.ConformanceSuite`."""
    if inspect.isclass(obj) and issubclass(obj, ConformanceSuite) and obj is not ConformanceSuite:
        return SuiteCollector.from_parent(collector, name=name, obj=obj)
    return None


# Outermost: the verdict is there once pytest's own have dealt with xfail.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give the report what came of the case; xdist carries it along."""
    report = yield
    if isinstance(item, CaseItem) and (report.when == "call" or not report.passed):
        outcome = item.outcome or Outcome(item.case, "failed")
        if call.excinfo is not None and not isinstance(call.excinfo.value, CaseFailed):
            # Not the case's own doing: a mark, a fixture, or what pytest found behind it.
            outcome = replace(outcome, message=_words(call.excinfo.value))
        result = Result.of(item.backend, outcome, _verdict(report, call), item.reason)
        report.__dict__["ws_result"] = result.to_json()
    return report


def _words(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_words(inner) for inner in error.exceptions)
    return str(error) or type(error).__name__


def _verdict(report: pytest.TestReport, call: pytest.CallInfo[None]) -> Verdict:
    if report.passed:
        return "passed"
    if report.skipped:
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    return "xpassed" if call.excinfo is None else "failed"


class Judge:
    """Collect what came, in the process that has the terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self._results = config.stash[results_key]
        self._report: Path | None = config.getoption("--ws-report")
        self._written: list[Path] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a result."""
        told: dict[str, Any] | None = getattr(report, "ws_result", None)
        if told is not None:
            self._results.add(Result(**told))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the report, and let a *must* that was skipped fail the run."""
        if self._report is not None and self._results.backends:
            self._written = write_report(self._results, self._report)
        grades = [self._results.judge(name).grade for name in self._results.backends]
        if exitstatus == pytest.ExitCode.OK and Grade.NOT_CONFORMANT in grades:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Tell each backend's grade."""
        if not self._results.backends:
            return
        terminalreporter.section("WebSocket conformance")
        for name in self._results.backends:
            judgement = self._results.judge(name)
            terminalreporter.write(f"{name:<20} ")
            terminalreporter.write(f"{judgement.grade.value:<24}", **_COLOURS[judgement.grade])
            terminalreporter.write(f"{judgement.told}\n")
            for result in self._results.of(name).values():
                if self._results.wrong(result):
                    message = result.message or "passes in spite of its xfail"
                    terminalreporter.write_line(f"  {result.case}: {message[:150]}")
        if self._written:
            terminalreporter.write_line(f"report: {', '.join(map(str, self._written))}")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Judge here, unless this is a worker of xdist's."""
    if not hasattr(session.config, "workerinput"):
        config = session.config
        config.pluginmanager.register(Judge(config), "ws-judge")
        terminal = LiveTerminal(config, config.stash[results_key])
        config.pluginmanager.register(terminal, "ws-progress")

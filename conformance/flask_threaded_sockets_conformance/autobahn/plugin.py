"""The pytest plugin of the Autobahn cases: options, collection, a summary."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

from .driver import DriverError, available, catalogue
from .suite import AutobahnCollector, AutobahnItem, AutobahnRun, AutobahnSuite, run_key
from .verdict import InvalidAreaError, selected

__all__: list[str] = []

_DIRECTORY: Final = ".autobahn"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("flask-threaded-sockets conformance")
    group.addoption(
        "--autobahn",
        action="store_true",
        help="run the Autobahn test suite's cases, too, through the same backends",
    )
    group.addoption(
        "--autobahn-areas",
        default="",
        metavar="AREAS",
        help="run these of its areas, groups or cases, e.g. 1-7,9.3 (default: all)",
    )
    group.addoption(
        "--autobahn-resume",
        action="store_true",
        help="take the cases that passed in an earlier run as passed",
    )
    group.addoption(
        "--autobahn-directory",
        default=_DIRECTORY,
        metavar="PATH",
        help=f"keep the verdicts there, for --autobahn-resume (default: {_DIRECTORY})",
    )


# After the other plugin of this distribution, which looks the backends up.
@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Learn which cases there are.

    Raises:
        UsageError: kosoku is not installed or does not work; an area that there is not.
    """
    if not config.getoption("--autobahn"):
        return
    if not available():
        raise pytest.UsageError(
            "--autobahn needs kosoku, which carries the cases: "
            "pip install 'flask-threaded-sockets-conformance[autobahn]'"
        )
    areas = config.getoption("--autobahn-areas")
    try:
        cases = catalogue()
        selected(cases, areas)
    except InvalidAreaError as error:
        raise pytest.UsageError(f"--autobahn-areas: {error}") from error
    except DriverError as error:
        raise pytest.UsageError(f"--autobahn: kosoku does not list its cases: {error}") from error
    directory = Path(config.invocation_params.dir, config.getoption("--autobahn-directory"))
    config.stash[run_key] = AutobahnRun(
        cases, areas, directory, resume=config.getoption("--autobahn-resume")
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the driver."""
    if run_key in config.stash:
        config.stash[run_key].driver.stop()


# Before the collector of classes that pytest has itself.
@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> AutobahnCollector | None:
    """Collect the subclasses of :class:`~.suite.AutobahnSuite`."""
    if inspect.isclass(obj) and issubclass(obj, AutobahnSuite) and obj is not AutobahnSuite:
        return AutobahnCollector.from_parent(collector, name=name, obj=obj)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """Give the report Autobahn's own grade; xdist carries it along."""
    report = yield
    if isinstance(item, AutobahnItem) and item.verdict is not None and report.when == "call":
        report.__dict__["autobahn"] = [item.backend, item.verdict.grade]
    return report


class Counting:
    """Count Autobahn's grades, in the process that has the terminal."""

    def __init__(self) -> None:
        self._grades: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a grade."""
        if told := getattr(report, "autobahn", None):
            backend, grade = told
            self._grades.setdefault(backend, Counter())[grade] += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Tell how many cases have which grade."""
        if self._grades:
            terminalreporter.section("Autobahn")
        for backend, grades in self._grades.items():
            told = ", ".join(f"{count} {grade}" for grade, count in grades.most_common())
            terminalreporter.write_line(f"{backend:<20} {grades.total()} cases: {told}")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Count here, unless this is a worker of xdist's."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(Counting(), "ws-autobahn-counting")

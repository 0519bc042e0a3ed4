"""The Autobahn cases as pytest's items, and the class a backend's own tests subclass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from flask_threaded_sockets.backend import Feature
from flask_threaded_sockets.exceptions import BackendError
from flask_threaded_sockets.plugins import load_backend

from ..server import Stack
from ..suite import settings_key
from .driver import Driver
from .record import Record
from .verdict import AutobahnVerdict, InvalidAreaError, selected

__all__ = ["AutobahnItem", "AutobahnRun", "AutobahnSuite", "run_key"]

# How often a case may be run whose verdict a slow machine puts in doubt.
_TURNS: Final = 3


class AutobahnSuite:
    """Be the base of a backend's Autobahn tests.

    A subclass in a test module is collected whatever its name, with ``--autobahn`` only:
    one item for each case and backend. For example::

        class TestMineOnAutobahn(AutobahnSuite):
            backend = "mine"
            xfail = {"7.1.5": "the library answers 1002 to a Close between fragments"}

    Attributes:
        backend: the backend's name; ``None``: those that ``--ws-backend`` names.
        areas: the areas to run, e.g. ``"1-7,9.3"``; empty: all. ``--autobahn-areas``
            selects among them.
        xfail: cases that are expected to fail, by id, each with the reason. One that
            passes all the same is a failure: take it out.
    """

    backend: ClassVar[str | None] = None
    areas: ClassVar[str] = ""
    xfail: ClassVar[Mapping[str, str]] = {}


@dataclass
class AutobahnRun:
    """Hold what the items of a session share.

    Attributes:
        cases: the ids of all cases there are.
        areas: the areas that the command line selects; empty: all.
        directory: where verdicts are kept.
        resume: whether what is kept there is not run again.
        driver: runs cases.
    """

    cases: list[str]
    areas: str
    directory: Path
    resume: bool
    driver: Driver = field(default_factory=Driver)
    _records: dict[str, Record] = field(default_factory=dict)
    _kept: dict[str, dict[str, AutobahnVerdict]] = field(default_factory=dict)

    def verdict(self, stack: Stack, case: str) -> AutobahnVerdict:
        """Give a case's verdict: the kept one, or that of a run; blocks for the latter.

        A case that failed where the machine was slow is run again, twice at most.

        Raises:
            DriverError: no verdict came.
        """
        name = stack.backend
        if name not in self._records:
            self._records[name] = Record(self.directory / f"{name}.jsonl", name)
            self._kept[name] = self._records[name].passed() if self.resume else {}
        if case in self._kept[name]:
            return self._kept[name][case]
        host, port = stack.site(_config(name)).address
        for _ in range(_TURNS):
            verdict = self.driver.run(f"ws://{host}:{port}/echo", case)
            if not verdict.doubtful:
                break
        self._records[name].add(verdict)
        return verdict


def _config(backend: str) -> dict[str, bool]:
    return {"compression": True} if Feature.COMPRESSION in load_backend(backend).features else {}


run_key = pytest.StashKey[AutobahnRun]()


class AutobahnCollector(pytest.Class):
    """Collect the cases of a suite."""

    def collect(self) -> Iterator[AutobahnItem]:
        """Give one item for each backend and case; none without ``--autobahn``.

        Raises:
            CollectError: no backend was named or it does not load; areas or an xfail
                that there are not; an xfail without a reason.
        """
        run = self.config.stash.get(run_key, None)
        if run is None:
            return
        suite: type[AutobahnSuite] = self.obj
        try:
            ids = set(selected(run.cases, suite.areas)).intersection(selected(run.cases, run.areas))
        except InvalidAreaError as error:
            raise self.CollectError(str(error)) from error
        _check_xfail(suite, run)
        names = self.config.stash[settings_key].backends
        if suite.backend is not None:
            names = (suite.backend,)
        if not names:
            raise self.CollectError("name the backends to judge: --ws-backend NAME, or all")
        for name in names:
            try:
                load_backend(name)
            except BackendError as error:
                raise self.CollectError(str(error)) from error
            for case in (case for case in run.cases if case in ids):
                yield AutobahnItem.from_parent(
                    self, name=f"{name}-{case}", backend=name, case=case, suite=suite
                )


def _check_xfail(suite: type[AutobahnSuite], run: AutobahnRun) -> None:
    for case, reason in suite.xfail.items():
        if case not in run.cases:
            raise pytest.Collector.CollectError(
                f"{suite.__name__}.xfail: there is no case {case!r}"
            )
        if not (isinstance(reason, str) and reason.strip()):
            raise pytest.Collector.CollectError(
                f"{suite.__name__}.xfail[{case!r}] has no reason; say why it fails"
            )


class AutobahnCaseFailed(Exception):
    """Report a failed case to pytest."""


class AutobahnItem(pytest.Item):
    """Run one Autobahn case against one backend.

    Attributes:
        backend: the backend's name.
        case: the case's id.
        verdict: what came of it, once it has run.
    """

    def __init__(
        self, *, backend: str, case: str, suite: type[AutobahnSuite], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.backend = backend
        self.case = case
        self.verdict: AutobahnVerdict | None = None
        if reason := suite.xfail.get(case, ""):
            self.add_marker(pytest.mark.xfail(reason=reason, strict=True))

    def runtest(self) -> None:
        """Run the case.

        Raises:
            AutobahnCaseFailed: it is FAILED, UNCLEAN or WRONG CODE, or could not be run.
            DriverError: no verdict came.
        """
        stack = self.config.stash[settings_key].stack(self.backend)
        self.verdict = verdict = self.config.stash[run_key].verdict(stack, self.case)
        if verdict.skipped:
            pytest.skip(f"backend {self.backend!r}: {verdict.result}")
        if not verdict.passed:
            raise AutobahnCaseFailed(f"{verdict.grade}: {verdict.result} {verdict.result_close}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the case and the verdict instead of our own stack."""
        if self.verdict is None or not isinstance(excinfo.value, AutobahnCaseFailed):
            return super().repr_failure(excinfo, style)
        return self.verdict.explain(self.backend)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Give the headline of a failure."""
        return self.path, None, f"Autobahn {self.name}"

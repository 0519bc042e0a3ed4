"""The cases as pytest's items, and the class a backend's own tests subclass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

import pytest

from flask_threaded_sockets.exceptions import BackendError
from flask_threaded_sockets.plugins import load_backend

from .case import Case
from .cases import AREAS, all_cases
from .explain import explain
from .runner import Outcome, run_case
from .server import Stack

__all__ = [
    "CaseFailed",
    "CaseItem",
    "ConformanceSuite",
    "Settings",
    "SuiteCollector",
    "settings_key",
]


class ConformanceSuite:
    """Be the base of a backend's conformance tests.

    A subclass in a test module is collected whatever its name: one item for each case
    and backend. For example::

        class TestMine(ConformanceSuite):
            backend = "mine"
            xfail = {"close.reason-is-utf8": "the library answers 1002, see its issue 12"}

    Attributes:
        backend: the backend's name; ``None``: those that ``--ws-backend`` names.
        areas: the areas to run; empty: all. Only all of them make a grade.
        xfail: cases that are expected to fail, by id, each with the reason. One that
            passes all the same is a failure: take it out.
    """

    backend: ClassVar[str | None] = None
    areas: ClassVar[tuple[str, ...]] = ()
    xfail: ClassVar[Mapping[str, str]] = {}


# So many cases in a row that waited in vain as long as they may, and what is left of their
# patience for the others: a backend that hangs is to be told so within minutes, not hours.
_IN_VAIN: Final = 10
_IMPATIENCE: Final = 1.0


class Settings:
    """Hold what the command line says, the servers of the session, and who hangs.

    Args:
        backends: the names of ``--ws-backend``.
        patience: seconds to wait for what must come.
        thorough: whether wire data is split everywhere.
    """

    def __init__(self, backends: tuple[str, ...], patience: float, thorough: bool) -> None:
        self.backends = backends
        self.patience = patience
        self.thorough = thorough
        self._stacks: dict[str, Stack] = {}
        self._in_vain: Counter[str] = Counter()

    def judge(self, backend: str, case: Case) -> Outcome:
        """Run a case, with little patience where the backend hangs."""
        hangs = self._in_vain[backend] >= _IN_VAIN and self.patience > _IMPATIENCE
        patience = _IMPATIENCE if hangs else self.patience
        outcome = run_case(case, self.stack(backend), patience=patience, thorough=self.thorough)
        if hangs and outcome.verdict == "failed":
            why = f"{_IN_VAIN} cases in a row had waited {self.patience:g} s in vain"
            return replace(outcome, message=f"{outcome.message} ({patience:g} s only: {why})")
        if not hangs:
            waited = outcome.verdict == "failed" and outcome.seconds >= patience
            self._in_vain[backend] = self._in_vain[backend] + 1 if waited else 0
        return outcome

    def stack(self, backend: str) -> Stack:
        """Give a backend's servers."""
        return self._stacks.setdefault(backend, Stack(backend))

    def stop(self) -> None:
        """Stop all servers."""
        while self._stacks:
            self._stacks.popitem()[1].stop()


settings_key = pytest.StashKey[Settings]()


class SuiteCollector(pytest.Class):
    """Collect the cases of a suite."""

    def collect(self) -> Iterator[CaseItem]:
        """Give one item for each backend and case.

        Raises:
            CollectError: no backend was named or it does not load; an area or an xfail
                that there is not; an xfail without a reason.
        """
        suite: type[ConformanceSuite] = self.obj
        _check(suite)
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
            for case in _cases(suite.areas):
                yield CaseItem.from_parent(
                    self, name=f"{name}-{case.id}", backend=name, case=case, suite=suite
                )


def _check(suite: type[ConformanceSuite]) -> None:
    unknown = [name for name in suite.areas if name not in {area.name for area in AREAS}]
    if unknown:
        raise pytest.Collector.CollectError(f"{suite.__name__}.areas: there is no {unknown[0]!r}")
    known = {case.id for case in all_cases()}
    for case, reason in suite.xfail.items():
        if case not in known:
            raise pytest.Collector.CollectError(
                f"{suite.__name__}.xfail: there is no case {case!r}"
            )
        if not (isinstance(reason, str) and reason.strip()):
            raise pytest.Collector.CollectError(
                f"{suite.__name__}.xfail[{case!r}] has no reason; say why it fails"
            )


def _cases(areas: Iterable[str]) -> Iterator[Case]:
    wanted = set(areas)
    return (case for case in all_cases() if not wanted or case.area in wanted)


class CaseFailed(Exception):
    """Report a failed case to pytest."""


class CaseItem(pytest.Item):
    """Run one case against one backend.

    Attributes:
        backend: the backend's name.
        case: the case.
        outcome: what came of it, once it has run.
        reason: why it may fail; empty: it may not.
    """

    def __init__(
        self, *, backend: str, case: Case, suite: type[ConformanceSuite], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.backend = backend
        self.case = case
        self.outcome: Outcome | None = None
        self.reason = suite.xfail.get(case.id, "")
        if self.reason:
            self.add_marker(pytest.mark.xfail(reason=self.reason, strict=True))

    def runtest(self) -> None:
        """Run the case.

        Raises:
            CaseFailed: it failed, or is a *must* and cannot be run.
        """
        settings = self.config.stash[settings_key]
        self.outcome = outcome = settings.judge(self.backend, self.case)
        if outcome.verdict == "skipped" and self.case.level == "should":
            pytest.skip(outcome.message)
        if outcome.verdict != "passed":
            raise CaseFailed(outcome.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the case and the bytes of both sides instead of our own stack."""
        if self.outcome is None or not isinstance(excinfo.value, CaseFailed):
            return super().repr_failure(excinfo, style)
        return explain(self.outcome, self.backend)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Give the headline of a failure."""
        # Not the end of the node's id, in which pytest would write "::" for each dot.
        return self.path, None, f"{self.backend}: {self.case.id}"

"""What a case is, and an area as a named list of cases."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from flask_threaded_sockets.backend import Feature

from .trial import Trial

__all__ = ["Area", "Case", "Level", "Run"]

Level: TypeAlias = Literal["must", "should"]
Run: TypeAlias = Callable[[Trial], None]


@dataclass(frozen=True, slots=True)
class Case:
    """Hold one case.

    Attributes:
        id: ``area.name``, unique and never reused for something else.
        area: the area's name.
        section: the RFC and its section, or the row of the contract's table.
        level: whether a failure, or a skip, makes a backend not conformant.
        description: what is done.
        expectation: what a conformant backend does.
        run: does it; raises :class:`~.arrivals.Mismatch` or any other exception.
        feature: the ability a backend needs for it; ``None``: every backend has it.
        exclusive: whether it looks at the whole process, so that no other may run.
    """

    id: str
    area: str
    section: str
    level: Level
    description: str
    expectation: str
    run: Run
    feature: Feature | None = None
    exclusive: bool = False


class Area:
    """Collect the cases of one area.

    Args:
        name: the first part of the cases' ids.
        title: the heading in a report.
        feature: what all its cases need.
        rfc: the RFC that a section given as a bare number is of.
    """

    def __init__(
        self, name: str, title: str, feature: Feature | None = None, rfc: str = "RFC 6455"
    ) -> None:
        self.name = name
        self.title = title
        self.feature = feature
        self.rfc = rfc
        self.cases: list[Case] = []

    def add(self, case: Case) -> None:
        """Add a case, its id without the area's name.

        Raises:
            ValueError: there is one with this id.
        """
        full = f"{self.name}.{case.id}"
        if any(other.id == full for other in self.cases):
            raise ValueError(f"two cases have the id {full}")
        section = case.section
        if section[0].isdigit():
            section = f"{self.rfc} {section}"
        feature = case.feature or self.feature
        self.cases.append(replace(case, id=full, area=self.name, section=section, feature=feature))

    def case(
        self,
        section: str,
        *,
        level: Level = "must",
        feature: Feature | None = None,
        exclusive: bool = False,
    ) -> Callable[[Run], Run]:
        """Make a case of a function: its name is the id, its docstring says the rest.

        The docstring's text up to ``Expect:`` is the description, what follows the
        expectation.
        """

        def decorator(run: Run) -> Run:
            name = getattr(run, "__name__", "").strip("_").replace("_", "-")
            description, expectation = _texts(run)
            self.add(
                Case(
                    name,
                    self.name,
                    section,
                    level,
                    description,
                    expectation,
                    run,
                    feature,
                    exclusive,
                )
            )
            return run

        return decorator


def _texts(run: Run) -> tuple[str, str]:
    text = re.sub(r"\s+", " ", inspect.getdoc(run) or "")
    description, _, expectation = text.partition("Expect:")
    if not (description and expectation):
        raise ValueError(f"{run!r} needs a docstring with 'Expect:'")
    # Marked up for who reads the source; a terminal and a page show it as it is.
    return description.strip().replace("``", "`"), expectation.strip().replace("``", "`")

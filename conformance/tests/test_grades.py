"""The grade of a backend that lacks an ability: a skipped *must* counts as failed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from flask_threaded_sockets_conformance import results
from flask_threaded_sockets_conformance.cases import all_cases
from flask_threaded_sockets_conformance.report import write_report
from flask_threaded_sockets_conformance.runner import Outcome, Verdict, run_cases
from flask_threaded_sockets_conformance.server import Stack
from mutants import Mutant, MutantBackend

from flask_threaded_sockets.backend import Feature
from flask_threaded_sockets.plugins import register_backend, unregister_backend


def outcomes_without(feature: Feature) -> list[Outcome]:
    """Run the cases that need a feature on a backend without it, and take all others as passed."""
    lacking = Mutant(f"without-{feature.value}", (), features=frozenset(Feature) - {feature})
    register_backend(MutantBackend(lacking))
    stack = Stack(lacking.name)
    try:
        needing = [case for case in all_cases() if case.feature is feature]
        ran = run_cases(needing, stack, thorough=False)
    finally:
        stack.stop()
        unregister_backend(lacking.name)
    return [*ran, *(Outcome(case, "passed") for case in all_cases() if case not in needing)]


@pytest.mark.parametrize(
    "feature", [Feature.COMPRESSION, Feature.KEEPALIVE, Feature.SEND_TIMEOUT, Feature.QUEUE_LIMIT]
)
def test_backend_without_an_ability_is_not_conformant(feature: Feature) -> None:
    judged = results.Results()
    outcomes = outcomes_without(feature)
    skipped = [outcome for outcome in outcomes if outcome.verdict == "skipped"]
    assert [outcome for outcome in skipped if outcome.case.level == "must"]
    for outcome in outcomes:
        judged.add(results.Result.of("lacking", outcome, outcome.verdict))
    assert judged.judge("lacking").grade is results.Grade.NOT_CONFORMANT
    for outcome in skipped:
        judged.add(results.Result.of("lacking", outcome, "passed"))
    assert judged.judge("lacking").grade is results.Grade.CONFORMANT


def test_backend_without_fail_fast_text_only_misses_what_should_be() -> None:
    judged = results.Results()
    outcomes = outcomes_without(Feature.FAIL_FAST_UTF8)
    skipped = {outcome.case.id for outcome in outcomes if outcome.verdict == "skipped"}
    assert skipped == {"text.fail-fast-fragment", "text.fail-fast-frame"}
    for outcome in outcomes:
        judged.add(results.Result.of("lacking", outcome, outcome.verdict))
    musts = [each for each in outcomes if each.case.id in skipped and each.case.level == "must"]
    wanted = results.Grade.NOT_CONFORMANT if musts else results.Grade.CONFORMANT
    assert judged.judge("lacking").grade is wanted


@pytest.mark.parametrize(
    ("verdict", "grade", "colour"),
    [
        ("passed", "conformant", "#1a7f37"),
        ("xfailed", "conformant with xfails", "#9a6700"),
        ("failed", "not conformant", "#cf222e"),
        ("xpassed", "not conformant", "#cf222e"),
        (None, "not judged", "#59636e"),
    ],
)
def test_badge_tells_grade_and_count(
    tmp_path: Path, verdict: Verdict | None, grade: str, colour: str
) -> None:
    judged = results.Results()
    first, *others = all_cases()
    for case in others:
        judged.add(results.Result("builtin", case.id, "passed"))
    if verdict is not None:
        judged.add(results.Result("builtin", first.id, verdict))
    written = write_report(judged, tmp_path / "report.html")
    badge = ET.parse(tmp_path / "report-builtin.svg").getroot()
    passed = len(others) + (verdict == "passed")
    assert badge.attrib["aria-label"] == f"WebSocket: {grade} {passed}/{len(others) + 1}"
    assert colour in (tmp_path / "report-builtin.svg").read_text("utf-8")
    assert len(written) == 3

"""The kit against broken backends: each must fail exactly the cases written for its rule.

A fixed part of all other cases runs against each mutant. ``MUTANTS_AGAINST=all`` in the
environment takes all of them, which is many minutes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask_threaded_sockets_conformance.case import Case
from flask_threaded_sockets_conformance.cases import all_cases
from flask_threaded_sockets_conformance.runner import Outcome, run_case, run_cases
from flask_threaded_sockets_conformance.server import Stack
from mutants import MUTANTS, Mutant, MutantBackend
from mutants.mutant import matches

from flask_threaded_sockets.plugins import register_backend, unregister_backend

# A case looks at no backend, at the whole process, or at processes that do not know the
# mutant.
ELSEWHERE = (
    "handshake.*",
    "!handshake.early-*",
    "configuration.*refuses-*",
    "configuration.*origin*",
    "configuration.*-first",
    "configuration.*-second",
    "configuration.*-third",
    "configuration.wrong-*",
    "configuration.unknown-*",
    "endings.sig*",
    "endings.reload",
)

# Cases that take seconds or much of the processor; with MUTANTS_AGAINST=all, and where
# they were written for the rule.
SLOW = (
    "compression.many-*",
    "concurrency.*",
    "configuration.*ping*",
    "configuration.*pong*",
    "configuration.*-timeout*",
    "endings.*timeout*",
    "fragmentation.many-fragments",
    "limits.*timeout",
    "limits.slow-*",
    "liveness.*",
    # Fails where others run beside it.
    "websocket.plain-view-without-use",
)

# Seconds until a case that must fail has failed; it decides nothing but that.
HASTE = 2.5

# Every so many of the other cases.
STEP = 10

EVERYTHING = os.environ.get("MUTANTS_AGAINST") == "all"

pytestmark = [
    pytest.mark.timeout(600),
    # A mutant's own threads, and handlers that a case has left behind.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def asked() -> list[Case]:
    return [case for case in all_cases() if not case.exclusive and not matches(case.id, ELSEWHERE)]


def others(mutant: Mutant) -> list[Case]:
    rest = [case for case in asked() if not (mutant.must_fail(case.id) or mutant.may(case.id))]
    if EVERYTHING:
        return rest
    quick = [case for case in rest if not matches(case.id, SLOW)]
    # Another part for another mutant, always the same for the same.
    return quick[sum(mutant.name.encode()) % STEP :: STEP]


@contextmanager
def stack_of(mutant: Mutant) -> Iterator[Stack]:
    register_backend(MutantBackend(mutant))
    stack = Stack(mutant.name)
    try:
        yield stack
    finally:
        stack.stop()
        unregister_backend(mutant.name)


def told(outcomes: list[Outcome]) -> str:
    return "\n".join(f"{each.case.id}: {each.message or 'passed'}" for each in outcomes)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_fails_exactly_its_cases(mutant: Mutant) -> None:
    written = [case for case in all_cases() if mutant.must_fail(case.id)]
    assert written, "no case was written for this rule"
    with stack_of(mutant) as stack:
        missed = [
            outcome
            for outcome in run_cases(written, stack, threads=48, patience=HASTE, thorough=False)
            if outcome.verdict != "failed"
        ]
        assert not missed, f"these let {mutant.name} pass:\n{told(missed)}"
        wrong = [
            outcome
            for outcome in run_cases(others(mutant), stack, thorough=False)
            if outcome.verdict != "passed"
        ]
        # Seconds are no finding on a machine with much to do: look again, one by one.
        again = [run_case(outcome.case, stack, thorough=False) for outcome in wrong]
        wrong = [outcome for outcome in again if outcome.verdict != "passed"]
    assert not wrong, f"these were not written for {mutant.name}, but fail it:\n{told(wrong)}"


@pytest.mark.parametrize("mutant", [Mutant("unbroken", ())], ids=["unbroken"])
def test_what_breaks_nothing_passes_all(mutant: Mutant) -> None:
    wanted = [case for case in asked() if any(each.must_fail(case.id) for each in MUTANTS)]
    with stack_of(mutant) as stack:
        wrong = [
            outcome.case
            for outcome in run_cases(wanted, stack, thorough=False)
            if outcome.verdict != "passed"
        ]
        again = [run_case(case, stack, thorough=False) for case in wrong]
    assert not [outcome for outcome in again if outcome.verdict != "passed"], told(again)


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTANTS) >= 40
    assert [
        name for name, count in Counter(each.name for each in MUTANTS).items() if count > 1
    ] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_pattern_names_a_case(mutant: Mutant) -> None:
    ids = [case.id for case in all_cases()]
    for pattern in (*mutant.fails, *mutant.may_fail):
        assert any(matches(case_id, (pattern.removeprefix("!"),)) for case_id in ids), pattern

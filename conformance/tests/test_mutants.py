"""The kit against broken backends: each fails exactly the cases written for its rule.

Each mutant is judged against all cases of the areas in which it has to fail one.
``MUTANTS_AGAINST=all`` in the environment takes all areas, which is half an hour.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask_threaded_sockets_conformance.case import Case
from flask_threaded_sockets_conformance.cases import all_cases
from flask_threaded_sockets_conformance.process import IMPORT_VARIABLE
from flask_threaded_sockets_conformance.runner import Outcome, run_case, run_cases
from flask_threaded_sockets_conformance.server import Stack
from mutants import MUTANTS, UNBROKEN, Mutant, MutantBackend
from mutants.mutant import matches

from flask_threaded_sockets.clients import clients
from flask_threaded_sockets.plugins import register_backend, unregister_backend

# Cases that take seconds or much of the processor: with MUTANTS_AGAINST=all, and where they
# were written for the rule.
SLOW = (
    "compression.long",
    "compression.many-*",
    "concurrency.*",
    "configuration.*ping*",
    "configuration.*pong*",
    "configuration.*timeout*",
    "configuration.route-max-queue",
    "endings.sig*",
    "endings.reload",
    "endings.server-shutdown",
    "endings.flooding-client",
    "fragmentation.many-fragments",
    "limits.bomb",
    "limits.lying-length",
    "limits.no-limit",
    "limits.queue-*",
    "limits.*timeout",
    "limits.slow-*",
    "liveness.*",
    "websocket.send-large",
)

# Seconds until a case that must fail has failed; it decides nothing but that.
HASTE = 2.5

EVERYTHING = os.environ.get("MUTANTS_AGAINST") == "all"

# Cases that no mutant fails, each with the reason.
PLAIN = "what breaks the plainest message breaks most other cases, too"
ROUTING = "Flask's and Werkzeug's own doing, with hardly a line of this package in it"
FAILED_BY_NONE: dict[str, str] = {
    "compression.accepts": "without compression all cases of the area fail",
    "concurrency.fifty-at-once": "a crowd of what every other case has one of",
    "endings.abort-in-view": ROUTING,
    "endings.teardown-after-return": ROUTING,
    "endings.signals-not-handled": "in a process of its own, where the core cannot be patched",
    "framing.rfc-hello": PLAIN,
    "framing.text-1": PLAIN,
    "framing.text-2": PLAIN,
    "framing.text-3": PLAIN,
    "framing.text-4": PLAIN,
    "framing.text-5": PLAIN,
    "handshake.http-beside": ROUTING,
    "handshake.post": ROUTING,
    "handshake.unknown-path": ROUTING,
    "liveness.ping-flood-without-reading": "what it guards against takes the machine's memory",
    "liveness.slow-writer": "what breaks it breaks every delivery byte by byte",
    "text.valid-ascii": PLAIN,
    "websocket.environ-in-handler": "needs another key, which all else looks up, too",
    "websocket.exceptions": "looks at classes, which cannot be changed for a while",
    "websocket.plain-view-without-use": ROUTING,
    "websocket.send-str": PLAIN,
    "websocket.send-str-utf-8": PLAIN,
}

pytestmark = [
    pytest.mark.timeout(600),
    # A mutant's own threads, and handlers that a case has left behind.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def asked(mutant: Mutant) -> list[Case]:
    """Give the cases a mutant is judged against."""
    cases = all_cases()
    if EVERYTHING:
        return cases
    areas = {case.area for case in cases if mutant.must_fail(case.id)}
    quick = {case.id for case in cases if not (case.exclusive or matches(case.id, SLOW))}
    return [
        case
        for case in cases
        if mutant.must_fail(case.id) or (case.area in areas and case.id in quick)
    ]


@contextmanager
def stack_of(mutant: Mutant) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        # For the cases that start a server process.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        patch.setenv(IMPORT_VARIABLE, "mutants.served")
        if mutant.patch is not None:
            mutant.patch(patch)
        register_backend(MutantBackend(mutant))
        stack = Stack(mutant.name)
        try:
            yield stack
        finally:
            stack.stop()
            unregister_backend(mutant.name)
            # What a mutant has left open would be among the clients that the next one lists.
            for client in clients.snapshot():
                clients.remove(client)


def judge(mutant: Mutant, cases: list[Case]) -> tuple[list[Outcome], list[Outcome]]:
    """Run cases on a mutant; give the outcomes that are wrong: what passed, and what failed."""
    with stack_of(mutant) as stack:
        outcomes = run_cases(cases, stack, threads=24, patience=HASTE, thorough=False)
        surprising = [
            outcome.case
            for outcome in outcomes
            if (outcome.verdict == "failed") is not mutant.must_fail(outcome.case.id)
            and not mutant.may(outcome.case.id)
        ]
        # Seconds are no finding on a machine with much to do: look again, one by one.
        again = [run_case(case, stack, thorough=False) for case in surprising]
    passed = [each for each in again if mutant.must_fail(each.case.id) and each.verdict != "failed"]
    failed = [
        each for each in again if not mutant.must_fail(each.case.id) and each.verdict != "passed"
    ]
    return passed, failed


def told(outcomes: list[Outcome]) -> str:
    return "\n".join(f"{each.case.id}: {each.message or 'passed'}" for each in outcomes)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_fails_exactly_its_cases(mutant: Mutant) -> None:
    passed, failed = judge(mutant, asked(mutant))
    assert not passed, f"these let {mutant.name} pass:\n{told(passed)}"
    assert not failed, f"these were not written for {mutant.name}, but fail it:\n{told(failed)}"


def test_what_breaks_nothing_passes_all() -> None:
    wanted = [
        case for case in all_cases() if EVERYTHING or not (case.exclusive or matches(case.id, SLOW))
    ]
    _, failed = judge(UNBROKEN, wanted)
    assert not failed, told(failed)


def test_every_case_is_failed_by_a_mutant() -> None:
    """A case that cannot fail judges nothing."""
    never = {
        case.id for case in all_cases() if not any(each.must_fail(case.id) for each in MUTANTS)
    }
    assert never == set(FAILED_BY_NONE)


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTANTS) >= 40
    assert [
        name for name, count in Counter(each.name for each in MUTANTS).items() if count > 1
    ] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_pattern_names_a_case(mutant: Mutant) -> None:
    ids = [case.id for case in all_cases()]
    assert mutant.fails
    for pattern in mutant.fails:
        assert any(matches(case_id, (pattern.removeprefix("!"),)) for case_id in ids), pattern
    for case_id, reason in mutant.may_fail.items():
        assert case_id in ids
        assert not mutant.must_fail(case_id)
        assert len(reason.split()) > 3

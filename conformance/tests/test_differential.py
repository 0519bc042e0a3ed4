"""All installed backends against each other, on random conversations."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from flask_threaded_sockets_conformance.arrivals import Mismatch
from flask_threaded_sockets_conformance.conversations import Conversation
from flask_threaded_sockets_conformance.differential import Differential, Heard, allowing
from flask_threaded_sockets_conformance.wire import (
    CLOSE,
    FIN,
    binary,
    close,
    cont,
    frame,
    ping,
    text,
)
from mutants import MUTANTS, MutantBackend

from flask_threaded_sockets.plugins import backend_names, register_backend, unregister_backend

# More with DIFFERENTIAL_EXAMPLES; a thousand take half a minute.
EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "150"))

pytestmark = pytest.mark.timeout(3600)

CONVERSATIONS = [
    Conversation((text("a"), binary(b"b"), close(1000))),
    Conversation((text("a", fin=False), ping(b"p"), cont("b"), close(3000)), cuts=(3, 8)),
    Conversation((text(b"\xff"), text("never")), compression=True),
    Conversation((text("a"), cont("b"))),
    Conversation((binary(b"x" * 11), close(1000)), limit=10),
    Conversation((close(None),)),
    Conversation((text("half", fin=False),)),
]


@pytest.fixture
def broken(request: pytest.FixtureRequest) -> Iterator[str]:
    mutant = next(each for each in MUTANTS if each.name == request.param)
    register_backend(MutantBackend(mutant))
    yield mutant.name
    unregister_backend(mutant.name)


def installed() -> list[str]:
    names = backend_names()
    assert len(names) > 1, "one backend alone has nothing to differ from"
    return names


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=range(len(CONVERSATIONS)))
def test_backends_agree_on_the_usual(conversation: Conversation) -> None:
    with Differential(installed()) as differential:
        differential.compare(conversation)


def test_backends_agree_on_random_conversations() -> None:
    with Differential(installed()) as differential:
        differential.run(EXAMPLES)


@pytest.mark.parametrize(
    ("broken", "wire"),
    [
        ("no-masking-check", r"\n  [0-9a-f]{2} [0-7]"),
        ("any-close-code-accepted", r" CLOSE \d"),
        ("text-not-checked", "TEXT"),
        ("empty-message-dropped", " 8[12] 80 "),
        ("pong-without-payload", "PING"),
    ],
    indirect=["broken"],
)
def test_a_difference_is_found_and_shown_as_bytes(broken: str, wire: str) -> None:
    with Differential(["builtin", broken]) as differential, pytest.raises(Mismatch) as caught:
        differential.run(400)
    shown = str(caught.value)
    assert "the backends differ on\n" in shown
    assert re.search(wire, shown)
    assert f"{broken}: receive() gave " in shown


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ((cont(), close(1000)), 1007),
        ((cont(), frame(FIN | CLOSE, b"\x00\x00\xff")), 1007),  # a Close with two faults
        ((cont("never whole")[:-3],), 1006),
    ],
)
def test_when_bad_text_is_noticed_is_no_difference(end: tuple[bytes, ...], code: int) -> None:
    conversation = Conversation((text(b"\xff", fin=False), ping(b"p"), *end))
    early = Heard((), 1007, (), 1007)
    late = Heard((), code, (b"p",), None if code == 1006 else code)
    assert allowing(conversation, early) == allowing(conversation, late)


def test_bad_text_that_is_too_long_is_either() -> None:
    conversation = Conversation((text(b"\xff" * 6, fin=False), cont("Hello")), limit=10)
    bad, long = Heard((), 1007, (), 1007), Heard((), 1009, (), 1009)
    assert allowing(conversation, bad) == allowing(conversation, long)
    unlimited = Conversation(conversation.frames)
    assert allowing(unlimited, bad) != allowing(unlimited, long)


def test_one_backend_has_nothing_to_differ_from() -> None:
    with pytest.raises(ValueError, match="two backends or more"):
        Differential(["builtin"])

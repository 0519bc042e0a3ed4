"""The same conversation with several backends: the same messages, the same close code.

Run as a program it compares all installed backends::

    python -m flask_threaded_sockets_conformance.differential --examples 2000

Hypothesis makes the conversations and shrinks one that tells backends apart. It comes
with the extra ``differential``. What a conversation may be is in
:mod:`~.conversations`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hypothesis import HealthCheck, Phase, given, seed, settings

from flask_threaded_sockets.plugins import backend_names

from .arrivals import Close, Eof, Mismatch, Pong, Reset
from .conversations import Conversation, conversations
from .exchange import collect
from .server import Stack
from .trial import Trial

__all__ = ["Differential", "Heard", "main"]

# Whatever is left of it, a conversation's end comes within so many seconds.
_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Heard:
    """Hold what has to be the same on every backend.

    Attributes:
        messages: what ``receive()`` gave, each with its type's name.
        code: ``close_code`` behind them.
        pongs: the payloads that were answered, in order.
        close: the code of the server's Close, 0 for one without a code; ``None`` where
            none has to come, the link having ended without the client's.
    """

    messages: tuple[tuple[str, str | bytes], ...]
    code: int | None
    pongs: tuple[bytes, ...]
    close: int | None

    def __str__(self) -> str:
        given = ", ".join(f"{kind} {data!r:.60}" for kind, data in self.messages) or "nothing"
        return f"receive() gave {given}; close_code {self.code}; Pongs {list(self.pongs)}; " + (
            "no Close needed" if self.close is None else f"Close {self.close}"
        )


class Differential:
    """Compare backends; a context manager that keeps their servers.

    Args:
        backends: names of two or more; the first one is what the others are held to.

    Raises:
        ValueError: there is nothing to compare.
    """

    def __init__(self, backends: Sequence[str]) -> None:
        if len(set(backends)) < 2:
            raise ValueError(f"two backends or more can be compared, not {', '.join(backends)}")
        self._stacks = {name: Stack(name) for name in backends}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for stack in self._stacks.values():
            stack.stop()

    def compare(self, conversation: Conversation) -> None:
        """Have the conversation with every backend.

        Raises:
            Mismatch: they differ, or one breaks a rule by itself; shows the wire bytes.
        """
        heard = {name: _converse(stack, conversation) for name, stack in self._stacks.items()}
        if len({allowing(conversation, each) for each in heard.values()}) > 1:
            raise Mismatch(
                f"the backends differ on\n{conversation}\n"
                + "\n".join(f"{name}: {each}" for name, each in heard.items())
            )

    def run(self, examples: int, number: int | None = None) -> None:
        """Compare on random conversations.

        Args:
            examples: how many.
            number: the seed; ``None``: always the same conversations.

        Raises:
            Mismatch: see :meth:`compare`; for the simplest conversation that was found.
        """

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=number is None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(conversations())
        def check(conversation: Conversation) -> None:
            self.compare(conversation)

        (check if number is None else seed(number)(check))()


def _converse(stack: Stack, conversation: Conversation) -> Heard:
    with Trial(stack, patience=_PATIENCE) as t:
        peer = t.connect(collect, config=conversation.config, headers=dict(conversation.headers))
        peer.deliver(conversation.pieces)
        peer.fin()
        pongs: list[bytes] = []
        close: int | None = None
        while not isinstance(came := peer.next(), Eof):
            if isinstance(came, Pong):
                pongs.append(came.payload)
            elif isinstance(came, Close) and not isinstance(came.code, tuple):
                close = came.code or 0
            elif isinstance(came, Reset):
                break  # the app's end is compared all the same
            else:
                raise Mismatch(f"{stack.backend} sent {came} on\n{conversation}")
        *messages, _, code = t.returned(peer)
        return Heard(
            tuple(
                (type(item).__name__, item if isinstance(item, str) else bytes(item))
                for item in messages
            ),
            code,
            tuple(pongs),
            None if code == 1006 else close,
        )


def allowing(conversation: Conversation, heard: Heard) -> Heard:
    """Take out what backends may differ in, each with its reason."""
    messages, code, pongs, close = heard.messages, heard.code, heard.pongs, heard.close
    if code in (1007, 1009):
        # Bad text and too much of it are met with the first fragment here (that is
        # Feature.FAIL_FAST_UTF8), with the last there, behind Pings in between.
        pongs = ()
    if close == 0 or (close == 1000 and code == 1005):
        # RFC 6455 section 5.5.1: a Close without a code may be answered with 1000.
        close = 0
    if conversation.closes_within_message and code in (1000, 1002):
        # `websockets` fails a connection whose peer closes in the middle of a fragmented
        # message; Autobahn's 7.1.5 expects the Close to be answered.
        code = close = 1002
    if conversation.close_is_doubly_wrong and code in (1002, 1007):
        # A Close with two faults: which one counts is nobody's rule.
        code = close = 1002
        pongs = ()
    if conversation.limit is not None and code == 1007:
        # A message may be both bad text and too long, and which is seen first is as open.
        code = close = 1009
    if conversation.ends_within_frame and code in (1002, 1006, 1007, 1009):
        # Some judge the payload of a frame as it comes (Feature.FAIL_FAST_UTF8), others
        # when the frame is whole, which it never is.
        code, close = 1006, None
        pongs = ()
    return Heard(messages, code, pongs, close)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare backends from the command line; 1 where they differ."""
    parser = argparse.ArgumentParser(
        prog="python -m flask_threaded_sockets_conformance.differential",
        description="Compare backends on random conversations.",
    )
    parser.add_argument("backends", nargs="*", help="names; all that are installed by default")
    parser.add_argument("--examples", type=int, default=1000, help="how many conversations")
    parser.add_argument("--seed", type=int, help="other conversations than always")
    chosen = parser.parse_args(arguments)
    names = chosen.backends or backend_names()
    try:
        with Differential(names) as differential:
            differential.run(chosen.examples, chosen.seed)
    except Mismatch as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{', '.join(names)}: no difference in {chosen.examples} conversations\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

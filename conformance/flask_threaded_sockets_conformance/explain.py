"""A failure in words: what was done, expected and seen, and the bytes of both sides."""

from __future__ import annotations

import textwrap
import traceback

from .arrivals import Mismatch
from .runner import Outcome

__all__ = ["explain"]

_WIDTH = 96
_LABEL = 12


def explain(outcome: Outcome, backend: str) -> str:
    """Explain a failed case.

    Args:
        outcome: the case's.
        backend: the backend's name.
    """
    case = outcome.case
    lines = [
        *_row("case", f"{case.id}  ({case.section}; {case.level})"),
        *_row("backend", backend),
        *_row("does", case.description),
        *_row("expected", case.expectation),
        *_row("came", outcome.message),
        *_row("delivery", outcome.delivery),
    ]
    if outcome.log:
        lines += ["", "on the wire: header | masking key | payload   decoded"]
        lines += [f"  {line}" for line in outcome.log]
    if outcome.error is not None and not isinstance(outcome.error, Mismatch):
        # Not a comparison that failed but an exception nobody expected.
        told = "".join(traceback.format_exception(outcome.error))
        lines += ["", *told.rstrip().splitlines()]
    return "\n".join(lines)


def _row(label: str, text: str) -> list[str]:
    if not text:
        return []
    first = f"{label:<{_LABEL}}"
    rest = " " * _LABEL
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=rest)

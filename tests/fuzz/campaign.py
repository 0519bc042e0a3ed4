"""Run a property for a given time: ``FUZZ_SECONDS``, two by default."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

__all__ = ["SECONDS", "campaign"]

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))

# The first round of a long run is another one each time; the failure tells which.
SEED = int(os.environ.get("FUZZ_SEED", "0" if SECONDS <= 2 else str(time.time_ns() // 10**6)))


def campaign(check: Callable[..., None], **strategies: SearchStrategy[Any]) -> int:
    """Run rounds of examples until the time is up; give the number of examples."""
    deadline = time.monotonic() + SECONDS
    ran = 0

    def counted(**values: Any) -> None:
        nonlocal ran
        ran += 1
        check(**values)

    checks = list(HealthCheck)
    for number in count(SEED):
        try:
            seed(number)(
                settings(
                    max_examples=50, deadline=None, database=None, suppress_health_check=checks
                )(given(**strategies)(counted))
            )()
        except BaseException as error:
            error.add_note(f"again with FUZZ_SEED={number}")
            raise
        if time.monotonic() > deadline:
            return ran
    raise AssertionError

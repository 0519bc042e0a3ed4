"""Broken backends, each in one rule, to test the kit with."""

from __future__ import annotations

from .assembling import ASSEMBLING
from .control import CONTROL
from .framing import FRAMING
from .living import LIVING
from .mutant import Mutant, MutantBackend
from .sending import SENDING

__all__ = ["MUTANTS", "Mutant", "MutantBackend"]

MUTANTS: tuple[Mutant, ...] = (*FRAMING, *CONTROL, *ASSEMBLING, *SENDING, *LIVING)

"""Register all mutants: imported by the server processes that some cases start."""

from __future__ import annotations

from flask_threaded_sockets.plugins import register_backend

from . import MUTANTS, UNBROKEN
from .mutant import MutantBackend

__all__: list[str] = []

for mutant in (UNBROKEN, *MUTANTS):
    register_backend(MutantBackend(mutant))

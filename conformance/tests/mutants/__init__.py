"""Broken backends, each in one rule, to test the kit with."""

from __future__ import annotations

from .calls import CALLS
from .closes import CLOSES
from .deflating import DEFLATING
from .ending import ENDING
from .failures import FAILURES
from .framing import FRAMING
from .giving import GIVING
from .handshakes import HANDSHAKES
from .inflating import INFLATING
from .living import LIVING
from .mutant import Mutant, MutantBackend
from .offers import OFFERS
from .ordinary import ORDINARY
from .parting import PARTING
from .pongs import PONGS_WRONG
from .requests import REQUESTS
from .sending import SENDING
from .sizes import SIZES
from .stalling import STALLING
from .surfaces import SURFACES
from .texts import TEXTS
from .waiting import WAITING

__all__ = ["MUTANTS", "UNBROKEN", "Mutant", "MutantBackend"]

UNBROKEN = Mutant("unbroken", ())
"""One that breaks nothing: what it fails is the harness's doing."""

MUTANTS: tuple[Mutant, ...] = (
    *FRAMING,
    *PONGS_WRONG,
    *CLOSES,
    *FAILURES,
    *TEXTS,
    *SIZES,
    *INFLATING,
    *GIVING,
    *WAITING,
    *ENDING,
    *LIVING,
    *STALLING,
    *SENDING,
    *DEFLATING,
    *PARTING,
    *HANDSHAKES,
    *SURFACES,
    *REQUESTS,
    *OFFERS,
    *ORDINARY,
    *CALLS,
)

"""The cases, one module for each area."""

from __future__ import annotations

from ..case import Area, Case
from . import close, control, fragmentation, framing, handshake, masking, text

__all__ = ["AREAS", "all_cases"]

AREAS: tuple[Area, ...] = (
    handshake.area,
    framing.area,
    masking.area,
    fragmentation.area,
    control.area,
    text.area,
    close.area,
)
"""The areas in the order of a report."""


def all_cases() -> list[Case]:
    """Give all cases in order."""
    return [case for area in AREAS for case in area.cases]

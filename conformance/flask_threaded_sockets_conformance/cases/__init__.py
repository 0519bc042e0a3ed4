"""The cases, one module for each area or a part of one."""

from __future__ import annotations

from ..case import Area, Case
from . import (
    choosing,
    close,
    closing,
    compression,
    concurrency,
    configuration,
    contract,
    control,
    endings,
    fragmentation,
    framing,
    handshake,
    limits,
    liveness,
    masking,
    options,
    origins,
    races,
    receiving,
    sending,
    stopping,
    surface,
    text,
    traces,
)

__all__ = [
    "AREAS",
    "all_cases",
    # Further modules of an area that another one makes.
    "choosing",
    "closing",
    "options",
    "origins",
    "races",
    "receiving",
    "sending",
    "stopping",
    "surface",
    "traces",
]

AREAS: tuple[Area, ...] = (
    handshake.area,
    framing.area,
    masking.area,
    fragmentation.area,
    control.area,
    text.area,
    close.area,
    compression.area,
    limits.area,
    contract.area,
    endings.area,
    configuration.area,
    concurrency.area,
    liveness.area,
)
"""The areas in the order of a report."""


def all_cases() -> list[Case]:
    """Give all cases in order."""
    return [case for area in AREAS for case in area.cases]

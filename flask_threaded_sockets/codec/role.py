"""Which end of a connection an object speaks for."""

from __future__ import annotations

from enum import Enum

__all__ = ["Role"]


class Role(Enum):
    """Name the two ends; they differ in who masks and in whose parameters are whose.

    The client role serves the test client and the benchmarks.
    """

    SERVER = "server"
    CLIENT = "client"

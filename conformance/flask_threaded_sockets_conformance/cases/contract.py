"""The area of the ``WebSocket`` contract, whose cases are in several modules."""

from __future__ import annotations

from ..case import Area

__all__ = ["CLOSED_TEXT", "area"]

area = Area("websocket", "The WebSocket contract, row by row")

CLOSED_TEXT = "Connection is already closed"

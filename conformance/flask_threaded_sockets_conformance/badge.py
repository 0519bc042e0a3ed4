"""A badge: a small SVG picture of a grade, for a README."""

from __future__ import annotations

from html import escape
from typing import Final

__all__ = ["badge"]

_LABEL: Final = "WebSocket"
_COLOURS: Final = {"good": "#1a7f37", "fair": "#9a6700", "bad": "#cf222e", "open": "#59636e"}

# Pixels of a character of an 11 px sans-serif font, on average, and of a text's margins.
_CHARACTER: Final = 6.7
_MARGIN: Final = 12


def badge(grade: str, colour: str, passed: str) -> str:
    """Give a badge as SVG.

    Args:
        grade: the grade in words.
        colour: ``good``, ``fair``, ``bad`` or ``open``.
        passed: how many cases of how many.
    """
    words = f"{grade} {passed}"
    left = round(len(_LABEL) * _CHARACTER) + _MARGIN
    right = round(len(words) * _CHARACTER) + _MARGIN
    title = escape(f"{_LABEL}: {words}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" '
        f'role="img" aria-label="{title}"><title>{title}</title>'
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#444c56"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{_COLOURS[colour]}"/></g>'
        f'<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" '
        f'font-size="11"><text x="{left / 2}" y="14" textLength="{left - _MARGIN}">{_LABEL}</text>'
        f'<text x="{left + right / 2}" y="14" textLength="{right - _MARGIN}">{escape(words)}</text>'
        f"</g></svg>\n"
    )

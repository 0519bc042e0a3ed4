"""What is installed, read from the distributions' metadata without importing anything."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, metadata
from typing import Final

__all__ = [
    "BACKENDS_GROUP",
    "HOSTS_GROUP",
    "Installed",
    "installed_backends",
    "installed_hosts",
    "unknown_backend_text",
]

BACKENDS_GROUP: Final = "flask_threaded_sockets.backends"
HOSTS_GROUP: Final = "flask_threaded_sockets.hosts"

_DISTRIBUTION: Final = "flask-threaded-sockets"


@dataclass(frozen=True, slots=True)
class Installed:
    """Name one entry point of one distribution.

    Attributes:
        name: the entry point's name, which for a backend is the backend's.
        distribution: the distribution's name, ``""`` where there is none.
        version: its version.
        entry: the entry point.
    """

    name: str
    distribution: str
    version: str
    entry: EntryPoint

    @property
    def origin(self) -> str:
        """The distribution and its version, in one word for error texts."""
        return f"{self.distribution} {self.version}".strip() or "unknown distribution"


def _installed(group: str) -> list[Installed]:
    found: dict[tuple[str, str, str], Installed] = {}
    for entry in entry_points(group=group):
        distribution = entry.dist.name if entry.dist else ""
        version = entry.dist.version if entry.dist else ""
        # A distribution may stand on the path twice, e.g. installed and in a checkout.
        key = (entry.name, re.sub(r"[-_.]+", "-", distribution).lower(), entry.value)
        found.setdefault(key, Installed(entry.name, distribution, version, entry))
    return sorted(found.values(), key=lambda item: (item.name, item.distribution))


def installed_backends() -> dict[str, list[Installed]]:
    """List the installed backends by name; more than one entry is a clash of names."""
    backends: dict[str, list[Installed]] = {}
    for item in _installed(BACKENDS_GROUP):
        backends.setdefault(item.name, []).append(item)
    return backends


def installed_hosts() -> list[Installed]:
    """List the installed hosts, this distribution's own first."""
    return sorted(_installed(HOSTS_GROUP), key=lambda item: item.distribution != _DISTRIBUTION)


def unknown_backend_text(name: str, usable: Iterable[str]) -> str:
    """Say that a backend is unknown, what may have been meant and how to get it.

    Args:
        name: the name that was asked for.
        usable: the names that are installed or registered.
    """
    usable = list(usable)
    extras = _extras()
    # A backend of an extra's distribution bears its name: websockets, websockets-sansio.
    extra = next((extra for extra in extras if re.fullmatch(rf"{extra}(-.*)?", name)), None)
    text = f"unknown backend {name!r}"
    if extra is None:
        close = difflib.get_close_matches(name.lower(), [*usable, *extras], n=1)
        if close:
            text += f", did you mean {close[0]!r}?"
            extra = close[0] if close[0] in extras and close[0] not in usable else None
    separator = " " if text.endswith("?") else "; "
    text += f"{separator}installed: {', '.join(usable) or 'none'}"
    if extra is not None:
        text += f"; to install it: pip install '{_DISTRIBUTION}[{extra}]'"
    return text


def _extras() -> list[str]:
    try:
        return metadata(_DISTRIBUTION).get_all("Provides-Extra") or []
    except PackageNotFoundError:  # run from a source tree that is not installed
        return []

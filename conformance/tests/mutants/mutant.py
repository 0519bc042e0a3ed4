"""What a mutant is: a backend that breaks one rule, and the cases written for that rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import pytest

from flask_threaded_sockets.backend import Backend, Connection, Feature, Protocol, Upgrade
from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.transport import Transport

from .filtered import Filtered

__all__ = ["Mutant", "MutantBackend"]

MakeProtocol = Callable[[Upgrade, ConnectionOptions], Protocol]


@dataclass(frozen=True)
class Mutant:
    """Hold one mutant.

    Attributes:
        name: what it does wrong, in words with hyphens; the backend's name.
        fails: patterns of the ids of the cases that were written for its rule: these fail,
            every one, and no other.
        protocol: makes its protocol.
        connection: its connection.
        options: what it makes of some options, whatever was set.
        features: the abilities it says it has.
        may_fail: cases that fail or pass as it happens, by id, each with what it hangs on.
        patch: breaks what stands above the backends, where the rule is kept there.
    """

    name: str
    fails: tuple[str, ...]
    protocol: MakeProtocol = Filtered
    connection: type[ThreadedConnection] = ThreadedConnection
    options: Mapping[str, Any] = field(default_factory=dict)
    features: frozenset[Feature] = frozenset(Feature)
    may_fail: Mapping[str, str] = field(default_factory=dict)
    patch: Callable[[pytest.MonkeyPatch], None] | None = None

    def must_fail(self, case_id: str) -> bool:
        """Tell whether a case is one of those written for the rule."""
        return matches(case_id, self.fails)

    def may(self, case_id: str) -> bool:
        """Tell whether a case has no fixed verdict."""
        return case_id in self.may_fail


def matches(case_id: str, patterns: Iterable[str]) -> bool:
    """Tell whether an id matches one of some patterns; ``!`` before one takes out."""
    found = False
    for pattern in patterns:
        if pattern.startswith("!"):
            found = found and not fnmatchcase(case_id, pattern[1:])
        else:
            found = found or fnmatchcase(case_id, pattern)
    return found


class MutantBackend(Backend):
    """Be a mutant's backend, to be registered in process."""

    def __init__(self, mutant: Mutant) -> None:
        self.name = mutant.name
        self.features = mutant.features
        self._mutant = mutant

    def open(
        self, transport: Transport, upgrade: Upgrade, options: ConnectionOptions
    ) -> Connection:
        options = replace(options, **self._mutant.options)
        transport.send_timeout = options.send_timeout
        protocol = self._mutant.protocol(upgrade, options)
        connection = self._mutant.connection(protocol, transport, options)
        connection.start(upgrade.early)
        return connection

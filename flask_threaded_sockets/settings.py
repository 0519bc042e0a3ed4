"""From ``app.config`` and a route's arguments to checked options.

Every key of the documentation is known here and no other: a key that begins with
``SOCKETS_`` and is none of them is an error, not a silent nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from .backend import Backend, Feature
from .exceptions import BackendError, ConfigurationError
from .negotiation import Subprotocols, validate_subprotocols
from .options import ConnectionOptions
from .origin import AllowedOrigins, validate_allowed_origins

__all__ = ["PREFIX", "Policy", "Settings", "check_features", "split_route_options"]

PREFIX: Final = "SOCKETS_"

# What a backend must be able to do for an option to be honoured.
_NEEDS: Final = {
    "max_message_size": Feature.MESSAGE_LIMIT,
    "ping_interval": Feature.KEEPALIVE,
    "ping_timeout": Feature.KEEPALIVE,
    "close_timeout": Feature.CLOSE_TIMEOUT,
    "send_timeout": Feature.SEND_TIMEOUT,
    "max_queue": Feature.QUEUE_LIMIT,
    "compression": Feature.COMPRESSION,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """Hold what decides about one opening handshake, and the connection's options.

    Attributes:
        options: for the backend.
        allowed_origins: see :func:`flask_threaded_sockets.origin.check_origin`.
        subprotocols: those supported, or a callable that chooses; ``None``: none.
        require_subprotocol: whether a client with none in common is refused.
    """

    options: ConnectionOptions = field(default_factory=ConnectionOptions)
    allowed_origins: AllowedOrigins = None
    subprotocols: Subprotocols | None = None
    require_subprotocol: bool = False

    def override(self, changes: Mapping[str, Any]) -> Policy:
        """Give this policy with a route's changes.

        Raises:
            ConfigurationError: a value is impossible.
        """
        own = {name: changes[name] for name in _POLICY_NAMES if name in changes}
        options = {name: changes[name] for name in ConnectionOptions.names() if name in changes}
        if "allowed_origins" in own:
            validate_allowed_origins(own["allowed_origins"])
        if own.get("subprotocols") is not None:
            validate_subprotocols(own["subprotocols"])
        if not isinstance(own.get("require_subprotocol", False), bool):
            raise ConfigurationError(
                f"require_subprotocol must be True or False, not {own['require_subprotocol']!r}"
            )
        return replace(self, options=replace(self.options, **options), **own)


_POLICY_NAMES: Final = ("allowed_origins", "subprotocols", "require_subprotocol")
ROUTE_OPTIONS: Final = (*ConnectionOptions.names(), *_POLICY_NAMES)


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold an app's configuration, checked.

    Attributes:
        backend: the name of the backend, or ``None`` where the config has none.
        max_connections: open WebSockets above which a 503 answers; ``None``: no limit.
        handle_signals: whether SIGTERM and SIGINT close all with 1001 first.
        policy: what holds for routes that override nothing.
        explicit: the options that were set, with their values.
    """

    backend: str | None = None
    max_connections: int | None = None
    handle_signals: bool = True
    policy: Policy = field(default_factory=Policy)
    explicit: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read and check an app's configuration.

        Args:
            config: ``app.config``; keys without the prefix ``SOCKETS_`` are not looked at.

        Raises:
            ConfigurationError: a key is unknown or a value impossible.
        """
        known = (*_APP_NAMES, *ConnectionOptions.names(), "allowed_origins")
        by_key = {f"{PREFIX}{name.upper()}": name for name in known}
        given = {}
        for key, value in config.items():
            if key in by_key:
                given[by_key[key]] = value
            elif key.startswith(PREFIX):
                raise ConfigurationError(_unknown(key, by_key))
        _check_app_values(given)
        try:
            policy = Policy().override(given)
        except ConfigurationError as error:
            raise ConfigurationError(_with_key(str(error))) from None
        own = {name: given[name] for name in _APP_NAMES if name in given}
        return cls(policy=policy, explicit=given, **own)


_APP_NAMES: Final = tuple(
    item.name for item in fields(Settings) if item.name not in ("policy", "explicit")
)


def _unknown(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key.upper(), known, n=1)
    return f"unknown key {key}" + (f", did you mean {close[0]}?" if close else "")


def _with_key(text: str) -> str:
    """Name the key where an option's own error names the option."""
    name, _, rest = text.partition(" ")
    return f"{PREFIX}{name.upper()} {rest}" if name in ConnectionOptions.names() else text


def _check_app_values(given: Mapping[str, Any]) -> None:
    backend = given.get("backend")
    if backend is not None and not (isinstance(backend, str) and backend):
        raise ConfigurationError(f"{PREFIX}BACKEND must be a backend's name, not {backend!r}")
    limit = given.get("max_connections")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ConfigurationError(
            f"{PREFIX}MAX_CONNECTIONS must be at least 1 connection or None, not {limit!r}"
        )
    signals = given.get("handle_signals", True)
    if not isinstance(signals, bool):
        raise ConfigurationError(f"{PREFIX}HANDLE_SIGNALS must be True or False, not {signals!r}")


def split_route_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take this package's options out of a route's arguments and check their values.

    Args:
        options: changed: what stays is for Werkzeug's ``Rule``.

    Raises:
        ConfigurationError: a value is impossible.
    """
    taken = {name: options.pop(name) for name in ROUTE_OPTIONS if name in options}
    Policy().override(taken)
    return taken


def check_features(backend: Backend, explicit: Mapping[str, Any], where: str) -> None:
    """Refuse an option that was set and that the backend cannot honour, at set-up.

    What switches an ability off, ``False`` or ``None``, every backend can honour.

    Args:
        backend: the one chosen.
        explicit: the options that were set, with their values.
        where: where they were set, for the error's text.

    Raises:
        BackendError: names both.
    """
    for name in sorted(explicit):
        feature = None if explicit[name] in (False, None) else _NEEDS.get(name)
        if feature is not None and feature not in backend.features:
            raise BackendError(
                f"backend {backend.name!r} cannot honour {name}, set by {where}: "
                f"it lacks the feature {feature.value!r}",
                backend=backend.name,
            )

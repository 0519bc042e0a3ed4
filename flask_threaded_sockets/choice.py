"""Which backend it is to be, and why: argument, environment, configuration, default."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from .backend import Backend
from .exceptions import ConfigurationError
from .plugins import check_backend, load_backend

__all__ = ["DEFAULT_BACKEND", "ENVIRONMENT_VARIABLE", "Choice", "choose_backend"]

ENVIRONMENT_VARIABLE: Final = "FLASK_SOCKETS_BACKEND"
DEFAULT_BACKEND: Final = "builtin"


@dataclass(frozen=True, slots=True)
class Choice:
    """Hold a chosen backend.

    Attributes:
        backend: the backend.
        source: what chose it, in words.
    """

    backend: Backend
    source: str


def choose_backend(*, argument: str | Backend | None = None, config: str | None = None) -> Choice:
    """Choose a backend by precedence and load it.

    Args:
        argument: what the code asked for, a name or a backend itself; comes first,
            before the environment variable ``FLASK_SOCKETS_BACKEND``.
        config: what ``SOCKETS_BACKEND`` says; comes after it.

    Raises:
        ConfigurationError: the argument is neither a name nor a backend.
        BackendError: the one chosen cannot be used; the next one is not tried.
    """
    if isinstance(argument, Backend):
        check_backend(argument)
        return Choice(argument, "argument")
    if not (argument is None or isinstance(argument, str)):
        raise ConfigurationError(
            f"backend must be the name of a backend or a Backend object, not {argument!r}"
        )
    candidates = (
        (argument, "argument"),
        (os.environ.get(ENVIRONMENT_VARIABLE), f"environment variable {ENVIRONMENT_VARIABLE}"),
        (config, "SOCKETS_BACKEND in the config"),
    )
    name, source = next(
        ((name, source) for name, source in candidates if name), (DEFAULT_BACKEND, "default")
    )
    return Choice(load_backend(name), source)

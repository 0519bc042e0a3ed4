"""Which backend is chosen, by whom, and what it has to be able to do."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

from flask_threaded_sockets import ConfigurationError, Sockets
from flask_threaded_sockets.backend import Backend, Connection
from flask_threaded_sockets.plugins import load_backend, register_backend, unregister_backend

from ..observer import log_records
from ..trial import Trial
from .configuration import app_with, area

_VARIABLE = "FLASK_SOCKETS_BACKEND"

__all__: list[str] = []


@contextlib.contextmanager
def _environment(value: str | None) -> Iterator[None]:
    before = os.environ.pop(_VARIABLE, None)
    if value is not None:
        os.environ[_VARIABLE] = value
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)
        if before is not None:
            os.environ[_VARIABLE] = before


@area.case("precedence", exclusive=True)
def argument_first(t: Trial) -> None:
    """The argument names this backend, environment and configuration one that does not exist.

    Expect: this backend.
    """
    with _environment("no-such-backend"):
        sockets = Sockets(app_with(backend="nor-this-one"), backend=t.stack.backend)
    t.equal(sockets.backend.name, t.stack.backend, "sockets.backend.name")


@area.case("precedence", exclusive=True)
def environment_second(t: Trial) -> None:
    """The environment variable names this backend, the configuration one that does not exist.

    Expect: this backend.
    """
    with _environment(t.stack.backend):
        sockets = Sockets(app_with(backend="no-such-backend"))
        t.equal(sockets.backend.name, t.stack.backend, "sockets.backend.name")


@area.case("precedence", exclusive=True)
def config_third(t: Trial) -> None:
    """Only ``SOCKETS_BACKEND`` names a backend, this one.

    Expect: this backend.
    """
    with _environment(None):
        sockets = Sockets(app_with(backend=t.stack.backend))
        t.equal(sockets.backend.name, t.stack.backend, "sockets.backend.name")


@area.case("precedence", exclusive=True)
def builtin_last(t: Trial) -> None:
    """Nothing names a backend.

    Expect: ``builtin``.
    """
    with _environment(None):
        t.equal(Sockets(app_with()).backend.name, "builtin", "sockets.backend.name")


@area.case("SOCKETS_BACKEND")
def unknown_backend(t: Trial) -> None:
    """A backend is named that is not installed, with a typing mistake.

    Expect: ConfigurationError at set-up that says which are installed.
    """
    error = t.raises(ConfigurationError, lambda: Sockets(app_with(), backend="bultin"))
    for word in ("bultin", "builtin", "installed"):
        t.true(word in str(error), f"the error does not say {word!r}: {error}")


@area.case("SOCKETS_BACKEND", exclusive=True)
def logged_once(t: Trial) -> None:
    """An app is set up and serves two connections.

    Expect: one record at INFO names the backend.
    """
    with log_records(logging.INFO) as records:
        site = t.own_site()
        for _ in range(2):
            t.connect(site=site).fence()
    told = [record.getMessage() for record in records if record.levelno == logging.INFO]
    told = [line for line in told if "backend" in line]
    t.equal(len(told), 1, f"records that name a backend ({told})")
    t.true(t.stack.backend in told[0], f"the record does not name it: {told[0]}")


class _Unable(Backend):
    """Have no feature at all."""

    name = "conformance-unable"

    def open(self, *_: Any) -> Connection:
        raise NotImplementedError


_NEEDS = ("max_message_size", "ping_interval", "ping_timeout", "close_timeout", "send_timeout",
          "max_queue", "compression")  # fmt: skip


@area.case("feature missing", exclusive=True)
def option_backend_cannot_honour(t: Trial) -> None:
    """Each option is set with a backend that has no feature at all.

    Expect: ConfigurationError at set-up that names the backend and the option.
    """
    register_backend(_Unable())
    try:
        for name in _NEEDS:
            app = app_with(**{name: True if name == "compression" else 10})
            error = t.raises(ConfigurationError, lambda: Sockets(app, backend=_Unable.name))  # noqa: B023
            t.true(
                _Unable.name in str(error) and name in str(error).lower(),
                f"the error does not name both: {error}",
            )
    finally:
        unregister_backend(_Unable.name)


@area.case("feature missing")
def features_are_features(t: Trial) -> None:
    """The backend says what it is able to do.

    Expect: ``features`` is a set of ``Feature``, and every option of theirs can be set.
    """
    features = load_backend(t.stack.backend).features
    names = {type(feature).__name__ for feature in features}
    t.true(names <= {"Feature"}, f"features holds {names}")

"""The options of one connection: defaults and what is refused."""

from __future__ import annotations

import dataclasses
import math

import pytest

from flask_threaded_sockets.exceptions import ConfigurationError
from flask_threaded_sockets.options import ConnectionOptions

DEFAULTS = {
    "max_message_size": 16 * 1024 * 1024,
    "ping_interval": 25,
    "ping_timeout": 20,
    "close_timeout": 5,
    "send_timeout": 30,
    "max_queue": 16,
    "compression": False,
}

# name, what is accepted.
ACCEPTED = [
    ("max_message_size", [1, 65536, 1 << 40, None]),
    ("ping_interval", [0.1, 1, 3600, None]),
    ("ping_timeout", [0.1, 1, 3600, None]),
    ("close_timeout", [0.1, 1, 3600]),
    ("send_timeout", [0.1, 1, 3600]),
    ("max_queue", [1, 10_000]),
    ("compression", [True, False]),
]

NO_NUMBERS = ["1", b"1", [], {}, object(), True, 1j]

# name, what is refused: of the wrong type, out of range.
REFUSED = [
    ("max_message_size", [*NO_NUMBERS, 1.5], [0, -1]),
    ("ping_interval", NO_NUMBERS, [0, -1, -0.5, math.inf, math.nan]),
    ("ping_timeout", NO_NUMBERS, [0, -1, math.inf, math.nan]),
    ("close_timeout", [*NO_NUMBERS, None], [0, -1, math.inf, math.nan]),
    ("send_timeout", [*NO_NUMBERS, None], [0, -1, math.inf, math.nan]),
    ("max_queue", [*NO_NUMBERS, 1.5, None], [0, -1]),
    ("compression", [0, 1, "yes", None], []),
]


def test_defaults_are_the_documented_ones():
    assert dataclasses.asdict(ConnectionOptions()) == DEFAULTS


def test_names_are_those_of_the_fields():
    assert ConnectionOptions.names() == tuple(DEFAULTS)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in ACCEPTED for v in values])
def test_value_is_accepted(name, value):
    assert getattr(ConnectionOptions(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, types, ranges in REFUSED for v in [*types, *ranges]]
)
def test_value_is_refused_and_the_error_names_option_and_value(name, value):
    with pytest.raises(ConfigurationError) as caught:
        ConnectionOptions(**{name: value})
    assert str(caught.value).startswith(f"{name} must be ")
    assert repr(value) in str(caught.value)


def test_configuration_error_is_a_value_error():
    assert issubclass(ConfigurationError, ValueError)


def test_options_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ConnectionOptions().max_queue = 1

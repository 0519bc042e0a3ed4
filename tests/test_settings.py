"""From ``app.config`` and a route's arguments to checked options."""

from __future__ import annotations

import pytest

from flask_threaded_sockets.backend import Backend, Feature
from flask_threaded_sockets.exceptions import BackendError, ConfigurationError
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.settings import (
    Policy,
    Settings,
    check_features,
    split_route_options,
)

# key, a value, where it is found in Settings.
KEYS = [
    ("SOCKETS_BACKEND", "builtin", lambda s: s.backend),
    ("SOCKETS_MAX_CONNECTIONS", 3, lambda s: s.max_connections),
    ("SOCKETS_MAX_CONNECTIONS", None, lambda s: s.max_connections),
    ("SOCKETS_HANDLE_SIGNALS", False, lambda s: s.handle_signals),
    ("SOCKETS_ALLOWED_ORIGINS", ["https://a.example"], lambda s: s.policy.allowed_origins),
    ("SOCKETS_ALLOWED_ORIGINS", "*", lambda s: s.policy.allowed_origins),
    ("SOCKETS_ALLOWED_ORIGINS", None, lambda s: s.policy.allowed_origins),
    ("SOCKETS_MAX_MESSAGE_SIZE", 7, lambda s: s.policy.options.max_message_size),
    ("SOCKETS_MAX_MESSAGE_SIZE", None, lambda s: s.policy.options.max_message_size),
    ("SOCKETS_PING_INTERVAL", 7, lambda s: s.policy.options.ping_interval),
    ("SOCKETS_PING_INTERVAL", None, lambda s: s.policy.options.ping_interval),
    ("SOCKETS_PING_TIMEOUT", 0.5, lambda s: s.policy.options.ping_timeout),
    ("SOCKETS_PING_TIMEOUT", None, lambda s: s.policy.options.ping_timeout),
    ("SOCKETS_CLOSE_TIMEOUT", 7, lambda s: s.policy.options.close_timeout),
    ("SOCKETS_SEND_TIMEOUT", 7, lambda s: s.policy.options.send_timeout),
    ("SOCKETS_MAX_QUEUE", 7, lambda s: s.policy.options.max_queue),
    ("SOCKETS_COMPRESSION", True, lambda s: s.policy.options.compression),
]

# key, a value that is impossible.
IMPOSSIBLE = [
    ("SOCKETS_BACKEND", 5),
    ("SOCKETS_BACKEND", ""),
    ("SOCKETS_MAX_CONNECTIONS", 0),
    ("SOCKETS_MAX_CONNECTIONS", -1),
    ("SOCKETS_MAX_CONNECTIONS", "3"),
    ("SOCKETS_MAX_CONNECTIONS", True),
    ("SOCKETS_MAX_CONNECTIONS", 1.5),
    ("SOCKETS_HANDLE_SIGNALS", None),
    ("SOCKETS_HANDLE_SIGNALS", "no"),
    ("SOCKETS_ALLOWED_ORIGINS", "https://a.example"),
    ("SOCKETS_ALLOWED_ORIGINS", ["a.example"]),
    ("SOCKETS_ALLOWED_ORIGINS", [5]),
    ("SOCKETS_MAX_MESSAGE_SIZE", -1),
    ("SOCKETS_PING_INTERVAL", -1),
    ("SOCKETS_PING_TIMEOUT", "20"),
    ("SOCKETS_CLOSE_TIMEOUT", None),
    ("SOCKETS_SEND_TIMEOUT", 0),
    ("SOCKETS_MAX_QUEUE", None),
    ("SOCKETS_COMPRESSION", 1),
]


def test_without_any_key_all_is_default():
    assert Settings.from_config({}) == Settings()
    assert Settings() == Settings(None, None, True, Policy(), {})
    assert Policy() == Policy(ConnectionOptions(), None, None, False)


@pytest.mark.parametrize(("key", "value", "look"), KEYS)
def test_every_key_is_read(key, value, look):
    settings = Settings.from_config({key: value})
    assert look(settings) == value
    assert settings.explicit == {key.removeprefix("SOCKETS_").lower(): value}


def test_every_documented_key_is_in_the_table_above():
    names = {"backend", "max_connections", "handle_signals", "allowed_origins"}
    names.update(ConnectionOptions.names())
    assert {key.removeprefix("SOCKETS_").lower() for key, _, _ in KEYS} == names
    assert {key.removeprefix("SOCKETS_").lower() for key, _ in IMPOSSIBLE} == names


@pytest.mark.parametrize(("key", "value"), IMPOSSIBLE)
def test_impossible_value_is_refused_and_the_error_names_key_and_value(key, value):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_config({key: value})
    assert key in str(caught.value)
    shown = value[0] if isinstance(value, list) else value
    assert repr(shown) in str(caught.value)


# key, the beginning of the error's text.
UNKNOWN = [
    ("SOCKETS_MAX_MESAGE_SIZE", "did you mean SOCKETS_MAX_MESSAGE_SIZE?"),
    ("SOCKETS_PING_INTERVALL", "did you mean SOCKETS_PING_INTERVAL?"),
    ("SOCKETS_ALLOWED_ORIGIN", "did you mean SOCKETS_ALLOWED_ORIGINS?"),
    ("SOCKETS_XYZZY", "unknown key SOCKETS_XYZZY"),
    ("SOCKETS_", "unknown key SOCKETS_"),
    ("SOCKETS_SUBPROTOCOLS", "unknown key SOCKETS_SUBPROTOCOLS"),
    ("SOCKETS_POLICY", "unknown key SOCKETS_POLICY"),
    ("SOCKETS_EXPLICIT", "unknown key SOCKETS_EXPLICIT"),
    ("SOCKETS_OPTIONS", "unknown key SOCKETS_OPTIONS"),
    ("SOCKETS_max_queue", "SOCKETS_max_queue"),
]


@pytest.mark.parametrize(("key", "text"), UNKNOWN)
def test_unknown_key_is_refused_by_name(key, text):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_config({key: 1})
    assert text in str(caught.value)
    assert key in str(caught.value)


@pytest.mark.parametrize("key", ["SOCKET_TIMEOUT", "sockets_max_queue", "MY_SOCKETS_X", "DEBUG"])
def test_other_keys_are_none_of_ours(key):
    assert Settings.from_config({key: object()}) == Settings()


# Routes


def test_policy_with_a_routes_changes_keeps_the_rest():
    policy = Policy(ConnectionOptions(max_queue=3, ping_interval=7), "*", ["chat"], True)
    changed = policy.override({"ping_interval": None, "subprotocols": ["mqtt"]})
    assert changed == Policy(
        ConnectionOptions(max_queue=3, ping_interval=None), "*", ["mqtt"], True
    )
    assert policy.options.ping_interval == 7


def test_route_options_are_taken_out_and_flasks_stay():
    options = {"max_queue": 3, "defaults": {"x": 1}, "subprotocols": None, "host": "a"}
    assert split_route_options(options) == {"max_queue": 3, "subprotocols": None}
    assert options == {"defaults": {"x": 1}, "host": "a"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_queue", 0),
        ("ping_timeout", -1),
        ("compression", "yes"),
        ("allowed_origins", "https://a.example"),
        ("allowed_origins", 5),
        ("subprotocols", "chat"),
        ("subprotocols", ["no token"]),
        ("require_subprotocol", "yes"),
        ("require_subprotocol", None),
    ],
)
def test_routes_impossible_value_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError) as caught:
        split_route_options({name: value})
    assert name in str(caught.value).lower()


# What a backend must be able to do

NEEDS = {
    "max_message_size": Feature.MESSAGE_LIMIT,
    "ping_interval": Feature.KEEPALIVE,
    "ping_timeout": Feature.KEEPALIVE,
    "close_timeout": Feature.CLOSE_TIMEOUT,
    "send_timeout": Feature.SEND_TIMEOUT,
    "max_queue": Feature.QUEUE_LIMIT,
    "compression": Feature.COMPRESSION,
}


class Limited(Backend):
    name = "limited"

    def __init__(self, features):
        self.features = frozenset(features)

    def open(self, transport, upgrade, options):
        raise NotImplementedError


def test_every_option_of_a_connection_needs_a_feature():
    assert set(NEEDS) == set(ConnectionOptions.names())


@pytest.mark.parametrize(("name", "feature"), NEEDS.items())
def test_option_that_the_backend_cannot_honour_is_refused_naming_both(name, feature):
    able, unable = Limited(Feature), Limited(set(Feature) - {feature})
    check_features(able, {name: 1}, "the config")
    with pytest.raises(BackendError) as caught:
        check_features(unable, {name: 1}, "route '/x'")
    assert caught.value.backend == "limited"
    for part in ("'limited'", name, "route '/x'", feature.value):
        assert part in str(caught.value)


def test_option_that_was_not_set_needs_nothing():
    check_features(Limited([]), {"allowed_origins": "*", "max_connections": 1}, "the config")
    check_features(Limited([]), {}, "the config")


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("compression", False),
        ("max_message_size", None),
        ("ping_interval", None),
        ("ping_timeout", None),
    ],
)
def test_option_that_switches_an_ability_off_needs_no_backend_that_has_it(name, off):
    check_features(Limited([]), {name: off}, "the config")

"""The configuration table, row by row: which values, from where, as the README has it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Flask

from flask_threaded_sockets import ConfigurationError, Sockets, WebSocket
from flask_threaded_sockets.options import ConnectionOptions

from ..arrivals import Close, Eof
from ..case import Area, Case
from ..trial import Trial, request_head
from ..wire import text

__all__ = ["app_with", "area"]

area = Area("configuration", "The configuration table, row by row")

# Key in lower case, value, both as they stand in a case's id and text.
_BAD: tuple[tuple[str, object], ...] = (
    ("max_message_size", -1),
    ("max_message_size", 0),
    ("max_message_size", "1000"),
    ("max_message_size", 1.5),
    ("max_message_size", True),
    ("ping_interval", -1),
    ("ping_interval", 0),
    ("ping_interval", "25"),
    ("ping_interval", float("nan")),
    ("ping_timeout", -1),
    ("ping_timeout", 0),
    ("close_timeout", None),
    ("close_timeout", -1),
    ("close_timeout", float("inf")),
    ("send_timeout", None),
    ("send_timeout", -1),
    ("max_queue", None),
    ("max_queue", 0),
    ("max_queue", 2.5),
    ("max_connections", 0),
    ("max_connections", -1),
    ("max_connections", "5"),
    ("allowed_origins", "https://a.example"),
    ("allowed_origins", ["*"]),
    ("allowed_origins", ["a.example"]),
    ("allowed_origins", ["https://a.example/"]),
    ("allowed_origins", 5),
    ("compression", "yes"),
    ("compression", 1),
    ("handle_signals", "no"),
    ("backend", 5),
    ("backend", ""),
    ("ping_intervall", 5),
    ("max_size", 5),
)
_UNKNOWN = {"ping_intervall", "max_size"}
_APP_ONLY = {"max_connections", "handle_signals", "backend", *_UNKNOWN}


def app_with(**config: object) -> Flask:
    """Make an app with some options."""
    app = Flask("configured")
    app.config["SOCKETS_HANDLE_SIGNALS"] = False
    app.config.update({f"SOCKETS_{name.upper()}": value for name, value in config.items()})
    return app


def _bad_config(name: str, value: object) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        app = app_with(**{name: value})
        argument = None if name == "backend" else t.stack.backend
        error = t.raises(ConfigurationError, lambda: Sockets(app, backend=argument))
        t.true(f"SOCKETS_{name.upper()}" in str(error), f"the error does not name it: {error}")

    return run


def _bad_route(name: str, value: object) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        sockets = Sockets(app_with(), backend=t.stack.backend)
        options: dict[str, Any] = {name: value}
        error = t.raises(ConfigurationError, lambda: sockets.route("/x", **options)(print))
        t.true(name in str(error).lower(), f"the error does not name it: {error}")

    return run


def _slug(value: object) -> str:
    if isinstance(value, list):
        return "list-" + "-".join(map(_slug, value))
    words = str(value).lower().replace("-", "minus-").replace("*", "star")
    words = words.replace("e/", "e-with-slash") if words.endswith("/") else words
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-") or "empty"


for _name, _value in _BAD:
    _row = f"SOCKETS_{_name.upper()}"
    _id = f"{_name.replace('_', '-')}-{_slug(_value)}"
    area.add(
        Case(
            f"refuses-{_id}",
            area.name,
            "unknown keys" if _name in _UNKNOWN else _row,
            "must",
            f"The app's configuration has {_row} = {_value!r}.",
            "ConfigurationError at set-up, naming the key.",
            _bad_config(_name, _value),
        )
    )
    if _name not in _APP_ONLY:
        area.add(
            Case(
                f"route-refuses-{_id}",
                area.name,
                _row,
                "must",
                f"A route is declared with {_name}={_value!r}.",
                "ConfigurationError at the declaration, naming the option.",
                _bad_route(_name, _value),
            )
        )


@area.case("defaults")
def defaults(t: Trial) -> None:
    """Nothing is configured.

    Expect: the defaults of the documentation's table.
    """
    options = ConnectionOptions()
    came = {name: getattr(options, name) for name in ConnectionOptions.names()}
    wanted = {
        "max_message_size": 16 * 1024 * 1024,
        "ping_interval": 25,
        "ping_timeout": 20,
        "close_timeout": 5,
        "send_timeout": 30,
        "max_queue": 16,
        "compression": False,
    }
    t.equal({name: came[name] for name in wanted}, wanted, "defaults")


@area.case("SOCKETS_MAX_CONNECTIONS")
def max_connections(t: Trial) -> None:
    """Two connections are allowed and a third one comes; then one of the two leaves.

    Expect: 503 with Retry-After before any 101, HTTP goes on, and a place comes free.
    """
    site = t.own_site(config={"max_connections": 2})
    first, second = t.connect(site=site), t.connect(site=site)
    for peer in (first, second):
        peer.fence()
    third, response = t.ask(request_head("/echo"), site=site)
    third.leave()
    t.equal(response.status, 503, "status")
    t.true((response.get("Retry-After") or "").isdigit(), "there is no Retry-After in seconds")
    _, response = t.ask(request_head("/http", {"Upgrade": None}), site=site)
    t.equal(response.status, 200, "status of an HTTP request")
    first.close()
    first.expect(Close(1000), Eof())

    def free() -> bool:
        peer, response = t.ask(request_head("/echo"), site=site)
        peer.leave()
        return response.status == 101

    t.wait(free, "a place has come free")
    second.fence()


@area.case("SOCKETS_MAX_CONNECTIONS")
def refused_take_no_place(t: Trial) -> None:
    """One connection is allowed; malformed and foreign handshakes come before it.

    Expect: they take no place.
    """
    site = t.own_site(config={"max_connections": 1})
    for headers in ({"Sec-WebSocket-Key": "zzz"}, {"Origin": "https://evil.example"}):
        t.ask(request_head("/echo", headers), site=site)
    t.connect(site=site).fence()


@area.case("init_app")
def configured_after_sockets(t: Trial) -> None:
    """The app is configured after ``Sockets(app)``, before it serves.

    Expect: the options hold.
    """

    def prepare(app: Flask, _: Sockets) -> None:
        app.config["SOCKETS_MAX_MESSAGE_SIZE"] = 100

    peer = t.connect(site=t.own_site(prepare=prepare))
    peer.send(text("x" * 101))
    peer.expect_end(1009)


@area.case("init_app")
def wrong_after_sockets(t: Trial) -> None:
    """The app is configured wrongly after ``Sockets(app)``.

    Expect: ConfigurationError when the server is made, not at the first request.
    """

    def prepare(app: Flask, _: Sockets) -> None:
        app.config["SOCKETS_MAX_QUEUE"] = -1

    t.raises(ConfigurationError, lambda: t.own_site(prepare=prepare))


@area.case("init_app")
def two_apps(t: Trial) -> None:
    """One ``Sockets`` serves two apps with different limits.

    Expect: each keeps its own.
    """
    sockets = Sockets(backend=t.stack.backend)

    def handler(ws: WebSocket) -> None:
        for message in ws:
            ws.send(message)

    sockets.add_url_rule("/shared", "shared", handler)
    codes = {}
    for limit in (100, 1000):
        site = t.own_site(config={"max_message_size": limit}, sockets=sockets)
        peer = t.connect(site=site, path="/shared")
        peer.send(text("x" * 500))
        came = peer.next()
        codes[limit] = came.code if isinstance(came, Close) else str(came)[:4]
    t.equal(codes, {100: 1009, 1000: "text"}, "what came, by limit")

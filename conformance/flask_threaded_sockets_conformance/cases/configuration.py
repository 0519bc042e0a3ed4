"""The configuration table, row by row: which values, from where (DESIGN.md)."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_threaded_sockets import ConfigurationError, Sockets, WebSocket
from flask_threaded_sockets.backend import Backend, Connection
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.plugins import load_backend, register_backend, unregister_backend

from ..arrivals import Close, Eof
from ..case import Area, Case
from ..observer import log_records
from ..server import Site
from ..trial import Trial, request_head
from ..wire import text

__all__ = ["area"]

area = Area("configuration", "The configuration table, row by row")

_VARIABLE = "FLASK_SOCKETS_BACKEND"

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
_APP_ONLY = {"max_connections", "handle_signals", "backend", "ping_intervall", "max_size"}


def _app(**config: object) -> Flask:
    app = Flask("configured")
    app.config["SOCKETS_HANDLE_SIGNALS"] = False
    app.config.update({f"SOCKETS_{name.upper()}": value for name, value in config.items()})
    return app


def _bad_config(name: str, value: object) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        app = _app(**{name: value})
        argument = None if name == "backend" else t.stack.backend
        error = t.raises(ConfigurationError, lambda: Sockets(app, backend=argument))
        t.true(f"SOCKETS_{name.upper()}" in str(error), f"the error does not name it: {error}")

    return run


def _bad_route(name: str, value: object) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        sockets = Sockets(_app(), backend=t.stack.backend)
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
    _id = f"{_name.replace('_', '-')}-{_slug(_value)}"
    area.add(
        Case(
            f"refuses-{_id}",
            area.name,
            f"SOCKETS_{_name.upper()}",
            "must",
            f"The app's configuration has SOCKETS_{_name.upper()} = {_value!r}.",
            "ConfigurationError at set-up, naming the key.",
            _bad_config(_name, _value),
        )
    )
    if _name not in _APP_ONLY:
        area.add(
            Case(
                f"route-refuses-{_id}",
                area.name,
                f"SOCKETS_{_name.upper()}",
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
        sockets = Sockets(_app(backend="nor-this-one"), backend=t.stack.backend)
    t.equal(sockets.backend.name, t.stack.backend, "sockets.backend.name")


@area.case("precedence", exclusive=True)
def environment_second(t: Trial) -> None:
    """The environment variable names this backend, the configuration one that does not exist.

    Expect: this backend.
    """
    with _environment(t.stack.backend):
        sockets = Sockets(_app(backend="no-such-backend"))
        t.equal(sockets.backend.name, t.stack.backend, "sockets.backend.name")


@area.case("precedence", exclusive=True)
def config_third(t: Trial) -> None:
    """Only ``SOCKETS_BACKEND`` names a backend, this one.

    Expect: this backend.
    """
    with _environment(None):
        sockets = Sockets(_app(backend=t.stack.backend))
        t.equal(sockets.backend.name, t.stack.backend, "sockets.backend.name")


@area.case("precedence", exclusive=True)
def builtin_last(t: Trial) -> None:
    """Nothing names a backend.

    Expect: ``builtin``.
    """
    with _environment(None):
        t.equal(Sockets(_app()).backend.name, "builtin", "sockets.backend.name")


@area.case("SOCKETS_BACKEND")
def unknown_backend(t: Trial) -> None:
    """A backend is named that is not installed, with a typing mistake.

    Expect: ConfigurationError at set-up that says which are installed.
    """
    error = t.raises(ConfigurationError, lambda: Sockets(_app(), backend="bultin"))
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
            app = _app(**{name: True if name == "compression" else 10})
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


_ORIGIN = "https://app.example"


def _origin(
    allowed: object, origin: str, status: int, *, on_route: bool = False
) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        options = {"allowed_origins": allowed}
        site = t.own_site(**({"route": options} if on_route else {"config": options}))
        peer, response = t.ask(request_head("/echo", {"Origin": origin}), site=site)
        peer.leave()
        t.equal(response.status, status, "status")

    return run


for _name, _words, _value, _given, _status in (
    ("any", "'*'", "*", "https://evil.example", 101),
    ("list-has-it", "a list with it", [_ORIGIN], _ORIGIN, 101),
    ("list-has-it-not", "a list without it", [_ORIGIN], "https://evil.example", 403),
    ("list-scheme-differs", "a list with it, but for https", [_ORIGIN], "http://app.example", 403),
    ("list-default-port", "a list with it, the port written out", [f"{_ORIGIN}:443"], _ORIGIN, 101),
    ("list-empty", "an empty list", [], _ORIGIN, 403),
    ("callable-true", "a callable that says yes", lambda *_: True, _ORIGIN, 101),
    ("callable-false", "a callable that says no", lambda *_: False, _ORIGIN, 403),
):
    for _on_route in (False, True):
        area.add(
            Case(
                f"{'route-' if _on_route else ''}origin-{_name}",
                area.name,
                "SOCKETS_ALLOWED_ORIGINS",
                "must",
                f"{'A route has' if _on_route else 'The app has'} {_words}; "
                f"the request comes from {_given}.",
                f"Status {_status}.",
                _origin(_value, _given, _status, on_route=_on_route),
            )
        )


@area.case("SOCKETS_ALLOWED_ORIGINS", exclusive=True)
def origin_refusal_is_logged(t: Trial) -> None:
    """A foreign origin is refused.

    Expect: a log line names the origin, what was expected, and the key.
    """
    with log_records() as records:
        site = t.site()
        _, response = t.ask(request_head("/echo", {"Origin": "https://evil.example"}), site=site)
    t.equal(response.status, 403, "status")
    line = " ".join(record.getMessage() for record in records)
    for word in ("https://evil.example", "http://127.0.0.1", "SOCKETS_ALLOWED_ORIGINS"):
        t.true(word in line, f"the log does not say {word!r}: {line!r}")


def _behind_proxy(*, fix_first: bool) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        site = _proxied(t, fix_first=fix_first)
        headers = {
            "Origin": "https://public.example",
            "X-Forwarded-Host": "public.example",
            "X-Forwarded-Proto": "https",
        }
        peer, response = t.ask(request_head("/echo", headers), site=site)
        peer.leave()
        t.equal(response.status, 101, "status")
        headers["Origin"] = "https://evil.example"
        _, response = t.ask(request_head("/echo", headers), site=site)
        t.equal(response.status, 403, "status of a foreign origin")

    return run


def _proxied(t: Trial, *, fix_first: bool) -> Site:
    def fix(app: Flask, _: object = None) -> None:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_proto=1)  # type: ignore[method-assign]

    return t.own_site(**{"before" if fix_first else "prepare": fix})


for _first in (True, False):
    area.add(
        Case(
            f"origin-proxy-fix-{'before' if _first else 'after'}",
            area.name,
            "SOCKETS_ALLOWED_ORIGINS",
            "must",
            "Behind a proxy with another host and https; ProxyFix is applied "
            f"{'before' if _first else 'after'} Sockets(app).",
            "The public origin is the same origin; a foreign one is refused.",
            _behind_proxy(fix_first=_first),
        )
    )


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

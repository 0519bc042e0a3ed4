"""The origin policy in an app: who may connect, behind which proxy, and what the log says."""

from __future__ import annotations

import re

import flask
import pytest
from live import HOSTS
from peer import request
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_threaded_sockets import ConfigurationError, Sockets
from flask_threaded_sockets.testing import WebSocketRefused

pytestmark = pytest.mark.usefixtures("backend")

EVIL = "https://evil.example"


def app_with(route=None, **config):
    app = flask.Flask("origins")
    app.config.update(config)
    Sockets(app).route("/", **(route or {}))(lambda ws: ws.send("in"))
    return app


def status(app, origin, **options):
    """Give what a page of this origin gets: 101, or the status of the refusal."""
    headers = {} if origin is None else {"Origin": origin}
    try:
        with app.test_client().websocket("/", headers=headers, **options) as ws:
            assert ws.receive() == "in"
            return 101
    except WebSocketRefused as refused:
        return refused.response.status_code


# id, the server's own address, origin, whether it passes by default
SAME_ORIGIN = [
    ("the same", "http://test.example", "http://test.example", True),
    ("another host", "http://test.example", EVIL, False),
    ("another port", "http://test.example:8000", "http://test.example:8001", False),
    ("another scheme", "http://test.example", "https://test.example", False),
    ("a subdomain", "http://test.example", "http://a.test.example", False),
    ("the host as a prefix", "http://test.example", "http://test.example.evil", False),
    ("no origin", "http://test.example", None, True),
    ("null", "http://test.example", "null", False),
    ("port left out in the origin", "http://test.example:80", "http://test.example", True),
    ("port left out in the host", "https://test.example", "https://test.example:443", True),
    ("capitals", "http://test.example", "http://TEST.example", True),
    ("ipv6", "http://[::1]:8000", "http://[::1]:8000", True),
    ("ipv6, written longer", "http://[::1]:8000", "http://[0:0:0:0:0:0:0:1]:8000", True),
    ("ipv6, another", "http://[::1]:8000", "http://[::2]:8000", False),
    ("several", "http://test.example", "http://test.example, https://evil.example", False),
]


@pytest.mark.parametrize(
    ("own", "origin", "passes"), [row[1:] for row in SAME_ORIGIN], ids=[r[0] for r in SAME_ORIGIN]
)
def test_default_is_the_same_origin(logs, own, origin, passes):
    if not passes:
        logs.expect("refused, expected the same origin")
    assert status(app_with(), origin, base_url=own) == (101 if passes else 403)


def accepts_localhost(origin, environ):
    return environ["SERVER_NAME"] == "localhost" and origin.startswith("http://localhost")


# id, setting, origin, whether it passes
SETTINGS = [
    ("any", "*", EVIL, True),
    ("any, null", "*", "null", True),
    ("listed", ["https://a.example", "https://b.example"], "https://b.example", True),
    ("listed with its port", ["https://a.example:443"], "https://a.example", True),
    ("not listed", ["https://a.example"], "http://localhost", False),
    ("null listed", ["null"], "null", True),
    ("pattern", [re.compile(r"https://\w+\.example")], EVIL, True),
    ("pattern matches the whole", [re.compile(r"https://\w+\.exam")], EVIL, False),
    ("callable, yes", accepts_localhost, "http://localhost:3000", True),
    ("callable, no", accepts_localhost, EVIL, False),
    ("none at all", [], "http://localhost", False),
]
settings = pytest.mark.parametrize(
    ("allowed", "origin", "passes"), [row[1:] for row in SETTINGS], ids=[r[0] for r in SETTINGS]
)


@settings
def test_setting_of_the_app(logs, allowed, origin, passes):
    if not passes:
        logs.expect(f"origin {origin!r} refused")
    app = app_with(SOCKETS_ALLOWED_ORIGINS=allowed)
    assert status(app, origin) == (101 if passes else 403)


@settings
def test_setting_of_a_route_comes_before_the_apps(logs, allowed, origin, passes):
    if not passes:
        logs.expect(f"origin {origin!r} refused")
    app = app_with({"allowed_origins": allowed}, SOCKETS_ALLOWED_ORIGINS=["https://other.example"])
    assert status(app, origin) == (101 if passes else 403)


def test_route_may_go_back_to_the_same_origin(logs):
    logs.expect("refused, expected the same origin")
    app = app_with({"allowed_origins": None}, SOCKETS_ALLOWED_ORIGINS="*")
    assert status(app, "http://localhost") == 101
    assert status(app, EVIL) == 403


@pytest.mark.parametrize("allowed", ["https://a.example", ["https://a.example/"], ["*"], 1])
def test_wrong_setting_is_an_error_at_set_up(allowed):
    with pytest.raises(ConfigurationError, match="SOCKETS_ALLOWED_ORIGINS"):
        app_with(SOCKETS_ALLOWED_ORIGINS=allowed)


# Behind a proxy that speaks TLS for https://public.example

PROXY = [
    ("Host", "inner:8000"),
    ("X-Forwarded-Host", "public.example"),
    ("X-Forwarded-Proto", "https"),
]


def proxied(order, **trusted):
    app = flask.Flask("proxied")

    def fix():
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1, **trusted)

    if order == "before":
        fix()
    Sockets(app).route("/")(lambda ws: ws.send("in"))
    if order == "after":
        fix()
    return app


@pytest.mark.parametrize("host", HOSTS, indirect=True)
@pytest.mark.parametrize("order", ["before", "after"])
def test_proxy_fix_may_be_applied_before_or_after(serve, logs, order):
    live = serve(app=proxied(order))

    def ask(origin):
        headers = [("Origin", origin), *PROXY[1:]]
        return live.ask(request("/", headers, replace={"Host": "inner:8000"}))[0].status

    assert ask("https://public.example") == 101
    logs.expect("expected the same origin, 'https://public.example'")
    assert ask("http://inner:8000") == 403


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize(
    ("forwarded", "origin"),
    [
        ({"Proto": "https", "Host": "public.example:443"}, "https://public.example"),
        ({"Proto": "https", "Host": "public.example", "Port": "443"}, "https://public.example"),
        ({"Proto": "http", "Host": "public.example", "Port": "80"}, "http://public.example"),
        ({"Proto": "https", "Host": "public.example:8443"}, "https://public.example:8443"),
        (
            {"Proto": "https", "Host": "public.example", "Port": "8443"},
            "https://public.example:8443",
        ),
        ({"Proto": "https", "Host": "[2001:db8::1]:443"}, "https://[2001:db8::1]"),
        ({"Proto": "https", "Host": "[2001:db8::1]", "Port": "8443"}, "https://[2001:db8::1]:8443"),
        ({"Proto": "wss", "Host": "public.example"}, "https://public.example"),
    ],
    ids=lambda value: str(value).replace(" ", "") if isinstance(value, dict) else "",
)
def test_ports_and_schemes_are_those_of_the_proxy(logs, order, forwarded, origin):
    app = proxied(order, x_port=1)
    headers = [(f"X-Forwarded-{name}", value) for name, value in forwarded.items()]
    with app.test_client().websocket("/", headers=[("Origin", origin), *headers]) as ws:
        assert ws.receive() == "in"
    logs.expect("refused, expected the same origin")
    with pytest.raises(WebSocketRefused):
        app.test_client().websocket("/", headers=[("Origin", f"{origin}0"), *headers])


def test_plain_view_that_takes_the_websocket_is_guarded_as_well(logs):
    app = flask.Flask("plain")
    Sockets(app)

    @app.get("/")
    def view():
        flask.request.environ["wsgi.websocket"].send("in")
        return ""

    assert status(app, "http://localhost") == 101
    logs.expect("refused, expected the same origin")
    assert status(app, EVIL) == 403


def test_without_proxy_fix_the_log_says_what_is_missing(logs):
    app = app_with()
    logs.expect("origin 'https://public.example' refused, expected the same origin, 'http://inner")
    assert status(app, "https://public.example", base_url="http://inner:8000") == 403
    assert "werkzeug's ProxyFix" in logs.complaints[0].getMessage()


def test_log_line_names_origin_expectation_and_setting(logs):
    logs.expect("refused")
    assert status(app_with(SOCKETS_ALLOWED_ORIGINS=["https://a.example"]), EVIL) == 403
    (record,) = logs.complaints
    assert record.getMessage() == (
        "origin 'https://evil.example' refused, expected 'https://a.example'; "
        "see SOCKETS_ALLOWED_ORIGINS"
    )
    assert (record.name, record.levelname) == ("flask_threaded_sockets", "WARNING")


def test_response_does_not_tell_what_was_expected(logs):
    logs.expect("refused")
    app = app_with(SOCKETS_ALLOWED_ORIGINS=["https://secret.example"])
    with pytest.raises(WebSocketRefused) as caught:
        app.test_client().websocket("/", headers={"Origin": EVIL})
    assert "secret" not in caught.value.response.text

"""The choice of a subprotocol by a route."""

from __future__ import annotations

import flask
import pytest
from live import HOSTS
from peer import request

from flask_threaded_sockets import ConfigurationError, Sockets
from flask_threaded_sockets.testing import WebSocketRefused

pytestmark = pytest.mark.usefixtures("backend")


def app_with(**route):
    app = flask.Flask("subprotocols")

    @Sockets(app).route("/", **route)
    def tell(ws):
        ws.send(repr(ws.subprotocol))

    return app


def agreed(app, *offered):
    """Give what handler and client see as agreed; both see the same."""
    with app.test_client().websocket("/", subprotocols=offered) as ws:
        told = ws.receive()
        assert told == repr(ws.subprotocol)
        assert ("Sec-WebSocket-Protocol" in ws.headers) == (ws.subprotocol is not None)
        return ws.subprotocol


def last(offered, environ):
    assert environ["PATH_INFO"] == "/"
    return offered[-1] if offered[-1] != "no" else None


# id, the route's, the client's, what is agreed
CHOICES = [
    ("the only one", ["chat"], ["chat"], "chat"),
    ("client's order counts", ["a", "b"], ["b", "a"], "b"),
    ("first in common", ["b"], ["a", "b", "c"], "b"),
    ("none in common", ["a"], ["b"], None),
    ("none offered", ["a"], [], None),
    ("none supported", None, ["a"], None),
    ("token, no substring", ["chat"], ["superchat"], None),
    ("token, no substring, other way", ["superchat"], ["chat"], None),
    ("case counts", ["chat"], ["Chat"], None),
    ("callable", last, ["a", "b"], "b"),
    ("callable, none", last, ["a", "no"], None),
    ("callable, nothing offered", last, [], None),
]


@pytest.mark.parametrize(
    ("supported", "offered", "expected"),
    [row[1:] for row in CHOICES],
    ids=[row[0] for row in CHOICES],
)
def test_choice(supported, offered, expected):
    assert agreed(app_with(subprotocols=supported), *offered) == expected


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_several_header_lines_are_one_list(serve, host):
    lines = [("Sec-WebSocket-Protocol", "x, y"), ("Sec-WebSocket-Protocol", "b, a")]
    head, peer = serve(app=app_with(subprotocols=["a", "b"])).ask(request("/", lines))
    assert head.headers["sec-websocket-protocol"] == "b"
    assert peer.frame().payload == b"'b'"


@pytest.mark.parametrize("offered", [["b"], []])
def test_required_one_that_is_missing_is_a_400(offered):
    app = app_with(subprotocols=["a"], require_subprotocol=True)
    with pytest.raises(WebSocketRefused) as caught:
        app.test_client().websocket("/", subprotocols=offered)
    assert caught.value.response.status_code == 400
    assert agreed(app, "b", "a") == "a"


def test_token_in_a_subprotocol_is_read_and_not_echoed():
    # Browsers cannot send an Authorization header with a WebSocket.
    app = flask.Flask("token")

    @Sockets(app).route("/", subprotocols=["v1"])
    def tell(ws):
        _, token = ws.protocol.split(", ")
        ws.send(token)

    with app.test_client().websocket("/", subprotocols=["v1", "token.c2VzYW1l"]) as ws:
        assert ws.subprotocol == "v1"
        assert ws.receive() == "token.c2VzYW1l"


@pytest.mark.parametrize("value", ["chat", ["a b"], [1], 1])
def test_wrong_setting_is_an_error_at_set_up(value):
    with pytest.raises(ConfigurationError, match="subprotocols"):
        app_with(subprotocols=value)


def test_callable_that_invents_one_is_the_apps_failure(logs):
    logs.expect("Exception on / [GET]")
    app = app_with(subprotocols=lambda offered, environ: "invented")
    with pytest.raises(WebSocketRefused) as caught:
        app.test_client().websocket("/", subprotocols=["a"])
    assert caught.value.response.status_code == 500

"""What refuses before the 101 is that HTTP response, and the handler never starts."""

from __future__ import annotations

import functools

import flask
import pytest
from live import HOSTS, Pair, app_of
from peer import CLOSE, Frame, request

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.refusals import Refusal

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)

UPGRADE = request()


def body(head, peer):
    return peer.read(int(head.headers["content-length"]))


class Started:
    """A handler that notes that it has started."""

    __name__ = "started"

    def __init__(self):
        self.count = 0

    def __call__(self, ws):
        self.count += 1


@pytest.fixture
def started():
    return Started()


@pytest.fixture
def app(started):
    return app_of(started)


def refused(serve, app, started):
    """Ask for a WebSocket; give the HTTP response, after which the handler never started."""
    head, peer = serve(app=app).ask(UPGRADE)
    assert started.count == 0
    return head, body(head, peer)


def test_returned_response_of_before_request(serve, app, started):
    app.before_request(lambda: ({"error": "log in"}, 401, {"WWW-Authenticate": "Basic"}))
    head, text = refused(serve, app, started)
    assert (head.status, head.headers["www-authenticate"]) == (401, "Basic")
    assert flask.json.loads(text) == {"error": "log in"}


def test_redirect_of_before_request(serve, app, started):
    app.before_request(lambda: flask.redirect("/login"))
    head, _ = refused(serve, app, started)
    assert (head.status, head.headers["location"]) == (302, "/login")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_abort_in_before_request(serve, app, started, status):
    app.before_request(lambda: flask.abort(status))
    assert refused(serve, app, started)[0].status == status


def test_blueprints_before_request_concerns_its_routes_only(serve, started):
    app = flask.Flask("blueprints")
    sockets = Sockets(app)
    closed = flask.Blueprint("closed", "closed")
    closed.before_request(lambda: ("closed", 403))
    closed.route("/closed")(started)
    sockets.register_blueprint(closed)
    sockets.route("/open", endpoint="open")(lambda ws: ws.send("in"))
    live = serve(app=app)
    head, peer = live.ask(request("/closed"))
    assert (head.status, body(head, peer)) == (403, b"closed")
    assert started.count == 0
    assert live.open("/open").frames_to_end()[0].payload == b"in"


def test_before_request_that_lets_pass_runs_once(serve, app, started):
    calls = []
    app.before_request(lambda: calls.append(1))
    assert serve(app=app).open().frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]
    assert (calls, started.count) == ([1], 1)


def test_error_handlers_make_the_response(serve, app, started):
    app.before_request(lambda: flask.abort(403))
    app.errorhandler(403)(lambda error: (f"page: {error.name}", 403))
    head, text = refused(serve, app, started)
    assert (head.status, text) == (403, b"page: Forbidden")


def test_error_handlers_of_a_blueprint_make_the_response_for_its_routes(serve, started):
    app = flask.Flask("blueprints")
    sockets = Sockets(app)
    closed = flask.Blueprint("closed", "closed")
    closed.errorhandler(403)(lambda error: ("their page", 403))
    closed.route("/closed")(started)
    app.before_request(lambda: flask.abort(403))
    sockets.register_blueprint(closed)
    sockets.route("/other", endpoint="other")(started)
    live = serve(app=app)
    head, peer = live.ask(request("/closed"))
    assert (head.status, body(head, peer)) == (403, b"their page")
    head, peer = live.ask(request("/other"))
    assert head.status == 403
    assert body(head, peer).startswith(b"<!doctype html>")
    assert started.count == 0


def test_error_handler_of_an_exception_makes_the_response(serve, app, started):
    @app.before_request
    def fail():
        raise LookupError("no such device")

    app.errorhandler(LookupError)(lambda error: (str(error), 404))
    head, text = refused(serve, app, started)
    assert (head.status, text) == (404, b"no such device")


def test_error_handlers_see_this_packages_refusals(serve, app, started, logs):
    logs.expect("origin 'http://evil.example' refused")
    app.errorhandler(Refusal)(lambda error: (f"refused: {error.code}", error.code))
    head, peer = serve(app=app).ask(request("/", [("Origin", "http://evil.example")]))
    assert (head.status, body(head, peer)) == (403, b"refused: 403")
    assert started.count == 0


def decorated(started, refuse, wraps=functools.wraps):
    """Make a handler under a decorator that refuses whoever has no key."""

    @wraps(started)
    def checked(ws, **values):
        if flask.request.args.get("key") != "sesame":
            return refuse()
        return started(ws, **values)

    return checked


REFUSALS = [
    lambda: flask.abort(401),
    lambda: ("", 401),
    lambda: flask.Response(status=401),
    lambda: flask.abort(flask.Response(status=401)),
]


@pytest.mark.parametrize("refuse", REFUSALS, ids=["abort", "tuple", "response", "abort response"])
def test_decorator_of_a_handler_refuses_over_http(serve, started, refuse):
    live = serve(app=app_of(decorated(started, refuse)))
    head, _ = live.ask(UPGRADE)
    assert (head.status, started.count) == (401, 0)
    assert live.open("/?key=sesame").frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]
    assert started.count == 1


def test_exception_of_a_decorator_is_a_500(serve, started, logs):
    logs.expect("Exception on / [GET]")
    head, _ = serve(app=app_of(decorated(started, lambda: 1 / 0))).ask(UPGRADE)
    assert (head.status, started.count) == (500, 0)


def test_decorator_without_wraps_refuses_with_a_close(serve, started):
    app = app_of(decorated(started, REFUSALS[0], wraps=lambda _: lambda function: function))
    assert serve(app=app).open().frames_to_end() == [Frame(CLOSE, b"\x03\xf0Unauthorized")]
    assert started.count == 0


def test_policy_comes_before_a_decorator(serve, logs):
    asked = []
    logs.expect("origin 'http://evil.example' refused")
    app = app_of(decorated(lambda ws: None, lambda: asked.append(1)))
    head, _ = serve(app=app).ask(request("/", [("Origin", "http://evil.example")]))
    assert (head.status, asked) == (403, [])


@pytest.mark.parametrize("use", ["send", "closed", "receive", "ping"])
def test_handler_under_a_decorator_opens_with_its_first_use(serve, use):
    held = Pair()
    uses = {
        "send": lambda ws: ws.send(""),
        "closed": lambda ws: ws.closed,
        "receive": lambda ws: ws.receive(),
        "ping": lambda ws: ws.ping(),
    }

    def handler(ws):
        uses[use](ws)
        held.handler(ws)

    peer = serve(app=app_of(decorated(handler, lambda: "never"))).open("/?key=sesame")
    peer.text("go")
    held.take()
    held.release()
    assert peer.frames_to_end()[-1] == Frame(CLOSE, b"\x03\xe8")


def test_abort_after_the_101_is_a_close(serve):
    held = Pair()

    def handler(ws):
        held.handler(ws)
        flask.abort(403)

    peer = serve(handler).open()
    held.take()
    held.release()
    assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xf0Forbidden")]

"""What refuses before the 101 is that HTTP response, and the handler never starts."""

from __future__ import annotations

import flask
import pytest
from live import HOSTS, Pair, app_of
from peer import CLOSE, Frame, request

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.handshake import Refusal

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)

UPGRADE = request()


def body(head, peer):
    return peer.read(int(head.headers["content-length"]))


class Started:
    """A handler that notes that it has started."""

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


def test_decorator_between_route_and_handler_refuses(serve, started):
    def members_only(view):
        def checked(ws, **values):
            if flask.request.args.get("key") != "sesame":
                flask.abort(401)
            return view(ws, **values)

        return checked

    # The handshake is answered as the handler is entered: a decorator that is to refuse
    # over HTTP must not be around the handler; this one refuses with a Close.
    app = app_of(members_only(started))
    assert serve(app=app).open().frames_to_end() == [Frame(CLOSE, b"\x03\xf0Unauthorized")]
    assert started.count == 0


def test_abort_after_the_101_is_a_close(serve):
    held = Pair()

    def handler(ws):
        held.handler(ws)
        flask.abort(403)

    peer = serve(handler).open()
    held.take()
    held.release()
    assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xf0Forbidden")]

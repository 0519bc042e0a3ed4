"""The 101 is a response of the app: headers, cookies, the session; processed once."""

from __future__ import annotations

import flask
import pytest
from live import HOSTS, app_of
from peer import CLOSE, Frame, request

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.testing import WebSocketRefused


@pytest.fixture
def app():
    app = flask.Flask("switching")
    app.secret_key = "test"
    sockets = app.sockets = Sockets(app)

    @sockets.route("/socket")
    def socket(ws):
        ws.send(flask.session.get("user", "nobody"))
        for message in ws:
            flask.session["late"] = message

    @app.get("/plain")
    def plain():
        ws = flask.request.environ["wsgi.websocket"]
        ws.send("plain")
        return ""

    @app.get("/session")
    def session():
        return dict(flask.session)

    return app


def log_in():
    flask.session["user"] = "ada"


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_after_request_adds_headers_and_cookies(serve, app):
    @app.after_request
    def add(response):
        assert response.status_code == 101
        response.headers["X-Version"] = "7"
        response.set_cookie("a", "1")
        response.set_cookie("b", "2", path="/b", samesite="Lax")
        return response

    peer = serve(app=app).connect()
    peer.send(request("/socket"))
    data = b""
    while b"\r\n\r\n" not in data:
        data += peer.sock.recv(4096)
    lines = data.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert "X-Version: 7" in lines
    assert [line for line in lines if line.startswith("Set-Cookie")] == [
        "Set-Cookie: a=1; Path=/",
        "Set-Cookie: b=2; Path=/b; SameSite=Lax",
    ]
    assert not any(line.startswith(("Content-", "Date", "Server")) for line in lines)


def test_after_this_request_adds_to_one_connection(app):
    @app.before_request
    def mark():
        if "mark" in flask.request.args:

            @flask.after_this_request
            def add(response):
                response.headers["X-Mark"] = "1"
                return response

    client = app.test_client()
    for path, value in [("/socket?mark", "1"), ("/socket", None), ("/plain?mark", "1")]:
        with client.websocket(path) as ws:
            assert ws.headers.get("X-Mark") == value


def test_blueprints_after_request_concerns_its_routes(app):
    blueprint = flask.Blueprint("blueprint", "blueprint")

    @blueprint.after_request
    def add(response):
        response.headers["X-Blueprint"] = "1"
        return response

    @blueprint.route("/theirs")
    def theirs(ws):
        pass

    app.sockets.register_blueprint(blueprint)
    with app.test_client().websocket("/theirs") as ws:
        assert ws.headers["X-Blueprint"] == "1"
    with app.test_client().websocket("/socket") as ws:
        assert "X-Blueprint" not in ws.headers


@pytest.mark.parametrize("path", ["/socket", "/plain"])
def test_after_request_runs_once_and_before_the_handler(app, path):
    order = []
    app.after_request(lambda response: order.append(response.status_code) or response)
    app.before_request(lambda: order.append("before"))
    app.teardown_request(lambda error: order.append("teardown"))
    with app.test_client().websocket(path) as ws:
        ws.receive()
        assert order[:2] == ["before", 101]
    assert order == ["before", 101, "teardown"]


@pytest.mark.parametrize("ending", ["exception", "abort"])
def test_after_request_runs_once_when_the_handler_fails(backend, logs, ending):
    def handler(ws):
        ws.receive()
        flask.abort(403) if ending == "abort" else {}["x"]

    app = app_of(handler)
    seen = []
    app.after_request(lambda response: seen.append(response.status_code) or response)
    if ending == "exception":
        logs.expect("Exception on / [GET]")
        with pytest.raises(KeyError), app.test_client().websocket("/") as ws:
            ws.send("")
    else:
        with app.test_client().websocket("/") as ws:
            ws.send("")
            assert ws.receive() is None
            assert ws.close_code == 1008
    assert seen == [101]


def test_after_request_runs_for_refusals_as_ever(app):
    seen = []
    app.after_request(lambda response: seen.append(response.status_code) or response)
    app.before_request(lambda: ("no", 403))
    with pytest.raises(WebSocketRefused):
        app.test_client().websocket("/socket")
    assert seen == [403]


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_after_request_may_refuse_with_a_response_of_its_own(serve, app):
    app.after_request(lambda response: flask.Response("maintenance", 503))
    head, peer = serve(app=app).ask(request("/socket"))
    assert (head.status, peer.read(11)) == (503, b"maintenance")


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_exception_in_after_request_is_a_500(serve, app, logs):
    @app.after_request
    def fail(response):
        raise ValueError("in after_request")

    logs.expect("Exception on /socket [GET]", "Request finalizing failed")  # both are Flask's
    head, _ = serve(app=app).ask(request("/socket"))
    assert head.status == 500


@pytest.mark.parametrize("name", ["Sec-WebSocket-Protocol", "X-Bad\r\nX-Worse"])
def test_header_that_would_break_the_handshake_is_a_500(app, logs, name):
    @app.after_request
    def add(response):
        response.headers.add(name, "chat")
        return response

    logs.expect("Exception on /socket [GET]")
    with pytest.raises(WebSocketRefused) as caught:
        app.test_client().websocket("/socket")
    assert caught.value.response.status_code == 500


def test_response_is_closed_at_the_end(app):
    closed = []

    @app.after_request
    def add(response):
        response.call_on_close(lambda: closed.append(1))
        return response

    with app.test_client().websocket("/socket") as ws:
        ws.receive()
        assert closed == []
    assert closed == [1]


# The session


@pytest.mark.parametrize("path", ["/socket", "/plain"])
def test_session_changed_in_before_request_is_saved_with_the_101(backend, app, path):
    app.before_request(log_in)
    client = app.test_client()
    with client.websocket(path) as ws:
        assert "session=" in ws.headers["Set-Cookie"]
        app.before_request_funcs.clear()
        assert client.get("/session").json == {"user": "ada"}
        assert ws.receive() == ("ada" if path == "/socket" else "plain")


def test_session_that_was_not_changed_is_not_sent(app, logs):
    with app.test_client().websocket("/socket") as ws:
        assert "Set-Cookie" not in ws.headers
        assert ws.receive() == "nobody"


def test_session_changed_after_the_101_warns_once(app, logs):
    logs.expect("session changed after the 101 on endpoint 'socket'")
    client = app.test_client()
    for _ in range(3):
        with client.websocket("/socket") as ws:
            ws.send("x")
            ws.receive()
    assert client.get("/session").json == {}


def test_session_changed_before_and_after_warns_too(app, logs):
    app.before_request(log_in)
    logs.expect("session changed after the 101 on endpoint 'socket'")
    client = app.test_client()
    with client.websocket("/socket") as ws:
        ws.send("x")
        assert ws.receive() == "ada"
    app.before_request_funcs.clear()
    assert client.get("/session").json == {"user": "ada"}


def test_session_changed_before_only_does_not_warn(app):
    app.before_request(log_in)
    with app.test_client().websocket("/socket") as ws:
        assert ws.receive() == "ada"


def test_permanent_session_is_refreshed_by_the_101(app):
    client = app.test_client()
    with client.session_transaction() as session:
        session["user"] = "ada"
        session.permanent = True
    with client.websocket("/socket") as ws:
        assert "Expires" in ws.headers["Set-Cookie"]


def test_app_without_a_secret_key_needs_none(backend):
    app = app_of(lambda ws: ws.send("in"))
    with app.test_client().websocket("/") as ws:
        assert ws.receive() == "in"


def test_subclass_of_flask_keeps_its_process_response(backend):
    class App(flask.Flask):
        def process_response(self, response):
            response = super().process_response(response)
            response.headers["X-App"] = "1"
            return response

    app = App("subclass")
    Sockets(app).route("/")(lambda ws: None)
    app.add_url_rule("/page", "page", lambda: "page")
    with app.test_client().websocket("/") as ws:
        assert ws.headers["X-App"] == "1"
    assert app.test_client().get("/page").headers["X-App"] == "1"


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_connection_after_added_headers_works(serve, app):
    app.before_request(log_in)
    peer = serve(app=app).open("/socket")
    assert peer.frame().payload == b"ada"
    peer.send(b"\x88\x80\x00\x00\x00\x00")
    assert peer.frames_to_end() == [Frame(CLOSE, b"")]

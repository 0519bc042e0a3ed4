"""Flask-Login, the real one: who is not logged in gets its 401, not a WebSocket."""

from __future__ import annotations

import flask
import flask_login
import pytest
from live import HOSTS
from peer import request

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.testing import WebSocketRefused


@pytest.fixture
def app(backend):
    app = flask.Flask("login")
    app.secret_key = "test"
    logins = flask_login.LoginManager(app)

    class User(flask_login.UserMixin):
        id = "ada"

    logins.user_loader(lambda name: User() if name == "ada" else None)
    sockets = Sockets(app)

    @app.post("/login")
    def login():
        flask_login.login_user(User())
        return "welcome"

    @sockets.route("/members")
    @flask_login.login_required
    def members(ws):
        ws.send(f"hello {flask_login.current_user.id}")

    closed = flask.Blueprint("closed", "closed")
    closed.before_request(flask_login.login_required(lambda: None))

    @closed.route("/closed")
    def closed_socket(ws):
        ws.send("in")

    sockets.register_blueprint(closed)

    @sockets.route("/guarded")
    def guarded(ws):
        ws.send("inside")

    @app.before_request
    def guard():
        if flask.request.endpoint == "guarded":
            return flask_login.login_required(lambda: None)()
        return None

    return app


levels = pytest.mark.parametrize(
    "path", ["/members", "/closed", "/guarded"], ids=["route", "blueprint", "app"]
)
answers = pytest.mark.parametrize(
    ("path", "answer"),
    [("/members", "hello ada"), ("/closed", "in"), ("/guarded", "inside")],
    ids=["route", "blueprint", "app"],
)


@levels
@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_stranger_gets_the_401(serve, app, path):
    head, _ = serve(app=app).ask(request(path))
    assert head.status == 401
    assert "upgrade" not in head.headers


@levels
@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_strangers_401_is_the_apps_own_page_where_it_has_one(serve, app, path):
    app.errorhandler(401)(lambda error: ("who are you?", 401))
    head, peer = serve(app=app).ask(request(path))
    assert (head.status, peer.read(int(head.headers["content-length"]))) == (401, b"who are you?")


@levels
def test_stranger_gets_the_login_page_where_there_is_one(app, path):
    app.add_url_rule("/login", "login_page", lambda: "form")
    app.login_manager.login_view = "login_page"
    with pytest.raises(WebSocketRefused) as caught:
        app.test_client().websocket(path)
    assert caught.value.response.status_code == 302
    assert caught.value.response.location.startswith("/login?next=")


@answers
def test_member_gets_in(app, path, answer):
    client = app.test_client()
    client.post("/login")
    with client.websocket(path) as ws:
        assert ws.receive() == answer


@answers
@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_member_gets_in_over_the_network(serve, app, path, answer):
    client = app.test_client()
    client.post("/login")
    cookie = client.get_cookie("session").value
    peer = serve(app=app).open(path, [("Cookie", f"session={cookie}")])
    assert peer.frame().payload.decode() == answer

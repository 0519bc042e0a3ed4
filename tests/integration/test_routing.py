"""Blueprints, converters, ``url_for``, refusals: routes are Flask's own."""

from __future__ import annotations

import subprocess
import sys

import flask
import pytest
from live import HOSTS, eventually
from peer import CLOSE, TEXT, Frame, request
from werkzeug.routing import BaseConverter

from flask_threaded_sockets import Sockets

both_hosts = pytest.mark.parametrize("host", HOSTS, indirect=True)


def say(*words):
    """Make a handler that says these words and then the values of its rule."""

    def handler(ws, **values):
        ws.send(" ".join([*words, *map(repr, values.values())]))

    return handler


def heard(live, path):
    with live.open(path) as peer:
        return peer.frame().payload.decode()


# Blueprints


@pytest.mark.parametrize("prefix", ["/", None, "/ws", "/ws/"])
def test_blueprint_of_handlers_next_to_one_of_pages(serve, prefix):
    html, ws = flask.Blueprint("html", __name__), flask.Blueprint("ws", __name__)
    html.route("/")(lambda: "page")
    ws.route("/echo")(say("blueprint"))
    app = flask.Flask("prefixes")
    sockets = Sockets(app)
    app.register_blueprint(html, url_prefix="/")
    sockets.register_blueprint(ws, url_prefix=prefix)
    live = serve(app=app)
    assert live.get("/")[1] == b"page"
    assert heard(live, f"/{(prefix or '').strip('/')}/echo".replace("//", "/")) == "blueprint"


def test_nested_blueprints(serve):
    parent = flask.Blueprint("parent", __name__, url_prefix="/parent")
    child = flask.Blueprint("child", __name__, url_prefix="/child")
    seen = []
    parent.before_request(lambda: seen.append("parent"))
    child.before_request(lambda: seen.append("child"))
    parent.route("/own")(say("parent"))
    child.route("/own/<int:n>")(say("child"))
    parent.register_blueprint(child)
    app = flask.Flask("nested")
    Sockets(app).register_blueprint(parent, url_prefix="/top")
    live = serve(app=app)
    assert heard(live, "/top/own") == "parent"
    assert heard(live, "/top/child/own/7") == "child 7"
    assert seen == ["parent", "parent", "child"]
    with app.test_request_context():
        assert flask.url_for("parent.child.handler", n=1).endswith("/top/child/own/1")


def test_blueprint_twice_under_two_names(serve):
    bp = flask.Blueprint("bp", __name__)
    bp.route("/x")(say("x"))
    app = flask.Flask("twice")
    sockets = Sockets(app)
    sockets.register_blueprint(bp, url_prefix="/a")
    sockets.register_blueprint(bp, url_prefix="/b", name="other")
    live = serve(app=app)
    assert (heard(live, "/a/x"), heard(live, "/b/x")) == ("x", "x")


def test_blueprint_may_have_pages_static_files_and_options(serve, tmp_path):
    (tmp_path / "style.css").write_text("css")
    bp = flask.Blueprint("bp", __name__, static_folder=str(tmp_path), static_url_path="/files")
    bp.route("/page", endpoint="page", websocket=False)(lambda: "page")
    bp.route("/small", endpoint="small", max_message_size=1)(lambda ws: ws.send(ws.receive()))
    app = flask.Flask("mixed")
    Sockets(app).register_blueprint(bp, url_prefix="/bp")
    live = serve(app=app)
    assert live.get("/bp/page")[1] == b"page"
    assert live.get("/bp/files/style.css")[1] == b"css"
    with live.open("/bp/small") as peer:
        peer.text("too long")
        assert peer.frame().payload[:2] == b"\x03\xf1"


def test_blueprints_error_handler_and_url_values(serve):
    bp = flask.Blueprint("bp", __name__, url_prefix="/<lang>")
    seen = []

    @bp.url_value_preprocessor
    def take_lang(endpoint, values):
        flask.g.lang = values.pop("lang")

    @bp.errorhandler(KeyError)
    def on_key_error(error):
        seen.append(flask.g.lang)
        return "page", 500

    @bp.route("/x")
    def handler(ws):
        ws.send(flask.g.lang)
        raise KeyError

    app = flask.Flask("values")
    Sockets(app).register_blueprint(bp)
    with serve(app=app).open("/de/x") as peer:
        text, close = peer.frames_to_end()
    assert (text, close.payload[:2]) == (Frame(TEXT, b"de"), b"\x03\xf3")
    eventually(lambda: seen)  # once the connection has ended
    assert seen == ["de"]


# Rules


class Reversed(BaseConverter):
    def to_python(self, value):
        return value[::-1]

    def to_url(self, value):
        return value[::-1]


# id, rule, options, path, what the handler is given.
RULES = [
    ("string", "/s/<name>", {}, "/s/n%C3%A9", "'né'"),
    ("int", "/i/<int:n>", {}, "/i/7", "7"),
    ("float", "/f/<float:x>", {}, "/f/1.5", "1.5"),
    ("path", "/p/<path:p>", {}, "/p/a/b/c", "'a/b/c'"),
    ("two", "/<a>/<int:b>", {}, "/x/2", "'x' 2"),
    ("own converter", "/r/<reversed:r>", {}, "/r/abc", "'cba'"),
    ("defaults", "/d", {"defaults": {"d": 4}}, "/d", "4"),
    ("methods", "/m", {"methods": ["get"]}, "/m", ""),
    ("websocket", "/w", {"websocket": True}, "/w", ""),
]


@both_hosts
@pytest.mark.parametrize(
    ("rule", "options", "path", "values"), [row[1:] for row in RULES], ids=[row[0] for row in RULES]
)
def test_rule_gives_the_handler_its_values(serve, rule, options, path, values):
    app = flask.Flask("rules")
    app.url_map.converters["reversed"] = Reversed
    Sockets(app).route(rule, **options)(say())
    assert heard(serve(app=app), path) == values


def test_value_that_does_not_convert_is_404(serve):
    app = flask.Flask("rules")
    Sockets(app).route("/i/<int:n>")(say())
    assert serve(app=app).ask(request("/i/x"))[0].status == 404


def test_host_and_subdomain_are_matched(serve):
    app = flask.Flask("hosts", subdomain_matching=True)
    app.config["SERVER_NAME"] = "test.example"
    sockets = Sockets(app)
    sockets.route("/", endpoint="sub", subdomain="sub")(say("sub"))
    sockets.route("/", endpoint="main")(say("main"))
    live = serve(app=app)
    for host, word in (("sub.test.example", b"sub"), ("test.example", b"main")):
        head, peer = live.ask(request(replace={"Host": host}))
        assert head.status == 101
        assert peer.frame() == Frame(TEXT, word)


# url_for


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_url_for_a_handler_is_ws_or_wss(scheme):
    app = flask.Flask("urls")
    sockets = Sockets(app)

    @sockets.route("/feed/<int:n>")
    def feed(ws, n):
        pass

    app.add_url_rule("/page", "page", lambda: "")
    with app.test_request_context(base_url=f"{scheme}://a.example"):
        expected = f"{scheme.replace('http', 'ws')}://a.example/feed/3"
        assert flask.url_for("feed", n=3, _external=True) == expected
        assert flask.url_for("feed", n=3) == expected  # a page's own scheme would not do
        assert flask.url_for("page") == "/page"


def test_url_for_within_a_handler(serve):
    app = flask.Flask("urls")
    app.add_url_rule("/page", "page", lambda: "")
    sockets = Sockets(app)

    @sockets.route("/")
    def handler(ws):
        ws.send(flask.url_for("page", _external=True))
        ws.send(flask.url_for("handler", _external=True))

    with serve(app=app).open() as peer:
        assert peer.frame() == Frame(TEXT, b"http://test.example/page")
        assert peer.frame() == Frame(TEXT, b"ws://test.example/")


def test_flask_routes_shows_the_handlers(tmp_path):
    (tmp_path / "app.py").write_text(
        "from flask import Flask\n"
        "from flask_threaded_sockets import Sockets\n"
        "app = Flask(__name__)\n"
        "Sockets(app).route('/feed/<int:n>', endpoint='feed')(lambda ws, n: None)\n"
    )
    command = [sys.executable, "-m", "flask", "routes"]
    shown = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("feed")]
    assert line.split() == ["feed", "WS", "/feed/<int:n>"] or "/feed/<int:n>" in line
    assert shown.stderr == ""


# Refusals


@both_hosts
def test_before_request_of_app_and_blueprint_refuse(serve):
    app = flask.Flask("refusing")
    bp = flask.Blueprint("bp", __name__)
    started = []
    bp.route("/x")(lambda ws: started.append("x"))
    bp.before_request(lambda: ("blueprint says no", 403))

    @app.before_request
    def log_in():
        if not flask.request.headers.get("Authorization"):
            return flask.redirect("/login")
        return None

    Sockets(app).register_blueprint(bp)
    live = serve(app=app)
    head, _ = live.ask(request("/x"))
    assert (head.status, head.headers["location"]) == (302, "/login")
    head, peer = live.ask(request("/x", [("Authorization", "y")]))
    assert (head.status, peer.to_end()) == (403, b"blueprint says no")
    assert started == []


def test_error_handler_answers_for_a_refusal(serve):
    app = flask.Flask("answers")
    sockets = Sockets(app)
    sockets.route("/")(lambda ws: None)
    app.errorhandler(404)(lambda error: ("not here", 404))
    app.errorhandler(400)(lambda error: ("bad", 400))
    live = serve(app=app)
    head, peer = live.ask(request("/nowhere"))
    assert (head.status, peer.to_end()) == (404, b"not here")
    head, peer = live.ask(request(replace={"Sec-WebSocket-Key": "zzz"}))
    assert (head.status, peer.to_end()) == (400, b"bad")


def test_before_request_may_refuse_with_headers(serve):
    app = flask.Flask("headers")
    Sockets(app).route("/")(lambda ws: None)
    app.before_request(lambda: flask.Response("who?", 401, {"WWW-Authenticate": 'Basic realm="x"'}))
    head, _ = serve(app=app).ask(request())
    assert (head.status, head.headers["www-authenticate"]) == (401, 'Basic realm="x"')


# Set-up in every order


@pytest.mark.parametrize("when", ["before", "after", "between"])
def test_routes_before_and_after_init_app(serve, when):
    app, sockets = flask.Flask("order"), Sockets()
    bp = flask.Blueprint("bp", __name__)
    bp.route("/c")(say("c"))
    if when == "before":
        sockets.init_app(app)
    sockets.route("/a", endpoint="a")(say("a"))
    if when == "between":
        sockets.init_app(app)
    sockets.add_url_rule("/b", "b", say("b"))
    sockets.register_blueprint(bp)
    if when == "after":
        sockets.init_app(app)
    live = serve(app=app)
    assert [heard(live, path) for path in ("/a", "/b", "/c")] == ["a", "b", "c"]


def test_several_apps_with_several_sockets(serve):
    lives = []
    for name in ("one", "two", "three"):
        app = flask.Flask(name)
        Sockets(app).route("/")(say(name))
        lives.append(serve(app=app))
    assert [heard(live, "/") for live in lives] == ["one", "two", "three"]


def test_one_sockets_on_several_apps(serve):
    sockets = Sockets()
    sockets.route("/early", endpoint="early")(lambda ws: ws.send(f"early {flask.current_app.name}"))
    apps = [flask.Flask("one"), flask.Flask("two")]
    for app in apps:
        sockets.init_app(app)
    sockets.route("/late", endpoint="late")(lambda ws: ws.send(f"late {flask.current_app.name}"))
    for app in apps:
        live = serve(app=app)
        assert heard(live, "/early") == f"early {app.name}"
        assert heard(live, "/late") == f"late {app.name}"


def test_route_may_be_added_while_serving(serve):
    app = flask.Flask("late")
    sockets = Sockets(app)
    live = serve(app=app)
    sockets.route("/late")(say("late"))
    assert heard(live, "/late") == "late"
    with live.open("/late") as peer:
        assert peer.frames_to_end()[-1].first == CLOSE

"""WebSocket routes are routes of the app: with HTTP next to them, hosts, defaults, url_for."""

from __future__ import annotations

import uuid

import flask
import pytest
from live import HOSTS, app_of
from peer import request
from werkzeug.routing import IntegerConverter, Rule

from flask_threaded_sockets import ConfigurationError, Sockets
from flask_threaded_sockets.refusals import UpgradeRequired
from flask_threaded_sockets.testing import WebSocketRefused


def told(app, path, **options):
    """Open a WebSocket and give the first message."""
    with app.test_client().websocket(path, **options) as ws:
        return ws.receive()


def status(app, path, **options):
    """Give the status of the HTTP response to an opening handshake."""
    with pytest.raises(WebSocketRefused) as caught:
        app.test_client().websocket(path, **options)
    return caught.value.response.status_code


@pytest.fixture
def app(backend):
    return flask.Flask("routing")


@pytest.fixture
def sockets(app):
    return Sockets(app)


# One path for both


@pytest.mark.parametrize("host", HOSTS, indirect=True)
@pytest.mark.parametrize("first", ["http", "websocket"])
def test_same_path_serves_pages_and_websockets(serve, app, sockets, first):
    def page():
        app.get("/x")(lambda: "page")

    def socket():
        sockets.route("/x", endpoint="socket")(lambda ws: ws.send("socket"))

    for add in (page, socket) if first == "http" else (socket, page):
        add()
    live = serve(app=app)
    head, text = live.get("/x")
    assert (head.status, text) == (200, b"page")
    assert live.open("/x").frame().payload == b"socket"


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_plain_get_of_a_websocket_is_a_426_with_upgrade(serve):
    head, text = serve(lambda ws: None).get("/")
    assert (head.status, head.headers["upgrade"]) == (426, "websocket")
    assert text == b"this is a websocket, connect with a websocket client\n"


def test_426_goes_through_the_apps_error_handlers(app, sockets):
    sockets.route("/x", endpoint="x")(lambda ws: None)
    app.errorhandler(UpgradeRequired)(
        lambda error: ("use a websocket", 426, {"Upgrade": "websocket"})
    )
    response = app.test_client().get("/x")
    assert (response.status_code, response.text) == (426, "use a websocket")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_other_methods_of_a_websocket_are_no_server_error(app, sockets, method):
    sockets.route("/x", endpoint="x")(lambda ws: None)
    assert app.test_client().open("/x", method=method).status_code in (405, 426)


# Slashes


@pytest.mark.parametrize("host", HOSTS, indirect=True)
@pytest.mark.parametrize("rule", ["/x", "/x/"])
@pytest.mark.parametrize("path", ["/x", "/x/", "//x", "/x//"])
def test_slash_more_or_less_is_never_a_redirect(serve, rule, path):
    app = flask.Flask("slashes")
    Sockets(app).route(rule)(lambda ws: None)
    head, _ = serve(app=app).ask(request(path))
    assert head.status in (101, 404)
    if (rule, path) in {("/x", "/x"), ("/x/", "/x/"), ("/x/", "/x")}:
        assert head.status == 101


def test_pages_slash_is_no_redirect_for_a_websocket_either(app, sockets):
    app.get("/pages/")(lambda: "pages")
    assert status(app, "/pages") == 404
    assert app.test_client().get("/pages").status_code == 308


# Converters, defaults, hosts


@pytest.mark.parametrize(
    ("rule", "path", "values"),
    [
        ("/<name>", "/ada", {"name": "ada"}),
        ("/<int:n>/<float:x>", "/7/1.5", {"n": 7, "x": 1.5}),
        ("/<path:rest>", "/a/b/c", {"rest": "a/b/c"}),
        ("/<any(a, b):one>", "/b", {"one": "b"}),
        ("/<uuid:id>", f"/{uuid.UUID(int=7)}", {"id": uuid.UUID(int=7)}),
    ],
)
def test_converters_give_the_handler_its_values(app, sockets, rule, path, values):
    sockets.route(rule)(lambda ws, **given: ws.send(repr(given)))
    assert told(app, path) == repr(values)


def test_converter_that_does_not_fit_is_a_404(app, sockets):
    sockets.route("/<int:n>", endpoint="n")(lambda ws, n: None)
    assert status(app, "/seven") == 404


def test_converter_of_the_app_may_be_used(app, sockets):
    class Even(IntegerConverter):
        def to_python(self, value):
            number = super().to_python(value)
            if number % 2:
                raise ValueError
            return number

    app.url_map.converters["even"] = Even
    sockets.route("/<even:n>", endpoint="n")(lambda ws, n: ws.send(str(n)))
    assert told(app, "/8") == "8"


def test_defaults_fill_in_and_never_redirect(app, sockets):
    @sockets.route("/feed", defaults={"page": 1})
    @sockets.route("/feed/<int:page>")
    def feed(ws, page):
        ws.send(str(page))

    assert told(app, "/feed") == "1"
    assert told(app, "/feed/2") == "2"
    # A page would be redirected to /feed. There is no handler for it, and no redirect.
    assert status(app, "/feed/1") == 404


def test_routes_of_one_handler_have_the_same_options(app, sockets):
    def handler(ws):
        ws.send(flask.request.path)

    sockets.route("/a", max_queue=2)(handler)
    sockets.route("/b", max_queue=2)(handler)
    with pytest.raises(ConfigurationError, match="give it an endpoint of its own"):
        sockets.route("/c")(handler)
    sockets.route("/c", endpoint="c")(handler)
    assert [told(app, path) for path in ("/a", "/b", "/c")] == ["/a", "/b", "/c"]


def test_host_decides(sockets, backend):
    app = flask.Flask("hosts", host_matching=True, static_host="static.example")
    sockets = Sockets(app)
    sockets.route("/x", host="a.example", endpoint="a")(lambda ws: ws.send("a"))
    sockets.route("/x", host="<name>.b.example", endpoint="b")(lambda ws, name: ws.send(name))
    assert told(app, "/x", base_url="http://a.example") == "a"
    assert told(app, "/x", base_url="http://ada.b.example") == "ada"
    assert status(app, "/x", base_url="http://c.example") == 404


def test_subdomain_decides(backend):
    app = flask.Flask("subdomains", subdomain_matching=True)
    app.config["SERVER_NAME"] = "test.example"
    sockets = Sockets(app)
    sockets.route("/x", subdomain="<room>", endpoint="room")(lambda ws, room: ws.send(room))
    assert told(app, "/x", subdomain="kitchen") == "kitchen"
    assert status(app, "/x") == 404


def test_blueprints_subdomain_and_prefix(backend):
    app = flask.Flask("blueprints", subdomain_matching=True)
    app.config["SERVER_NAME"] = "test.example"
    blueprint = flask.Blueprint("devices", "devices", subdomain="lab", url_prefix="/devices")
    blueprint.route("/<name>", endpoint="name")(lambda ws, name: ws.send(name))
    Sockets(app).register_blueprint(blueprint)
    assert told(app, "/devices/scale", subdomain="lab") == "scale"


# url_for


def test_url_for_of_a_websocket_is_a_whole_url_from_both_sides(app, sockets):
    @sockets.route("/feed/<name>")
    def feed(ws, name):
        ws.send(flask.url_for("page", q="1"))
        ws.send(flask.url_for("feed", name="x"))
        ws.send(flask.url_for("feed", name="x", _external=True))
        ws.send(flask.url_for("page", _external=True))

    @app.get("/page")
    def page():
        return [
            flask.url_for("feed", name="y"),
            flask.url_for("feed", name="y", _external=False),
        ]

    with app.test_client().websocket("/feed/a", base_url="https://test.example") as ws:
        assert list(ws) == [
            "/page?q=1",
            "wss://test.example/feed/x",
            "wss://test.example/feed/x",
            "https://test.example/page",
        ]
    both = app.test_client().get("/page", base_url="http://test.example").json
    assert both == ["ws://test.example/feed/y"] * 2
    assert told(app, both[0]) == "/page?q=1"


def test_url_for_of_a_blueprint(app, sockets):
    blueprint = flask.Blueprint("devices", "devices")

    @blueprint.route("/feed")
    def feed(ws):
        ws.send(flask.url_for(".feed"))

    sockets.register_blueprint(blueprint, url_prefix="/devices")
    assert told(app, "/devices/feed") == "ws://localhost/devices/feed"


# url_map


def test_url_map_has_the_websocket_rules_only(app, sockets):
    app.get("/page")(lambda: "")
    sockets.route("/a/<int:n>", endpoint="a")(lambda ws, n: None)
    sockets.add_url_rule("/b", "b", lambda ws: None)
    assert {(rule.rule, rule.endpoint) for rule in sockets.url_map.iter_rules()} == {
        ("/a/<int:n>", "a"),
        ("/b", "b"),
    }


def test_url_map_can_be_matched_as_the_originals(app, sockets):
    sockets.route("/a/<int:n>", endpoint="a")(lambda ws, n: None)
    adapter = sockets.url_map.bind("test.example")
    assert adapter.match("/a/7", websocket=True) == ("a", {"n": 7})
    assert adapter.build("a", {"n": 8}) == "ws://test.example/a/8"


def test_url_map_cannot_be_added_to(app, sockets):
    rules = sockets.url_map
    with pytest.raises(TypeError, match=r"sockets\.route"):
        rules.add(Rule("/x"))


# What there is not


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_unknown_path_is_a_404(serve):
    live = serve(lambda ws: None)
    assert live.ask(request("/unknown"))[0].status == 404


def test_404_goes_through_the_apps_error_handlers(app, sockets):
    app.errorhandler(404)(lambda error: ("nothing here", 404))
    with pytest.raises(WebSocketRefused) as caught:
        app.test_client().websocket("/unknown")
    assert caught.value.response.text == "nothing here"


@pytest.mark.parametrize("options", [{"methods": ["POST"]}, {"websocket": False}])
def test_route_that_could_not_be_opened_is_an_error(sockets, options):
    with pytest.raises(ConfigurationError):
        sockets.route("/x", **options)(lambda ws: None)


def test_key_error_of_a_handler_is_no_404(backend, logs):
    logs.expect("Exception on / [GET]")
    app = app_of(lambda ws: {}["x"])
    with pytest.raises(KeyError), app.test_client().websocket("/") as ws:
        ws.receive()

"""Flask's test client opens WebSockets: real, in process, with its cookies, never for ever."""

from __future__ import annotations

import threading
import time

import flask
import pytest
from flask.testing import FlaskClient
from live import Pair, app_of, eventually, in_thread

from flask_threaded_sockets import Sockets, WebSocketError
from flask_threaded_sockets.clients import clients
from flask_threaded_sockets.testing import WebSocketRefused, websocket


def echo(ws):
    for message in ws:
        ws.send(message)


@pytest.fixture
def app(backend):
    return app_of(echo)


@pytest.fixture
def client(app):
    return app.test_client()


def opens(client, path="/", **options):
    with client.websocket(path, **options) as ws:
        ws.send("hi")
        assert ws.receive() == "hi"


# The connection


@pytest.mark.parametrize("message", ["text", "Grüße", "", b"", b"\x00\xff", "x" * 300_000])
def test_messages_go_both_ways(client, message):
    with client.websocket("/") as ws:
        ws.send(message)
        assert ws.receive() == message


def test_backend_is_the_apps(app, client, backend):
    given = Pair()
    app.sockets_handler = given
    app = app_of(given.handler)
    with app.test_client().websocket("/"):
        ws = given.take()
        given.release()
        assert ws.backend.name == backend


def test_handshake_is_a_real_one(client):
    with client.websocket("/") as ws:
        assert ws.headers["Upgrade"] == "websocket"
        assert len(ws.headers["Sec-WebSocket-Accept"]) == 28


def test_iteration_ends_with_the_connection(backend):
    def count(ws):
        for number in range(3):
            ws.send(str(number))

    with app_of(count).test_client().websocket("/") as ws:
        assert list(ws) == ["0", "1", "2"]
        assert (ws.closed, ws.close_code) == (True, 1000)


def test_close_code_and_reason_of_the_server(backend):
    with app_of(lambda ws: ws.close(4001, "bye")).test_client().websocket("/") as ws:
        assert ws.receive() is None
        assert (ws.close_code, ws.close_reason) == (4001, "bye")


def test_close_code_and_reason_of_the_client_reach_the_handler(backend):
    ends = []

    def handler(ws):
        assert ws.receive() is None
        ends.append((ws.close_code, ws.close_reason))

    ws = app_of(handler).test_client().websocket("/")
    ws.close(4002, "done")
    assert ends == [(4002, "done")]  # close() waits until the handler has returned
    ws.close()


def test_compression_is_negotiated(backend):
    app = app_of(echo, SOCKETS_COMPRESSION=True)
    with app.test_client().websocket("/", compression=True) as ws:
        assert ws.headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate")
        ws.send("x" * 10_000)
        assert ws.receive() == "x" * 10_000


def test_connection_counts_among_the_apps(backend):
    given = Pair()
    app = flask.Flask("count")
    sockets = Sockets(app)
    sockets.route("/", endpoint="x")(given.handler)
    client = app.test_client()
    with client.websocket("/"), client.websocket("/"):
        assert len(given.take().handler.server.clients) >= 1
        given.take()
        assert len(sockets.connections) == 2
        given.release()
    assert not clients.snapshot()


def test_limits_are_the_apps(backend):
    app = app_of(echo, SOCKETS_MAX_MESSAGE_SIZE=10, SOCKETS_MAX_CONNECTIONS=1)
    client = app.test_client()
    with client.websocket("/") as ws:
        with pytest.raises(WebSocketRefused) as caught:
            client.websocket("/")
        assert caught.value.response.status_code == 503
        ws.send("x" * 11)
        assert ws.receive() is None
        assert ws.close_code == 1009


# The request


def test_request_has_what_was_given(backend):
    app = app_of(
        lambda ws: ws.send(
            f"{flask.request.url} {flask.request.headers['X-A']} {flask.request.remote_addr} "
            f"{flask.request.headers['User-Agent']}"
        )
    )
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = "tester"
    options = {"base_url": "https://a.example", "query_string": {"q": 1}, "headers": {"X-A": "1"}}
    with client.websocket("/", **options, environ_base={"REMOTE_ADDR": "10.0.0.1"}) as ws:
        assert ws.receive() == "https://a.example/?q=1 1 10.0.0.1 tester"


@pytest.mark.parametrize(
    "path", ["ws://localhost/", "wss://localhost/", "http://localhost/", "/?a"]
)
def test_path_may_be_a_whole_url(client, path):
    opens(client, path)


def test_header_may_be_replaced(client):
    with pytest.raises(WebSocketRefused) as caught:
        client.websocket("/", headers=[("Sec-WebSocket-Version", "8")])
    assert caught.value.response.status_code == 426
    assert caught.value.response.headers["Sec-WebSocket-Version"] == "13"


# Cookies, both ways


@pytest.fixture
def cookies(backend):
    app = flask.Flask("cookies")

    @app.get("/set")
    def set_cookie():
        response = flask.Response()
        response.set_cookie("page", "1")
        return response

    @app.get("/get")
    def get_cookies():
        return dict(flask.request.cookies)

    @app.after_request
    def add(response):
        if "socket" in flask.request.args:
            response.set_cookie("socket", "a b=c; d")
            response.delete_cookie("page")
        return response

    @Sockets(app).route("/socket")
    def handler(ws):
        ws.send(repr(dict(flask.request.cookies)))

    return app


def test_clients_cookies_are_sent(cookies):
    client = cookies.test_client()
    client.get("/set")
    client.set_cookie("own", "2")
    with client.websocket("/socket") as ws:
        assert ws.receive() == "{'page': '1', 'own': '2'}"


def test_cookies_of_the_101_are_taken_at_once(cookies):
    client = cookies.test_client()
    client.get("/set")
    with client.websocket("/socket?socket=1"):
        assert client.get("/get").json == {"socket": "a b=c; d"}
    assert client.get("/get").json == {"socket": "a b=c; d"}


def test_cookies_of_a_refusal_are_taken(cookies):
    client = cookies.test_client()
    with pytest.raises(WebSocketRefused):
        client.websocket("/none?socket=1")
    assert client.get("/get").json == {"socket": "a b=c; d"}


def test_client_without_cookies_stays_without(cookies):
    client = cookies.test_client(use_cookies=False)
    with client.websocket("/socket?socket=1") as ws:
        assert ws.receive() == "{}"
    assert client.get("/get").json == {}


# Refusals


def test_refusal_carries_the_response(app, client):
    app.before_request(lambda: ({"error": "no"}, 401, {"X-Why": "test"}))
    with pytest.raises(WebSocketRefused, match="/ answered 401 UNAUTHORIZED") as caught:
        client.websocket("/")
    response = caught.value.response
    assert response.json == {"error": "no"}
    assert response.headers["X-Why"] == "test"
    assert response.request.path == "/"


def test_page_that_is_no_websocket_is_a_refusal(backend):
    app = flask.Flask("page")
    Sockets(app)
    app.get("/")(lambda: "page")
    with pytest.raises(WebSocketRefused) as caught:
        app.test_client().websocket("/")
    assert (caught.value.response.status_code, caught.value.response.text) == (200, "page")


# Exceptions


def fails(ws):
    ws.receive()
    raise ZeroDivisionError("in the handler")


@pytest.fixture
def failing(backend, logs):
    logs.expect("Exception on / [GET]")
    return app_of(fails)


@pytest.mark.parametrize("testing", [False, True])
def test_handlers_exception_surfaces_in_the_next_call(failing, testing):
    failing.testing = testing
    with failing.test_client().websocket("/") as ws:
        ws.send("go")
        with pytest.raises(ZeroDivisionError, match="in the handler"):
            ws.receive()


def test_handlers_exception_surfaces_in_a_send(failing):
    with failing.test_client().websocket("/") as ws:
        ws.send("go")
        eventually(lambda: ws.closed)
        with pytest.raises(ZeroDivisionError):
            ws.send("more")


def test_handlers_exception_surfaces_at_the_end(failing):
    with pytest.raises(ZeroDivisionError), failing.test_client().websocket("/") as ws:
        ws.send("go")


def test_handlers_exception_surfaces_once(failing):
    with failing.test_client().websocket("/") as ws:
        ws.send("go")
        with pytest.raises(ZeroDivisionError):
            ws.receive()
        assert (ws.closed, ws.close_code) == (True, 1011)
        with pytest.raises(WebSocketError):
            ws.send("more")


def test_handlers_exception_does_not_hide_the_tests_own(failing):
    with pytest.raises(AssertionError), failing.test_client().websocket("/") as ws:
        ws.send("go")
        raise AssertionError


def test_exception_that_the_app_handles_does_not_surface(backend):
    app = app_of(fails)
    app.errorhandler(ZeroDivisionError)(lambda error: ("handled", 500))
    with app.test_client().websocket("/") as ws:
        ws.send("go")
        assert ws.receive() is None
        assert ws.close_code == 1011


def test_exceptions_may_be_kept_in_as_for_other_requests(failing):
    failing.config["PROPAGATE_EXCEPTIONS"] = False
    with failing.test_client().websocket("/") as ws:
        ws.send("go")
        assert ws.receive() is None
        assert ws.close_code == 1011


def test_exception_before_the_101_is_as_for_other_requests(app, client, logs):
    app.before_request(lambda: 1 / 0)
    logs.expect("Exception on / [GET]")
    with pytest.raises(WebSocketRefused) as caught:
        client.websocket("/")
    assert caught.value.response.status_code == 500
    app.testing = True
    with pytest.raises(ZeroDivisionError):
        client.websocket("/")


def test_exception_of_another_connection_does_not_surface_here(backend, logs):
    logs.expect("Exception on / [GET]")
    client = app_of(lambda ws: 1 / 0 if ws.receive() == "fail" else None).test_client()
    with client.websocket("/") as other:
        with pytest.raises(ZeroDivisionError), client.websocket("/") as ws:
            ws.send("fail")
        other.send("fine")
        assert other.receive() is None


# Nothing waits for ever


def test_receive_gives_up(client):
    with client.websocket("/", timeout=0.1) as ws:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            ws.receive()
        assert time.monotonic() - began < 2
        ws.send("still usable")
        assert ws.receive() == "still usable"
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0.01)


def test_default_is_to_give_up_after_five_seconds(backend):
    # All at once, since each takes that long.
    calls = ("receive", "iteration", "opening", "end")
    for took in [in_thread(gives_up, call) for call in calls]:
        assert 5 <= took.result() < 20


def gives_up(call: str) -> float:
    """Give the seconds until a call, or a context's end, raises a TimeoutError."""
    release = threading.Event()
    handler = (lambda ws: release.wait(60)) if call == "end" else echo
    client = app_of(handler).test_client()
    if call == "opening":
        client.application.before_request(lambda: release.wait(60) and None)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        ws = client.websocket("/")
        if call == "receive":
            ws.receive()
        elif call == "iteration":
            list(ws)
        else:
            ws.close()
    took = time.monotonic() - began
    release.set()
    if call in ("receive", "iteration"):
        ws.close()
    return took


def test_opening_gives_up(backend):
    release = threading.Event()
    app = app_of(echo)
    app.before_request(lambda: release.wait(20) and None)
    with pytest.raises(TimeoutError, match="has not answered the opening handshake"):
        app.test_client().websocket("/", timeout=0.1)
    release.set()


def test_end_gives_up_on_a_handler_that_goes_on(backend):
    release = threading.Event()
    app = app_of(lambda ws: release.wait(20))
    ws = app.test_client().websocket("/", timeout=0.1)
    with pytest.raises(TimeoutError, match=r"handler of / is still running 0\.1 seconds after"):
        ws.close()
    release.set()


def test_send_gives_up_on_a_handler_that_does_not_read(backend):
    release = threading.Event()
    app = app_of(lambda ws: release.wait(20), SOCKETS_MAX_QUEUE=1)
    with app.test_client().websocket("/", timeout=0.3) as ws:
        with pytest.raises(WebSocketError):
            for _ in range(1000):
                ws.send(bytes(100_000))
        release.set()


# Whose client it is


class OwnClient(FlaskClient):
    def __init__(self, *args, token=None, **options):
        super().__init__(*args, **options)
        self.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"


def test_own_class_is_respected_before_and_after(backend):
    app = flask.Flask("own")
    app.test_client_class = OwnClient
    Sockets(app).route("/")(lambda ws: ws.send(flask.request.headers["Authorization"]))
    for _ in range(2):
        client = app.test_client(token="sesame")
        assert type(client) is OwnClient
        with client.websocket("/") as ws:
            assert ws.receive() == "Bearer sesame"
        app.test_client_class = OwnClient


def test_own_method_is_respected(app):
    class Client(FlaskClient):
        def websocket(self, path):
            return websocket(self, f"/{path}", timeout=1)

    app.test_client_class = Client
    with app.test_client().websocket("") as ws:
        ws.send("hi")
        assert ws.receive() == "hi"


def test_client_in_a_with_block_keeps_its_contexts(app):
    app.get("/page")(lambda: "page")
    with app.test_client() as client:
        client.get("/page?q=1")
        opens(client)
        assert flask.request.args["q"] == "1"
        client.get("/page?q=2")
        assert flask.request.args["q"] == "2"


def test_plain_view_may_be_opened(backend):
    app = flask.Flask("plain")
    Sockets(app)

    @app.get("/")
    def view():
        flask.request.environ["wsgi.websocket"].send("plain")
        return ""

    with app.test_client().websocket("/") as ws:
        assert ws.receive() == "plain"


def test_many_at_once(client):
    opened = [client.websocket("/") for _ in range(20)]
    for number, ws in enumerate(opened):
        ws.send(str(number))
    assert [ws.receive() for ws in opened] == [str(number) for number in range(20)]
    for ws in opened:
        ws.close()

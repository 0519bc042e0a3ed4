"""The rest of the ``WebSocket`` surface: attributes, gevent's facade, whose error it is."""

from __future__ import annotations

import queue

import flask
import pytest
from live import HOSTS, Pair, app_of, eventually
from peer import CLOSE, DEADLINE, TEXT, Frame, close_frame, request

from flask_threaded_sockets import (
    FrameTooLargeException,
    ProtocolError,
    Sockets,
    WebSocket,
    WebSocketError,
)

both_hosts = pytest.mark.parametrize("host", HOSTS, indirect=True)

HEADERS = (
    ("Origin", "http://test.example"),
    ("Sec-WebSocket-Protocol", "chat, superchat"),
    ("Cookie", "a=1"),
)
ATTRIBUTES = {
    "origin": "http://test.example",
    "protocol": "chat, superchat",
    "version": "13",
    "path": "/",
}


def attributes(ws):
    return {name: getattr(ws, name) for name in ATTRIBUTES}


def test_attributes_are_the_requests(pair):
    ws, _ = pair(HEADERS)
    assert attributes(ws) == ATTRIBUTES


def test_attributes_are_none_where_the_request_has_no_header(pair):
    ws, _ = pair()
    assert (ws.origin, ws.protocol, ws.subprotocol) == (None, None, None)


def test_attributes_stay_readable_after_the_end(serve):
    held = Pair()
    live = serve(held.handler)
    with live.open(headers=HEADERS):
        ws = held.take()
        held.release()
    eventually(lambda: ws.closed)
    live.stop()
    assert attributes(ws) == ATTRIBUTES
    assert ws.environ["HTTP_COOKIE"] == "a=1"
    assert ws.environ["wsgi.websocket"] is None  # as gevent-websocket leaves it
    assert ws.handler.active_client.ws == ws
    assert ws.backend is not None
    assert "closed" in repr(ws)


def test_environ_is_the_requests(pair):
    ws, peer = pair(HEADERS)
    assert ws.environ["PATH_INFO"] == "/"
    assert ws.environ["HTTP_COOKIE"] == "a=1"
    assert ws.environ["REMOTE_PORT"] == peer.address[1]
    assert ws.environ["wsgi.websocket"] is ws
    assert ws.environ["wsgi.websocket_version"] == "13"


def test_backend_is_the_chosen_one(pair, backend):
    ws, _ = pair()
    assert ws.backend.name == backend


def test_repr_tells_path_and_state(pair):
    ws, _ = pair()
    assert repr(ws) == "<WebSocket '/' open>"
    ws.close()
    assert repr(ws) == "<WebSocket '/' closed>"


def test_websocket_is_a_class_that_handlers_may_annotate(pair):
    ws, _ = pair()
    assert type(ws) is WebSocket
    assert {ws: 1}[ws] == 1  # hashable, so that it can be in a set


# gevent-websocket's facade


@both_hosts
def test_facade_maps_addresses_to_clients(pair):
    first, first_peer = pair()
    second, second_peer = pair()
    expected = {first_peer.address: first, second_peer.address: second}
    for ws in (first, second):
        clients = ws.handler.server.clients
        assert {address: client.ws for address, client in clients.items()} == expected
        assert {client.address for client in clients.values()} == set(expected)
    assert first.handler.active_client.address == first_peer.address
    assert first.handler.active_client.ws is first


@both_hosts
def test_facade_forgets_who_has_gone(pair, serve):
    held = Pair()
    live = serve(held.handler)
    with live.open() as staying, live.open():
        one, other = held.take(), held.take()
        assert len(one.handler.server.clients) == 2
        held.release()
        assert staying.frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]
    eventually(lambda: not one.handler.server.clients)
    assert not other.handler.server.clients


def test_facade_gives_a_snapshot(pair):
    ws, _ = pair()
    before = ws.handler.server.clients
    pair()
    assert len(before) == 1
    before.clear()
    assert len(ws.handler.server.clients) == 2


def test_facade_knows_the_clients_of_its_own_server_only(serve):
    first, second = Pair(), Pair()
    one, other = serve(first.handler), serve(second.handler, name="other")
    one.open()
    other.open()
    for held, live in ((first, one), (second, other)):
        ws = held.take()
        assert [client.ws for client in ws.handler.server.clients.values()] == [ws]
        assert [client.ws for client in live.server.clients.values()] == [ws]
        held.release()


# Whose error it is


def test_own_sockets_error_ends_the_handler_quietly(serve):
    def handler(ws):
        while not ws.closed:
            ws.send(ws.receive())  # the seed's loop: at the end send(None)
        ws.send("once more")

    live = serve(handler)
    peer = live.open()
    peer.text("a")
    assert peer.frame() == Frame(TEXT, b"a")
    peer.send(close_frame())
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, b"\x03\xe8")]


def test_own_sockets_error_after_close_keeps_its_code(serve):
    def handler(ws):
        ws.close(3000, "done")
        ws.send("too late")

    with serve(handler).open() as peer:
        assert peer.frames_to_end() == [Frame(CLOSE, b"\x0b\xb8done")]


@both_hosts
def test_another_sockets_error_is_the_handlers_failure(serve, logs):
    stale = queue.SimpleQueue()

    def handler(ws):
        if flask.request.args:
            stale.get(timeout=DEADLINE).send("anybody?")
        else:
            stale.put(ws)

    logs.expect("Exception on /")
    live = serve(handler)
    with live.open() as gone:
        gone.frames_to_end()
    with live.open("/?second") as peer:
        assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xf3internal error")]
    eventually(lambda: logs.complaints)
    (record,) = logs.complaints
    assert isinstance(record.exc_info[1], WebSocketError)
    assert record.exc_info[1].ws is not None


def test_another_sockets_error_may_be_caught_and_the_own_goes_on(serve):
    stale = queue.SimpleQueue()

    def handler(ws):
        if not flask.request.args:
            stale.put(ws)
            return
        other = stale.get(timeout=DEADLINE)
        try:
            other.send("anybody?")
        except WebSocketError as error:
            ws.send(str(error.ws is other))

    live = serve(handler)
    with live.open() as gone:
        gone.frames_to_end()
    with live.open("/?second") as peer:
        assert peer.frame() == Frame(TEXT, b"True")
        assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]


def test_exceptions_have_gevents_hierarchy():
    assert issubclass(FrameTooLargeException, ProtocolError)
    assert issubclass(ProtocolError, WebSocketError)
    assert issubclass(WebSocketError, OSError)


# In a request that was never upgraded


def test_websocket_cannot_be_used_after_its_request_was_answered_over_http(serve):
    kept = queue.SimpleQueue()
    app = app_of(lambda ws: None)

    @app.route("/plain")
    def plain():
        kept.put(flask.request.environ["wsgi.websocket"])
        return "ordinary"

    live = serve(app=app)
    head, _ = live.ask(request("/plain"))
    assert head.status == 200
    ws = kept.get(timeout=DEADLINE)
    live.hang_up()
    live.stop()
    for use in (ws.receive, lambda: ws.send("x"), ws.close, lambda: ws.handler):
        with pytest.raises(WebSocketError):
            use()


def test_websocket_is_lent_with_the_current_request(serve):
    app = flask.Flask("session")
    app.secret_key = "x"
    sockets = Sockets(app)

    @app.route("/login")
    def login():
        flask.session["user"] = "ann"
        return ""

    @sockets.route("/")
    def handler(ws):
        flask.g.seen = 1
        ws.send(f"{flask.session['user']} {flask.request.args['q']} {flask.g.seen}")

    live = serve(app=app)
    head, _ = live.get("/login")
    cookie = head.headers["set-cookie"].split(";")[0]
    with live.open("/?q=2", headers=[("Cookie", cookie)]) as peer:
        assert peer.frame() == Frame(TEXT, b"ann 2 1")

"""The usual shapes of handlers seen in the wild, on both servers."""

from __future__ import annotations

import json
import queue
import threading
import time

import flask
import pytest
from live import HOSTS, app_of, eventually, in_thread
from peer import BINARY, CLOSE, DEADLINE, TEXT, Frame, close_frame, request
from wire import frame, wire

from flask_threaded_sockets import Sockets, WebSocketError
from flask_threaded_sockets.clients import clients

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)


def test_echo_of_the_original_readme(serve):
    def handler(ws):
        while not ws.closed:
            message = ws.receive()
            ws.send(message)

    peer = serve(handler).open()
    for number in range(100):
        peer.text(f"message {number}")
        assert peer.frame() == Frame(TEXT, b"message %d" % number)
    peer.send(close_frame())
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, wire("03 e8"))]


@pytest.mark.parametrize("ending", ["close", "half_close", "reset"])
def test_push_only_handler_ends_when_the_peer_goes(serve, ending):
    ended = threading.Event()

    def handler(ws):
        while not ws.closed:
            ws.send("tick")
            time.sleep(0.02)
        ended.set()

    peer = serve(handler).open()
    for _ in range(5):
        assert peer.frame() == Frame(TEXT, b"tick")
    getattr(peer, ending)()
    # By `closed` or by a send that fails, whichever comes first.
    eventually(lambda: ended.is_set() or not _handlers())


def _handlers():
    return [thread for thread in threading.enumerate() if "process_request" in thread.name]


@pytest.mark.parametrize("ending", ["close", "half_close", "reset", "close frame"])
def test_handler_that_waits_for_a_queue_sees_closed_without_sending_or_receiving(serve, ending):
    ended = queue.SimpleQueue()

    def handler(ws):
        events = queue.Queue()
        while not ws.closed:
            try:
                ws.send(events.get(timeout=0.02))
            except queue.Empty:
                pass
        ended.put(ws.close_code)

    peer = serve(handler).open()
    if ending == "close frame":
        peer.send(close_frame(1001))
    else:
        getattr(peer, ending)()
    assert ended.get(timeout=DEADLINE) == (1001 if ending == "close frame" else 1006)


def test_reader_in_a_second_thread(serve):
    def handler(ws):
        heard = queue.SimpleQueue()

        def read():
            while not ws.closed:
                heard.put(ws.receive())

        reader = threading.Thread(target=read)
        reader.start()
        ws.send("ready")
        while (message := heard.get(timeout=DEADLINE)) is not None:
            ws.send(message.upper())
        reader.join(DEADLINE)

    peer = serve(handler).open()
    assert peer.frame() == Frame(TEXT, b"ready")
    for word in ("one", "two", "three"):
        peer.text(word)
        assert peer.frame() == Frame(TEXT, word.upper().encode())
    peer.send(close_frame())
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, wire("03 e8"))]


def test_reader_thread_that_outlives_its_handler_ends(serve):
    readers = queue.SimpleQueue()

    def handler(ws):
        readers.put(in_thread(ws.receive).receiving())
        ws.send("bye")

    peer = serve(handler).open()
    assert [each.first for each in peer.frames_to_end()] == [TEXT, CLOSE]
    assert readers.get(timeout=DEADLINE).result() is None


def test_broadcast_over_the_servers_clients(serve):
    def handler(ws):
        for message in ws:
            for client in ws.handler.server.clients.values():
                client.ws.send(message)

    live = serve(handler)
    peers = [live.open() for _ in range(5)]
    eventually(lambda: len(clients.snapshot()) == 5)
    for peer in peers:
        peer.text("hello")
        for each in peers:
            assert each.frame() == Frame(TEXT, b"hello")
    peers[0].reset()
    eventually(lambda: len(clients.snapshot()) == 4)
    peers[1].text("again")
    for each in peers[1:]:
        assert each.frame() == Frame(TEXT, b"again")


def test_broadcast_by_comparing_with_the_active_client(serve):
    def handler(ws):
        for message in ws:
            for client in ws.handler.server.clients.values():
                if client is not ws.handler.active_client:
                    client.ws.send(f"{client.address[1]} {message}")

    live = serve(handler)
    speaker, listener = live.open(), live.open()
    eventually(lambda: len(clients.snapshot()) == 2)
    listener.text("nobody hears")
    assert speaker.frame().payload.endswith(b"nobody hears")
    speaker.text("hi")
    assert listener.frame() == Frame(TEXT, b"%d hi" % listener.address[1])


def test_websockets_kept_in_a_list_for_http_views(serve):
    app = flask.Flask("kept")
    sockets = Sockets(app)
    kept = []

    @sockets.route("/")
    def handler(ws):
        kept.append(ws)
        while not ws.closed:
            ws.receive()

    @app.route("/say/<word>")
    def say(word):
        reached = 0
        for ws in list(kept):
            try:
                ws.send(word)
                reached += 1
            except WebSocketError as error:
                kept.remove(error.ws)
        return {"reached": reached}

    live = serve(app=app)
    staying, leaving = live.open(), live.open()
    eventually(lambda: len(kept) == 2)
    assert json.loads(live.get("/say/one")[1]) == {"reached": 2}
    assert (staying.frame(), leaving.frame()) == (Frame(TEXT, b"one"), Frame(TEXT, b"one"))
    leaving.close()
    eventually(lambda: sum(not ws.closed for ws in kept) == 1)
    assert json.loads(live.get("/say/two")[1]) == {"reached": 1}
    assert len(kept) == 1


def test_binary_messages_are_told_by_bytearray(serve):
    def handler(ws):
        for message in ws:
            ws.send("binary" if isinstance(message, bytearray) else "text")

    peer = serve(handler).open()
    peer.send(frame(BINARY, b"x"), frame(TEXT, b"x"))
    assert [peer.frame().payload, peer.frame().payload] == [b"binary", b"text"]


def test_json_both_ways(serve):
    def handler(ws):
        for message in ws:
            ws.send(json.dumps({"got": json.loads(message)}))

    peer = serve(handler).open()
    peer.text('{"a": [1, 2]}')
    assert json.loads(peer.frame().payload) == {"got": {"a": [1, 2]}}


# A plain view that takes environ["wsgi.websocket"]


def plain_view_app():
    app = app_of(lambda ws: None)

    @app.route("/plain")
    def plain():
        ws = flask.request.environ.get("wsgi.websocket")
        if ws is None:
            return "over http"
        while not ws.closed:
            message = ws.receive()
            if message is None:
                break
            ws.send(message)
        return ""

    return app


def test_plain_view_takes_the_websocket_from_the_environ(serve):
    live = serve(app=plain_view_app())
    assert live.get("/plain")[1] == b"over http"
    peer = live.open("/plain")
    peer.text("echo")
    assert peer.frame() == Frame(TEXT, b"echo")
    peer.send(close_frame())
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, wire("03 e8"))]


# id, what the view does after a message, the close's code.
VIEW_ENDINGS = [
    ("returns a page", lambda ws: "page", 1000),
    ("returns 404", lambda ws: ("no", 404), 1008),
    ("returns 500", lambda ws: ("no", 500), 1011),
    ("aborts", lambda ws: flask.abort(403), 1008),
    ("closes", lambda ws: ws.close(3000) or "", 3000),
    ("raises its own socket's error", lambda ws: (ws.close(), ws.send("x")), 1000),
    ("streams", lambda ws: flask.Response(iter(["a", "b"])), 1000),
]


@pytest.mark.parametrize(
    ("view", "code"), [row[1:] for row in VIEW_ENDINGS], ids=[row[0] for row in VIEW_ENDINGS]
)
def test_plain_views_response_does_not_reach_the_stream(serve, view, code):
    app = app_of(lambda ws: None)

    @app.route("/plain")
    def plain():
        ws = flask.request.environ["wsgi.websocket"]
        ws.receive()
        return view(ws)

    peer = serve(app=app).connect()
    # The handshake is answered at the first use of the WebSocket, here by receive().
    peer.send(request("/plain"), frame(TEXT, b"go"))
    assert peer.head().status == 101
    (only,) = peer.frames_to_end()
    assert (only.first, int.from_bytes(only.payload[:2])) == (CLOSE, code)


def test_plain_views_exception_is_1011_and_logged_once(serve, logs):
    app = app_of(lambda ws: None)

    @app.route("/plain")
    def plain():
        flask.request.environ["wsgi.websocket"].receive()
        raise ValueError("view's own")

    logs.expect("Exception on /plain")
    live = serve(app=app)
    peer = live.open("/plain", early=frame(TEXT, b"go"))
    (only,) = peer.frames_to_end()
    assert only.payload[:2] == wire("03 f3")

"""How a connection ends, as the peer's raw bytes and the app have it, on both servers.

After the 101 there are frames and then the end of the stream: never a second status
line, a page or a traceback.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from typing import NoReturn

import flask
import pytest
from live import HOSTS, app_of, eventually, in_thread
from peer import BINARY, CLOSE, DEADLINE, TEXT, Frame, bulk, close_frame, request
from wire import frame, wire

from flask_threaded_sockets import Sockets, WebSocketError
from flask_threaded_sockets.builtin import BuiltinBackend

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)


def returns(ws):
    ws.receive()


def returns_a_value(ws):
    ws.receive()
    return "ignored", 418


def closes(ws):
    ws.receive()
    ws.close(3000, "bye")


def closes_and_raises_its_own_error(ws):
    ws.receive()
    ws.close(3000, "bye")
    ws.send("late")


def sends_close_frame(ws):
    ws.receive()
    ws.send_frame(b"\x0b\xb8bye", ws.OPCODE_CLOSE)


def raises(ws):
    ws.receive()
    raise ValueError("handler's own")


def raises_key_error(ws):
    ws.receive()
    {}["x"]


def raises_os_error(ws):
    ws.receive()
    raise ConnectionResetError("of something else")


def raises_after_close(ws):
    ws.receive()
    ws.close(3000, "bye")
    raise ValueError("handler's own")


def aborts(status):
    def handler(ws):
        ws.receive()
        flask.abort(status)

    return handler


def aborts_with_a_response(ws):
    ws.receive()
    flask.abort(flask.Response("<html>", 403))


# id, handler, the close frame's payload, whether it is an exception of the app.
ENDINGS = [
    ("return", returns, wire("03 e8"), False),
    ("return of a value", returns_a_value, wire("03 e8"), False),
    ("close", closes, wire("0b b8") + b"bye", False),
    ("close, then send", closes_and_raises_its_own_error, wire("0b b8") + b"bye", False),
    ("close frame", sends_close_frame, wire("0b b8") + b"bye", False),
    ("exception", raises, wire("03 f3") + b"internal error", True),
    ("KeyError", raises_key_error, wire("03 f3") + b"internal error", True),
    ("OSError", raises_os_error, wire("03 f3") + b"internal error", True),
    ("close, then exception", raises_after_close, wire("0b b8") + b"bye", True),
    ("abort(403)", aborts(403), wire("03 f0") + b"Forbidden", False),
    ("abort(404)", aborts(404), wire("03 f0") + b"Not Found", False),
    ("abort(500)", aborts(500), wire("03 f3") + b"Internal Server Error", False),
]


def watched(handler, **config):
    """Make an app that counts what Flask does around the handler."""
    app = app_of(handler, **config)
    app.counts = {"exceptions": 0, "teardowns": 0, "calls": 0}

    def count(what):
        def increment(*args, **kwargs):
            app.counts[what] += 1

        return increment

    app.increments = [count(what) for what in app.counts]
    flask.got_request_exception.connect(app.increments[0], app)
    app.teardown_request(app.increments[1])
    app.before_request(app.increments[2])
    return app


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize(
    ("handler", "payload", "is_exception"),
    [row[1:] for row in ENDINGS],
    ids=[row[0] for row in ENDINGS],
)
def test_handlers_end_is_a_close_and_then_the_end(
    serve, logs, handler, payload, is_exception, debug
):
    if is_exception:
        logs.expect("Exception on / [GET]")
    app = watched(handler, DEBUG=debug)
    live = serve(app=app)
    peer = live.open()
    peer.text("go")
    assert peer.frames_to_end() == [Frame(CLOSE, payload)]
    eventually(lambda: access_log(logs))
    assert app.counts == {"exceptions": int(is_exception), "teardowns": 1, "calls": 1}
    assert len(access_log(logs)) == 1
    assert '" 101 -' in access_log(logs)[0]
    for record in logs.complaints:
        assert record.exc_info is not None


def access_log(logs):
    return [line for line in logs.messages("werkzeug") if " HTTP/1.1" in line]


def test_aborting_with_a_response_is_a_close_too(serve):
    peer = serve(aborts_with_a_response).open()
    peer.text("go")
    (only,) = peer.frames_to_end()
    assert (only.first, only.payload[:2]) == (CLOSE, wire("03 f0"))


def test_error_handler_runs_after_the_101_but_its_response_is_not_sent(serve):
    app = app_of(aborts(403))
    answered = queue.SimpleQueue()

    @app.errorhandler(403)
    def page(error):
        answered.put(error.code)
        return "<html>page</html>", 403

    peer = serve(app=app).open()
    peer.text("go")
    assert peer.frames_to_end() == [Frame(CLOSE, wire("03 f0") + b"Forbidden")]
    assert answered.get(timeout=DEADLINE) == 403


def test_error_handler_of_an_exception_takes_the_place_of_the_log(serve):
    app = app_of(raises)

    @app.errorhandler(ValueError)
    def page(error):
        return "<html>page</html>", 500

    peer = serve(app=app).open()
    peer.text("go")
    assert peer.frames_to_end() == [Frame(CLOSE, wire("03 f3") + b"internal error")]


def test_exception_in_after_request_is_a_500_instead_of_the_101(serve, logs):
    started = []
    app = app_of(started.append)

    @app.after_request
    def fail(response):
        raise ValueError("in after_request")

    logs.expect("Exception on / [GET]", "Request finalizing failed")  # both are Flask's
    head, _ = serve(app=app).ask(request())
    assert head.status == 500
    assert not started


def test_exception_in_teardown_does_not_reach_the_stream(serve, logs):
    app = app_of(returns)

    @app.teardown_request
    def fail(error):
        raise ValueError("in teardown")

    logs.expect("Exception on / [GET]")
    peer = serve(app=app).open()
    peer.text("go")
    (only,) = peer.frames_to_end()
    assert only.first == CLOSE


# Before the 101


def test_response_of_before_request_reaches_the_client_and_the_handler_never_starts(serve):
    started = []
    app = app_of(started.append)

    @app.before_request
    def refuse():
        return "log in first", 401

    head, peer = serve(app=app).ask(request())
    assert head.status == 401
    assert peer.read(int(head.headers["content-length"])) == b"log in first"
    assert started == []


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_abort_before_the_101_is_that_http_response(serve, status):
    started = []
    app = app_of(started.append)
    app.before_request(lambda: flask.abort(status))
    head, _ = serve(app=app).ask(request())
    assert head.status == status
    assert head.headers["content-type"].startswith("text/html")
    assert started == []


def test_exception_before_the_101_is_a_500_logged_once(serve, logs):
    app = watched(returns)

    @app.before_request
    def fail():
        raise ValueError("too early")

    logs.expect("Exception on / [GET]")
    head, _ = serve(app=app).ask(request())
    assert head.status == 500
    assert app.counts["exceptions"] == 1


@pytest.mark.parametrize("late", ["the body", "a thread"])
def test_response_that_has_begun_is_not_followed_by_a_101(serve, late):
    app = app_of(returns)
    told = queue.SimpleQueue()

    def use(ws):
        try:
            told.put(ws.send("hello"))
        except WebSocketError as error:
            told.put(error)

    @app.get("/page")
    def page():
        ws = flask.request.environ["wsgi.websocket"]

        def body():
            yield "begun, "
            if late == "the body":
                use(ws)
            else:
                in_thread(use, ws).result()
            yield "ended"

        return flask.Response(body(), headers={"Content-Length": "12"})

    peer = serve(app=app).connect()
    peer.send(request("/page"))
    assert peer.head().status == 200
    assert peer.to_end() == b"begun, ended"
    assert isinstance(told.get(timeout=DEADLINE), WebSocketError)


# What a peer does

MAX = 65536

# id, bytes, close code, the second half of receive()'s answers.
FAILURES = [
    ("unmasked frame", frame(TEXT, b"a", key=None), 1002),
    ("reserved bit", frame(0xC1, b"a"), 1002),
    ("reserved opcode", frame(0x83, b"a"), 1002),
    ("bad utf-8", frame(TEXT, b"\xff\xfe"), 1007),
    ("too big", bulk(BINARY, bytes(MAX + 1)), 1009),
    ("too big by its header alone", wire("82 ff", "40 00 00 00 00 00 00 00", "37 fa 21 3d"), 1009),
]


@pytest.mark.parametrize(
    ("data", "code"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_peers_failure_is_a_close_and_none(serve, data, code):
    told = queue.SimpleQueue()

    def handler(ws):
        told.put((ws.receive(), ws.receive(), ws.closed, ws.close_code))

    peer = serve(handler, SOCKETS_MAX_MESSAGE_SIZE=MAX).open()
    peer.send(frame(TEXT, b"before"), data)
    (only,) = peer.frames_to_end()
    assert (only.first, int.from_bytes(only.payload[:2])) == (CLOSE, code)
    only.payload[2:].decode()
    assert told.get(timeout=DEADLINE) == ("before", None, True, code)


def test_peers_close_is_answered_and_the_handler_told(serve):
    told = queue.SimpleQueue()

    def handler(ws):
        told.put((ws.receive(), ws.close_code, ws.close_reason))

    peer = serve(handler).open()
    peer.send(close_frame(3210, b"off"))
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, wire("0c 8a"))]
    assert told.get(timeout=DEADLINE) == (None, 3210, "off")


def test_exception_with_a_peer_that_is_gone_is_logged_once(serve, logs):
    def handler(ws):
        ws.receive()
        raise ValueError("handler's own")

    logs.expect("Exception on / [GET]")
    app = watched(handler)
    serve(app=app).open().reset()
    eventually(lambda: app.counts["teardowns"])
    assert app.counts["exceptions"] == 1


# How long it may take


def test_handler_that_returned_waits_for_an_unanswering_peer_no_longer_than_close_timeout(serve):
    live = serve(returns, SOCKETS_CLOSE_TIMEOUT=0.5)
    peer = live.open()
    peer.text("go")
    began = time.monotonic()
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, wire("03 e8"))]
    assert time.monotonic() - began >= 0.4


def test_peer_that_answers_is_not_waited_for(serve):
    live = serve(returns, SOCKETS_CLOSE_TIMEOUT=60)
    peer = live.open()
    peer.text("go")
    began = time.monotonic()
    peer.frames_to_end()
    assert time.monotonic() - began < 10


def threads_of_requests():
    return [t for t in threading.enumerate() if "process_request" in t.name]


def test_flood_after_the_close_does_not_keep_the_handlers_thread(serve):
    live = serve(returns, SOCKETS_CLOSE_TIMEOUT=60)
    peer = live.open()
    peer.text("go")
    assert peer.frame() == Frame(CLOSE, wire("03 e8"))

    def flood():
        data = bulk(BINARY, bytes(60_000))
        with contextlib.suppress(OSError):
            while True:
                peer.send(data)

    flooding = in_thread(flood)
    # The client may take longer to find out: it only learns when it reads.
    eventually(lambda: not threads_of_requests(), "the thread's end", within=10)
    with contextlib.suppress(OSError):  # a reset has ended it
        peer.sock.shutdown(socket.SHUT_RDWR)
    flooding.result()


def test_ending_frees_the_thread_while_the_peer_keeps_its_socket_open(serve):
    live = serve(returns, SOCKETS_CLOSE_TIMEOUT=0.2)
    peer = live.open()
    peer.text("go")
    eventually(lambda: not threads_of_requests())
    assert peer.frames_to_end(answer=False) == [Frame(CLOSE, wire("03 e8"))]


# The app around it


def test_only_the_handler_runs_for_one_upgrade(serve, logs):
    # flask-sockets caught KeyErrors of handlers and then ran the app on the open socket.
    app = flask.Flask("same path")
    sockets = Sockets(app)
    ran = []

    @app.route("/")
    def page():
        ran.append("page")
        return "page"

    @sockets.route("/")
    def handler(ws):
        ran.append("handler")
        raise WebSocketError("of no socket")

    logs.expect("Exception on /")
    live = serve(app=app)
    head, body = live.get("/")
    assert (head.status, body) == (200, b"page")
    with live.open() as peer:
        (only,) = peer.frames_to_end()
        assert only.first == CLOSE
    assert ran == ["page", "handler"]


class Failing(BuiltinBackend):
    """Fail when the 101 is out already."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def open(self, *_: object) -> NoReturn:
        raise self._error


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("error", "code", "complaints"),
    [
        (ValueError("backend's own"), 1011, ["Exception on /"]),
        # As a server's handler of a signal does in the very thread that opens, gunicorn's
        # sync worker for one.
        (SystemExit(0), 1001, []),
    ],
    ids=["defect", "signal"],
)
def test_backend_that_opens_nothing_leaves_a_close(serve, logs, error, code, complaints):
    app = flask.Flask("failing")
    Sockets(app, backend=Failing(error)).route("/")(returns)
    logs.expect(*complaints)
    peer = serve(app=app).open()
    assert peer.frames_to_end() == [Frame(CLOSE, code.to_bytes(2, "big"))]

"""Flask's contexts in handlers, in their threads, and between two messages."""

from __future__ import annotations

import struct
import threading

import flask
import pytest
from live import HOSTS, app_of, eventually
from peer import DEADLINE, close_frame, request
from wire import frame

from flask_threaded_sockets import Sockets


def test_request_session_g_and_current_app_are_there(backend):
    app = flask.Flask("context")
    app.secret_key = "test"

    @app.before_request
    def prepare():
        flask.g.user = "ada"
        flask.session["visits"] = 1

    @Sockets(app).route("/<name>")
    def tell(ws, name):
        for _ in ws:
            ws.send(f"{flask.request.args['q']} {flask.g.user} {flask.current_app.name}")
            ws.send(f"{flask.session['visits']} {flask.request.endpoint} {flask.request.view_args}")

    with app.test_client().websocket("/x?q=1") as ws:
        for _ in range(2):
            ws.send("go")
            assert ws.receive() == "1 ada context"
            assert ws.receive() == "1 tell {'name': 'x'}"


def test_copy_current_request_context_serves_a_second_thread(backend):
    app = flask.Flask("second")
    app.secret_key = "test"
    app.before_request(lambda: flask.session.update(user="ada"))

    @Sockets(app).route("/x")
    def handler(ws):
        @flask.copy_current_request_context
        def push():
            ws.send(f"{flask.request.path} {flask.session['user']} {flask.current_app.name}")

        pusher = threading.Thread(target=push)
        pusher.start()
        for message in ws:
            ws.send(message)
        pusher.join()

    with app.test_client().websocket("/x") as ws:
        assert ws.receive() == "/x ada second"
        ws.send("still")
        assert ws.receive() == "still"


def test_second_thread_without_a_copy_has_no_context(backend):
    seen = []

    def handler(ws):
        def look():
            seen.append((flask.has_request_context(), flask.has_app_context()))
            ws.send("sending needs none")

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    with app_of(handler).test_client().websocket("/") as ws:
        assert ws.receive() == "sending needs none"
    assert seen == [(False, False)]


# Teardown, once, however it ends


def reset(peer):
    peer.sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: a reset
    peer.close()


def closes(peer):
    peer.send(close_frame())
    peer.frames_to_end()


def by_command(peer):
    peer.frames_to_end()


ENDINGS = [
    ("handler returns", "return", by_command),
    ("handler raises", "raise", by_command),
    ("handler aborts", "abort", by_command),
    ("handler closes", "close", by_command),
    ("handler exits", "exit", by_command),
    ("peer closes", "wait", closes),
    ("peer ends its stream", "wait", lambda peer: peer.close()),
    ("peer resets", "wait", reset),
    ("peer breaks the protocol", "wait", lambda peer: peer.send(b"\xff\xff")),
    ("peer sends no utf-8", "wait", lambda peer: peer.send(frame(0x81, b"\xff"))),
    ("server closes", "shutdown", by_command),
    ("peer vanishes", "wait for pongs", lambda peer: None),
    ("peer does not read", "flood", lambda peer: None),
]


def exits(ws):
    raise SystemExit


def waits(ws):
    for _ in ws:
        pass


def floods(ws):
    while True:
        ws.send(bytes(1_000_000))


HANDLERS = {
    "return": lambda ws: None,
    "raise": lambda ws: {}["x"],
    "abort": lambda ws: flask.abort(400),
    "close": lambda ws: ws.close(4000),
    "exit": exits,
    "wait": waits,
    "wait for pongs": waits,
    "flood": floods,
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("host", HOSTS, indirect=True)
@pytest.mark.parametrize(
    ("command", "end"), [row[1:] for row in ENDINGS], ids=[row[0] for row in ENDINGS]
)
def test_teardown_runs_once_on_every_ending(serve, logs, command, end):
    app = flask.Flask("teardown")
    app.config.update(
        SOCKETS_PING_INTERVAL=0.2 if command == "wait for pongs" else None,
        SOCKETS_PING_TIMEOUT=0.2,
        SOCKETS_SEND_TIMEOUT=0.2 if command == "flood" else 30,
    )
    counts = {"request": 0, "app": 0}
    sockets = Sockets(app)

    @app.teardown_request
    def request_ends(error):
        counts["request"] += 1

    @app.teardown_appcontext
    def app_ends(error):
        counts["app"] += 1

    @sockets.route("/")
    def handler(ws):
        ws.receive()
        if command == "shutdown":
            threading.Thread(target=sockets.shutdown).start()
            waits(ws)
        else:
            HANDLERS[command](ws)

    if command == "raise":
        logs.expect("Exception on / [GET]")
    peer = serve(app=app).open()
    peer.text(command)
    end(peer)
    eventually(lambda: counts["app"] and not sockets.connections)
    assert (counts["request"], counts["app"]) == (1, 1)


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_teardown_runs_once_for_a_refusal(serve):
    app = app_of(lambda ws: None)
    count = []
    app.teardown_request(lambda error: count.append(1))
    app.before_request(lambda: ("no", 403))
    assert serve(app=app).ask(request())[0].status == 403
    eventually(lambda: count)
    assert count == [1]


# One context per message


def test_fresh_context_ends_with_its_block_and_keeps_the_request(backend):
    app = flask.Flask("fresh")
    sockets = Sockets(app)
    given_back = []

    @app.teardown_appcontext
    def give_back(error):
        given_back.append(flask.g.pop("resource", None))

    @sockets.route("/x")
    def handler(ws):
        flask.g.resource = "the handler's"
        for message in ws:
            with sockets.fresh_context():
                assert "resource" not in flask.g
                flask.g.resource = message
                ws.send(f"{flask.request.path} {flask.current_app.name}")
            assert flask.g.resource == "the handler's"
            ws.send(repr(given_back))

    with app.test_client().websocket("/x") as ws:
        for expected in (["a"], ["a", "b"]):
            ws.send(expected[-1])
            assert ws.receive() == "/x fresh"
            assert ws.receive() == repr(expected)
    assert given_back == ["a", "b", "the handler's"]


def test_fresh_context_is_told_of_an_exception_and_lets_it_out(backend, logs):
    app = flask.Flask("fresh")
    sockets = Sockets(app)
    errors = []
    app.teardown_appcontext(errors.append)

    @sockets.route("/")
    def handler(ws):
        with sockets.fresh_context():
            raise KeyError("x")

    logs.expect("Exception on / [GET]")
    with pytest.raises(KeyError), app.test_client().websocket("/") as ws:
        ws.receive(DEADLINE)
    assert [type(error) for error in errors] == [KeyError, KeyError]


def test_fresh_context_serves_a_thread_without_a_context(backend):
    app = flask.Flask("fresh")
    sockets = Sockets(app)
    with sockets.fresh_context():
        assert flask.current_app.name == "fresh"
    assert not flask.has_app_context()

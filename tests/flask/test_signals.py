"""The signals: a WebSocket was opened, has ended, or was refused; and the line in the log."""

from __future__ import annotations

import contextlib
import queue
import re
import sys
import zlib

import flask
import pytest
from live import HOSTS, eventually, in_thread
from peer import BINARY, CLOSE, DEADLINE, PING, TEXT, close_frame, request
from wire import frame

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.signals import (
    websocket_connected,
    websocket_disconnected,
    websocket_refused,
)


@pytest.fixture
def sent():
    """Give a queue of what each signal of the app was sent with."""
    with contextlib.ExitStack() as connections:

        def listen(app, signal):
            found = queue.SimpleQueue()

            def receiver(sender, **arguments):
                found.put((sender, arguments))

            connections.enter_context(signal.connected_to(receiver, app))
            return lambda: found.get(timeout=DEADLINE)

        yield listen


def app_with(handler):
    app = flask.Flask("signals")
    Sockets(app).route("/x")(handler)
    return app


def echo(ws):
    for message in ws:
        ws.send(message)


def test_connected_is_sent_in_the_request_before_the_handler(serve):
    order = []

    def handler(ws):
        order.append(ws)

    app = app_with(handler)

    def receiver(sender, ws):
        assert sender is app
        assert flask.request.path == "/x"
        order.append(ws)

    with websocket_connected.connected_to(receiver, app):
        serve(app=app).open("/x").frames_to_end()
    assert order[0] is order[1]
    assert len(order) == 2


def test_exception_of_a_receiver_of_connected_is_as_the_handlers(serve, logs):
    app = app_with(echo)

    def receiver(_, ws):
        raise ValueError("no room")

    logs.expect("Exception on /x")
    with websocket_connected.connected_to(receiver, app):
        frames = serve(app=app).open("/x").frames_to_end()
    assert [(f.first, f.payload[:2]) for f in frames] == [(CLOSE, b"\x03\xf3")]


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_disconnected_tells_how_it_ended_and_what_was_carried(serve, sent):
    app = app_with(echo)
    next_sent = sent(app, websocket_disconnected)
    peer = serve(app=app).open("/x")
    for message in ("one", "Grüße"):
        peer.text(message)
        assert peer.frame().payload == message.encode()
    peer.send(close_frame(4001, b"enough"))
    peer.frames_to_end()
    sender, found = next_sent()
    assert sender is app
    assert 0 < found.pop("duration") < DEADLINE
    assert found.pop("ws").path == "/x"
    assert found == {
        "code": 4001,
        "reason": "enough",
        "messages_received": 2,
        "messages_sent": 2,
        "bytes_received": 3 + 7,
        "bytes_sent": 3 + 7,
    }


def test_counts_both_ways_are_not_mixed_up(serve, sent):
    def handler(ws):
        assert ws.receive() == "12345"
        for _ in range(3):
            ws.send(b"x" * 70_000)

    app = app_with(handler)
    next_sent = sent(app, websocket_disconnected)
    peer = serve(app=app).open("/x")
    peer.send(frame(TEXT, b"12345"))
    assert len(peer.frames_to_end()) == 4
    found = next_sent()[1]
    assert (found["messages_received"], found["bytes_received"]) == (1, 5)
    assert (found["messages_sent"], found["bytes_sent"]) == (3, 210_000)


def test_counts_are_those_before_compression_and_of_whole_messages(serve, sent):
    def handler(ws):
        assert ws.receive() == "a" * 600
        ws.send("b" * 5000)
        ws.send(b"c" * 10, binary=False, do_compress=False)
        ws.send_frame("d" * 7, ws.OPCODE_TEXT)
        ws.ping(b"not counted")

    app = app_with(handler)
    app.config["SOCKETS_COMPRESSION"] = True
    next_sent = sent(app, websocket_disconnected)
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover")]
    peer = serve(app=app).open("/x", offer)
    deflated = zlib.compress(b"a" * 600, wbits=-15)[:-1]
    parts = [frame(0x41, deflated[:4]), frame(PING, b""), frame(0x80, deflated[4:])]
    peer.send(*parts)
    frames = [frame for frame in peer.frames_to_end() if frame.first in (0xC1, TEXT)]
    assert frames[0].first == 0xC1
    assert len(frames[0].payload) < 5000
    found = next_sent()[1]
    assert (found["messages_received"], found["bytes_received"]) == (1, 600)
    assert (found["messages_sent"], found["bytes_sent"]) == (3, 5000 + 10 + 7)


def test_counts_of_many_threads_are_exact(serve, sent):
    def handler(ws):
        def send():
            for _ in range(500):
                ws.send(b"123")

        def receive():
            for _ in range(500):
                assert ws.receive() == "12345"

        threads = [in_thread(work) for work in (send, receive) for _ in range(4)]
        for thread in threads:
            thread.result()

    app = app_with(handler)
    next_sent = sent(app, websocket_disconnected)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        peer = serve(app=app).open("/x")
        sending = in_thread(lambda: [peer.text("12345") for _ in range(2000)])
        assert sum(1 for each in peer.frames_to_end() if each.first == BINARY) == 2000
        sending.result()
        found = next_sent()[1]
    finally:
        sys.setswitchinterval(interval)
    assert (found["messages_received"], found["bytes_received"]) == (2000, 10_000)
    assert (found["messages_sent"], found["bytes_sent"]) == (2000, 6000)


def hangs_up(peer):
    peer.close()


def resets(peer):
    peer.reset()


def breaks_the_protocol(peer):
    peer.send(frame(0x83, b""))
    peer.frames_to_end()


def closes_without_a_code(peer):
    peer.send(close_frame(None))
    peer.frames_to_end()


@pytest.mark.parametrize(
    ("leave", "code"),
    [(hangs_up, 1006), (resets, 1006), (breaks_the_protocol, 1002), (closes_without_a_code, 1005)],
)
def test_disconnected_is_sent_once_whatever_the_ending(serve, sent, leave, code):
    app = app_with(echo)
    next_sent = sent(app, websocket_disconnected)
    live = serve(app=app)
    leave(live.open("/x"))
    assert next_sent()[1]["code"] == code
    with live.open("/x") as other:  # a second signal of the first would come before its own
        other.send(close_frame(4002))
        other.frames_to_end()
    assert next_sent()[1]["code"] == 4002


def test_disconnected_has_the_code_of_a_failing_handler(serve, sent, logs):
    def handler(ws):
        raise ValueError("broken")

    app = app_with(handler)
    next_sent = sent(app, websocket_disconnected)
    logs.expect("Exception on /x")
    serve(app=app).open("/x").frames_to_end()
    assert next_sent()[1]["code"] == 1011


def test_disconnected_has_an_app_context_and_its_failure_is_logged(serve, logs):
    names = queue.SimpleQueue()
    app = app_with(echo)

    def receiver(_, **arguments):
        names.put(flask.current_app.name)
        raise ValueError("receiver")

    logs.expect("exception in a receiver of websocket-disconnected")
    with websocket_disconnected.connected_to(receiver, app):
        peer = serve(app=app).open("/x")
        peer.send(close_frame())
        assert [f.first for f in peer.frames_to_end()] == [CLOSE]
        assert names.get(timeout=DEADLINE) == "signals"


def test_plain_view_that_takes_the_websocket_is_told_of_too(serve, sent):
    app = flask.Flask("plain")
    Sockets(app)

    @app.get("/x")
    def view():
        flask.request.environ["wsgi.websocket"].send("12345")
        return ""

    connected, disconnected = sent(app, websocket_connected), sent(app, websocket_disconnected)
    serve(app=app).open("/x").frames_to_end()
    ws = connected()[1]["ws"]
    found = disconnected()[1]
    assert found["ws"] is ws
    assert (found["code"], found["messages_sent"], found["bytes_sent"]) == (1000, 1, 5)


# Refused


def test_refused_by_the_app_has_the_status_and_no_refusal(serve, sent):
    app = app_with(echo)
    app.before_request(lambda: flask.abort(410))
    refused, connected = sent(app, websocket_refused), []
    with websocket_connected.connected_to(lambda *_, **a: connected.append(a), app):
        assert serve(app=app).ask(request("/x"))[0].status == 410
    sender, found = refused()
    assert sender is app
    assert found["environ"]["PATH_INFO"] == "/x"
    assert (found["status"], found["refusal"]) == (410, None)
    assert connected == []


def test_refused_by_the_package_has_the_exception(serve, sent, logs):
    app = app_with(echo)
    refused = sent(app, websocket_refused)
    logs.expect("evil.example")
    head, _ = serve(app=app).ask(request("/x", [("Origin", "https://evil.example")]))
    found = refused()[1]
    assert head.status == found["status"] == found["refusal"].code == 403


def test_unknown_path_is_a_refusal_too(serve, sent):
    app = app_with(echo)
    refused = sent(app, websocket_refused)
    assert serve(app=app).ask(request("/y"))[0].status == 404
    assert refused()[1]["status"] == 404


def test_plain_request_sends_no_signal(serve):
    app = app_with(echo)
    sent = []
    with websocket_refused.connected_to(lambda *_, **a: sent.append(a), app):
        assert serve(app=app).get("/x")[0].status == 426
    assert sent == []


# The access log

LINE = re.compile(
    r"127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d\] "
    r'"GET /x\?q=1 HTTP/1\.1" 101 - 4001 (\d+\.\d{3})s'
)
COLOUR = re.compile(r"\x1b\[\d+m")  # Werkzeug's


@pytest.mark.parametrize(
    ("host", "logger"),
    [("own", "werkzeug"), ("werkzeug", "flask_threaded_sockets.access")],
    indirect=["host"],
)
def test_one_line_per_connection_at_its_end(serve, logs, sent, logger):
    app = app_with(echo)
    next_sent = sent(app, websocket_disconnected)
    live = serve(app=app)
    peer = live.open("/x?q=1")
    peer.text("hello")
    peer.frame()

    def lines():
        plain = [COLOUR.sub("", text) for text in logs.messages(logger)]
        return [text for text in plain if "GET /x" in text]

    assert lines() == []  # not yet: the connection is open
    peer.send(close_frame(4001))
    peer.frames_to_end()
    duration = next_sent()[1]["duration"]
    eventually(lines, "the line")
    live.stop()
    found = LINE.fullmatch(*lines())
    assert float(found[1]) == pytest.approx(duration, abs=0.001)

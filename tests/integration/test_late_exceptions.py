"""Exceptions that come where hardly anybody expects one: the connection ends all the same.

That nothing is left of it, the fixture ``clean_end`` sees.
"""

from __future__ import annotations

import logging

import flask
import pytest
from live import HOSTS, app_of, eventually
from peer import CLOSE, TEXT, Frame
from wire import wire

from flask_threaded_sockets.clients import clients
from flask_threaded_sockets.extension import state_of

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)


class Unexpected(Exception):
    pass


def fail(*_: object) -> None:
    raise Unexpected("at the very end")


def all_is_over(app):
    """Tell whether no client is registered and no slot taken."""
    slots = state_of(app).slots
    return not len(clients) and not slots._taken


def check_end(app, peer, close):
    """Check that one Close comes, then the end and no HTTP response, and nothing is left."""
    assert peer.frames_to_end() == [Frame(CLOSE, close)]
    eventually(lambda: all_is_over(app))


def test_function_that_the_101_calls_on_close_raises(serve, logs):
    app = app_of(lambda ws: ws.receive())

    @app.after_request
    def add(response):
        response.call_on_close(fail)
        return response

    logs.expect("Exception on / [GET]")
    peer = serve(app=app).open()
    peer.text("go")
    check_end(app, peer, wire("03 e8"))


class Body:
    """A streamed body that uses the WebSocket, and what it does at its end."""

    def __init__(self, ws, at_end, at_close):
        self._ws, self._at_end, self.close = ws, at_end, at_close

    def __iter__(self):
        self._ws.send("hello")
        self._ws.receive()
        self._at_end()
        yield b""


def streaming(at_end, at_close):
    app = app_of(fail)

    @app.get("/streamed")
    def view():
        body = Body(flask.request.environ["wsgi.websocket"], at_end, at_close)
        return flask.Response(body)

    return app


def leave(*_: object) -> None:
    raise SystemExit


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("at_end", "at_close", "close", "complaints"),
    [
        (lambda: None, fail, wire("03 f3") + b"internal error", ["Exception on /streamed"]),
        (fail, fail, wire("03 f3") + b"internal error", ["Exception on /streamed"]),
        (leave, lambda: None, wire("03 e9"), []),
    ],
    ids=["close", "both", "exit"],
)
def test_streamed_body_that_uses_the_websocket_raises(
    serve, logs, at_end, at_close, close, complaints
):
    app = streaming(at_end, at_close)
    logs.expect(*complaints)
    peer = serve(app=app).open("/streamed")
    assert peer.frame() == Frame(TEXT, b"hello")
    peer.text("go")
    check_end(app, peer, close)


class BrokenLog(logging.Handler):
    def emit(self, record):
        fail()


def test_log_that_cannot_be_written_to_keeps_no_connection(serve, logs):
    app = app_of(lambda ws: [ws.receive(), fail()], name="with a broken log")
    broken = BrokenLog()
    app.logger.addHandler(broken)
    app.logger.propagate = False
    logs.expect("Error on request")  # the server's own
    peer = serve(app=app).open()
    peer.text("go")
    check_end(app, peer, wire("03 f3") + b"internal error")

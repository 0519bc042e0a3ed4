"""Closing an app's clients by ``sockets.shutdown()``, with a server that goes on."""

from __future__ import annotations

import threading
import time

import flask
import pytest
from live import HOSTS, eventually, in_thread
from peer import CLOSE, TEXT, Frame
from wire import wire

from flask_threaded_sockets import Sockets

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)


class App:
    """An app with handlers that receive, that never do, and that shut all down."""

    def __init__(self) -> None:
        self.app = flask.Flask("shut down")
        self.app.config["SOCKETS_CLOSE_TIMEOUT"] = 0.5
        self.sockets = Sockets(self.app)
        self.released = threading.Event()
        self.codes: list[int | None] = []
        self.sockets.route("/echo")(self.echo)
        self.sockets.route("/deaf")(self.deaf)
        self.sockets.route("/last")(self.last)

    def echo(self, ws):
        for message in ws:
            ws.send(message)
        self.codes.append(ws.close_code)

    def deaf(self, ws):
        self.released.wait(60)

    def last(self, ws):
        ws.receive()
        self.sockets.shutdown(1012, "restarting")


def test_every_client_gets_the_code_and_every_handler_ends(serve):
    it = App()
    live = serve(app=it.app)
    peers = [live.open("/echo") for _ in range(5)]
    shutting = in_thread(it.sockets.shutdown, 3000, "for today")
    for peer in peers:
        assert peer.frames_to_end() == [Frame(CLOSE, wire("0b b8") + b"for today")]
    shutting.result()
    eventually(lambda: it.codes == [3000] * 5)
    with live.open("/echo") as peer:  # the server goes on
        peer.text("again")
        assert peer.frame() == Frame(TEXT, b"again")


def test_going_away_is_the_default(serve):
    it = App()
    peer = serve(app=it.app).open("/echo")
    shutting = in_thread(it.sockets.shutdown)
    assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e9"))]
    shutting.result()


def test_deaf_handler_and_silent_peer_are_waited_for_no_longer_than_the_timeout(serve):
    it = App()
    live = serve(app=it.app)
    peers = [live.open("/deaf"), live.open("/deaf"), live.open("/echo")]
    began = time.monotonic()
    it.sockets.shutdown(timeout=0.3)
    assert 0.3 <= time.monotonic() - began < 5
    for peer in peers:
        assert peer.frames_to_end(answer=False) == [Frame(CLOSE, wire("03 e9"))]
    it.released.set()


def test_shutdown_without_a_time_limit_waits_for_the_end(serve):
    it = App()
    peer = serve(app=it.app).open("/deaf")
    shutting = in_thread(lambda: it.sockets.shutdown(timeout=float("inf")))
    assert peer.frame() == Frame(CLOSE, wire("03 e9"))
    it.released.set()
    shutting.result()


def test_handler_that_shuts_down_is_closed_itself_and_not_waited_for(serve):
    it = App()
    live = serve(app=it.app)
    other, peer = live.open("/echo"), live.open("/last")
    peer.text("now")
    for each in (other, peer):
        assert each.frames_to_end() == [Frame(CLOSE, wire("03 f4") + b"restarting")]
    eventually(lambda: it.codes == [1012])


def test_another_apps_clients_stay(serve):
    one, other = App(), App()
    mine, theirs = serve(app=one.app).open("/echo"), serve(app=other.app).open("/echo")
    shutting = in_thread(one.sockets.shutdown)
    assert mine.frames_to_end() == [Frame(CLOSE, wire("03 e9"))]
    shutting.result()
    theirs.text("here")
    assert theirs.frame() == Frame(TEXT, b"here")


@pytest.mark.parametrize("code", [999, 1005, 1006, 1015, 5000, 1000.0, "1001"])
def test_code_that_may_not_be_sent_is_refused_and_nobody_closed(serve, code):
    it = App()
    peer = serve(app=it.app).open("/echo")
    with pytest.raises(ValueError, match=str(code)):
        it.sockets.shutdown(code)
    peer.text("here")
    assert peer.frame() == Frame(TEXT, b"here")

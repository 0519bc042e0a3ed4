"""Servers that listen on a Unix socket, as behind a proxy, and on IPv6."""

from __future__ import annotations

import flask
import pytest
from live import HOSTS, Live, in_thread
from peer import CLOSE, TEXT, Frame, close_frame
from wire import wire

from flask_threaded_sockets import Sockets

BINDS = {"unix": "unix://{}/server.sock", "ipv6": "::1"}


@pytest.mark.parametrize("bind", BINDS.values(), ids=BINDS)
@pytest.mark.parametrize("host", HOSTS)
def test_clients_talk_are_told_apart_and_are_closed(backend, logs, tmp_path, host, bind):
    app = flask.Flask("elsewhere")
    sockets = Sockets(app)

    @sockets.route("/echo")
    def echo(ws):
        for message in ws:
            ws.send(f"{message} of {len(ws.handler.server.clients)}")

    live = Live(app, host, bind=bind.format(tmp_path))
    try:
        peers = []
        for number in (b"1", b"2", b"3"):
            peers.append(live.open("/echo"))
            peers[-1].text("one")  # its handler runs: it is among them
            assert peers[-1].frame() == Frame(TEXT, b"one of " + number)
        peers[0].send(close_frame())
        assert peers[0].frames_to_end() == [Frame(CLOSE, wire("03 e8"))]
        shutting = in_thread(sockets.shutdown)
        for peer in peers[1:]:
            assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e9"))]
        shutting.result()
    finally:
        live.stop()

"""``ThreadedWebsocketServer.shutdown()`` while clients arrive: none stays open behind it."""

from __future__ import annotations

import threading

from live import Live, app_of, eventually, in_thread
from peer import CLOSE, Frame, request
from wire import wire

from flask_threaded_sockets.clients import clients


def echo(ws):
    for message in ws:
        ws.send(message)


def test_connection_accepted_before_is_refused_a_websocket_afterwards(backend):
    live = Live(app_of(echo))
    peer = live.connect()
    # Its thread has started, so the server has accepted it.
    eventually(lambda: any("process_request" in t.name for t in threading.enumerate()))
    live.server.shutdown()
    peer.send(request())
    assert peer.head().status == 503
    live.stop()


def test_client_whose_opening_handshake_is_being_answered_is_waited_for_and_closed(backend):
    app = app_of(echo)
    entered, released = threading.Event(), threading.Event()

    @app.before_request
    def take_time():
        entered.set()
        released.wait(60)

    live = Live(app)
    peer = live.connect()
    peer.send(request())
    assert entered.wait(20)
    stopping = in_thread(live.server.shutdown)
    eventually(lambda: not live._thread.is_alive() or live.server.socket.fileno() < 0)
    released.set()
    assert peer.head().status == 101
    assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e9"))]
    stopping.result()
    assert not len(clients)
    live.stop()

"""A process that may start no more threads for a while, as at a container's limit."""

from __future__ import annotations

import contextlib
import signal
import sys
import time

import pytest
from integration.processes import free_port, running
from peer import CLOSE, DEADLINE, PING, TEXT, Frame, Peer, request
from wire import wire

# No thread starts with a stack that is larger than the address space.
APP = """
import sys, threading, time
from flask import Flask, request
from flask_threaded_sockets import Sockets, ThreadedWebsocketServer

app = Flask(__name__)
app.config["SOCKETS_PING_INTERVAL"] = 0.2
sockets = Sockets(app)


@app.before_request
def exhaust():
    if request.args.get("threads") == "none":
        threading.stack_size(1 << 50)


@app.teardown_request
def recover(error):
    threading.stack_size(0)


@sockets.route("/echo")
def echo(ws):
    for message in ws:
        ws.send(message)


ThreadedWebsocketServer("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


@pytest.fixture
def served(tmp_path, monkeypatch):
    # The backend websockets starts a thread of its own for each connection.
    monkeypatch.setenv("FLASK_SOCKETS_BACKEND", "builtin")
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    command = [sys.executable, "app.py", str(port)]
    with running(command, directory=tmp_path, log=tmp_path / "log", port=port) as process:
        yield process, port


@contextlib.contextmanager
def opened(port, path):
    with Peer(port) as peer:
        peer.send(request(path))
        assert peer.head().status == 101
        yield peer


def echoed(peer):
    """Give the next frame that is no ping."""
    while (frame := peer.frame()).first == PING:
        pass
    return frame


def check_echo(peer):
    peer.text("here")
    assert echoed(peer) == Frame(TEXT, b"here")


def test_monitor_whose_thread_could_not_start_starts_with_the_next_connection(served):
    process, port = served
    with opened(port, "/echo?threads=none") as peer:
        assert peer.frames_to_end() == [Frame(CLOSE, wire("03 f3"))]
    with opened(port, "/echo") as peer:
        assert peer.frame().first == PING
    assert process.output.count("can't start new thread") == 1


def test_server_outlives_connections_for_which_no_thread_could_start(served):
    process, port = served
    with opened(port, "/echo") as first:
        check_echo(first)  # what starts with the first connection has started
        with opened(port, "/echo?threads=none") as last:
            for _ in range(3):
                with Peer(port) as refused, contextlib.suppress(ConnectionResetError):
                    refused.send(request("/echo"))
                    assert refused.to_end() == b""
            check_echo(last)
        wait_for_recovery(port)
    process.check_alive()


def wait_for_recovery(port):
    deadline = time.monotonic() + DEADLINE
    while True:
        with contextlib.suppress(OSError, EOFError), opened(port, "/echo") as peer:
            check_echo(peer)
            return
        assert time.monotonic() < deadline


def test_signal_that_can_start_no_thread_closes_every_client_and_goes_on(served):
    process, port = served
    with opened(port, "/echo") as first, contextlib.ExitStack() as stack:
        check_echo(first)  # what starts with the first connection has started
        last = stack.enter_context(opened(port, "/echo?threads=none"))
        check_echo(last)
        process.process.send_signal(signal.SIGTERM)
        for peer in (first, last):
            assert echoed(peer) == Frame(CLOSE, wire("03 e9"))
        process.process.wait(DEADLINE)
    assert process.process.returncode == -signal.SIGTERM
    assert "Traceback" not in process.output

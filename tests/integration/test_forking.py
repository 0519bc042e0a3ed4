"""A process that forks while WebSockets are open: its children leave them alone."""

from __future__ import annotations

import contextlib
import os
import sys

import pytest
from integration.processes import free_port, running
from peer import TEXT, Frame, Peer, request

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

APP = """
import atexit, multiprocessing, os, signal, sys, time
from flask import Flask
from flask_threaded_sockets import Sockets, ThreadedWebsocketServer

app = Flask(__name__)
sockets = Sockets(app)
fork = multiprocessing.get_context("fork")


@sockets.route("/echo")
def echo(ws):
    for message in ws:
        ws.send(message)


def work(started):
    started.send(os.getpid())
    time.sleep(600)


@sockets.route("/terminated")
def terminated(ws):
    for _ in range(10):  # with a handler of Python's 3.13 ends some of them, by chance
        ours, theirs = fork.Pipe()
        child = fork.Process(target=work, args=(theirs,))
        child.start()
        ours.recv()
        child.terminate()
        child.join()
    ws.send(f"child ended with {child.exitcode}")
    ws.receive()


@sockets.route("/terminated-at-once")
def terminated_at_once(ws):
    for _ in range(20):
        pid = os.fork()
        if not pid:
            time.sleep(600)
        os.kill(pid, signal.SIGTERM)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ws.send(f"child ended with {status}")
    ws.receive()


@sockets.route("/exiting")
def exiting(ws):
    pid = os.fork()
    if not pid:
        try:
            atexit._run_exitfuncs()  # as sys.exit() does in the main thread
        finally:
            os._exit(7)
    ws.send(f"child ended with {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
    ws.receive()


ThreadedWebsocketServer("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


@pytest.mark.parametrize(
    ("path", "status"),
    [("/terminated", -15), ("/terminated-at-once", -15), ("/exiting", 7)],
    ids=["by SIGTERM", "by SIGTERM before it begins", "with what runs at exit"],
)
def test_child_that_ends_closes_none_of_its_parents_websockets(backend, tmp_path, path, status):
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    command = [sys.executable, "app.py", str(port)]
    with (
        running(command, directory=tmp_path, log=tmp_path / "log", port=port) as process,
        contextlib.ExitStack() as stack,
    ):
        bystander, forking = (stack.enter_context(Peer(port)) for _ in range(2))
        bystander.send(request("/echo"))
        assert bystander.head().status == 101
        forking.send(request(path))
        assert forking.head().status == 101
        assert forking.frame() == Frame(TEXT, f"child ended with {status}".encode())
        bystander.text("still here")
        assert bystander.frame() == Frame(TEXT, b"still here")
        assert "Traceback" not in process.output

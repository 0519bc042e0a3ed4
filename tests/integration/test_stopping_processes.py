"""How a whole process ends: signals, Ctrl-C, the reloader; what its clients see of it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

import pytest
from integration.processes import free_port, replace_text, running, wait_for
from peer import CLOSE, DEADLINE, TEXT, Frame, Peer, request
from wire import wire

PATIENCE = 20.0  # the machine may be busy with something else

APP = """
import os, sys, time
from flask import Flask
from flask_threaded_sockets import Sockets, ThreadedWebsocketServer

app = Flask(__name__)
{config}
sockets = Sockets(app)
RELEASE = "first"


@app.get("/release")
def release():
    return RELEASE


def tell(ws):
    os.write(1, b"told%d\\n" % ws.close_code)  # in one piece, unlike print


@sockets.route("/echo")
def echo(ws):
    for message in ws:
        ws.send(message)
    tell(ws)


@sockets.route("/push")
def push(ws):
    while not ws.closed:
        time.sleep(0.01)
    tell(ws)


@sockets.route("/deaf")
def deaf(ws):
    time.sleep(600)


if __name__ == "__main__":
    port = int(sys.argv[1])
    {serve}
"""

# id, how the app is served, how it is started.
OWN = "ThreadedWebsocketServer('127.0.0.1', port, app).serve_forever()"
RUN = "app.run('127.0.0.1', port)"
RUN_DEBUG = "app.run('127.0.0.1', port, debug=True)"
HOSTS = {
    "own": (OWN, [sys.executable, "app.py", "{port}"]),
    "app.run": (RUN, [sys.executable, "app.py", "{port}"]),
    "app.run in debug": (RUN_DEBUG, [sys.executable, "app.py", "{port}"]),
    "flask run": (RUN, [sys.executable, "-m", "flask", "run", "-p", "{port}"]),
    "flask run --debug": (RUN, [sys.executable, "-m", "flask", "run", "--debug", "-p", "{port}"]),
}


@contextlib.contextmanager
def started(how, directory, *, config="", serve=None):
    """Run the app in a process of its own, ``serve`` at its end; give it and its port."""
    usual, command = HOSTS[how]
    serve = (serve or usual).replace("\n", "\n    ")
    (directory / "app.py").write_text(APP.format(serve=serve, config=config))
    port = free_port()
    arguments = [part.format(port=port) for part in command]
    with running(arguments, directory=directory, log=directory / "log", port=port) as process:
        yield process, port


def opened(port, path):
    peer = Peer(port)
    peer.send(request(path))
    assert peer.head().status == 101
    return peer


def end(process, number):
    """Signal as a terminal or a service manager does: the whole group."""
    os.killpg(process.process.pid, number)
    return time.monotonic()


def wait_until_gone(process, began):
    process.process.wait(DEADLINE)
    # 3 s by contract; a busy machine is given more, the close timeout of 5 s is not.
    assert time.monotonic() - began < 4.5


# A reloader's parent, when it gets SIGTERM too, kills the child at once and with SIGKILL, and
# after Ctrl-C it gives the child a quarter of a second: nothing can be promised there.
@pytest.mark.parametrize("how", ["own", "app.run", "flask run"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_closes_every_client_with_1001_and_ends_the_process(backend, how, number, tmp_path):
    with started(how, tmp_path) as (process, port), contextlib.ExitStack() as stack:
        peers = [stack.enter_context(opened(port, path)) for path in ("/echo", "/push") * 5]
        peers[0].text("a")
        assert peers[0].frame() == Frame(TEXT, b"a")
        began = end(process, number)
        for peer in peers:
            assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e9"))]
        wait_until_gone(process, began)
        assert process.output.count("told1001") == len(peers)
        assert "Traceback" not in process.output


@pytest.mark.parametrize("how", ["app.run in debug", "flask run --debug"])
def test_ctrl_c_under_a_reloader_leaves_no_traceback_and_no_process(backend, how, tmp_path):
    with started(how, tmp_path) as (process, port), opened(port, "/echo") as peer:
        began = end(process, signal.SIGINT)
        assert peer.frames_to_end() in ([Frame(CLOSE, wire("03 e9"))], [])
        wait_until_gone(process, began)
        assert "Traceback" not in process.output


@pytest.mark.parametrize("how", ["own", "app.run"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_is_not_held_up_by_a_deaf_handler_or_a_silent_peer(backend, how, number, tmp_path):
    with started(how, tmp_path) as (process, port):
        with opened(port, "/deaf") as deaf, opened(port, "/echo") as silent:
            began = end(process, number)
            wait_until_gone(process, began)
            for peer in (deaf, silent):
                assert peer.frame() == Frame(CLOSE, wire("03 e9"))
                with contextlib.suppress(ConnectionResetError):
                    assert peer.to_end() == b""
        assert "Traceback" not in process.output


@pytest.mark.parametrize("how", ["own", "app.run"])
def test_host_goes_on_to_end_by_the_signal_itself(backend, how, tmp_path):
    with started(how, tmp_path) as (process, port), opened(port, "/echo"):
        wait_until_gone(process, end(process, signal.SIGTERM))
        assert process.process.returncode == -signal.SIGTERM


def test_signal_without_any_client_ends_the_process_at_once(backend, tmp_path):
    with started("own", tmp_path) as (process, port):
        # It listens before it serves; Ctrl-C in between ends a program, not a server.
        assert released(port) == b"first"
        wait_until_gone(process, end(process, signal.SIGINT))
        assert process.process.returncode == 0
        assert "Traceback" not in process.output


def test_app_that_handles_no_signals_leaves_them_to_the_host(backend, tmp_path):
    config = "app.config['SOCKETS_HANDLE_SIGNALS'] = False"
    with started("app.run", tmp_path, config=config) as (process, port):
        with opened(port, "/echo") as peer:
            began = end(process, signal.SIGTERM)
            assert peer.frames_to_end() == []
            wait_until_gone(process, began)
        assert process.process.returncode == -signal.SIGTERM
        assert "told" not in process.output


def test_apps_own_signal_handler_is_called_behind_ours(backend, tmp_path):
    config = """
import signal

def stop(number, frame):
    print("mine", flush=True)
    sys.exit(7)

signal.signal(signal.SIGTERM, stop)
"""
    with started("own", tmp_path, config=config) as (process, port):
        with opened(port, "/push") as peer:
            began = end(process, signal.SIGTERM)
            assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e9"))]
            wait_until_gone(process, began)
        assert process.process.returncode == 7
        assert process.output.index("told1001") < process.output.index("mine")


# The main thread serves nothing and looks at its threads when the signal comes.
LOOKING = """
import threading
import signal

asked = threading.Event()
seen = sockets.route("/ask")(lambda ws: (ws.send("asked"), asked.set(), ws.receive()))
server = ThreadedWebsocketServer("127.0.0.1", port, app)
threading.Thread(target=server.serve_forever, daemon=True).start()
asked.wait()

def interrupt(frame, event, argument):
    if event == "c_call" and frame.f_code is threading.enumerate.__code__:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGTERM)

sys.setprofile(interrupt)
threading.enumerate()
"""


def test_signal_may_interrupt_a_main_thread_that_holds_the_threads_own_lock(backend, tmp_path):
    with started("own", tmp_path, serve=LOOKING) as (process, port), opened(port, "/ask") as peer:
        began = time.monotonic()
        assert peer.frames_to_end() == [Frame(TEXT, b"asked"), Frame(CLOSE, wire("03 e9"))]
        wait_until_gone(process, began)
        assert process.process.returncode == -signal.SIGTERM


# The main thread is still within Thread.start() when the client has its 101 already.
STARTING = """
import itertools
import threading
import signal

asked, stopped = threading.Event(), threading.Event()
starts = itertools.count()
seen = sockets.route("/ask")(lambda ws: (asked.set(), stopped.wait()))

def interrupt(frame, event, argument):
    if event != "return" or frame.f_code is not threading.Thread.start.__code__:
        return
    if not next(starts):  # for who looks whether somebody listens
        return
    asked.wait()
    sys.setprofile(None)
    signal.raise_signal(signal.SIGINT)

server = ThreadedWebsocketServer("127.0.0.1", port, app)
sys.setprofile(interrupt)
server.serve_forever()
stopped.set()  # only now the connection's thread writes to its socket for the last time
for thread in threading.enumerate():
    if "process_request" in thread.name:
        thread.join()
"""


def test_ctrl_c_that_comes_as_a_connection_starts_leaves_its_socket_to_its_thread(
    backend, tmp_path
):
    with started("own", tmp_path, serve=STARTING) as (process, port), opened(port, "/ask") as peer:
        assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e9"))]
        process.process.wait(DEADLINE)
        assert "Traceback" not in process.output


@pytest.mark.parametrize("how", ["flask run --debug", "app.run in debug"])
def test_reload_closes_every_client_with_1001_and_serves_again(backend, how, tmp_path):
    with started(how, tmp_path) as (process, port):
        with opened(port, "/echo") as reading, opened(port, "/push") as pushed:
            app = tmp_path / "app.py"
            replace_text(app, app.read_text().replace('"first"', '"second"'))
            for peer in (reading, pushed):
                assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e9"))]
            began = time.monotonic()
            wait_for(lambda: released(port) == b"second", "answer of the new process")
            assert time.monotonic() - began < PATIENCE
        with opened(port, "/echo") as peer:
            peer.text("again")
            assert peer.frame() == Frame(TEXT, b"again")
        assert "Traceback" not in process.output


def released(port):
    try:
        with Peer(port) as peer:
            peer.send(b"GET /release HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            peer.head()
            return peer.to_end()
    except (OSError, EOFError):  # between the two processes
        return None

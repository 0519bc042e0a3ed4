"""The app of these tests, in a process of its own: a script, or a module for gunicorn.

python served.py own|werkzeug PORT [CERTIFICATE KEY]
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import flask

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer
from flask_threaded_sockets.clients import clients

app = flask.Flask(__name__)
app.config.update(json.loads(os.environ.get("SERVED_CONFIG", "{}")))
sockets = Sockets(app)

CLOSE_WAIT = "08"  # in /proc/net/tcp
SIZES = (0, 1, 125, 126, 2000, 16_384, 16_385, 70_000)


@app.get("/")
def index():
    return "Hello"


@app.get("/state")
def state():
    """Give what a connection may leave behind."""
    gc.collect()
    links = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            links.append(path.readlink().name)
        except OSError:
            pass
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    own = [line for line in lines if f"socket:[{line[9]}]" in links]
    status = Path("/proc/self/status").read_text().split()
    return {
        "clients": len(clients),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "descriptors": len(links),
        "close_wait": sum(line[3] == CLOSE_WAIT for line in own),
        "kib": int(status[status.index("VmRSS:") + 1]),
    }


peaks: list[int] = []  # bytes


@app.get("/peak")
def peak():
    return str(peaks.pop()) if peaks else ""


@sockets.route("/traced")
def traced(ws):
    """Note the most that is allocated at a time until a message, or the end, has come."""
    tracemalloc.start()
    ws.send("go", do_compress=False)
    ws.receive()
    ws.close()  # what else the peer sends is discarded
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()


@sockets.route("/echo")
def echo(ws):
    for message in ws:
        ws.send(message)


@sockets.route("/duplex")
def duplex(ws):
    """Send and receive at full speed, each in a thread of its own, until a text comes."""
    done = threading.Event()
    pace = Pace()

    def push():
        with pace.measuring("send"):
            for number in itertools.count():
                if done.is_set():
                    return
                ws.send(message_of(number))
                pace.step("send")

    pusher = threading.Thread(target=push)
    pusher.start()
    with pace.measuring("receive"):
        for number in itertools.count():
            message = ws.receive()
            if message is None or isinstance(message, str):
                break
            if message != message_of(number):
                ws.close(3000, f"message {number} is wrong")
                break
            pace.step("receive")
    done.set()
    pusher.join()
    pace.stop()
    if not ws.closed:
        ws.send(json.dumps(pace.result()))


def message_of(number: int) -> bytes:
    """Give the message of that number, which no other has."""
    return number.to_bytes(8, "big") + bytes(SIZES[number % len(SIZES)])


class Pace:
    """Measure the longest pause of each direction, and the longest the machine itself made."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._pauses: dict[str, float] = {"machine": 0.0}
        self._counts: dict[str, int] = {}
        self._stopped = threading.Event()
        self._beat = threading.Thread(target=self._run)
        self._beat.start()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(0.01):
            now = time.monotonic()
            self._pauses["machine"] = max(self._pauses["machine"], now - last)
            last = now

    def measuring(self, what: str) -> _Measuring:
        return _Measuring(self, what)

    def step(self, what: str, count: int = 1) -> None:
        now = time.monotonic()
        if what in self._last:
            self._pauses[what] = max(self._pauses.get(what, 0), now - self._last[what])
        self._last[what] = now
        self._counts[what] = self._counts.get(what, 0) + count

    def stop(self) -> None:
        self._stopped.set()
        self._beat.join()

    def result(self) -> dict[str, dict[str, float]]:
        return {"pauses": self._pauses, "counts": self._counts}


class _Measuring:
    """Count the pause before the first step, and the one behind the last."""

    def __init__(self, pace: Pace, what: str) -> None:
        self._pace, self._what = pace, what

    def __enter__(self) -> None:
        self._pace.step(self._what, 0)

    def __exit__(self, *_: object) -> None:
        self._pace.step(self._what, 0)


if __name__ == "__main__":
    host, port, *pair = sys.argv[1:]
    if host == "own":
        server = ThreadedWebsocketServer("127.0.0.1", int(port), app, tuple(pair) or None)
        server.serve_forever()
    else:
        app.run("127.0.0.1", int(port), ssl_context=tuple(pair) or None)

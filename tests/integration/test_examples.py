"""Each example runs and does what its first lines say."""

from __future__ import annotations

import itertools
import json
import sys
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from integration.processes import free_port, running, wait_for
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def example(name, tmp_path):
    port = free_port()
    arguments = [sys.executable, EXAMPLES / name, str(port)]
    with running(arguments, directory=tmp_path, log=tmp_path / "log", port=port) as process:
        yield port
        assert "Traceback" not in process.output


def opened(port, path):
    return connect(f"ws://127.0.0.1:{port}{path}", open_timeout=10, close_timeout=5)


def fetch(port, path, **form):
    data = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=10) as response:
        return response.read().decode()


def test_every_example_is_run_here_or_in_the_browser():
    tested = {"blueprint.py", "broadcast.py", "instrument.py", "plain_view.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_blueprint(tmp_path):
    with example("blueprint.py", tmp_path) as port:
        address = json.loads(fetch(port, "/scales/3"))["socket"]
        assert address == f"ws://127.0.0.1:{port}/scales/3/weigh"
        with opened(port, "/scales/3/weigh") as ws:
            answers = []
            for command in ("read", "tare", "read"):
                ws.send(command)
                answers.append(ws.recv(timeout=10))
            assert answers == ["980.00 g", "0.00 g", "0.00 g"]
        with pytest.raises(InvalidStatus) as caught, opened(port, "/scales/4/weigh"):
            pass
        assert caught.value.response.status_code == 404


def test_broadcast(tmp_path):
    with example("broadcast.py", tmp_path) as port:
        with opened(port, "/room") as first, opened(port, "/room") as second:
            wait_for(lambda: fetch(port, "/say", text="dinner") == "2 listening\n", "both")
            for ws in (first, second):
                assert ws.recv(timeout=10) == "dinner"
            first.send("hello")
            own = first.socket.getsockname()[1]
            for ws in (first, second):
                # The one that came first may have heard "dinner" more than once.
                heard = itertools.dropwhile("dinner".__eq__, ws)
                assert next(heard) == f"{own}: hello"
        wait_for(lambda: fetch(port, "/say", text="anyone?") == "0 listening\n", "an empty room")


def test_instrument(tmp_path):
    with example("instrument.py", tmp_path) as port, opened(port, "/meter") as ws:
        assert 4.9 < float(ws.recv(timeout=10)) < 5.1
        ws.send("50")
        assert 4.9 < float(ws.recv(timeout=10)) < 5.1
        ws.send("stop")
        for _ in ws:
            pass
        assert (ws.close_code, ws.close_reason) == (1000, "stopped")


def test_plain_view(tmp_path):
    with example("plain_view.py", tmp_path) as port:
        assert len(fetch(port, "/clock")) == len("12:34:56")
        with opened(port, "/clock") as ws:
            first, second = ws.recv(timeout=10), ws.recv(timeout=10)
            assert first != second

"""The smallest complete backend: pip installs it in a fresh environment, and it serves."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

import pytest
from integration.processes import free_port, running
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = Path(__file__).parents[3]

APP = """
import sys
from flask import Flask
from flask_threaded_sockets import Sockets, ThreadedWebsocketServer

app = Flask("app")
app.config["SOCKETS_MAX_MESSAGE_SIZE"] = 100_000
sockets = Sockets(app, backend="minimal")

@sockets.route("/echo")
def echo(ws):
    ws.send(type(sockets.backend).__module__)
    for message in ws:
        ws.send(message)

ThreadedWebsocketServer("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


def run(*arguments: str | Path) -> str:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FLASK"))}
    done = subprocess.run(
        [str(argument) for argument in arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_pip_installs_the_minimal_backend_and_it_serves(tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "-q", "install", ROOT, ROOT / "examples/backend-minimal")
    (tmp_path / "app.py").write_text(APP)
    listed = run(tmp_path / "venv/bin/flask", "sockets", "backends")
    assert [line.split()[0] for line in listed.splitlines()[2:4]] == ["builtin", "minimal"]
    port = free_port()
    command = [python, tmp_path / "app.py", str(port)]
    with (
        running(command, directory=tmp_path, log=tmp_path / "log", port=port) as app,
        connect(f"ws://127.0.0.1:{port}/echo", compression="deflate") as ws,
    ):
        assert ws.recv(timeout=30) == "acme_minimal_sockets"
        assert ws.protocol.extensions == [], "no compression was agreed"
        for message in ("Grüße", b"\x00\xff", "", "x" * 125, "y" * 126, b"z" * 70_000):
            ws.send(message)
            assert ws.recv(timeout=30) == message
        ws.send(["in ", "three ", "fragments"])
        assert ws.recv(timeout=30) == "in three fragments"
        assert ws.ping().wait(30)
        ws.send(b"z" * 100_001)
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(timeout=30)
        assert caught.value.rcvd.code == 1009
        assert "Traceback" not in app.output

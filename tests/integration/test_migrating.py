"""The apps of docs/migrating.md: those from before parse, those for after run and agree."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from integration.processes import free_port, running
from websockets.sync.client import connect

PAGE = (Path(__file__).parents[2] / "docs/migrating.md").read_text("utf-8")
APPS = {
    (time, package): source
    for time, package, source in re.findall(
        r"^```python (before|after)=(\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
}
# What installs next to this package; flask-threaded-sockets 0.3's app is today's, unchanged.
RUNNING = [
    ("after", "flask-sockets"),
    ("before", "flask-threaded-sockets"),
    ("before", "flask-sock"),
    ("after", "flask-sock"),
]


def test_every_app_of_the_page_is_known():
    assert set(APPS) == {*RUNNING, ("before", "flask-sockets")}
    assert PAGE.count("```python") == len(APPS)


@pytest.mark.parametrize("which", APPS, ids=" ".join)
def test_app_parses(which):
    ast.parse(APPS[which])


@pytest.mark.parametrize("which", RUNNING, ids=" ".join)
def test_app_runs_and_echoes(which, tmp_path):
    port = free_port()
    assert APPS[which].count("5000") == 1
    app = tmp_path / "app.py"
    app.write_text(APPS[which].replace("5000", str(port)), "utf-8")
    with (
        running(
            [sys.executable, app], directory=tmp_path, log=tmp_path / "log", port=port
        ) as process,
        connect(f"ws://127.0.0.1:{port}/echo", proxy=None, open_timeout=20) as ws,
    ):
        for message in ("text", b"\x00\xff"):
            ws.send(message)
            assert ws.recv(timeout=20) == message
        assert "Traceback" not in process.output

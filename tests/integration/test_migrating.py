"""The apps of docs/migrating.md: those from before parse, those for after run and agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import websocket
from integration.processes import free_port, running

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
# The last ones that these packages run with.
FORMER = [
    "Flask-Sockets==0.2.1",
    "flask-threaded-sockets==0.3.2",
    "gevent-websocket==0.10.1",
    "gevent",
    "Flask<2",
    "Werkzeug<2",
    "Jinja2<3",
    "itsdangerous<2.1",
    "MarkupSafe<2.1",
]


def check_echo(python, source, directory):
    """Run an app and have it echo; give what it wrote."""
    port = free_port()
    assert source.count("5000") == 1
    app = directory / "app.py"
    app.write_text(source.replace("5000", str(port)), "utf-8")
    with running([python, app], directory=directory, log=directory / "log", port=port) as process:
        ws = websocket.create_connection(f"ws://127.0.0.1:{port}/echo", timeout=20)
        for opcode, message in ((1, b"text"), (2, b"\x00\xff")):
            ws.send(message, opcode)
            assert ws.recv_data() == (opcode, message)
        output = process.output
        ws.close()
    return output


def test_every_app_of_the_page_is_known():
    assert set(APPS) == {*RUNNING, ("before", "flask-sockets")}
    assert PAGE.count("```python") == len(APPS)


@pytest.mark.parametrize("which", APPS, ids=" ".join)
def test_app_parses(which):
    ast.parse(APPS[which])


@pytest.mark.parametrize("which", RUNNING, ids=" ".join)
def test_app_runs_and_echoes(which, tmp_path):
    assert "Traceback" not in check_echo(sys.executable, APPS[which], tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_apps_from_before_run_with_what_they_were_written_for(tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *FORMER], check=True, timeout=500)
    for package in ("flask-sockets", "flask-threaded-sockets"):
        directory = tmp_path / package
        directory.mkdir()
        check_echo(python, APPS["before", package], directory)

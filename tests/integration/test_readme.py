"""Every block of code in README.md and docs/ runs, and so do the original README's apps."""

from __future__ import annotations

import ast
import re
import shutil
import socket
import struct
import sys
import urllib.request
from dataclasses import asdict
from pathlib import Path

import pytest
from integration.processes import AppProcess, free_port, running, wait_for
from websockets.sync.client import ClientConnection, connect

from flask_threaded_sockets.choice import DEFAULT_BACKEND
from flask_threaded_sockets.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGES.md",
    ROOT / "examples/README.md",
    *(ROOT / "docs").rglob("*.md"),
]
SEED_APPS = Path(__file__).parent / "seed_apps"


def blocks(language: str) -> list[str]:
    fence = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [block for page in PAGES for block in fence.findall(page.read_text("utf-8"))]


def get(port: int, path: str = "/") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return response.read().decode()


def opened(port: int, path: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}{path}", open_timeout=10, close_timeout=5)


def say(port: int, path: str, message: str | bytes) -> str | bytes:
    with opened(port, path) as ws:
        ws.send(message)
        return ws.recv(timeout=10)


# --- Python: one conversation for each block of README.md, in order

CONVERSATIONS = {
    "echo": ("/echo", "Grüße", "Grüße"),
    "factory": ("/devices/scale/echo", "7 g", "scale: 7 g"),
}


def save(source: str, directory: Path, port: int, name: str = "app.py") -> Path:
    """Save an app, with nothing changed but its port."""
    assert source.count("5000") == 1
    app = directory / name
    app.write_text(source.replace("5000", str(port)), "utf-8")
    return app


def test_every_python_block_has_a_conversation():
    assert len(blocks("python")) == len(CONVERSATIONS)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_python_block_runs(name, tmp_path):
    index = list(CONVERSATIONS).index(name)
    path, question, answer = CONVERSATIONS[name]
    port = free_port()
    app = save(blocks("python")[index], tmp_path, port)
    with running(
        [sys.executable, app], directory=tmp_path, log=tmp_path / "log", port=port
    ) as process:
        assert say(port, path, question) == answer
        process.wait_for_output(" 101 ")
        assert "Traceback" not in process.output


# --- Shell: each command is run by the test named here

DEMO = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/python examples/demo/app.py\n"
TESTS = "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox\n"
FLASK_RUN = "flask --app echo run\n"


def test_every_shell_block_is_run():
    assert sorted(blocks("sh")) == sorted([FLASK_RUN, DEMO, TESTS])


def test_flask_run_serves_the_first_app(tmp_path):
    port = free_port()
    (tmp_path / "echo.py").write_text(blocks("python")[0], "utf-8")
    flask = [sys.executable, "-m", *FLASK_RUN.split(), "--port", str(port)]
    with running(flask, directory=tmp_path, log=tmp_path / "log", port=port) as process:
        assert get(port) == "Hello"
        assert say(port, "/echo", "hi") == "hi"
        process.wait_for_output(" 101 ")
        assert "Traceback" not in process.output


@pytest.mark.timeout(300)
def test_demo_command_sets_up_and_serves_the_page(tmp_path):
    checkout = tmp_path / "checkout"
    for name in ("flask_threaded_sockets", "examples"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    command = f"{DEMO.strip()} --port 0"
    with running(["bash", "-c", command], directory=checkout, log=tmp_path / "log") as process:
        process.wait_for_output("Open http://", timeout=240)
        port = int(re.search(r"Open http://127\.0\.0\.1:(\d+)/", process.output)[1])
        assert "<h1>flask-threaded-sockets</h1>" in get(port)
        assert say(port, "/echo", "hi") == "hi"


def test_ci_runs_the_test_command_and_no_other():
    pattern = re.search(r"grep -xE '([^']+)' README\.md", (ROOT / ".ci/run").read_text("utf-8"))[1]
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert [line for line in lines if re.fullmatch(pattern, line)] == [TESTS.strip()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


# --- The table of the configuration

WORDS = {"16 MiB": 16 * 1024 * 1024, "same origin": None}


def value_of(default: str) -> object:
    return WORDS[default] if default in WORDS else ast.literal_eval(default.strip("`"))


def test_configuration_table_has_every_key_and_its_default():
    documented = {}
    for row in re.findall(
        r"^\| (`SOCKETS_.*) \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    ):
        keys, defaults, _ = row.split(" | ")
        names = re.findall(r"SOCKETS_(\w+)", keys)
        values = defaults.split(", ")
        assert len(names) == len(values)
        documented |= {n.lower(): value_of(v) for n, v in zip(names, values, strict=True)}
    settings = Settings()
    options = asdict(settings.policy.options)
    assert documented == {
        **options,
        "backend": DEFAULT_BACKEND,
        "max_connections": settings.max_connections,
        "handle_signals": settings.handle_signals,
        "allowed_origins": settings.policy.allowed_origins,
    }


# --- The original README's two apps, verbatim


def leave_with_close(ws: ClientConnection) -> None:
    ws.close()


def leave_with_eof(ws: ClientConnection) -> None:
    ws.socket.shutdown(socket.SHUT_WR)


def leave_with_reset(ws: ClientConnection) -> None:
    ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ws.socket.shutdown(socket.SHUT_RD)
    ws.socket.close()


def wait_for_requests(process: AppProcess, count: int) -> None:
    """Wait until the access log has the end of that many WebSockets."""
    wait_for(lambda: process.output.count('/echo HTTP/1.1" 101') == count, f"{count} ends")


@pytest.mark.parametrize("leave", [leave_with_close, leave_with_eof, leave_with_reset])
@pytest.mark.parametrize("name", ["echo", "blueprints"])
def test_original_app_runs_verbatim(name, leave, tmp_path):
    port = free_port()
    app = save((SEED_APPS / f"{name}.py").read_text("utf-8"), tmp_path, port)
    with running(
        [sys.executable, app], directory=tmp_path, log=tmp_path / "log", port=port
    ) as process:
        assert get(port) == "Hello World!"
        for count in (1, 2):
            with opened(port, "/echo") as ws:
                for message in ("text", b"\x00\xff", ""):
                    ws.send(message)
                    assert ws.recv(timeout=10) == message
                leave(ws)
            wait_for_requests(process, count)
        assert get(port) == "Hello World!"
        assert "Traceback" not in process.output
        assert "Error" not in process.output

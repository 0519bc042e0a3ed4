"""The processes of these tests: an app on a server, and a client that can be stopped."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from integration.processes import AppProcess, free_port, running
from peer import Peer, request

__all__ = ["COMMANDS", "POOL", "Served", "answering_client", "served"]

HERE = Path(__file__).parent

POOL = 4  # threads of gunicorn

# How each server is started; the port and, for TLS, two paths come behind.
COMMANDS = {
    "own": [sys.executable, "-X", "faulthandler", "served.py", "own"],
    "werkzeug": [sys.executable, "-X", "faulthandler", "served.py", "werkzeug"],
    "gunicorn": [sys.executable, "-m", "gunicorn", f"--threads={POOL}", "--no-control-socket"],
}


class Served:
    """A running app."""

    def __init__(self, process: AppProcess, port: int, certificate: str | None) -> None:
        self.process = process
        self.port = port
        self.tls = ssl.create_default_context(cafile=certificate) if certificate else None

    def open(self, path: str) -> Peer:
        peer = Peer(self.port, tls=self.tls)
        peer.send(request(path))
        head = peer.head()
        assert head.status == 101, head
        return peer

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return answer.read().decode()

    def state(self) -> dict[str, int]:
        state: dict[str, int] = json.loads(self.get("/state"))
        return state


@contextlib.contextmanager
def served(
    host: str, directory: Path, certificate: tuple[str, str] | None = None, **config: Any
) -> Iterator[Served]:
    """Serve the app in a process of its own; ``config`` is the app's."""
    port = free_port()
    command = [*COMMANDS[host]]
    if host == "gunicorn":
        command += [f"--bind=127.0.0.1:{port}", "served:app"]
    else:
        command += [str(port), *(certificate or ())]
    # glibc gives threads arenas of their own, up to eight for each core, and what is free in
    # one is of no use in another: with one, the memory that is used is the memory seen.
    environ = ["MALLOC_ARENA_MAX=1", f"SERVED_CONFIG={json.dumps(config)}"]
    log = directory / "log"
    with running(["env", *environ, *command], directory=HERE, log=log, port=port) as process:
        yield Served(process, port, certificate[0] if certificate else None)


@contextlib.contextmanager
def answering_client(port: int, path: str = "/") -> Iterator[subprocess.Popen[bytes]]:
    """Run a client in a process of its own that opens a WebSocket and answers every Ping."""
    tests = str(HERE.parents[1])
    environ = {**os.environ, "PYTHONPATH": tests}
    command = [sys.executable, str(HERE / "client.py"), str(port), path]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            yield process
        finally:
            process.kill()

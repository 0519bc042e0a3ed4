"""The servers under test, each in a process of its own, and what may be asked of it."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from integration.processes import AppProcess, free_port, running, wait_for
from peer import Head, Peer, request

__all__ = ["SERVED", "SERVERS", "Hosted", "Server", "everywhere", "hosted", "on", "script"]

SERVED = Path(__file__).with_name("served")


def script(name: str) -> Callable[[int, list[str]], list[str]]:
    """Start a script with the port and, for TLS, the certificate and its key."""
    return lambda port, pair: [sys.executable, name, str(port), *pair]


def gunicorn(*options: str) -> Callable[[int, list[str]], list[str]]:
    def command(port: int, pair: list[str]) -> list[str]:
        tls = [f"--certfile={pair[0]}", f"--keyfile={pair[1]}"] if pair else []
        where = [f"--bind=127.0.0.1:{port}", "--access-logfile=-", "--no-control-socket"]
        return [sys.executable, "-m", "gunicorn", *where, *tls, *options, "app:app"]

    return command


def flask_run(*options: str) -> Callable[[int, list[str]], list[str]]:
    def command(port: int, pair: list[str]) -> list[str]:
        tls = [f"--cert={pair[0]}", f"--key={pair[1]}"] if pair else []
        return [sys.executable, "-m", "flask", "run", f"--port={port}", *tls, *options]

    return command


def uwsgi(port: int, pair: list[str]) -> list[str]:
    where = [f"--http-socket=127.0.0.1:{port}", "--module=app:app", "--master"]
    program = str(Path(sys.executable).with_name("uwsgi"))
    home = f"--home={sys.prefix}"
    return [program, *where, home, "--threads=60", "--ignore-write-errors", "--die-on-term"]


@dataclass(frozen=True)
class Server:
    """One way to serve.

    Attributes:
        command: makes the command line from a port and the certificate's two paths.
        needs: the modules it needs.
        tls: whether it has TLS whose socket can be had.
        own_handshakes: whether a TLS handshake that stalls keeps no other out.
        bears_failed_handshakes: whether it survives a TLS handshake that fails.
        early: whether what came with the handshake's segment can be had.
        refuses: whether it leaves the opening handshake's answer to the application.
        access: what its access log says of a WebSocket; ``None``: it has none.
        concurrent: whether it serves several requests at a time.
        thread_each: whether each connection has a thread that ends with it.
        signals: the names of those that it lets us act on.
        environ: for the process.
    """

    command: Callable[[int, list[str]], list[str]]
    needs: tuple[str, ...] = ()
    tls: bool = True
    own_handshakes: bool = True
    bears_failed_handshakes: bool = True
    early: bool = True
    refuses: bool = True
    access: str | None = r'"GET {path} HTTP/1\.1" 101\b'
    concurrent: bool = True
    thread_each: bool = False
    signals: tuple[str, ...] = ("SIGTERM", "SIGINT")
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        found = [name for name in self.needs if find_spec(name) is None]
        program = Path(sys.executable).with_name("uwsgi")
        return found if self.command is not uwsgi or program.exists() else ["uwsgi"]


GEVENT = ("gunicorn", "gevent")

SERVERS = {
    "own": Server(script("own.py"), thread_each=True),
    "app.run": Server(script("werkzeug_run.py"), own_handshakes=False, thread_each=True),
    "flask run": Server(flask_run(), own_handshakes=False, thread_each=True),
    "flask run --debug": Server(
        flask_run("--debug"), own_handshakes=False, thread_each=True, signals=("SIGINT group",)
    ),
    "gunicorn sync": Server(
        gunicorn(), needs=("gunicorn",), own_handshakes=False, concurrent=False
    ),
    "gunicorn gthread": Server(gunicorn("--threads=60"), needs=("gunicorn",)),
    "gunicorn gevent": Server(gunicorn("--worker-class=gevent"), needs=GEVENT),
    "gunicorn gevent_pywsgi": Server(gunicorn("--worker-class=gevent_pywsgi"), needs=GEVENT),
    "gunicorn gevent-websocket": Server(
        gunicorn("--worker-class=geventwebsocket.gunicorn.workers.GeventWebSocketWorker"),
        needs=(*GEVENT, "geventwebsocket"),
        refuses=False,
        access=None,
    ),
    "gevent": Server(script("gevent_pywsgi.py"), needs=("gevent",)),
    "gevent-websocket": Server(
        script("gevent_websocket.py"),
        needs=("gevent", "geventwebsocket"),
        refuses=False,
        access=None,
    ),
    "eventlet": Server(
        script("eventlet_wsgi.py"), needs=("eventlet",), bears_failed_handshakes=False
    ),
    "cheroot": Server(
        script("cheroot_wsgi.py"), needs=("cheroot",), own_handshakes=False, access=None
    ),
    "uwsgi": Server(
        uwsgi, tls=False, early=False, access=r"GET {path} => .*\(HTTP/1\.1 101\)", signals=()
    ),
}


WAYS = [(name, False) for name in SERVERS] + [(name, True) for name in SERVERS if SERVERS[name].tls]


def on(able: Callable[[Server], bool], *, secure: bool | None = None) -> pytest.MarkDecorator:
    """Run a test on the servers that are able to, with TLS, without, or, by default, both."""
    # A group's tests run in one of pytest-xdist's processes, so that each server starts once.
    parameters = [
        pytest.param((name, tls), id=way, marks=pytest.mark.xdist_group(way))
        for name, tls in sorted(WAYS)
        for way in (f"{name}{' tls' if tls else ''}",)
        if able(SERVERS[name]) and secure in (None, tls)
    ]
    return pytest.mark.parametrize("server", parameters, indirect=True, scope="module")


everywhere = on(lambda _: True)


class Hosted:
    """A running server and how to talk to it."""

    def __init__(self, name: str, process: AppProcess, port: int, certificate: str | None):
        self.name = name
        self.server = SERVERS[name]
        self.process = process
        self.port = port
        self.tls = ssl.create_default_context(cafile=certificate) if certificate else None
        self._peers: list[Peer] = []

    @property
    def url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://localhost:{self.port}"

    def connect(self, **options: Any) -> Peer:
        peer = Peer(self.port, tls=self.tls, **options)
        self._peers.append(peer)
        return peer

    def ask(
        self, path: str, headers: Iterable[tuple[str, str]] = (), early: bytes = b""
    ) -> tuple[Head, Peer]:
        peer = self.connect()
        peer.send(request(path, headers), early)
        return peer.head(), peer

    def open(self, path: str, *, early: bytes = b"") -> Peer:
        head, peer = self.ask(path, early=early)
        assert head.status == 101, head
        return peer

    def get(self, path: str, timeout: float = 10) -> str:
        """Make an ordinary request."""
        url = f"{'https' if self.tls else 'http'}://localhost:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=timeout, context=self.tls) as response:
            return response.read().decode()

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.get("/state"))
        return state

    def hang_up(self) -> None:
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.close()
        self._peers.clear()

    # Its log

    def mark(self) -> int:
        """Give the place in the log from which on a test's own lines stand."""
        return len(self.process.output)

    def access_lines(self, path: str, since: int) -> list[str]:
        assert self.server.access is not None
        pattern = re.compile(self.server.access.format(path=re.escape(path)))
        lines = self.process.output[since:].splitlines()
        ours = "flask_threaded_sockets.access"  # the package's own line, whose logger is on here
        return [line for line in lines if ours not in line and pattern.search(line)]

    def complaints(self, since: int) -> list[str]:
        """List the lines that look like trouble."""
        trouble = re.compile(r"Traceback|Error\b|ERROR|WARNING|CRITICAL|Exception|Broken pipe")
        return [line for line in self.process.output[since:].splitlines() if trouble.search(line)]


@contextlib.contextmanager
def hosted(
    name: str,
    directory: Path,
    certificate: tuple[str, str] | None = None,
    *,
    options: Iterable[str] = (),
    **config: Any,
) -> Iterator[Hosted]:
    """Serve the app; ``config`` is the app's."""
    server = SERVERS[name]
    port = free_port()
    command = server.command(port, list(certificate or ()))
    command = [*command[:-1], *options, command[-1]] if options else command
    environ = {**server.environ, "HOSTED_CONFIG": json.dumps(config)}
    log = directory / "log"
    with running(
        ["env", *(f"{key}={value}" for key, value in environ.items()), *command],
        directory=SERVED,
        log=log,
        port=port,
    ) as process:
        it = Hosted(name, process, port, certificate[0] if certificate else None)
        try:
            wait_for(lambda: answers(it), f"answer of {name}")
            yield it
        finally:
            it.hang_up()


def answers(it: Hosted) -> bool:
    it.process.check_alive()
    try:
        return it.get("/", timeout=2) == "Hello"
    except OSError:
        time.sleep(0.1)
        return False

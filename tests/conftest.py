"""Fixtures: every installed backend, both development servers, and a clean end."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live import Live, Pair, app_of, eventually
from peer import Peer

from flask_threaded_sockets import WebSocket
from flask_threaded_sockets.backend import Feature
from flask_threaded_sockets.clients import clients
from flask_threaded_sockets.monitor import monitor
from flask_threaded_sockets.plugins import installed_backends, load_backend

FDS = Path("/proc/self/fd")


def pytest_configure(config: pytest.Config) -> None:
    # A shell's background job ignores Ctrl-C, and so would the apps that the tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line(
        "markers", "needs(*features): leave out the backends without one of these features"
    )
    config.addinivalue_line("markers", "slow: takes more than ten seconds")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that serves once for each backend; ``WS_BACKENDS=a,b`` restricts them."""
    if "backend" not in metafunc.fixturenames:
        return
    named = os.environ.get("WS_BACKENDS")
    names = named.split(",") if named else list(installed_backends())
    metafunc.parametrize("backend", names, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a feature the backend lacks; also one set of parameters may."""
    unable = [item for item in items if not _is_able(item)]
    if unable:
        config.hook.pytest_deselected(items=unable)
        items[:] = [item for item in items if item not in unable]


def _is_able(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    name = callspec.params.get("backend") if callspec else None
    needed: set[Feature] = set()
    for mark in item.iter_markers("needs"):
        needed.update(mark.args)
    return name is None or not needed or needed <= load_backend(name).features


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Choose the backend of every app of the test, also in processes it starts."""
    monkeypatch.setenv("FLASK_SOCKETS_BACKEND", request.param)
    return request.param


@pytest.fixture
def host(request: pytest.FixtureRequest) -> str:
    """The server: our own, unless the test is parametrised over ``live.HOSTS``."""
    return getattr(request, "param", "own")


class Logs(logging.Handler):
    """What was logged. A warning or an error that a test does not expect fails it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []
        self._expected: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def expect(self, *texts: str) -> None:
        """Declare warnings and errors: each text is in exactly one record's message."""
        self._expected += texts

    @property
    def complaints(self) -> list[logging.LogRecord]:
        return [record for record in self.records if record.levelno >= logging.WARNING]

    def messages(self, logger: str) -> list[str]:
        return [record.getMessage() for record in self.records if record.name == logger]

    def check(self) -> None:
        left = list(self._expected)
        surprising = []
        for record in self.complaints:
            text = next((text for text in left if text in record.getMessage()), None)
            if text is None:
                surprising.append(logging.Formatter().format(record))
            else:
                left.remove(text)
        assert not surprising, "\n".join(surprising)
        assert not left, f"not logged: {left}"


@pytest.fixture(autouse=True)
def logs() -> Iterator[Logs]:
    handler = Logs()
    root, ours = logging.getLogger(), logging.getLogger("flask_threaded_sockets")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    yield handler
    ours.setLevel(level)
    root.removeHandler(handler)


def _threads() -> set[threading.Thread]:
    # The monitor stays, once per process, by design.
    return {t for t in threading.enumerate() if t.name != "flask-threaded-sockets monitor"}


def _descriptors() -> set[tuple[str, str]]:
    found = set()
    for path in FDS.iterdir() if FDS.is_dir() else ():
        try:
            found.add((path.name, os.readlink(path)))
        except FileNotFoundError:  # the one that lists the directory
            pass
    # Werkzeug leaves a selector to whoever keeps its frame, such as a logged exception.
    return {(number, target) for number, target in found if "eventpoll" not in target}


@pytest.fixture(autouse=True)
def clean_end(logs: Logs) -> Iterator[None]:
    """Let no thread, descriptor, client or complaint outlive its test."""
    threads, descriptors = _threads(), _descriptors()
    yield
    left: dict[str, object] = {}

    def all_gone() -> bool:
        left["threads"] = _threads() - threads
        left["descriptors"] = _descriptors() - descriptors
        left["clients"] = clients.snapshot()
        return not any(left.values())

    try:
        eventually(all_gone)
    except TimeoutError:
        pytest.fail(f"left behind: {left}")
    logs.check()


@pytest.fixture(scope="session", autouse=True)
def monitor_forgets() -> Iterator[None]:
    """Let the monitor keep none of all the connections."""
    yield
    eventually(lambda: len(monitor) == 0, "the end of the monitor's last connection")


Serve = Callable[..., Live]


@pytest.fixture
def serve(backend: str, host: str, logs: Logs) -> Iterator[Serve]:
    """Serve an app, or a handler with this configuration, until the test is over."""
    running: list[Live] = []

    def start(
        handler: Callable[..., object] | None = None,
        *,
        app: Any = None,
        certificate: tuple[str, str] | None = None,
        **config: Any,
    ) -> Live:
        if handler is not None:
            app = app_of(handler, **config)
        running.append(Live(app, host, certificate=certificate))
        return running[-1]

    yield start
    for live in running:
        live.hang_up()
    for live in running:
        live.stop()


@pytest.fixture
def pair(serve: Serve) -> Iterator[Callable[..., tuple[WebSocket, Peer]]]:
    """Give both ends of a new WebSocket; the handler waits until the test is over.

    Connections with the same configuration share a server.
    """
    pairs: dict[str, tuple[Pair, Live]] = {}

    def make(
        headers: tuple[tuple[str, str], ...] = (), *, early: bytes = b"", **config: Any
    ) -> tuple[WebSocket, Peer]:
        peer_options = {k: config.pop(k) for k in ("receive_buffer",) if k in config}
        key = repr(sorted(config.items()))
        if key not in pairs:
            held = Pair()
            pairs[key] = held, serve(held.handler, **config)
        held, live = pairs[key]
        peer = live.open("/", headers, early=early, **peer_options)
        return held.take(), peer

    yield make
    for held, _ in pairs.values():
        held.release()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed certificate of localhost, and its key, as paths."""
    directory = tmp_path_factory.mktemp("tls")
    paths = str(directory / "certificate.pem"), str(directory / "key.pem")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    )
    subprocess.run(
        [*command.split(), "-out", paths[0], "-keyout", paths[1]],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return paths

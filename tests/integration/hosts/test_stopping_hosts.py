"""How a server's process ends with open WebSockets: on signals, reloads and restarts."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from integration.hosts.servers import SERVED, SERVERS, Hosted, Server, script
from integration.processes import replace_text, wait_for
from live import in_thread
from peer import CLOSE, Peer
from wire import wire

GOING_AWAY = wire("03 e9")
LIMIT = 3.0  # seconds from the signal to the end of the process
POLL = 1.0  # seconds within which a reloader sees that a file has changed

pytestmark = pytest.mark.timeout(120)

STOPS = [(name, number) for name, server in SERVERS.items() for number in server.signals]


def crowd(it: Hosted, count: int = 50) -> list[Peer]:
    """Open WebSockets whose handlers receive, do nothing, or send."""
    if not it.server.concurrent:
        count = 1
    paths = ("/echo", "/idle", "/push")
    peers = [it.open(paths[number % 3]) for number in range(count)]
    if it.name == "gunicorn gthread":
        wait_for(lambda: all(map(waits_for_events, children(it))), "quiet main thread")
    return peers


def children(it: Hosted) -> list[int]:
    """List gunicorn's workers."""
    pid = it.process.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def waits_for_events(pid: int) -> bool:
    """Tell whether a process's main thread has nothing to do.

    SIGINT while gunicorn's threaded worker hands a connection over makes it wait for a lock
    of its own for ever, with any application (27.0.1: ThreadWorker.handle_quit shuts down
    the pool whose lock the interrupted ThreadPoolExecutor.submit holds; it may be there
    still when the connection has its answer).
    """
    return "poll" in Path(f"/proc/{pid}/wchan").read_text()  # "0": it is running


def last_words(peers: list[Peer]) -> set[bytes]:
    """Read all to the end; give the payloads of the Closes, which come last."""
    payloads = set()
    for peer in peers:
        frames = peer.frames_to_end()
        assert [frame.first for frame in frames].count(CLOSE) == 1, frames
        assert frames[-1].first == CLOSE
        payloads.add(frames[-1].payload[:2])
    return payloads


@pytest.mark.parametrize(("name", "how"), STOPS, ids=[" ".join(row) for row in STOPS])
def test_every_client_gets_1001_and_the_process_goes(start, name: str, how: str) -> None:
    it = start(name)
    peers = crowd(it)
    number = getattr(signal, how.split()[0])
    began = time.monotonic()
    if how.endswith("group"):  # as a terminal does
        os.killpg(it.process.process.pid, number)
    else:
        it.process.process.send_signal(number)
    assert last_words(peers) == {GOING_AWAY}
    it.process.process.wait(10)
    took = time.monotonic() - began
    print(f"MEASURED stop {name} {how} {took:.2f} s")
    assert took < LIMIT


def test_shutdown_of_the_server_closes_all_and_the_program_goes_on(start) -> None:
    it = start("own")
    peers = crowd(it)
    began = time.monotonic()
    assert it.get("/stop") == "stopping"
    assert last_words(peers) == {GOING_AWAY}
    assert it.process.process.wait(10) == 0
    assert time.monotonic() - began < LIMIT
    assert "serve_forever() has returned" in it.process.output
    assert it.complaints(0) == []


GUNICORN = [
    ("gunicorn gthread", ["--preload"]),
    ("gunicorn gevent", ["--preload"]),
    ("gunicorn gthread", ["--preload", "--config=hooked.conf.py"]),
    ("gunicorn gevent", ["--preload", "--config=hooked.conf.py"]),
    ("gunicorn gthread", ["--workers=2"]),
]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    ("name", "options"), GUNICORN, ids=[f"{n} {' '.join(o)}" for n, o in GUNICORN]
)
def test_gunicorn_stops_its_clients_with_other_options_too(
    start, name: str, options: list[str], how: str
) -> None:
    it = start(name, options=options)
    peers = crowd(it, 9)
    began = time.monotonic()
    it.process.process.send_signal(getattr(signal, how))
    assert last_words(peers) == {GOING_AWAY}
    it.process.process.wait(10)
    took = time.monotonic() - began
    print(f"MEASURED stop {name} {options} {how} {took:.2f} s")
    assert took < LIMIT


@pytest.mark.parametrize("name", ["gunicorn gthread", "gunicorn gevent", "gunicorn gevent_pywsgi"])
def test_gunicorns_reload_moves_clients_to_a_new_worker(start, name: str) -> None:
    it = start(name)
    old = it.state()["pid"]
    peers = crowd(it, 6)
    it.process.process.send_signal(signal.SIGHUP)
    assert last_words(peers) == {GOING_AWAY}
    wait_for(lambda: it.state()["pid"] != old, "new worker", 5)
    peer = it.open("/echo")
    peer.text("again")
    assert peer.frame().payload == b"again"


# gevent_pywsgi counts no requests.
@pytest.mark.parametrize("name", ["gunicorn gthread", "gunicorn gevent"])
def test_worker_that_is_restarted_after_max_requests_says_so(start, name: str) -> None:
    it = start(name, options=["--max-requests=12"])
    old = it.state()["pid"]
    peers = crowd(it, 3)
    began = time.monotonic()
    asking = in_thread(lambda: [it.get("/") for _ in range(20)])
    assert last_words(peers) == {GOING_AWAY}
    took = time.monotonic() - began
    print(f"MEASURED max requests {name} closes after {took:.2f} s")
    assert took < 5
    assert asking.result() == ["Hello"] * 20
    wait_for(lambda: it.state()["pid"] != old, "new worker", 10)


@pytest.mark.parametrize("name", ["gunicorn gthread", "gunicorn gevent", "gunicorn gevent_pywsgi"])
def test_worker_timeout_does_not_end_a_healthy_connection(start, name: str) -> None:
    it = start(name, options=["--timeout=2", "--graceful-timeout=2"])
    pid = it.state()["pid"]
    peers = crowd(it, 3)
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        peers[0].text("still here")
        assert peers[0].frame().payload == b"still here"
        time.sleep(0.2)
    assert it.state()["pid"] == pid


def runs(pid: int) -> bool:
    """Tell whether a process is there and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture(autouse=True)
def reloading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add our own server with Werkzeug's reloader; only its reload is another."""
    server = Server(script("own_reloading.py"), thread_each=True)
    monkeypatch.setitem(SERVERS, "own reloading", server)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the app that may be changed."""
    directory = tmp_path / "project"
    shutil.copytree(SERVED, directory)
    monkeypatch.setattr("integration.hosts.servers.SERVED", directory)
    return directory


RELOADERS = [
    ("own reloading", []),
    ("flask run --debug", []),
    ("gunicorn gthread", ["--reload"]),
    ("gunicorn gevent", ["--reload"]),
]


@pytest.mark.parametrize(("name", "options"), RELOADERS, ids=[row[0] for row in RELOADERS])
def test_reloader_closes_all_and_the_new_process_serves(
    start, project: Path, name: str, options: list[str]
) -> None:
    it = start(name, options=options)
    old = it.state()["pid"]
    peers = crowd(it)
    began = time.monotonic()
    source = (project / "app.py").read_text()
    replace_text(project / "app.py", source.replace('return "Hello"', 'return "Changed"'))
    assert last_words(peers) == {GOING_AWAY}
    print(f"MEASURED reload {name} closes after {time.monotonic() - began:.2f} s")
    wait_for(lambda: not runs(old), "end of the old process", 10)
    took = time.monotonic() - began
    print(f"MEASURED reload {name} is gone after {took:.2f} s")
    assert took < LIMIT + POLL

    def serves() -> bool:
        try:
            return it.get("/", timeout=2) == "Changed" and it.state()["pid"] != old
        except OSError:
            return False

    wait_for(serves, "new process", 10)
    print(f"MEASURED reload {name} serves after {time.monotonic() - began:.2f} s")
    peer = it.open("/echo")
    peer.text("again")
    assert peer.frame().payload == b"again"

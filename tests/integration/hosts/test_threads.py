"""Servers with fewer threads than open sockets need: what the log says, and who is refused."""

from __future__ import annotations

import pytest
from peer import CLOSE, TEXT, Frame
from wire import wire

SCARCE = "at a time here and every open websocket is one of them"

# Name, options, how many requests it serves at a time.
POOLS = [
    ("gunicorn gthread", ["--threads=3"], 3),
    ("uwsgi", ["--threads=3"], 3),
    ("cheroot", [], 3),
    ("gunicorn gevent", ["--worker-connections=3"], 3),
]
pools = pytest.mark.parametrize(
    ("name", "options", "number"), POOLS, ids=[f"{row[0]} {row[2]}" for row in POOLS]
)


@pytest.fixture(autouse=True)
def few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTED_THREADS", "3")  # Cheroot's have no option


def warnings(it) -> list[str]:
    return [line for line in it.process.output.splitlines() if line.startswith("WARNING flask")]


@pools
def test_log_says_once_that_sockets_take_the_last_threads(start, name, options, number) -> None:
    it = start(name, options=options)
    first = it.open("/echo")
    first.text("one thread of three is taken")
    assert first.frame().first == TEXT
    assert warnings(it) == []
    peers = [it.open("/echo"), it.open("/echo")]
    for peer in peers:
        peer.text("none is left")
        assert peer.frame().first == TEXT
    (line,) = warnings(it)
    assert f"serves {number} requests {SCARCE}" in line
    assert "SOCKETS_MAX_CONNECTIONS is None" in line


@pools
def test_start_up_says_that_the_limit_is_no_help(start, name, options, number) -> None:
    it = start(name, options=options, SOCKETS_MAX_CONNECTIONS=number)
    if name == "cheroot":  # nothing is known of it before it has served somebody
        assert warnings(it) == []
        it.open("/echo")
    (line,) = warnings(it)
    assert f"serves {number} requests {SCARCE}" in line
    opened = int(name == "cheroot")
    assert f"(now {opened} open, SOCKETS_MAX_CONNECTIONS is {number})" in line
    it.open("/echo")
    assert it.get("/") == "Hello"
    assert warnings(it) == [line]


def test_start_up_says_that_one_thread_carries_no_socket_and_a_request(start) -> None:
    it = start("uwsgi", options=["--threads=1"])
    (line,) = warnings(it)
    assert f"uWSGI serves 1 request {SCARCE}" in line
    assert "(now 0 open, SOCKETS_MAX_CONNECTIONS is None)" in line


def test_limit_that_is_set_after_the_start_is_looked_at_with_the_first_socket(start) -> None:
    it = start("gunicorn gthread", options=["--threads=3"])
    assert it.get("/limit/3") == "3"
    assert warnings(it) == []
    it.open("/echo")
    (line,) = warnings(it)
    assert "(now 1 open, SOCKETS_MAX_CONNECTIONS is 3)" in line


def test_worker_of_a_preloaded_app_says_it_with_the_first_socket(start) -> None:
    it = start("gunicorn gthread", options=["--threads=3", "--preload"], SOCKETS_MAX_CONNECTIONS=3)
    assert warnings(it) == []
    it.open("/echo")
    (line,) = warnings(it)
    assert "(now 1 open, SOCKETS_MAX_CONNECTIONS is 3)" in line


def test_start_up_says_that_gunicorns_sync_worker_carries_one_socket(start) -> None:
    it = start("gunicorn sync")
    assert len(warnings(it)) == 1
    for _ in range(2):
        peer = it.open("/returns")
        peer.text("go")
        assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e8"))]
    assert it.get("/") == "Hello"
    (line,) = warnings(it)
    assert "gunicorn's sync worker carries one websocket at a time" in line
    assert "use --worker-class gthread --threads 100" in line


@pools
def test_limit_below_the_threads_leaves_one_for_http(start, name, options, number) -> None:
    it = start(name, options=options, SOCKETS_MAX_CONNECTIONS=1)
    first = it.open("/echo")
    for _ in range(3):
        head, _ = it.ask("/echo")
        assert head.status == 503
        assert int(head.headers["retry-after"]) > 0
        assert it.get("/") == "Hello"
    first.text("still here")
    assert first.frame() == Frame(TEXT, b"still here")
    assert warnings(it) == []
    first.close()
    opened = False
    while not opened:  # the slot comes back
        head, _ = it.ask("/echo")
        opened = head.status == 101

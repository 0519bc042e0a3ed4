"""Two thousand idle connections on our own server, kept alive by pings.

How long the echo of one more takes is measured in ``bench/``; here is that it comes.
"""

from __future__ import annotations

import resource
import selectors
import time

import pytest
from integration.liveness.hosted import Served, served
from integration.processes import wait_for
from peer import DEADLINE, PING, PONG, TEXT, Frame, Peer
from wire import frame

from flask_threaded_sockets.plugins import load_backend
from flask_threaded_sockets.protocol_backend import ProtocolBackend

CROWD = 2000
# The others have the same shell, or no aim of so many, and the same test is a long one.
FEWER = 200
INTERVAL = 2.0  # seconds; in a timeout of as many every one has to be answered


@pytest.fixture(autouse=True)
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * CROWD:
        pytest.fail(f"needs {2 * CROWD} open files, the limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * CROWD), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Open connections, and answer what comes on them."""

    def __init__(self, it: Served, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self.peers = [it.open("/echo") for _ in range(count)]
        self.pings = dict.fromkeys(self.peers, 0)
        for peer in self.peers:
            self._selector.register(peer.sock, selectors.EVENT_READ, peer)

    def answer(self) -> None:
        """Answer the pings that are there; anything else is an error."""
        for key, _ in self._selector.select(0.05):
            peer: Peer = key.data
            first, payload = peer.frame()
            assert first == PING, (first, payload)
            peer.send(frame(PONG, payload))
            self.pings[peer] += 1

    def leave(self) -> None:
        self._selector.close()
        for peer in self.peers:
            peer.close()


@pytest.mark.slow
def test_crowd_is_pinged_answers_and_stays_while_one_more_is_served(backend, tmp_path):
    timing = {"SOCKETS_PING_INTERVAL": INTERVAL, "SOCKETS_PING_TIMEOUT": 10 * INTERVAL}
    count = CROWD if backend == "builtin" else FEWER
    with served("own", tmp_path, **timing) as it:
        with it.open("/echo") as peer:  # what starts with the first connection has started
            peer.text("first")
            assert peer.frame() == Frame(TEXT, b"first")
        wait_for(lambda: it.state()["clients"] == 0, "end of the first")
        before = it.state()
        crowd = Crowd(it, count)
        until = time.monotonic() + 10 * DEADLINE
        while min(crowd.pings.values()) < 2:
            assert time.monotonic() < until, sorted(crowd.pings.values())[:10]
            crowd.answer()
        now = it.state()
        assert now["clients"] == count
        of_its_own = not isinstance(load_backend(backend), ProtocolBackend)
        assert now["threads"] - before["threads"] == count * (2 if of_its_own else 1)
        one_more = it.open("/echo")
        for number in range(50):
            one_more.text(str(number))
            echo = one_more.frame()
            while echo.first == PING:
                one_more.send(frame(PONG, echo.payload))
                echo = one_more.frame()
            assert echo == Frame(TEXT, b"%d" % number)
        assert it.get("/") == "Hello"
        one_more.close()
        crowd.leave()
        wait_for(lambda: it.state()["clients"] == 0, "end of the crowd", 60)
        wait_for(lambda: it.state()["threads"] <= before["threads"], "end of the threads", 60)
        after = it.state()
        assert after["descriptors"] <= before["descriptors"]
        assert after["close_wait"] == 0
        for word in ("Traceback", "ERROR", "WARNING"):
            assert word not in it.process.output

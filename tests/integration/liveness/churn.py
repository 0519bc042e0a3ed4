"""A thousand clients that come, say a word and are reset; and what they leave behind."""

from __future__ import annotations

import contextlib

from integration.liveness.hosted import POOL, Served
from integration.processes import wait_for
from peer import TEXT, Frame

__all__ = ["check_churn"]

ROUNDS = 1000
WARM_UP = 300  # what Python and the libraries keep for good is there by then
MEMORY = 2048  # KiB


def check_churn(it: Served) -> None:
    """Check that the process is as it was when the clients have gone."""
    crowd = [it.open("/echo") for _ in range(POOL)]  # a pool may begin its threads one by one
    for peer in crowd:
        peer.reset()
    come_and_go(it, WARM_UP)
    before = settled(it, None)
    mark = len(it.process.output)
    # Python's and the C library's pools find their size once: what is lost is lost each time.
    for _ in range(3):
        come_and_go(it, ROUNDS)
        after = settled(it, before)
        grown = after["kib"] - before["kib"]
        print(f"MEASURED churn {it.process.process.args[-3:]} {before} {after}: {grown} KiB")
        if grown < MEMORY:
            break
        before = after
    assert grown < MEMORY
    assert it.get("/") == "Hello"
    with it.open("/echo") as peer:
        peer.text("still")
        assert peer.frame() == Frame(TEXT, b"still")
    log = it.process.output[mark:]
    for word in ("Traceback", "Error", "WARNING", "ERROR", "CRITICAL", "already registered"):
        assert word not in log, log


def come_and_go(it: Served, rounds: int) -> None:
    for number in range(rounds):
        peer = it.open("/echo")
        peer.text("word")
        if number % 2:  # the others are reset before, or while, they are answered
            assert peer.frame() == Frame(TEXT, b"word")
        peer.reset()


def settled(it: Served, before: dict[str, int] | None) -> dict[str, int]:
    """Give the state when nobody is there any more."""
    last: dict[str, int] = {}

    def at_rest() -> bool:
        with contextlib.suppress(OSError):
            last.update(it.state())
            rests = last["clients"] == last["close_wait"] == 0
            if before is None:
                return rests
            counts = ("threads", "descriptors")
            return rests and all(last[name] <= before[name] for name in counts)
        return False

    try:
        wait_for(at_rest, "rest")
    except TimeoutError:
        raise AssertionError(f"before: {before}, now: {last}") from None
    return last

"""When a ping is due and when a silent peer counts as dead, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from flask_threaded_sockets.keepalive import Keepalive, KeepaliveAction
from flask_threaded_sockets.options import ConnectionOptions

NOTHING, PING, GIVE_UP = KeepaliveAction
TICK = 0.25  # seconds between two looks, as the monitor's

Look = tuple[float, str, KeepaliveAction]

# id, then for each look: the seconds since the last one, what happened meanwhile, what is
# due. The interval is 1 s, the timeout 0.5 s.
LOOKS: list[tuple[str, list[Look]]] = [
    ("silent", [(TICK, "", NOTHING)] * 3 + [(TICK, "", PING)] + [(TICK, "", NOTHING)] * 2),
    (
        "silent for too long",
        [(1, "", PING), (TICK, "", NOTHING), (TICK, "", NOTHING), (TICK, "", GIVE_UP)],
    ),
    (
        "heard in time",
        [(1, "", PING), (TICK, "heard", NOTHING), (TICK, "", NOTHING), (TICK, "", NOTHING)],
    ),
    (
        "heard between two pings that were not answered",
        [(1, "", PING), (TICK, "", NOTHING), (TICK, "heard", NOTHING), (0.5, "", PING)],
    ),
    ("takes what it is sent", [(1, "", PING), (TICK, "taken", NOTHING), (0.5, "", NOTHING)]),
    ("not read", [(1, "", PING), (TICK, "not read", NOTHING), (0.5, "not read", NOTHING)]),
    (
        "heard after a standstill of ours",
        [(1, "", PING), (30, "", PING), (TICK, "heard", NOTHING), (TICK, "", NOTHING)],
    ),
    ("silent after a standstill, too", [(1, "", PING), (30, "", PING), (TICK, "", GIVE_UP)]),
    ("silent at looks that are always late", [(1, "", PING), (2, "", PING), (2, "", GIVE_UP)]),
    (
        "heard after each of two standstills",
        [(1, "", PING), (30, "", PING), (TICK, "heard", NOTHING)] * 2,
    ),
]


@pytest.mark.parametrize("looks", [row[1] for row in LOOKS], ids=[row[0] for row in LOOKS])
def test_peer_that_is(looks: Sequence[Look]) -> None:
    now, taken = 1000.0, 0
    keepalive = Keepalive(ConnectionOptions(ping_interval=1, ping_timeout=0.5), now)
    for number, (seconds, meanwhile, due) in enumerate(looks):
        now += seconds
        taken += meanwhile == "taken"
        keepalive.heard = meanwhile == "heard"
        reading = meanwhile != "not read"
        assert keepalive.due(now, reading=reading, taken=taken) is due, (number, seconds)

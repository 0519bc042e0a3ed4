"""What is measured: the scenarios, their metrics, and how one of them is run once."""

from __future__ import annotations

import time
from dataclasses import dataclass

from processes import Client, Server

Values = dict[str, float]


@dataclass(frozen=True, slots=True)
class Metric:
    """Describe one number of a scenario.

    Attributes:
        key: its name in the raw numbers.
        title: its column.
        digits: decimals in a table.
        more_is_better: true for a rate, false for a time or a cost.
        scale: a raw number is divided by it for the table.
    """

    key: str
    title: str
    digits: int = 0
    more_is_better: bool = False
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Describe one thing to measure; the first metric is the one ratios are made of."""

    name: str
    title: str
    metrics: tuple[Metric, ...]
    size: int = 125
    connections: int = 1
    idle: bool = False
    crowd: bool = False


P50 = Metric("p50_us", "p50 us")
CPU = Metric("cpu_us", "CPU us", 1)
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("small", "125 B x 1", (P50, Metric("p99_us", "p99 us"), CPU)),
        Scenario(
            "many",
            "125 B x 50",
            (Metric("rate", "msg/s", more_is_better=True), CPU),
            connections=50,
        ),
        Scenario("64k", "64 KiB x 1", (P50,), size=64 * 1024),
        Scenario("1m", "1 MiB x 1", (Metric("p50_us", "p50 ms", 1, scale=1000),), size=1024 * 1024),
        Scenario(
            "idle",
            "idle",
            (Metric("kib", "KiB each", 1), Metric("threads", "threads each", 2)),
            idle=True,
        ),
        Scenario("crowd", "125 B in a crowd", (P50, Metric("p99_us", "p99 us")), crowd=True),
    )
}
# The crowd is a question to this package alone, and takes its time.
DEFAULT_SCENARIOS = tuple(name for name, scenario in SCENARIOS.items() if not scenario.crowd)

WARM_UP = 0.2  # seconds at the start of each echo run that are not counted
# Seconds between two pings to each of a crowd, a fifth of the default. It is measured for as
# long, so that every connection is pinged once in that time, and answers.
CROWD_PINGS = 5.0
SETTLE = 0.7  # seconds for threads to end or buffers to be freed, before memory is read


def measure_echo(scenario: Scenario, server: Server, client: Client, seconds: float) -> Values:
    """Run the client once against a server that runs already."""
    before = server.cpu_time()
    values = client.echo(
        server,
        *("--size", str(scenario.size)),
        *("--connections", str(scenario.connections)),
        *("--seconds", str(seconds)),
        *("--warm-up", str(WARM_UP)),
        lasting=seconds + WARM_UP,
    )
    values["cpu_us"] = 1e6 * (server.cpu_time() - before) / values["echoes"]
    return values


def measure_idle(server: Server, client: Client, connections: int) -> Values:
    """Open connections on a fresh server; give what one costs it.

    What the server loads or starts for its first connection is not counted.
    """
    client.echo(server, "--messages", "20")
    time.sleep(SETTLE)
    threads, memory = server.usage()
    with client.idle(server, connections):
        time.sleep(SETTLE)
        more_threads, more_memory = server.usage()
    return {
        "connections": connections,
        "threads": (more_threads - threads) / connections,
        "kib": (more_memory - memory) / connections,
    }


def measure_crowd(server: Server, client: Client, connections: int) -> Values:
    """Measure one connection's echoes on a server that keeps that many idle ones alive."""
    with client.idle(server, connections):
        time.sleep(SETTLE)
        return client.echo(
            server,
            *("--seconds", str(CROWD_PINGS)),
            *("--warm-up", str(WARM_UP)),
            lasting=CROWD_PINGS + WARM_UP,
        )

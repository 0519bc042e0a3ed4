"""Medians, ratios, targets, and the Markdown they are printed as."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from scenarios import SCENARIOS, Metric, Scenario, Values

# Not worth a ratio: a count, and a number that is mostly noise.
NO_RATIO = ("threads", "p99_us")

# rounds[scenario][server]: the raw numbers of each round, in order.
Rounds = dict[str, dict[str, list[Values]]]

REFERENCE = "flask-sock"


@dataclass(frozen=True, slots=True)
class Target:
    """State what this package wants to reach; with a ratio, against flask-sock 0.7."""

    text: str
    scenario: str
    metric: str
    ratio: bool
    bound: float

    def met(self, value: float) -> bool:
        """Tell whether a measured ratio or cost is good enough."""
        return value >= self.bound if self.ratio else value <= self.bound


TARGETS = (
    Target("125 B x 1: at least 1.8 times as fast", "small", "p50_us", True, 1.8),
    Target("125 B x 50: at least 4 times the msg/s", "many", "rate", True, 4.0),
    Target("64 KiB x 1: at least 3 times as fast", "64k", "p50_us", True, 3.0),
    # A thread that came or went meanwhile must not count as a thousandth of one more.
    Target("idle: 1 thread each", "idle", "threads", False, 1.01),
    Target("idle: at most 40 KiB each", "idle", "kib", False, 40.0),
    Target("125 B in a crowd of 2000: at most 5,000 us", "crowd", "p50_us", False, 5000.0),
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a Markdown table, padded so that it reads in a terminal too."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * (widths[0]), *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        f"| {line[0]:<{widths[0]}} | "
        + " | ".join(f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
        + " |"
        for line in lines
    )


def _columns(rounds: Rounds) -> list[tuple[Scenario, Metric]]:
    chosen = [scenario for name, scenario in SCENARIOS.items() if name in rounds]
    return [(scenario, metric) for scenario in chosen for metric in scenario.metrics]


def _median(values: list[Values] | None, metric: Metric) -> float | None:
    # An earlier --json may not have the metric yet.
    found = [value[metric.key] for value in values or () if metric.key in value]
    return median(found) if found else None


def results(rounds: Rounds, labels: dict[str, str]) -> str:
    """Make the table of medians."""
    columns = _columns(rounds)

    def cell(name: str, scenario: Scenario, metric: Metric) -> str:
        value = _median(rounds[scenario.name].get(name), metric)
        return "-" if value is None else f"{value / metric.scale:,.{metric.digits}f}"

    return table(
        ["server", *(f"{scenario.title}: {metric.title}" for scenario, metric in columns)],
        ([label, *(cell(name, *column) for column in columns)] for name, label in labels.items()),
    )


def _faster(value: float, reference: float, metric: Metric) -> float:
    """Give how many times better a value is; above 1 is better, whatever the metric."""
    if value <= 0 or reference <= 0:
        return float("nan")
    return value / reference if metric.more_is_better else reference / value


def ratios(rounds: Rounds, name: str, scenario: Scenario, metric: Metric) -> list[float]:
    """Give the ratio to flask-sock of each round: of two numbers measured seconds apart."""
    ours = rounds.get(scenario.name, {}).get(name, [])
    theirs = rounds.get(scenario.name, {}).get(REFERENCE, [])
    pairs = zip(ours, theirs, strict=False)
    return [_faster(one[metric.key], other[metric.key], metric) for one, other in pairs]


def _ratio_table(
    rounds: Rounds,
    labels: dict[str, str],
    ratio: Callable[[str, Scenario, Metric], float | None],
) -> str:
    columns = [
        (scenario, metric) for scenario, metric in _columns(rounds) if metric.key not in NO_RATIO
    ]

    def cell(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    return table(
        [
            "server",
            *(f"{scenario.title}: {metric.title.split()[0]}" for scenario, metric in columns),
        ],
        (
            [label, *(cell(ratio(name, *column)) for column in columns)]
            for name, label in labels.items()
        ),
    )


def reference_ratios(rounds: Rounds, labels: dict[str, str]) -> str:
    """Make the table of ratios to flask-sock, each the median over the rounds."""

    def ratio(name: str, scenario: Scenario, metric: Metric) -> float | None:
        values = ratios(rounds, name, scenario, metric)
        return median(values) if values else None

    return _ratio_table(rounds, labels, ratio)


def comparison(rounds: Rounds, earlier: Rounds, labels: dict[str, str]) -> str:
    """Make the table of ratios to an earlier run, each of two medians."""

    def ratio(name: str, scenario: Scenario, metric: Metric) -> float | None:
        value = _median(rounds[scenario.name].get(name), metric)
        before = _median(earlier.get(scenario.name, {}).get(name), metric)
        return None if value is None or before is None else _faster(value, before, metric)

    return _ratio_table(rounds, labels, ratio)


def targets(rounds: Rounds, name: str) -> tuple[str, bool]:
    """Make the table of targets for one server; and tell whether all that were measured are met."""
    rows: list[tuple[str, str, str, str]] = []
    good = True
    for target in TARGETS:
        scenario = SCENARIOS[target.scenario]
        metric = next(one for one in scenario.metrics if one.key == target.metric)
        if target.ratio:
            values = ratios(rounds, name, scenario, metric)
        else:
            values = [one[metric.key] for one in rounds.get(scenario.name, {}).get(name, [])]
        if not values:
            rows.append((target.text, "not measured", "", ""))
            continue
        middle = median(values)
        met = target.met(middle)
        good = good and met
        spread = f"{min(values):.2f} - {max(values):.2f}"
        rows.append((target.text, f"{middle:.2f}", spread, "yes" if met else "NO"))
    return table(["target", "measured", "lowest - highest round", "met"], rows), good

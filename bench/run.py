"""Measure this package's echo server and its peers, interleaved, and print the table.

Builds what it needs in a folder of its own; README.md next to this file tells what the
numbers mean. Linux only: it pins processes to cores and reads /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import report
import venvs
from processes import Client, Cores, RunError, Server, Subject, exit_on_signals
from scenarios import (
    DEFAULT_SCENARIOS,
    SCENARIOS,
    Scenario,
    Values,
    measure_crowd,
    measure_echo,
    measure_idle,
)
from subjects import DEFAULT, NAMES, build_subjects, known, pinging

KEPT = ("rounds", "seconds", "idle", "masking", "keep_awake")  # options worth a place in --json
BUSY = 10  # percent of the two cores used by others, above which times mean little
IDLE_ROUNDS = 2  # of idle and crowd: memory hardly varies, and a crowd takes its time


def _split(text: str) -> list[str]:
    return text.split(",")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--servers",
        default=list(DEFAULT),
        help=f"any of {NAMES}; default: all, ours with its default backend",
        type=_split,
        metavar="A,B",
    )
    parser.add_argument(
        "--scenarios",
        default=list(DEFAULT_SCENARIOS),
        help=f"any of {', '.join(SCENARIOS)}; default: {', '.join(DEFAULT_SCENARIOS)}",
        type=_split,
        metavar="A,B",
    )
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each echo run; default 1")
    parser.add_argument("--idle", type=int, default=1000, help="idle connections; default 1000")
    parser.add_argument("--crowd", type=int, default=2000, help="its connections; default 2000")
    parser.add_argument(
        "--masking",
        choices=("c", "pure", "both"),
        default="c",
        help="ours with the C routine of an installed websockets (default), without it, or both",
    )
    parser.add_argument(
        "--keep-awake",
        action="store_true",
        help="keep both cores from sleeping: steadier numbers, for comparing code",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers there")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="an earlier --json FILE")
    parser.add_argument("--check", action="store_true", help="fail when a target is missed")
    parser.add_argument(
        "--cache",
        type=Path,
        default=venvs.CACHE,
        metavar="FOLDER",
        help="virtual environments and the client; default .venv-bench in the checkout",
    )
    options = parser.parse_args(arguments)
    _check(parser, options)
    return options


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse what cannot be measured, and read the file of ``--compare``."""
    for name in options.scenarios:
        if name not in SCENARIOS:
            parser.error(f"unknown scenario {name!r}")
    for name in options.servers:
        if not known(name):
            parser.error(f"unknown server {name!r}")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"no folder {options.json.parent} for --json")
    options.earlier = None
    if options.compare:
        try:
            options.earlier = json.loads(options.compare.read_text())
        except (OSError, ValueError) as error:
            parser.error(f"--compare: {error}")
    if min(options.rounds, options.idle, options.crowd) < 1 or options.seconds <= 0:
        parser.error("--rounds, --idle, --crowd and --seconds must be positive")
    most = max((getattr(options, name, 0) for name in options.scenarios), default=0)
    if most + 100 > resource.getrlimit(resource.RLIMIT_NOFILE)[1]:
        parser.error(f"{most} connections need a higher limit of open files (ulimit -Hn)")


class Run:
    """Carry a run: the servers, what they have answered, and those that failed."""

    def __init__(
        self, options: argparse.Namespace, chosen: list[Subject], client: Client, cores: Cores
    ) -> None:
        self.options = options
        self.subjects = chosen
        self.client = client
        self.cores = cores
        self.rounds: report.Rounds = {name: {} for name in options.scenarios}
        self.failures: dict[str, str] = {}

    def go(self) -> None:
        """Measure; every server is stopped when this returns or raises."""
        with ExitStack() as stack:
            servers: dict[str, Server] = {}
            for subject in self.subjects:
                try:
                    server = stack.enter_context(Server(subject, self.cores.server))
                except RunError as error:
                    self.fail(subject, error)
                    continue
                server.pause()
                servers[subject.name] = server
            for number in range(self.options.rounds):
                for name in self.options.scenarios:
                    # The order turns, so that nobody always comes after the same one.
                    turn = number % len(self.subjects)
                    for subject in (*self.subjects[turn:], *self.subjects[:turn]):
                        if subject.name not in self.failures:
                            self.measure(number, SCENARIOS[name], servers[subject.name])

    def measure(self, number: int, scenario: Scenario, server: Server) -> None:
        """Take the numbers of one scenario and one server once."""
        if (scenario.idle or scenario.crowd) and number >= IDLE_ROUNDS:
            return
        subject = server.subject
        if sys.stderr.isatty():
            at = f"round {number + 1}/{self.options.rounds}  {scenario.title:<11} {subject.name}"
            print(f"{at:<60}", end="\r", file=sys.stderr, flush=True)
        try:
            values = self.take(scenario, server)
        except RunError as error:
            self.fail(subject, error)
        else:
            self.rounds[scenario.name].setdefault(subject.name, []).append(values)

    def take(self, scenario: Scenario, server: Server) -> Values:
        """Run one scenario against a server, the only one awake."""
        if scenario.idle:  # memory that echoes have left behind would hide the cost
            with Server(server.subject, self.cores.server) as fresh:
                return measure_idle(fresh, self.client, self.options.idle)
        if scenario.crowd:
            with Server(pinging(server.subject), self.cores.server) as fresh:
                return measure_crowd(fresh, self.client, self.options.crowd)
        server.resume()
        try:
            return measure_echo(scenario, server, self.client, self.options.seconds)
        finally:
            server.pause()

    def fail(self, subject: Subject, error: RunError) -> None:
        """Note a failure and go on with the others; the exit status tells of it."""
        self.failures[subject.name] = str(error)
        print(f"FAILED: {error}", file=sys.stderr, flush=True)


def describe_machine(cores: Cores) -> dict[str, Any]:
    """Describe what it runs on."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if "model name" in line]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cpus": os.cpu_count(),
        "server_cpu": cores.server,
        "client_cpu": cores.client,
        "kernel": platform.release(),
    }


def print_report(run: Run, versions: dict[str, str], machine: dict[str, Any]) -> bool:
    """Print the tables; tell whether the targets are met."""
    labels = {
        one.name: one.label
        for one in run.subjects
        if any(one.name in of for of in run.rounds.values())
    }
    print(f"\n{report.results(run.rounds, labels)}")
    good = True
    if report.REFERENCE in labels:
        print("\nTimes better than flask-sock (median of the rounds):\n")
        print(report.reference_ratios(run.rounds, labels))
    for name in (one for one in labels if one.startswith("ours")):
        text, met = report.targets(run.rounds, name)
        good = good and met
        print(f"\nTargets of {labels[name]}, ratios against flask-sock:\n\n{text}")
    if earlier := run.options.earlier:
        print(f"\nTimes better than in {run.options.compare.name} ({earlier['when']}):\n")
        print(report.comparison(run.rounds, earlier["rounds"], labels))
    shown = ("Python", *(peer.partition("==")[0] for peer in venvs.PEERS), "Flask", "Werkzeug")
    print("\n" + ", ".join(f"{name} {versions[name]}" for name in shown if name in versions))
    print(
        f"{run.options.rounds} rounds of {run.options.seconds:g} s; {machine['cpu']}, Linux"
        f" {machine['kernel']}; server on CPU {machine['server_cpu']}, client on CPU"
        f" {machine['client_cpu']} of {machine['cpus']}, of which"
        f" other programs used {machine['others_percent']} %"
        f"{'; cores kept awake' if run.options.keep_awake else ''}"
    )
    if machine["others_percent"] > BUSY:
        print("The machine was BUSY: believe no ratio above, only the CPU columns and idle.")
    if machine["server_cpu"] == machine["client_cpu"]:
        print("Only one CPU may be used: server and client shared it.")
    for name in run.failures:
        print(f"FAILED: {name}; its last numbers are missing")
    return good


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; give the exit status."""
    exit_on_signals()
    options = parse(arguments)
    try:
        chosen, versions = build_subjects(options.servers, options.masking, options.cache)
        cores = Cores.choose()
        client = Client(venvs.compile_client(options.cache), cores.client)
        machine = describe_machine(cores)
        run = Run(options, chosen, client, cores)
        begun, others = time.monotonic(), cores.used_by_others()
        with client.keep_awake(cores) if options.keep_awake else nullcontext():
            run.go()
        others, spent = cores.used_by_others() - others, time.monotonic() - begun
        machine["others_percent"] = max(0, round(50 * others / spent))
    except venvs.SetupError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if options.json:
        raw = {
            "when": time.strftime("%Y-%m-%d %H:%M"),
            "machine": machine,
            "versions": versions,
            "options": {name: getattr(options, name) for name in KEPT},
            "rounds": run.rounds,
            "failures": run.failures,
        }
        options.json.write_text(json.dumps(raw, indent=1) + "\n")
    met = print_report(run, versions, machine)
    return 1 if run.failures or (options.check and not met) else 0


if __name__ == "__main__":
    sys.exit(main())

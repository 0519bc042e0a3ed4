"""Show what one echo costs the server: system calls (strace) and functions (cProfile).

The claim to check: one recv and one send per echo. The system calls are those of a long
run minus those of a short one, so that start, handshake and end do not count. Both
tools slow the server down; the times here are for comparing functions, nothing else.
"""

from __future__ import annotations

import argparse
import pstats
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import venvs
from processes import Client, Cores, RunError, Server, Subject, exit_on_signals
from report import table
from subjects import NAMES, build_subjects

RARE = 0.01  # calls per echo; what is rarer is housekeeping


def read_counts(file: Path, timeout: float = 10.0) -> dict[str, int]:
    """Read ``strace -c``'s table; strace writes it some time after the server's death."""
    deadline = time.monotonic() + timeout
    while not file.is_file() or " total\n" not in file.read_text():
        if time.monotonic() > deadline:
            raise RunError("strace left no counts; may it trace here?")
        time.sleep(0.05)
    counts = {}
    for line in file.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            counts[words[-1]] = int(words[3])
    return counts


def count_calls(
    subject: Subject, client: Client, cpu: int, size: int, messages: int, connections: int
) -> dict[str, float]:
    """Count the server's system calls per echo."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for number in (messages, 3 * messages):
            file = Path(folder, str(number))
            # -D: the server stays our child, so that stopping it works as ever.
            command = ("strace", "-D", "-f", "-c", "-o", str(file), *subject.command)
            with Server(replace(subject, command=command), cpu) as server:
                client.echo(
                    server,
                    *("--size", str(size)),
                    *("--messages", str(number)),
                    *("--connections", str(connections)),
                )
            runs.append(read_counts(file))
    short, long = runs
    return {name: (long[name] - short.get(name, 0)) / (2 * messages) for name in long}


def print_calls(counts: dict[str, float]) -> None:
    often = sorted(counts.items(), key=lambda item: -item[1])
    rows = [(name, f"{count:.2f}") for name, count in often if count >= RARE]
    print(table(["system call", "per echo"], rows))


def profile(subject: Subject, client: Client, cpu: int, size: int, messages: int) -> pstats.Stats:
    """Run the handler of our server under cProfile."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "stats")
        command = (*subject.command, "--profile", str(file))
        with Server(replace(subject, command=command), cpu) as server:
            echo = ("--size", str(size), "--messages", str(messages), "--path", "/profiled")
            client.echo(server, *echo)
            deadline = time.monotonic() + 10
            while True:
                try:
                    return pstats.Stats(str(file))
                except (OSError, EOFError, ValueError, TypeError):  # not there or not whole
                    if time.monotonic() > deadline:
                        raise RunError("the handler left no profile") from None
                    time.sleep(0.05)


def print_profile(stats: pstats.Stats, messages: int) -> None:
    """Print the functions that run for each echo, those that cost most first."""
    rows = []
    # Not get_stats_profile(): it rounds to milliseconds and mixes functions of one name.
    functions: dict[tuple[str, int, str], Any] = vars(stats)["stats"]
    for (file, line, name), one in sorted(functions.items(), key=lambda item: -item[1][2]):
        calls = one[1] / messages
        if calls >= RARE:
            place = f" {Path(file).name}:{line}" if line else ""
            own, total = (1e6 * seconds / messages for seconds in one[2:4])
            rows.append((f"{name}{place}", f"{calls:.2f}", f"{own:.2f}", f"{total:.2f}"))
    print(table(["function", "calls per echo", "own us", "with callees us"], rows))
    print("\nThe time in recv is the wait for the client.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both; give the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--server", default="ours", metavar="NAME", help=f"{NAMES}; default ours")
    parser.add_argument("--size", type=int, default=125, help="bytes of a message; default 125")
    parser.add_argument("--connections", type=int, default=1, help="for strace; default 1")
    parser.add_argument("--messages", type=int, default=2000, help="default 2000")
    parser.add_argument("--masking", choices=("c", "pure"), default="c")
    parser.add_argument("--cache", type=Path, default=venvs.CACHE, metavar="FOLDER")
    options = parser.parse_args(arguments)
    exit_on_signals()
    try:
        subject = build_subjects([options.server], options.masking, options.cache)[0][0]
        cores = Cores.choose()
        client = Client(venvs.compile_client(options.cache), cores.client)
        work = (subject, client, cores.server, options.size, options.messages)
        print(f"{subject.label}, {options.size} bytes, {options.messages} messages\n")
        if shutil.which("strace"):
            print_calls(count_calls(*work, options.connections))
        else:
            print("strace is not installed: no count of system calls.")
        if options.server.startswith("ours"):
            print()
            print_profile(profile(*work), options.messages)
    except (venvs.SetupError, RunError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

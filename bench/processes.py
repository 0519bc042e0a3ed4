"""The processes of a run: servers on one core, the client on another, none left behind."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

START_TIMEOUT = 20.0  # seconds until a server must be ready
CLIENT_TIMEOUT = 120.0  # seconds a client may take longer than it was told to


class RunError(Exception):
    """A server or a client failed; the text says how."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Name a server to be measured and the command that starts it.

    Attributes:
        raw: whether it parses nothing and gives the client's own frames back.
    """

    name: str
    label: str
    command: tuple[str, ...]
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Cores:
    """Hold the CPU of the servers and the CPU of the client."""

    server: int
    client: int

    @classmethod
    def choose(cls) -> Cores:
        """Take two CPUs, of two physical cores where there are two."""
        allowed = sorted(os.sched_getaffinity(0))
        server = allowed[-1]
        others = [cpu for cpu in allowed if cpu != server]
        apart = [cpu for cpu in others if cpu not in _siblings(server)]
        return cls(server, (apart or others or allowed)[0])

    def used_by_others(self) -> float:
        """Give the CPU seconds these two have spent on neither this process nor its children.

        Counts from the machine's start; children count when they have ended. Interrupts
        are left out, because many of them are ours.
        """
        wanted = {f"cpu{self.server}", f"cpu{self.client}"}
        ticks = 0
        for line in Path("/proc/stat").read_text().splitlines():
            name, *values = line.split()
            if name in wanted:
                user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, values[:8])
                ticks += user + nice + system + steal
        usages = (
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return ticks / os.sysconf("SC_CLK_TCK") - sum(one.ru_utime + one.ru_stime for one in usages)


def _siblings(cpu: int) -> set[int]:
    file = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    if not file.is_file():
        return set()
    found: set[int] = set()
    for part in file.read_text().strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def exit_on_signals() -> None:
    """Make SIGTERM and SIGHUP raise SystemExit, so that what was started is stopped."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


@contextmanager
def _pinned(cpu: int) -> Iterator[None]:
    """Let processes started inside inherit ``cpu`` as their only one."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _read_line(process: subprocess.Popen[bytes], timeout: float) -> str:
    """Read one line of output; what was read is empty or cut when it did not come in time."""
    assert process.stdout is not None
    deadline = time.monotonic() + timeout
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            break
        data = os.read(process.stdout.fileno(), 4096)
        if not data:
            break
        line += data
    return line.decode(errors="replace")


class Server:
    """Run a subject while the ``with`` block lasts."""

    def __init__(self, subject: Subject, cpu: int) -> None:
        self.subject = subject
        self.port = 0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        with _pinned(cpu):
            self.process = subprocess.Popen(
                subject.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C is for the benchmark, which ends its servers
            )

    def __enter__(self) -> Self:
        try:
            line = _read_line(self.process, START_TIMEOUT)
            if not line.startswith("ready "):
                raise RunError(f"{self.subject.name} did not start: {self.errors() or line}")
            self.port = int(line.split()[1])
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Kill it, stopped or not; idempotent."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self._errors.close()

    def pause(self) -> None:
        """Stop it in its tracks, so that it costs the one being measured nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def errors(self) -> str:
        """Give the end of what it wrote to its standard error."""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), 2000, max(0, size - 2000)).decode(errors="replace")

    def usage(self) -> tuple[int, int]:
        """Give its number of threads, and its resident memory in KiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(fields["Threads"]), int(fields["VmRSS"].split()[0])

    def cpu_time(self) -> float:
        """Give the CPU time it has used, in seconds, all its threads together."""
        # The clock of another process, as clock_getcpuclockid(3) computes its number.
        return time.clock_gettime((~self.process.pid << 3) | 2)


@dataclass(frozen=True, slots=True)
class Client:
    """Start the C client against a server."""

    program: Path
    cpu: int

    def _start(self, server: Server, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        command = [str(self.program), "--port", str(server.port), *arguments]
        if server.subject.raw:
            command.append("--raw")
        pipe = subprocess.PIPE
        with _pinned(self.cpu):
            return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)

    @staticmethod
    def _finish(process: subprocess.Popen[bytes], server: Server, timeout: float) -> str:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise RunError(f"{server.subject.name}: the client did not come to an end") from None
        if process.returncode:
            said = errors.decode(errors="replace").strip() or f"status {process.returncode}"
            raise RunError(f"{server.subject.name}: {said}\n{server.errors()}".strip())
        return output.decode()

    def echo(self, server: Server, *arguments: str, lasting: float = 0.0) -> dict[str, float]:
        """Run it to its end; give what it measured."""
        process = self._start(server, arguments)
        try:
            output = self._finish(process, server, lasting + CLIENT_TIMEOUT)
        finally:
            process.kill()
            process.wait()
        result: dict[str, float] = json.loads(output)
        return result

    @contextmanager
    def idle(self, server: Server, connections: int) -> Iterator[None]:
        """Keep that many connections open, each after one echo, while the block lasts."""
        process = self._start(server, ["--idle", "--connections", str(connections)])
        try:
            if not _read_line(process, CLIENT_TIMEOUT).startswith("open "):
                process.kill()
                self._finish(process, server, CLIENT_TIMEOUT)
            yield
            self._finish(process, server, CLIENT_TIMEOUT)
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def keep_awake(self, cores: Cores) -> Iterator[None]:
        """Keep the cores busy with work that yields to all other, so that they never halt."""
        spinning: list[subprocess.Popen[bytes]] = []
        try:
            for cpu in {cores.server, cores.client}:
                with _pinned(cpu):
                    spinning.append(subprocess.Popen([self.program, "--spin"]))
            yield
        finally:
            for process in spinning:
                process.kill()
                process.wait()

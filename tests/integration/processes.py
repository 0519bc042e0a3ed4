"""Run an app in a process of its own, as a user would, and see what it writes."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

DEADLINE = 60.0  # seconds; only a failure takes as long
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


# Below those that Linux gives to clients, and for each process of pytest-xdist its own: a
# port is given away here before its server, still starting, has it.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
_PORTS = range(20_000 + 750 * _WORKER, 20_750 + 750 * _WORKER)
_next_port = itertools.count(random.randrange(len(_PORTS)))


def free_port() -> int:
    while True:
        port = _PORTS[next(_next_port) % len(_PORTS)]
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def wait_for(condition: Callable[[], object], what: str, timeout: float = DEADLINE) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {timeout:g} s")
        time.sleep(0.02)


def replace_text(path: Path, text: str) -> None:
    """Change a file at once: a reloader must find neither a part of it nor two changes."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


class AppProcess:
    """A running app; all of its processes end with the block that started it."""

    def __init__(self, arguments: Sequence[str | Path], directory: Path, log: Path) -> None:
        self.log = log
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        # A checkout in PYTHONPATH would hide the package that is installed.
        environ.pop("PYTHONPATH", None)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(argument) for argument in arguments],
                cwd=directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it wrote so far, without the colours of Werkzeug's access log."""
        return COLOUR.sub("", self.log.read_text(encoding="utf-8", errors="replace"))

    def wait_for_output(self, text: str, timeout: float = DEADLINE) -> None:
        def there() -> bool:
            self.check_alive()
            return text in self.output

        wait_for(there, f"{text!r} in the output of {self.process.args}", timeout)

    def wait_for_port(self, port: int, timeout: float = DEADLINE) -> None:
        def listening() -> bool:
            self.check_alive()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(listening, f"server on port {port}", timeout)

    def check_alive(self) -> None:
        if self.process.poll() is not None:
            raise RuntimeError(
                f"{self.process.args} ended with {self.process.returncode}:\n{self.output}"
            )

    def stop(self) -> None:
        for ending, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            try:
                os.killpg(self.process.pid, ending)
            except ProcessLookupError:
                pass
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            return


@contextlib.contextmanager
def running(
    arguments: Sequence[str | Path], *, directory: Path, log: Path, port: int | None = None
) -> Iterator[AppProcess]:
    """Start it, wait for its port where one is given, and end it with the block."""
    app = AppProcess(arguments, directory, log)
    try:
        if port is not None:
            app.wait_for_port(port)
        yield app
    except BaseException:
        print(f"--- output of {app.process.args}:\n{app.output}---")
        raise
    finally:
        app.stop()

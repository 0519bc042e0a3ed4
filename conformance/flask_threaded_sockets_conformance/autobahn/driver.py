"""The process that has the Autobahn cases in it, and how to ask it.

The cases come with modules of their own and a changed ``binascii``; so they stay out of
the process that serves. ``python -m ...autobahn.driver`` reads one request per line and
answers each with one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

from .verdict import AutobahnVerdict

__all__ = ["Driver", "DriverError", "available", "catalogue"]

# Of what was expected or came, so many characters are kept: some messages have 16 MiB.
_TOLD_MAX: Final = 400

# The share of a processor that counts as computing, not as idling: a crowded machine gives
# more, looking at the clock takes less.
_COMPUTES: Final = 0.005

# Seconds between two looks at the clock.
_TICK: Final = 0.02


class DriverError(Exception):
    """Say that the driver's process did not answer."""


def available() -> bool:
    """Tell whether kosoku, which carries the cases, is installed."""
    return find_spec("kosoku") is not None


class Driver:
    """Run cases against servers; the process starts with the first one.

    A case may take long on a slow machine: what tells that from a hang is whether the
    process computes.

    Args:
        patience: seconds without a verdict in which the process uses next to no processor
            time; most of the cases' own deadlines are shorter.
    """

    def __init__(self, patience: float = 120.0) -> None:
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def run(self, url: str, case: str) -> AutobahnVerdict:
        """Run one case; blocks until its verdict is there.

        Args:
            url: of a server that echoes, e.g. ``"ws://127.0.0.1:9001/"``.
            case: the case's id.

        Raises:
            DriverError: no verdict came in time, or the process died.
        """
        return AutobahnVerdict(**self._ask({"url": url, "case": case}))

    def catalogue(self) -> list[str]:
        """Give the ids of all cases there are, in Autobahn's order.

        Raises:
            DriverError: the process died.
        """
        return list(self._ask({}))

    def _ask(self, request: dict[str, str]) -> Any:
        if self._process is None:
            self._start()
        assert self._process is not None  # noqa: S101
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._wait(self._process.pid)
        except OSError:
            line = ""
        except queue.Empty:
            self.stop()
            idle = f"no verdict, and idle for {self._patience:g} s"
            raise DriverError(f"case {request.get('case', '')}: {idle}") from None
        if not line:
            self.stop()
            raise DriverError(f"case {request.get('case', '')}: its process died")
        return json.loads(line)

    def _wait(self, pid: int) -> str:
        """Wait for a line as long as the process computes."""
        used = _processor_time(pid)
        deadline = time.monotonic() + self._patience
        while True:
            left = deadline - time.monotonic()
            try:
                return self._lines.get(timeout=max(0.0, min(left, 1.0)))
            except queue.Empty:
                now = _processor_time(pid)
                if now - used >= _COMPUTES * self._patience:
                    used = now
                    deadline = time.monotonic() + self._patience
                elif left <= 0:
                    raise

    def _start(self) -> None:
        self._lines = queue.Queue()
        self._process = subprocess.Popen(  # noqa: S603  (our own module)
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # A daemon: it ends with the process's stream.
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None  # noqa: S101
        with process.stdout:
            for line in process.stdout:
                lines.put(line)
        lines.put("")

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        assert process.stdin is not None  # noqa: S101
        with contextlib.suppress(OSError):  # what a dead process had not read yet
            process.stdin.close()


def _processor_time(pid: int) -> float:
    """Give the seconds of processor time a process has used; 0 where nobody tells."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return 0.0
    # Behind the command's name, which may hold anything, the 12th and 13th field.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class _Lag:
    """Measure how long a thread that is ready to run is kept waiting; a context manager.

    Attributes:
        seconds: the longest of these times.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._done = threading.Event()
        # A daemon: it must not keep a process alive whose case was interrupted.
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        over = False
        while not over:
            began = time.monotonic()
            over = self._done.wait(_TICK)
            self.seconds = max(self.seconds, time.monotonic() - began - _TICK)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def catalogue() -> list[str]:
    """Give the ids of all cases there are; takes some seconds for their import.

    Raises:
        DriverError: the process died.
    """
    driver = Driver()
    try:
        return driver.catalogue()
    finally:
        driver.stop()


def _run(url: str, cases: Sequence[str] | None) -> list[Any]:
    """Run cases with kosoku and give its results."""
    from kosoku import FailureError, run_fuzzingclient

    try:
        results: list[Any] = asyncio.run(run_fuzzingclient(url, cases))
    except FailureError as failure:
        results = failure.results
    return results


def _list() -> list[str]:
    # kosoku names its cases in results only; where nobody listens they come at once.
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        results = _run(f"ws://127.0.0.1:{sock.getsockname()[1]}/", None)
    return [result.case_id for result in results]


def _plain(text: str) -> str:
    """Take Autobahn's HTML out of a text."""
    return " ".join(re.sub(r"<[^<>]*>", " ", text).split())


def _judge(url: str, case: str) -> dict[str, Any]:
    with _Lag() as lag:
        (result,) = _run(url, [case])
    return AutobahnVerdict(
        case=result.case_id,
        behavior=result.behavior.value,
        behavior_close=result.behavior_close.value,
        result=result.result,
        result_close=result.result_close,
        close_code=result.remote_close_code,
        description=_plain(result.description),
        expectation=_plain(result.expectation),
        expected=repr(result.expected)[:_TOLD_MAX],
        received=repr(result.received)[:_TOLD_MAX],
        seconds=result.duration / 1000,
        lag=round(lag.seconds, 3),
    ).to_json()


def main() -> None:
    """Answer requests until the input ends."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # a case that prints must not be taken for an answer
    for line in sys.stdin:
        request = json.loads(line)
        answer = _judge(request["url"], request["case"]) if request else _list()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

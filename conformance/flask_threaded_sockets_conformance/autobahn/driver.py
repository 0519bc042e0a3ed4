"""The process that has the Autobahn cases in it, and how to ask it.

The cases come with modules of their own and a changed ``binascii``; so they stay out of
the process that serves. ``python -m ...autobahn.driver`` reads one request per line and
answers each with one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Final

from .verdict import AutobahnVerdict

__all__ = ["Driver", "DriverError", "available", "catalogue"]

# Of what was expected or came, so many characters are kept: some messages have 16 MiB.
_TOLD_MAX: Final = 400


class DriverError(Exception):
    """Say that the driver's process did not answer."""


def available() -> bool:
    """Tell whether kosoku, which carries the cases, is installed."""
    return find_spec("kosoku") is not None


class Driver:
    """Run cases against servers; the process starts with the first one.

    Args:
        patience: seconds to wait for the verdict of one case.
    """

    def __init__(self, patience: float = 300.0) -> None:
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
            line = self._lines.get(timeout=self._patience)
        except (OSError, queue.Empty):
            line = ""
        if not line:
            alive = self._process.poll() is None
            self.stop()
            what = f"no verdict within {self._patience:g} s" if alive else "its process died"
            raise DriverError(f"case {request.get('case', '')}: {what}")
        return json.loads(line)

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

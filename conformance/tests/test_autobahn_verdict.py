"""What Autobahn's words mean, which cases a selection names, and what a record keeps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flask_threaded_sockets_conformance.autobahn import driver
from flask_threaded_sockets_conformance.autobahn.record import Record
from flask_threaded_sockets_conformance.autobahn.suite import AutobahnRun
from flask_threaded_sockets_conformance.autobahn.verdict import (
    AutobahnVerdict,
    InvalidAreaError,
    selected,
)
from flask_threaded_sockets_conformance.server import Stack

# Takes six seconds of processor time, which are more than the patience, for a verdict.
COMPUTING = """#!{python}
import json, sys, time
sys.stdin.readline()
while time.process_time() < 6:
    pass
print(json.dumps({{"case": "1.1.1", "behavior": "OK", "behavior_close": "OK"}}), flush=True)
sys.stdin.read()
"""

# Fails at first on a slow machine, and passes then; and fails three times.
ANSWERING = """#!{python}
import json, sys
for number, line in enumerate(sys.stdin, 1):
    behavior = "OK" if number == 2 else "FAILED"
    case = json.loads(line)["case"]
    answer = dict(case=case, behavior=behavior, behavior_close="OK", result=str(number), lag=1.0)
    print(json.dumps(answer), flush=True)
"""

IDS = ["1.1.1", "1.1.2", "1.2.1", "2.1", "2.10", "7.1.5", "12.1.1", "12.1.10"]


@pytest.mark.parametrize(
    ("areas", "named"),
    [
        ("", IDS),
        ("1", ["1.1.1", "1.1.2", "1.2.1"]),
        ("2.1", ["2.1"]),
        ("12.1.1", ["12.1.1"]),
        ("1.1,12", ["1.1.1", "1.1.2", "12.1.1", "12.1.10"]),
        ("12, 2", ["2.1", "2.10", "12.1.1", "12.1.10"]),
        ("2-7", ["2.1", "2.10", "7.1.5"]),
        ("1-7,7.1.5", IDS[:6]),
    ],
)
def test_a_selection_names_areas_groups_and_cases(areas: str, named: list[str]) -> None:
    assert selected(IDS, areas) == named


@pytest.mark.parametrize("areas", ["3", "1,3", "1,", "x", "7.1-9", "7-1", "-7", "1.", "1.1.3"])
def test_a_selection_of_nothing_is_refused(areas: str) -> None:
    with pytest.raises(InvalidAreaError):
        selected(IDS, areas)


@pytest.mark.parametrize(
    ("behavior", "close", "passed", "grade"),
    [
        ("OK", "OK", True, "OK"),
        ("OK", "INFORMATIONAL", True, "OK"),
        ("NON-STRICT", "OK", True, "NON-STRICT"),
        ("INFORMATIONAL", "INFORMATIONAL", True, "INFORMATIONAL"),
        ("FAILED", "OK", False, "FAILED"),
        ("FAILED", "UNCLEAN", False, "FAILED"),
        ("OK", "UNCLEAN", False, "UNCLEAN"),
        ("OK", "WRONG CODE", False, "WRONG CODE"),
        ("NON-STRICT", "FAILED", False, "FAILED"),
        ("OK", "FAILED BY CLIENT", False, "FAILED BY CLIENT"),
        ("ERROR", "FAILED", False, "ERROR"),
        ("UNIMPLEMENTED", "OK", False, "UNIMPLEMENTED"),
    ],
)
def test_only_violations_fail(behavior: str, close: str, passed: bool, grade: str) -> None:
    verdict = AutobahnVerdict("1.1.1", behavior, close)
    assert verdict.passed is passed
    assert verdict.grade == grade
    assert verdict.skipped is (behavior == "UNIMPLEMENTED")


def test_a_record_keeps_the_last_verdict_of_each_case(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "builtin.jsonl"
    record = Record(path, "builtin")
    assert record.passed() == {}
    bad, good = (AutobahnVerdict("1.1.1", word, "OK") for word in ("FAILED", "OK"))
    other = AutobahnVerdict("1.1.2", "NON-STRICT", "OK", close_code=1000)
    for verdict in (bad, good, other):
        record.add(verdict)
    with path.open("a") as file:
        file.write('{"versions": {')  # what an interrupted run leaves
    assert Record(path, "builtin").passed() == {"1.1.1": good, "1.1.2": other}
    with path.open("a") as file:
        file.write("\n")
    record.add(bad)
    assert Record(path, "builtin").passed() == {"1.1.2": other}


def test_a_verdict_on_another_version_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "builtin.jsonl"
    Record(path, "builtin").add(AutobahnVerdict("1.1.1", "OK", "OK"))
    kept = json.loads(path.read_text())
    kept["versions"]["flask-threaded-sockets"] = "0.9"
    path.write_text(json.dumps(kept) + "\n")
    assert Record(path, "builtin").passed() == {}


@pytest.mark.parametrize(
    ("script", "error"),
    [("exit 1", "its process died"), ("exec sleep 60", "no verdict, and idle for 0.5 s")],
)
def test_a_driver_that_dies_or_is_idle_is_told(
    script: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = tmp_path / "python"
    process.write_text(f"#!/bin/sh\n{script}\n")
    process.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(process))
    patience = 0.5 if "sleep" in script else 60.0
    with pytest.raises(driver.DriverError, match=rf"case 1\.1\.1: {error}"):
        driver.Driver(patience).run("ws://127.0.0.1:1/", "1.1.1")


def test_a_driver_that_computes_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = tmp_path / "python"
    process.write_text(COMPUTING.format(python=sys.executable))
    process.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(process))
    slow = driver.Driver(patience=4.0)
    verdict = slow.run("ws://127.0.0.1:1/", "1.1.1")
    slow.stop()
    assert verdict == AutobahnVerdict("1.1.1", "OK", "OK")


@pytest.mark.parametrize(
    ("behavior", "lag", "doubtful"),
    [("OK", 5.0, False), ("FAILED", 0.05, False), ("FAILED", 0.2, True)],
)
def test_a_failure_on_a_slow_machine_is_doubtful(behavior: str, lag: float, doubtful: bool) -> None:
    verdict = AutobahnVerdict("1.1.1", behavior, "OK", lag=lag)
    assert verdict.doubtful is doubtful
    assert ("the machine kept the judge waiting" in verdict.explain("builtin")) is doubtful


def test_a_doubtful_failure_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = tmp_path / "python"
    process.write_text(ANSWERING.format(python=sys.executable))
    process.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(process))
    run = AutobahnRun(["1", "2"], "", tmp_path, resume=False)
    stack = Stack("builtin")
    try:
        came = [run.verdict(stack, case) for case in ("1", "2")]
    finally:
        stack.stop()
        run.driver.stop()
    # The second one fails three times.
    assert [(verdict.passed, verdict.result) for verdict in came] == [(True, "2"), (False, "5")]
    kept = [json.loads(line) for line in (tmp_path / "builtin.jsonl").read_text().splitlines()]
    assert [line["verdict"]["result"] for line in kept] == ["2", "5"]


def test_lag_is_what_a_ready_thread_waits() -> None:
    code = f"""
import sys
from {driver.__name__} import _Lag
with _Lag() as lag:
    print("ready", flush=True)
    sys.stdin.readline()
print(lag.seconds)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        began = time.monotonic()
        time.sleep(0.5)
        stopped = time.monotonic() - began
        process.send_signal(signal.SIGCONT)
        process.stdin.write("done\n")
        process.stdin.flush()
        lag = float(process.stdout.readline())
    assert stopped - 0.02 <= lag

"""What Autobahn's words mean, which cases a selection names, and what a record keeps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from flask_threaded_sockets_conformance.autobahn import driver
from flask_threaded_sockets_conformance.autobahn.record import Record
from flask_threaded_sockets_conformance.autobahn.verdict import (
    AutobahnVerdict,
    InvalidAreaError,
    selected,
)

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
    [("exit 1", "its process died"), ("exec sleep 60", "no verdict within 0.5 s")],
)
def test_a_driver_that_dies_or_is_mute_is_told(
    script: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = tmp_path / "python"
    process.write_text(f"#!/bin/sh\n{script}\n")
    process.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(process))
    patience = 0.5 if "sleep" in script else 60.0
    with pytest.raises(driver.DriverError, match=rf"case 1\.1\.1: {error}"):
        driver.Driver(patience).run("ws://127.0.0.1:1/", "1.1.1")

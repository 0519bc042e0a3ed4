"""The table for a README, from a report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from flask_threaded_sockets_conformance.cases import all_cases
from flask_threaded_sockets_conformance.report import told
from flask_threaded_sockets_conformance.results import Result, Results
from mutants import UNBROKEN, MutantBackend

from flask_threaded_sockets.plugins import register_backend, unregister_backend

DEVIATING = "masking.server-never-masks"


def test_matrix_has_a_row_for_each_area_and_a_column_for_each_backend(tmp_path: Path) -> None:
    results = Results()
    for case in all_cases():
        results.add(Result("builtin", case.id, "passed"))
        verdict, reason = ("xfailed", "it does") if case.id == DEVIATING else ("passed", "")
        results.add(Result("unbroken", case.id, verdict, reason=reason))
    register_backend(MutantBackend(UNBROKEN))
    data = told(results)
    unregister_backend(UNBROKEN.name)
    report = tmp_path / "report.json"
    report.write_text(json.dumps(data))
    command = [sys.executable, "-m", "flask_threaded_sockets_conformance.matrix", str(report)]
    lines = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    of_masking = sum(case.area == "masking" for case in all_cases())
    assert lines[:2] == ["|  | builtin | unbroken |", "| --- | ---: | ---: |"]
    assert f"| Masking | {of_masking} | {of_masking - 1} of {of_masking} |" in lines
    assert lines[-3:] == [
        "| **grade** | **conformant** | **conformant with xfails** |",
        "",
        f"- unbroken, `{DEVIATING}`: it does",
    ]

"""``--autobahn``, with the real cases: one pytest for each question about it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    # Each pytest that is run here imports all of them.
    pytest.mark.timeout(600),
]

PACKAGE = "flask_threaded_sockets_conformance.autobahn"

# A backend that loses the last letter of each text, and says 1000 for a violation.
BROKEN = """
from flask_threaded_sockets.codec import BuiltinProtocol
from flask_threaded_sockets.events import Message
from flask_threaded_sockets.plugins import register_backend
from flask_threaded_sockets.protocol_backend import ProtocolBackend


class Protocol(BuiltinProtocol):
    def events(self):
        events = super().events()
        for event in events:
            if isinstance(event, Message) and isinstance(event.data, str):
                event.data = event.data[:-1]
        return events

    def data_to_send(self):
        wrong, right = b"\\x03\\xe8", b"\\x03\\xea"
        return [bytes(data).replace(right, wrong) for data in super().data_to_send()]


class Backend(ProtocolBackend):
    name = "broken"

    def protocol(self, upgrade, options):
        protocol = Protocol(deflate=upgrade.deflate, max_message_size=options.max_message_size)
        protocol.take_message = lambda data: None
        return protocol


register_backend(Backend())
"""

SUITE = """
from flask_threaded_sockets_conformance.autobahn.suite import AutobahnSuite


class Broken(AutobahnSuite):
    backend = "broken"
    areas = "1.1.1-REPLACED"
    xfail = {"1.1.2": "it loses a letter"}
"""


def run(directory: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest there; give its exit code and what it wrote."""
    (directory / "broken_backend.py").write_text(BROKEN)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(directory), "COLUMNS": "200"}
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=300
    )
    return ended.returncode, ended.stdout + ended.stderr


def judge(directory: Path, *arguments: str, backend: str = "builtin") -> tuple[int, str]:
    return run(
        directory,
        *("--pyargs", PACKAGE, "--autobahn", "--ws-backend", backend),
        *("--ws-import", "broken_backend", *arguments),
    )


def test_conformant_backend_passes_case_by_case(tmp_path: Path) -> None:
    code, told = judge(tmp_path, "--autobahn-areas", "1.1.1,3,7.1.5,13.1.1")
    assert code == 0, told
    assert "TestAutobahn::builtin-7.1.5 PASSED" in told
    assert "TestAutobahn::builtin-13.1.1 PASSED" in told
    assert "10 passed" in told
    record = (tmp_path / ".autobahn" / "builtin.jsonl").read_text().splitlines()
    grades = {
        verdict["case"]: verdict["behavior"]
        for verdict in (json.loads(line)["verdict"] for line in record)
    }
    # Whether the good message before the bad frame is answered is a matter of timing.
    strict = {case: grade for case, grade in grades.items() if case not in ("3.2", "3.3", "3.4")}
    assert set(strict.values()) == {"OK"}
    lax = list(grades.values()).count("NON-STRICT")
    expected = f"10 cases: {10 - lax} OK" + (f", {lax} NON-STRICT" if lax else "")
    assert re.search(rf"^builtin +{expected}$", told, re.MULTILINE), told


def test_wrong_messages_and_wrong_codes_fail_with_what_came(tmp_path: Path) -> None:
    code, told = judge(tmp_path, "--autobahn-areas", "1.1.2,1.2.2,7.5.1,7.9.1", backend="broken")
    assert code == 1, told
    assert "broken-1.1.2 FAILED" in told
    assert "broken-1.2.2 PASSED" in told
    assert "broken-7.9.1 FAILED" in told
    assert "messages    FAILED: Actual events differ from any expected." in told
    assert "close       WRONG CODE:" in told
    assert "(the server's code: 1000)" in told
    assert "2 failed, 2 passed" in told


def test_a_listed_deviation_is_an_xfail_and_must_fail(tmp_path: Path) -> None:
    suite = tmp_path / "test_mine.py"
    arguments = ("--autobahn", "--ws-import", "broken_backend", str(suite))
    suite.write_text(SUITE.replace("1.1.1-REPLACED", "1.1.2,1.2.2"))
    code, told = run(tmp_path, *arguments)
    assert code == 0, told
    assert "1 passed, 1 xfailed" in told
    suite.write_text(suite.read_text().replace('"1.1.2":', '"1.2.2":'))
    code, told = run(tmp_path, *arguments)
    assert code == 1, told
    assert "[XPASS(strict)] it loses a letter" in told
    suite.write_text(suite.read_text().replace("it loses a letter", " "))
    code, told = run(tmp_path, *arguments)
    assert "Broken.xfail['1.2.2'] has no reason" in told


def test_without_the_option_no_case_is_collected(tmp_path: Path) -> None:
    code, told = run(tmp_path, "--pyargs", PACKAGE, "--ws-backend", "builtin")
    assert code == pytest.ExitCode.NO_TESTS_COLLECTED, told


def test_a_second_run_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    record = tmp_path / ".autobahn" / "builtin.jsonl"
    judge(tmp_path, "--autobahn-areas", "1.1")
    first = record.read_text()
    assert len(first.splitlines()) == 8
    code, told = judge(tmp_path, "--autobahn-areas", "1", "--autobahn-resume")
    assert code == 0, told
    assert "16 passed" in told
    assert len(record.read_text().splitlines()) == 16
    judge(tmp_path, "--autobahn-areas", "1.1.1")
    assert len(record.read_text().splitlines()) == 17


@pytest.mark.parametrize(
    ("areas", "error"),
    [
        ("8", "--autobahn-areas: there is no case in area '8'"),
        ("frames", "--autobahn-areas: 'frames' is no area; write e.g. 1-7, 9 or 12.1"),
    ],
)
def test_areas_that_there_are_not_are_a_usage_error(tmp_path: Path, areas: str, error: str) -> None:
    code, told = judge(tmp_path, "--autobahn-areas", areas)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert error in told

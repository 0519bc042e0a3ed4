"""The pytest plugin, run as a user runs it: options, verdicts, grades, reports."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask_threaded_sockets_conformance.cases import AREAS, all_cases

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

# A backend without compression, whose unsolicited Pongs have a wrong payload and whose
# empty Pings raise; and one that reads and says nothing.
BROKEN = """
from flask_threaded_sockets.backend import Feature
from flask_threaded_sockets.builtin import BuiltinBackend
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.plugins import register_backend


class Protocol(BuiltinProtocol):
    def send_pong(self, payload):
        super().send_pong(b"not " + payload)

    def send_ping(self, payload):
        if not payload:
            raise RuntimeError("a defect")
        super().send_ping(payload)


class Broken(BuiltinBackend):
    name = "broken"
    features = frozenset(Feature) - {Feature.COMPRESSION}

    def protocol(self, upgrade, options):
        return Protocol(Role.SERVER, max_message_size=options.max_message_size)


class Mute(BuiltinProtocol):
    def receive_data(self, data):
        pass


class MuteBackend(Broken):
    name = "mute"

    def protocol(self, upgrade, options):
        return Mute(Role.SERVER)


register_backend(Broken())
register_backend(MuteBackend())
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest in a process of its own, in an empty directory."""
    pytester.makepyfile(broken=BROKEN)
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\npythonpath = .")

    def run(*arguments: str, suite: str | None = None) -> pytest.RunResult:
        where = ["--pyargs", "flask_threaded_sockets_conformance"]
        if suite is not None:
            body = "\n    ".join(suite.splitlines())
            pytester.makepyfile(
                test_mine="from flask_threaded_sockets_conformance.suite import ConformanceSuite\n"
                f"class TestMine(ConformanceSuite):\n    {body}\n"
            )
            where = ["test_mine.py"]
        return pytester.runpytest_subprocess(*where, "--ws-quick", *arguments, timeout=110)

    return run


def test_there_are_enough_cases_and_each_says_what_it_is() -> None:
    cases = all_cases()
    assert len(cases) >= 250
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        assert case.id.startswith(f"{case.area}.")
        assert all((case.section, case.description, case.expectation))
        assert case.level in ("must", "should")
        # Which RFC's section it is does not go without saying: there are two.
        assert not case.section[0].isdigit()
        assert "``" not in case.description + case.expectation
    assert {case.area for case in cases} == {area.name for area in AREAS}
    readme = Path(__file__).parents[1] / "README.md"
    assert f"with {len(cases)} cases" in readme.read_text("utf-8")


def test_cases_of_a_backend_are_items(run: Run) -> None:
    result = run("--ws-backend", "builtin", "-k", "masking", "-v")
    result.assert_outcomes(passed=21, deselected=len(all_cases()) - 21)
    result.stdout.fnmatch_lines(["*::TestConformance::builtin-masking.* PASSED*"])
    result.stdout.fnmatch_lines(["builtin * not judged *21 of * cases: 21 passed"])


def test_several_backends_side_by_side_under_xdist(run: Run, pytester: pytest.Pytester) -> None:
    report = pytester.path / "out" / "report.html"
    result = run(
        "--ws-backend", "builtin,broken", "--ws-import", "broken", "-k", "masking",
        "-n", "2", "--ws-report", str(report),
    )  # fmt: skip
    result.assert_outcomes(passed=42)
    result.stdout.fnmatch_lines(["✓ broken *Masking *21 of 21"])
    told = json.loads(report.with_suffix(".json").read_text("utf-8"))
    assert [backend["name"] for backend in told["backends"]] == ["builtin", "broken"]
    assert len(told["results"]["broken"]) == 21
    assert all(one["verdict"] == "passed" for one in told["results"]["builtin"].values())


def test_page_is_self_contained_and_has_a_cell_for_each_case(
    run: Run, pytester: pytest.Pytester
) -> None:
    run("--ws-backend", "builtin", "-k", "control", "--ws-report", "report.html")
    text = (pytester.path / "report.html").read_text("utf-8")
    assert not re.search(r"@[A-Z]+@", text)
    links: list[str] = []
    cases: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found = dict(attrs)
            links.extend(found[key] or "" for key in ("src", "href") if key in found)
            if "data-case" in found:
                cases.append(found["data-case"] or "")

    Parser().feed(text)
    assert links == []
    assert cases == [case.id for case in all_cases()]
    badge = ET.parse(pytester.path / "report-builtin.svg").getroot()
    assert "not judged" in badge.attrib["aria-label"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bultin", "*--ws-backend: unknown backend 'bultin', did you mean 'builtin'?*"),
        ("builtin,nonesuch", "*--ws-backend: unknown backend 'nonesuch'*"),
    ],
)
def test_unknown_backend_is_a_usage_error(run: Run, name: str, told: str) -> None:
    result = run("--ws-backend", name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])
    assert "Traceback" not in result.stderr.str()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import nonesuch", "*--ws-import: No module named 'nonesuch'*"),
        ("raise RuntimeError('no device')", "*--ws-import: RuntimeError('no device')*"),
        ("def (", "*--ws-import: SyntaxError(*"),
    ],
)
def test_module_that_does_not_import_is_a_usage_error(
    run: Run, pytester: pytest.Pytester, body: str, told: str
) -> None:
    pytester.makepyfile(defect=body)
    result = run("--ws-backend", "builtin", "--ws-import", "defect")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("path", ["broken.py/report.html", "report.json", "."])
def test_report_without_a_place_is_a_usage_error(run: Run, path: str) -> None:
    result = run("--ws-backend", "builtin", "-k", "masking", "--ws-report", path)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--ws-report: *{path}*"])


def test_no_backend_named_is_an_error_that_says_what_to_do(run: Run) -> None:
    result = run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["name the backends to judge: --ws-backend NAME, or all"])


def test_skipped_must_is_a_failure(run: Run) -> None:
    result = run("--ws-backend", "broken", "--ws-import", "broken", "-k", "compression.", "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["broken * not conformant *", "*lacks the feature 'compression'*"])


def test_failure_shows_both_sides_bytes_and_none_of_our_stack(run: Run) -> None:
    result = run("--ws-backend", "broken", "--ws-import", "broken", "-k", "websocket.frame-pong")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "case * websocket.frame-pong  (send_frame(); must)",
            "backend * broken",
            "expected *8a 01 61*",
            "came * expected exactly 8a 01 | 61 * came Pong b'not a'",
            "*server * 8a 05 | 6e 6f 74 20 61 * PONG 'not a'",
            "FAILED *::broken-websocket.frame-pong*",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "runner.py" not in result.stdout.str()


def test_failure_shows_what_the_backend_raised(run: Run, pytester: pytest.Pytester) -> None:
    name = "websocket.frame-ping-empty"
    result = run(
        "--ws-backend", "broken", "--ws-import", "broken", "-k", name, "--ws-report", "report.html"
    )
    result.assert_outcomes(failed=1)
    line = "raised RuntimeError('a defect') in send_ping (broken.py, line *)"
    result.stdout.fnmatch_lines([f"* app * {line}"])
    told = json.loads((pytester.path / "report.json").read_text("utf-8"))
    log = "\n".join(told["results"]["broken"][name]["log"])
    assert log.count("raised RuntimeError('a defect') in send_ping (broken.py, line ") == 1


def test_backend_that_hangs_is_soon_waited_for_less(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)  # there pytest's summary has all lines a second time
    ids = [case.id for case in all_cases() if "framing.rsv" in case.id]
    result = run(
        "--ws-backend", "mute", "--ws-import", "broken", "-k", "framing.rsv",
        "--ws-patience", "1.3",
    )  # fmt: skip
    result.assert_outcomes(failed=len(ids))
    told = [line for line in result.outlines if line.startswith("came ")]
    patient = ["came        expected Close 1002, came nothing within 1.3 s"] * 10
    assert told[:10] == patient
    assert len(told) == len(ids) > 10
    for line in told[10:]:
        assert line.startswith(
            "came        expected Close 1002, came nothing within 1 s (1 s only:"
        )


def test_xfail_needs_a_reason(run: Run) -> None:
    case = all_cases()[0].id
    result = run(suite=f'backend = "builtin"\nxfail = {{"{case}": " "}}')
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"*xfail*{case}* has no reason; say why it fails"])


@pytest.mark.parametrize(
    ("suite", "told"),
    [
        ('xfail = {"framing.nonesuch": "why"}', "*there is no case 'framing.nonesuch'"),
        ('areas = ("framng",)', "*areas: there is no 'framng'"),
        ('backend = "bultin"', "*unknown backend 'bultin', did you mean*"),
    ],
)
def test_mistakes_in_a_suite_are_errors(run: Run, suite: str, told: str) -> None:
    result = run("--ws-backend", "builtin", suite=suite)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([told])


def test_xfail_that_passes_is_a_failure(run: Run) -> None:
    case = next(case.id for case in all_cases() if case.area == "masking")
    suite = f'backend = "builtin"\nareas = ("masking",)\nxfail = {{"{case}": "it is said"}}'
    result = run(suite=suite)
    result.assert_outcomes(passed=20, failed=1)
    result.stdout.fnmatch_lines(["builtin * not conformant *", f"*{case}: passes in spite of*"])


def test_xfail_with_a_reason_is_reported_with_it(run: Run, pytester: pytest.Pytester) -> None:
    cases = {case.id: case.level for case in all_cases() if case.area == "compression"}
    xfail = {case: "it cannot compress" for case, level in cases.items() if level == "must"}
    suite = f'backend = "broken"\nareas = ("compression",)\nxfail = {xfail!r}'
    result = run("--ws-import", "broken", "--ws-report", "report.html", suite=suite)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["broken * not judged * xfailed*"])
    told = json.loads((pytester.path / "report.json").read_text("utf-8"))
    came = {
        one["case"]: (one["verdict"], one["reason"]) for one in told["results"]["broken"].values()
    }
    wanted = {"must": ("xfailed", "it cannot compress"), "should": ("skipped", "")}
    assert came == {case: wanted[level] for case, level in cases.items()}

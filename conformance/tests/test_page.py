"""The report's page in a real browser: Debian's Chromium, headless."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import needs_chromium, started
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

pytestmark = [needs_chromium, pytest.mark.timeout(180)]

# Backends that lack what only a should needs, or send a wrong Pong, with a reason or without.
MODULE = """
from flask_threaded_sockets.backend import Feature
from flask_threaded_sockets.builtin import BuiltinBackend
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.plugins import register_backend


class Protocol(BuiltinProtocol):
    def send_pong(self, payload):
        super().send_pong(b"not " + payload)


class Slow(BuiltinBackend):
    name = "slow"
    features = frozenset(Feature) - {Feature.FAIL_FAST_UTF8}


class Wrong(BuiltinBackend):
    name = "wrong"

    def protocol(self, upgrade, options):
        return Protocol(Role.SERVER)


class Excused(Wrong):
    name = "excused"


for backend in (Slow(), Wrong(), Excused()):
    register_backend(backend)
"""
SUITES = """
from flask_threaded_sockets_conformance.suite import ConformanceSuite


class Slow(ConformanceSuite):
    backend = "slow"


class Wrong(ConformanceSuite):
    backend = "wrong"


class Excused(ConformanceSuite):
    backend = "excused"
    xfail = {"websocket.frame-pong": "<b>it knows no better</b>"}
"""
CASES = "websocket.frame-p or text.fail-fast or text.valid-ascii"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the page of a run with failures, xfails and skips."""
    directory = tmp_path_factory.mktemp("page")
    (directory / "wrong_backends.py").write_text(MODULE, "utf-8")
    (directory / "test_mine.py").write_text(SUITES, "utf-8")
    command = [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "pythonpath=."),
        *("--ws-import", "wrong_backends", "--ws-quick", "--ws-report", "report.html"),
        *("-k", CASES),
    ]
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    return directory / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with started(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(params=[1280, 400])
def opened(
    request: pytest.FixtureRequest, browser: webdriver.Chrome, page: Path
) -> Iterator[webdriver.Chrome]:
    """Open the page at a width; no error is left on its console."""
    metrics = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    yield browser
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= request.param


def show(browser: webdriver.Chrome, case: str, backend: str) -> dict[str, str]:
    """Click a verdict and give what the page then shows, name by name."""
    selector = f'tr[data-case="{case}"]'
    button = browser.find_element(By.CSS_SELECTOR, f'{selector} [data-backend="{backend}"]')
    area: WebElement = browser.find_element(By.XPATH, f'//details[.//tr[@data-case="{case}"]]')
    if area.get_attribute("open") is None:
        area.find_element(By.TAG_NAME, "summary").click()
    button.click()
    detail = browser.find_element(By.CSS_SELECTOR, f"{selector} + tr.detail")
    names = [each.text for each in detail.find_elements(By.TAG_NAME, "dt")]
    texts = [each.text for each in detail.find_elements(By.TAG_NAME, "dd")]
    logs = [each.text for each in detail.find_elements(By.TAG_NAME, "pre")]
    return {**dict(zip(names, texts, strict=True)), "log": "\n".join(logs), "symbol": button.text}


def test_failed_case_shows_what_was_expected_what_came_and_the_wire(
    opened: webdriver.Chrome,
) -> None:
    shown = show(opened, "websocket.frame-pong", "wrong")
    assert shown["symbol"] == "✗"
    assert shown["verdict"] == "failed"
    assert "8a 01 61" in shown["expected"]
    assert shown["came"] == "expected exactly 8a 01 | 61 PONG 'a', came Pong b'not a'"
    assert "8a 05 | 6e 6f 74 20 61   PONG 'not a'" in shown["log"]
    assert "HTTP/1.1 101" in shown["log"]


def test_xfail_shows_its_reason_as_text(opened: webdriver.Chrome) -> None:
    shown = show(opened, "websocket.frame-pong", "excused")
    assert (shown["symbol"], shown["verdict"]) == ("◐", "xfailed")
    assert shown["reason"] == "<b>it knows no better</b>"


def test_rule_is_a_link_into_the_rfc(opened: webdriver.Chrome) -> None:
    shown = show(opened, "text.valid-ascii", "slow")
    assert (shown["symbol"], shown["came"]) == ("✓", "as expected")
    assert shown["rule"] == "RFC 6455 section 5.6"
    link = opened.find_element(By.LINK_TEXT, shown["rule"])
    target = "https://www.rfc-editor.org/rfc/rfc6455#section-5.6"
    assert link.get_attribute("href") == target


def test_symbols_of_an_area_are_those_of_its_worst(opened: webdriver.Chrome) -> None:
    titles = opened.find_elements(By.CSS_SELECTOR, "summary .title")
    sums = opened.find_elements(By.CSS_SELECTOR, "summary .sums")
    told = {title.text: each.text.split() for title, each in zip(titles, sums, strict=True)}
    # In the order of the columns. What a skipped should leaves out is no failure.
    assert told["Text (UTF-8)"][::2] == ["✓", "✓", "✓"]
    assert told["The WebSocket contract, row by row"][::2] == ["✓", "✗", "◐"]
    assert told["Framing"][::2] == ["○", "○", "○"]
    assert show(opened, "text.fail-fast-frame", "slow")["symbol"] == "○"


def test_what_did_not_pass_is_found(opened: webdriver.Chrome) -> None:
    opened.find_element(By.ID, "odd").click()
    rows = [
        row.get_attribute("data-case")
        for row in opened.find_elements(By.CSS_SELECTOR, "tr[data-case]")
        if row.is_displayed()
    ]
    assert rows == [
        "text.fail-fast-fragment",
        "text.fail-fast-frame",
        "websocket.frame-pong",
    ]

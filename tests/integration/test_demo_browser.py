"""The demo page in a real browser: Debian's Chromium, headless."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from chromium import needs_chromium, started
from integration.processes import running, wait_for
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ROOT = Path(__file__).parents[2]

pytestmark = [needs_chromium, pytest.mark.timeout(180)]

HEIGHT = 1000


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Serve the demo, and give its address and process."""
    directory = tmp_path_factory.mktemp("demo")
    arguments = [sys.executable, ROOT / "examples/demo/app.py", "--port", "0"]
    with running(arguments, directory=directory, log=directory / "log") as process:
        process.wait_for_output("Open http://")
        yield re.search(r"http://\S+", process.output)[0], process


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


class Page:
    """The demo's page, by what a visitor sees of it."""

    def __init__(self, browser):
        self.browser = browser

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.find(selector).text

    def wait_for_state(self, panel, text):
        wait_for(
            lambda: text in self.text(f"#{panel} .state"), f"state {text!r} of {panel}", timeout=20
        )

    def wait_for_log(self, *lines):
        def same():
            items = self.browser.find_elements(By.CSS_SELECTOR, "#log li")
            return [(i.get_attribute("class"), i.text) for i in items] == list(lines)

        wait_for(same, f"log {lines}")

    def is_too_wide(self):
        return self.browser.execute_script(
            "const page = document.documentElement; return page.scrollWidth > page.clientWidth"
        )


@pytest.fixture
def page(browser, demo):
    browser.set_window_size(1280, HEIGHT)
    browser.get(demo[0])
    page = Page(browser)
    for panel in ("oven", "echo"):
        page.wait_for_state(panel, "open")
    yield page
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    browser.get("about:blank")
    assert "Traceback" not in demo[1].output


def test_text_is_echoed(page):
    box = page.find("#text")
    box.clear()
    box.send_keys("Grüße, 世界", Keys.ENTER)
    page.wait_for_log(("out", "Grüße, 世界"), ("in", "Grüße, 世界"))


def test_values_are_pushed(page):
    seen = set()

    def three_values():
        if re.fullmatch(r"\d+\.\d", text := page.text("#temperature")):
            seen.add(text)
        return len(seen) >= 3

    wait_for(three_values, "three temperatures")


def test_target_is_set_by_keyboard(page):
    slider = page.find("#set-target")
    slider.send_keys(Keys.HOME)
    wait_for(lambda: page.text("#target") == "20", "target of 20 degrees")
    slider.send_keys(Keys.END)
    wait_for(lambda: page.text("#target") == "220", "target of 220 degrees")


def test_close_code_of_the_server_is_shown(page):
    box = page.find("#text")
    box.clear()
    box.send_keys("close", Keys.ENTER)
    page.wait_for_state("echo", "closed: 4000 “you asked for it”")
    assert not page.find("#say .send").is_enabled()


def test_page_closes_and_connects_again_by_keyboard(page):
    page.find("#echo .close").send_keys(Keys.ENTER)
    page.wait_for_state("echo", "closed: 1000")
    focused = page.browser.switch_to.active_element
    assert focused.text == "Connect"
    focused.send_keys(Keys.ENTER)
    page.wait_for_state("echo", "open")


def test_page_is_one_after_leaving_and_coming_back(page):
    for _ in range(2):
        page.browser.get("about:blank")
        page.browser.back()
        for panel in ("oven", "echo"):
            page.wait_for_state(panel, "open")
    wait_for(lambda: page.text("#pages") == "1", "a single open page")


@pytest.mark.parametrize("width", [1280, 400])
def test_page_fits(page, width, tmp_path):
    # Headless windows have a least width; the viewport itself has none.
    page.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False},
    )
    try:
        page.find("#text").send_keys(Keys.ENTER)
        page.wait_for_log(("out", "Hello"), ("in", "Hello"))
        samples = "return chart.samples.length >= 30"
        wait_for(lambda: page.browser.execute_script(samples), "30 samples in the chart")
        assert not page.is_too_wide()
        for directory in (tmp_path, os.environ.get("SCREENSHOT_DIR")):
            if directory:
                assert page.browser.save_screenshot(str(Path(directory) / f"demo-{width}.png"))
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

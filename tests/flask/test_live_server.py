"""The live server, and the pytest plugin that gives it to a test; with a real browser, too."""

from __future__ import annotations

import re
import runpy
import socket
import ssl
from pathlib import Path

import flask
import pytest
from chromium import needs_chromium, started
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from websocket import create_connection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.liveserver import LiveServer

pytest_plugins = ["pytester"]

PAGE = """<!doctype html><title>page</title><p id=heard></p><script>
const ws = new WebSocket(`ws://${location.host}/echo`);
ws.onopen = () => ws.send("Grüße");
ws.onmessage = event => document.getElementById("heard").textContent = event.data;
</script>"""


def app_with_a_page():
    app = flask.Flask("page")
    app.add_url_rule("/", view_func=lambda: PAGE)

    @Sockets(app).route("/echo")
    def echo(ws):
        for message in ws:
            ws.send(f"{message} {ws.origin}")

    return app


def test_live_server_serves_and_closes_with_1001(backend):
    live = LiveServer(app_with_a_page())
    assert live.url("/x") == f"http://127.0.0.1:{live.port}/x"
    with connect(live.ws_url("/echo"), proxy=None) as ws:
        ws.send("hi")
        assert ws.recv(timeout=10) == "hi None"
        live.stop()
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(timeout=10)
    assert caught.value.rcvd.code == 1001
    live.stop()  # a second time does nothing
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((live.host, live.port))


def test_live_server_with_tls(certificate, backend):
    trust = ssl.create_default_context(cafile=certificate[0])
    with LiveServer(app_with_a_page(), ssl_context=certificate) as live:
        assert live.ws_url().startswith("wss://127.0.0.1:")
        assert live.url().startswith("https://127.0.0.1:")
        url, tls = live.ws_url("/echo"), {"context": trust}
        # Not the client above: its two threads in one SSLSocket lose a request now and then.
        ws = create_connection(url, timeout=10, sslopt=tls, suppress_origin=True)
        ws.send("hi")
        assert ws.recv() == "hi None"
        ws.close()


def test_plugin_stops_its_servers_when_the_test_is_over(pytester):
    pytester.makepyfile(
        """
        import socket

        import flask
        import pytest
        from flask_threaded_sockets import Sockets

        lives = []

        def app_of(name):
            app = flask.Flask(name)
            app.add_url_rule("/name", view_func=lambda: name)
            Sockets(app)
            return app

        def connect(live):
            return socket.create_connection((live.host, live.port), timeout=10)

        def test_two_servers(websocket_server):
            for name in ("one", "two"):
                lives.append(websocket_server(app_of(name)))
            for live, name in zip(lives, (b"one", b"two")):
                with connect(live) as sock:
                    sock.sendall(b"GET /name HTTP/1.0\\r\\n\\r\\n")
                    assert sock.makefile("rb").read().endswith(name)

        def test_they_are_gone():
            for live in lives:
                with pytest.raises(ConnectionRefusedError):
                    connect(live)
        """
    )
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", timeout=60)
    result.assert_outcomes(passed=2)


def test_plugin_says_what_its_fixture_is_for(pytester):
    result = pytester.runpytest_subprocess("--fixtures", "-p", "no:cacheprovider", timeout=60)
    result.stdout.fnmatch_lines(["websocket_server*", "*Serve an app on a port of its own*"])


@pytest.fixture
def browser(tmp_path):
    with started(tmp_path) as driver:
        yield driver


@needs_chromium
@pytest.mark.timeout(180)
def test_browser_test_of_the_manual_passes(websocket_server, browser, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs/testing.md").read_text("utf-8")
    blocks = re.findall(r"^```python file=(\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for name, text in blocks:
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    test = runpy.run_path(str(tmp_path / "test_page.py"))["test_page_is_greeted"]
    test(websocket_server, browser)


@needs_chromium
@pytest.mark.timeout(180)
def test_browser_talks_to_the_live_server(websocket_server, browser, backend):
    live = websocket_server(app_with_a_page())
    browser.get(live.url("/"))
    heard = browser.find_element(By.ID, "heard")
    WebDriverWait(browser, 30).until(lambda _: heard.text)
    assert heard.text == f"Grüße http://127.0.0.1:{live.port}"

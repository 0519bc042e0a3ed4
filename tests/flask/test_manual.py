"""The apps and tests of docs/routing.md and docs/testing.md run and do what the pages say."""

from __future__ import annotations

import logging
import re
import runpy
from pathlib import Path

import pytest
from live import eventually

from flask_threaded_sockets.testing import WebSocketRefused

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page):
    """Give a page's blocks of Python, with what stands behind the word ``python``."""
    text = (DOCS / page).read_text("utf-8")
    return re.findall(r"^```python ?(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_every_block_belongs_to_an_app_or_a_file():
    assert {name for name, _ in blocks("routing.md")} == {"routing", "hosts", "subdomains"}
    assert [name for name, _ in blocks("testing.md")] == [
        "file=gate.py",
        "file=test_gate.py",
        "file=test_page.py",  # which tests/flask/test_live_server.py runs
    ]


# routing.md


def app_of_page(name, directory):
    path = directory / f"{name}.py"
    path.write_text("\n\n".join(text for of, text in blocks("routing.md") if of == name), "utf-8")
    return runpy.run_path(str(path))["app"]


@pytest.fixture
def client(backend, tmp_path):
    return app_of_page("routing", tmp_path).test_client()


def told(client, path, **options):
    with client.websocket(path, **options) as ws:
        return list(ws)


def refused(client, path, **options):
    with pytest.raises(WebSocketRefused) as caught:
        client.websocket(path, **options)
    return caught.value.response


def test_feed_is_a_page_and_a_websocket(client):
    assert told(client, "/feed") == ["page 1"]
    assert told(client, "/feed/7") == ["page 7"]
    assert "ws://localhost/feed" in client.get("/feed").text
    assert "wss://localhost/feed" in client.get("/feed", base_url="https://localhost").text


def test_slash_at_the_end_makes_no_difference(client):
    assert told(client, "/feed/") == ["page 1"]
    assert told(client, "/feed/7/") == ["page 7"]


# The page's table: what is asked, and the status.
ANSWERS = [
    ("/feed/two", {}, 404),
    ("/feed/1", {}, 404),
    ("/nowhere", {}, 404),
    ("/feed", {"headers": {"Sec-WebSocket-Key": "zzz"}}, 400),
    ("/feed", {"headers": {"Sec-WebSocket-Version": "8"}}, 426),
    ("/vault?key=sesame", {"method": "POST"}, 405),
]


@pytest.mark.parametrize(("path", "options", "status"), ANSWERS)
def test_answers_are_those_of_the_table(client, path, options, status):
    assert refused(client, path, **options).status_code == status


def test_plain_get_is_a_426(client):
    response = client.get("/where")
    assert (response.status_code, response.headers["Upgrade"]) == (426, "websocket")
    assert client.post("/where").status_code == 405


def test_addresses_are_built_in_both_directions(client):
    assert told(client, "/where") == ["ws://localhost/feed/2", "/feed"]


@pytest.mark.parametrize("name", ["hosts", "subdomains"])
def test_hosts_are_matched(backend, name, tmp_path):
    client = app_of_page(name, tmp_path).test_client()
    assert told(client, "/status", base_url="http://oven.example.org") == ["oven is up"]
    other = "http://example.org" if name == "subdomains" else "http://example.net"
    assert refused(client, "/status", base_url=other).status_code == 404


def test_blueprint_has_handlers_and_a_page(client):
    expected = "scale is on ws://localhost/devices/scale/log"
    assert told(client, "/devices/scale/log") == [expected]
    assert client.get("/devices/oven").text == "<h1>oven</h1>"
    response = refused(client, "/devices/fridge/log")
    assert response.status_code == 404
    assert "no such device" in response.text


def test_option_of_the_route_holds(client):
    with client.websocket("/upload", headers={"Origin": "https://other.example"}) as ws:
        ws.send(bytes(2**25))
        assert ws.receive() == "33554432 bytes"


def test_vault_needs_its_key(client):
    response = refused(client, "/vault")
    assert (response.status_code, response.text) == (403, "no way in without the key\n")
    assert told(client, "/vault?key=sesame") == ["come in"]


@pytest.mark.parametrize(
    ("path", "offered", "agreed"),
    [
        ("/chat", ["chat.v1", "chat.v2"], "chat.v1"),
        ("/chat", ["chat.v3", "chat.v2"], "chat.v2"),
        ("/data", ["a", "c", "b"], "c"),
        ("/data", [], None),
    ],
)
def test_subprotocol_is_chosen(client, path, offered, agreed):
    assert told(client, path, subprotocols=offered) == [f"we speak {agreed}"]


def test_subprotocol_that_is_required_and_missing_is_a_400(client):
    assert refused(client, "/chat", subprotocols=["chat"]).status_code == 400


def test_session_and_headers_go_with_the_101(client):
    for number in ("1", "2"):
        with client.websocket("/visits") as ws:
            assert ws.headers["X-Visits"] == number
            assert ws.receive() == f"127.0.0.1 came {number} times"


def test_second_thread_has_the_request(client):
    with client.websocket("/ticker?name=tick") as ws:
        assert [ws.receive() for _ in range(3)] == ["tick 0", "tick 1", "tick 2"]
        ws.send("tock")
        assert ws.receive() == "heard tock"


def test_database_is_given_back_between_messages(client):
    held = []
    client.application.teardown_appcontext(lambda error: held.append("given back"))
    with client.websocket("/sum") as ws:
        for number in range(3):
            ws.send(str(number))
            assert ws.receive() == str(number + 1)
            assert len(held) == number + 1


def test_broadcast_and_signal(client, caplog):
    with client.websocket("/listen") as ws:
        eventually(lambda: client.post("/say", data={"text": "news"}).json["delivered"] == 1)
        assert ws.receive() == "news"
        with caplog.at_level(logging.INFO), client.websocket("/feed"):
            pass
    assert any(text.startswith("/feed: 1000 after ") for text in caplog.messages)


# testing.md


def test_tests_of_the_page_pass(backend, pytester):
    for name, text in blocks("testing.md")[:2]:
        pytester.path.joinpath(name.partition("=")[2]).write_text(text, "utf-8")
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", timeout=100)
    result.assert_outcomes(passed=5)

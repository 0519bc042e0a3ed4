"""Servers that cannot open a WebSocket say so before the 101, and the log says why."""

from __future__ import annotations

import re

import pytest
from integration.hosts import servers

SUPPORTED = "Cheroot, Werkzeug, eventlet, gevent, gevent-websocket, gunicorn, uWSGI"

REFUSALS = [
    ("waitress", f"no websockets on server waitress: .*; supported: {SUPPORTED}"),
    ("gevent unpatched", r"no websockets on gevent: .*gevent\.monkey\.patch_all\(\)"),
]


@pytest.fixture(autouse=True)
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add them to the servers that may be started; the other tests need not see them."""
    for name, script, need in (
        ("waitress", "waitress_serve.py", "waitress"),
        ("gevent unpatched", "gevent_unpatched.py", "gevent"),
    ):
        server = servers.Server(servers.script(script), needs=(need,))
        monkeypatch.setitem(servers.SERVERS, name, server)


@pytest.mark.parametrize(("name", "line"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_server_without_a_socket_to_lend_answers_501_and_logs_one_line(start, name, line) -> None:
    it = start(name)
    since = it.mark()
    head, _ = it.ask("/echo")
    assert head.status == 501
    assert it.get("/") == "Hello"
    (complaint,) = it.complaints(since)
    assert re.search(line, complaint), complaint

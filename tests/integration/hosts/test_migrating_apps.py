"""The app of docs/migrating.md from before, on its own server, with its import alone changed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from integration.processes import free_port, running
from peer import BINARY, CLOSE, TEXT, Frame, Peer, close_frame, request
from wire import frame

PAGE = (Path(__file__).parents[3] / "docs/migrating.md").read_text("utf-8")
(BEFORE,) = re.findall(
    r"^```python before=flask-sockets\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)


def test_flask_sockets_app_runs_on_gevent_with_its_import_alone_changed(backend, tmp_path):
    port = free_port()
    source = BEFORE.replace("from flask_sockets import", "from flask_threaded_sockets import")
    assert source != BEFORE
    app = tmp_path / "app.py"
    app.write_text(source.replace("5000", str(port)), "utf-8")
    with (
        running(
            [sys.executable, app], directory=tmp_path, log=tmp_path / "log", port=port
        ) as process,
        Peer(port) as peer,
    ):
        peer.send(request("/echo"))
        assert peer.head().status == 101
        for kind, payload in ((TEXT, b"text"), (BINARY, b"\x00\xff"), (TEXT, b"")):
            peer.send(frame(kind, payload))
            assert peer.frame() == Frame(kind, payload)
        peer.send(close_frame(1000))
        assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]
        assert "Traceback" not in process.output

"""A server that may open no more files for a while: what is open goes on."""

from __future__ import annotations

import sys

from integration.processes import free_port, running
from peer import TEXT, Peer, request

APP = """
import os, sys, time
from flask import Flask
from flask_threaded_sockets import Sockets, ThreadedWebsocketServer

app = Flask(__name__)
sockets = Sockets(app)


@sockets.route("/")
def echo(ws):
    files = []
    for message in ws:
        if message == "take all":
            try:
                while True:
                    files.append(os.dup(0))
            except OSError as error:
                ws.send(error.strerror)
        elif message == "how busy":
            began, used = time.monotonic(), time.process_time()
            time.sleep(1)
            share = (time.process_time() - used) / (time.monotonic() - began)
            ws.send(f"{share:.3f}")
        else:
            while files:
                os.close(files.pop())
            ws.send("given back")


ThreadedWebsocketServer("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


def ask(peer, what):
    peer.text(what)
    first, payload = peer.frame()
    assert first == TEXT
    return payload.decode()


def test_server_that_is_out_of_files_stays_calm_and_serves_again(backend, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    command = ["sh", "-c", f'ulimit -n 200; exec "{sys.executable}" app.py {port}']
    with (
        running(command, directory=tmp_path, log=tmp_path / "log", port=port) as process,
        Peer(port) as peer,
    ):
        peer.send(request())
        assert peer.head().status == 101
        assert ask(peer, "take all") == "Too many open files"
        with Peer(port) as waiting:
            waiting.send(request())
            assert float(ask(peer, "how busy")) < 0.5  # a busy loop would have it near 1
            assert ask(peer, "give back") == "given back"
            assert waiting.head().status == 101
            assert ask(waiting, "hello") == "given back"
        assert process.output.count("no connection can be accepted") == 1
        assert "Traceback" not in process.output

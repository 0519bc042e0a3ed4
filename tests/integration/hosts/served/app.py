"""The one app that every server serves, unchanged; configured by HOSTED_CONFIG, a JSON object."""

import json
import logging
import os
import socket
import threading
import time
from collections import defaultdict

import flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.clients import clients

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")

app = flask.Flask(__name__)
app.config.update(json.loads(os.environ.get("HOSTED_CONFIG", "{}")))
sockets = Sockets(app)
if "HOSTED_BEHIND_PROXY" in os.environ:
    app.wsgi_app = ProxyFix(app.wsgi_app)


@app.get("/")
def index():
    return "Hello"


@app.get("/state")
def state():
    """Give what a connection may leave behind."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return {
        "pid": os.getpid(),
        "clients": len(clients),
        "tasks": len(os.listdir("/proc/self/task")),
        "sockets": sum(link.startswith("socket:") for link in links),
        "descriptors": len(links),
        "kind": socket.socket.__module__,
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }


@app.get("/limit/<int:limit>")
def limit(limit):
    app.config["SOCKETS_MAX_CONNECTIONS"] = limit
    return str(limit)


@app.get("/shutdown")
def shutdown():
    """Close all; give the seconds it took."""
    began = time.monotonic()
    sockets.shutdown(1012, "maintenance", timeout=1.5)
    return str(time.monotonic() - began)


@sockets.route("/echo")
def echo(ws):
    for message in ws:
        ws.send(message)


@sockets.route("/unpinged", ping_interval=None)
def unpinged(ws):
    """Receive from a peer that need not answer anything."""
    for _ in ws:
        pass


@sockets.route("/push")
def push(ws):
    """Send and never receive."""
    number = 0
    while not ws.closed:
        ws.send(str(number))
        number += 1
        time.sleep(0.02)


@sockets.route("/idle")
def idle(ws):
    """Do neither, and end when the peer has gone."""
    while not ws.closed:
        time.sleep(0.02)


@sockets.route("/flood", ping_interval=None)
def flood(ws):
    """Send more than any buffer holds."""
    ws.send(bytes(range(256)) * (1 << 16))


@sockets.route("/leaves")
def leaves(ws):
    """Return while another thread is sending more than any buffer holds."""

    def send():
        try:
            ws.send(bytes(1 << 24))
        except OSError:
            pass

    threading.Thread(target=send).start()
    ws.receive()


@sockets.route("/sink")
def sink(ws):
    """Receive without a pause, as the client sends."""
    for _ in ws:
        pass


@sockets.route("/source", ping_interval=None)
def source(ws):
    """Send without a pause, as the client reads."""
    while True:
        ws.send(bytes(4096))


released = defaultdict(threading.Event)


@sockets.route("/busy/<name>")
def busy(ws, name):
    """Take nothing until it is released; then check that nothing is missing."""
    released[name].wait()
    for number in range(int(ws.receive())):
        assert int.from_bytes(ws.receive()[:2], "big") == number
    ws.send("complete")


@app.get("/release/<name>")
def release(name):
    released[name].set()
    return "released"


@sockets.route("/returns")
def returns(ws):
    ws.receive()


@sockets.route("/closes")
def closes(ws):
    ws.receive()
    ws.close(3000, "bye")


@sockets.route("/raises")
def raises(ws):
    ws.receive()
    raise ValueError("handler's own")


@sockets.route("/aborts")
def aborts(ws):
    ws.receive()
    flask.abort(403)


@sockets.route("/refuses")
def refuses(ws):
    raise AssertionError("never reached")


@app.before_request
def refuse():
    if flask.request.path == "/refuses":
        flask.abort(403)

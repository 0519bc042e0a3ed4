"""The demo: an echo, and a simulated oven whose temperature is pushed to every open page.

    python examples/demo/app.py [--port 8000]

The oven is the kind of device this package is for: one thread owns it, runs its control
loop and pushes each sample; each connection's own thread takes that page's commands.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import threading
import time

from flask import Flask, render_template

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer, WebSocket, WebSocketError

SAMPLES_PER_SECOND = 10
AMBIENT = 20.0  # degrees Celsius
TARGETS = (20, 220)


class Oven:
    """Simulate an oven with a controller, and push each sample to who listens."""

    def __init__(self) -> None:
        self.target = 120.0
        self.temperature = AMBIENT
        self._heat = 0.0
        self._listeners: set[WebSocket] = set()
        self._lock = threading.Lock()  # guards _listeners

    def start(self) -> None:
        """Run the control loop in a thread that ends with the process."""
        threading.Thread(target=self._run, name="oven", daemon=True).start()

    def listen(self, ws: WebSocket) -> None:
        """Push samples to ``ws`` from now on."""
        with self._lock:
            self._listeners.add(ws)

    def leave(self, ws: WebSocket) -> None:
        """Push no more to ``ws``."""
        with self._lock:
            self._listeners.discard(ws)

    def _run(self) -> None:
        while True:
            time.sleep(1 / SAMPLES_PER_SECOND)
            self._step(1 / SAMPLES_PER_SECOND)
            with self._lock:
                listeners = tuple(self._listeners)
            sample = json.dumps(
                {
                    "temperature": round(self.temperature, 2),
                    "target": self.target,
                    "pages": len(listeners),
                }
            )
            for ws in listeners:
                try:
                    ws.send(sample)
                except WebSocketError:
                    self.leave(ws)

    def _step(self, seconds: float) -> None:
        demand = min(max((self.target - self.temperature) / 20 + 0.2, 0.0), 1.0)
        self._heat += (demand - self._heat) * seconds / 1.5  # the element lags behind
        loss = (self.temperature - AMBIENT) / 12
        noise = random.gauss(0, 0.25) * math.sqrt(seconds)
        self.temperature += (self._heat * 40 - loss) * seconds + noise


app = Flask(__name__)
sockets = Sockets(app)
oven = Oven()


@app.get("/")
def page() -> str:
    """Show the page."""
    return render_template("index.html", targets=TARGETS)


@sockets.route("/echo")
def echo(ws: WebSocket) -> None:
    """Send back what comes; "close" ends the connection from this side."""
    for message in ws:
        if message == "close":
            ws.close(4000, "you asked for it")
        else:
            ws.send(message)


# One page that stopped reading may hold up the oven's thread for two seconds, once.
@sockets.route("/oven", send_timeout=2)
def control(ws: WebSocket) -> None:
    """Take a page's commands; the oven's own thread does the pushing."""
    oven.listen(ws)
    try:
        for message in ws:
            try:
                target = float(message)
            except ValueError:
                ws.close(1008, "a target is a number")
            else:
                oven.target = min(max(target, TARGETS[0]), TARGETS[1])
    finally:
        oven.leave(ws)


def main() -> None:
    """Serve on this machine only."""
    parser = argparse.ArgumentParser(description="The demo of flask-threaded-sockets.")
    parser.add_argument("--port", type=int, default=8000, help="0: any free one")
    arguments = parser.parse_args()
    oven.start()
    server = ThreadedWebsocketServer("127.0.0.1", arguments.port, app)
    print(f"Open http://127.0.0.1:{server.port}/ in a browser; Ctrl-C ends.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

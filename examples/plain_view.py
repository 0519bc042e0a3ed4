"""A plain Flask view that takes the WebSocket from the WSGI environment.

    python examples/plain_view.py [PORT]

This is how apps were written for gevent-websocket alone. One path serves both: a browser
that opens http://127.0.0.1:8000/clock gets the time once, a WebSocket client every second.
"""

import sys
import time

from flask import Flask, request

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer

app = Flask(__name__)
Sockets(app)


def now():
    """Tell the time of day."""
    return time.strftime("%H:%M:%S")


@app.route("/clock")
def clock():
    """Serve both; the opening handshake is answered at the WebSocket's first use."""
    ws = request.environ.get("wsgi.websocket")
    if ws is None:
        return now()
    while not ws.closed:
        ws.send(now())
        time.sleep(1)
    return ""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ThreadedWebsocketServer("127.0.0.1", port, app).serve_forever()

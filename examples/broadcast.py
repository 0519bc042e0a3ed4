"""What one client says, every client of this process hears.

python examples/broadcast.py [PORT]

ws://127.0.0.1:8000/room                          talk and listen
curl -d "text=dinner" http://127.0.0.1:8000/say   an HTTP view talks, too
"""

import sys

from flask import Flask, request

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer

app = Flask(__name__)
sockets = Sockets(app)


@sockets.route("/room")
def talk(ws):
    """Pass on what this client says; one that has stopped reading delays no other."""
    for message in ws:
        sockets.broadcast(f"{ws.handler.active_client.address[1]}: {message}")


@app.post("/say")
def say():
    """Reach the clients from a view: any thread may send on any WebSocket."""
    result = sockets.broadcast(request.form["text"])
    return f"{len(result.delivered)} listening\n"


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ThreadedWebsocketServer("127.0.0.1", port, app).serve_forever()

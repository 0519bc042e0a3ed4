"""What one client says, every client of this process hears.

python examples/broadcast.py [PORT]

ws://127.0.0.1:8000/room                          talk and listen
curl -d "text=dinner" http://127.0.0.1:8000/say   an HTTP view talks, too
"""

import sys

from flask import Flask, request

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer, WebSocketError

app = Flask(__name__)
sockets = Sockets(app)
room = set()


# A client that stopped reading delays the others by this long, once; then it is dropped.
@sockets.route("/room", send_timeout=2)
def talk(ws):
    """Pass on what this client says, with gevent-websocket's way to find the others."""
    room.add(ws)
    try:
        for message in ws:
            for client in ws.handler.server.clients.values():
                tell(client.ws, f"{ws.handler.active_client.address[1]}: {message}")
    finally:
        room.discard(ws)


@app.post("/say")
def say():
    """Reach the clients from a view: any thread may send on any WebSocket."""
    listeners = list(room)
    for ws in listeners:
        tell(ws, request.form["text"])
    return f"{len(listeners)} listening\n"


def tell(ws, text):
    """Send, and let a client that is gone be gone."""
    try:
        ws.send(text)
    except WebSocketError:
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ThreadedWebsocketServer("127.0.0.1", port, app).serve_forever()

"""WebSocket routes in a blueprint, with a converter, next to its HTTP routes.

python examples/blueprint.py [PORT]

ws://127.0.0.1:8000/scales/3/weigh      text "tare" or "read"
http://127.0.0.1:8000/scales/3          where to connect to
"""

import sys

from flask import Blueprint, Flask, abort, request, url_for

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer

GRAMS = {1: 120.5, 2: 7.25, 3: 980.0}

scales = Blueprint("scales", __name__)
weighing = Blueprint("weighing", __name__)


@scales.get("/<int:number>")
def about(number):
    """Tell where the scale's WebSocket is: url_for gives a ws:// or wss:// address."""
    return {"socket": url_for("weighing.weigh", number=number, _external=True)}


@weighing.before_request
def known_scales_only():
    """Refuse before the handshake is answered: the client gets this 404."""
    if request.view_args["number"] not in GRAMS:
        abort(404)


@weighing.route("/<int:number>/weigh")
def weigh(ws, number):
    """Answer each command of one client; the tare is this connection's own."""
    tare = 0.0
    for command in ws:
        if command == "tare":
            tare = GRAMS[number]
        ws.send(f"{GRAMS[number] - tare:.2f} g")


app = Flask(__name__)
sockets = Sockets(app)
app.register_blueprint(scales, url_prefix="/scales")
sockets.register_blueprint(weighing, url_prefix="/scales")

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ThreadedWebsocketServer("127.0.0.1", port, app).serve_forever()

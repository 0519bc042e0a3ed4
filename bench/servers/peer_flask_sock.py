"""flask-sock (simple-websocket) on Werkzeug's threaded server."""

from __future__ import annotations

import announce
from flask import Flask
from flask_sock import Sock
from simple_websocket import Server
from werkzeug.serving import make_server

app = Flask(__name__)
sock = Sock(app)


@sock.route("/echo")
def echo(ws: Server) -> None:
    while True:
        ws.send(ws.receive())


def main() -> None:
    """Serve until killed."""
    arguments = announce.parser(__doc__).parse_args()
    server = make_server("127.0.0.1", arguments.port, app, threaded=True)
    announce.ready(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()

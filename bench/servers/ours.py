"""This package: its router, its WebSocket and its server."""

from __future__ import annotations

import cProfile

import announce
from flask import Flask

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer, WebSocket


def echo(ws: WebSocket) -> None:
    while not ws.closed:
        message = ws.receive()
        if message is None:
            break
        ws.send(message)


def make_app(backend: str | None, profile: str | None, ping_interval: float | None) -> Flask:
    """Make the app; with ``profile``, its handler leaves its statistics in that file."""
    app = Flask(__name__)
    if ping_interval is not None:
        app.config["SOCKETS_PING_INTERVAL"] = ping_interval
    sockets = Sockets(app, backend=backend)

    sockets.route("/echo")(echo)

    @sockets.route("/profiled")
    def profiled(ws: WebSocket) -> None:
        profiler = cProfile.Profile()
        profiler.runcall(echo, ws)
        if profile:
            profiler.dump_stats(profile)

    return app


def main() -> None:
    """Serve until killed."""
    parser = announce.parser(__doc__)
    parser.add_argument("--backend", help="name of an installed backend")
    parser.add_argument("--profile", metavar="FILE", help="where a client of /profiled leaves it")
    parser.add_argument("--ping-interval", type=float, help="seconds, in the place of the default")
    arguments = parser.parse_args()
    app = make_app(arguments.backend, arguments.profile, arguments.ping_interval)
    server = ThreadedWebsocketServer("127.0.0.1", arguments.port, app)
    announce.ready(server.port)
    server.serve_forever()


if __name__ == "__main__":
    main()

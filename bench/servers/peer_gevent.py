"""gevent-websocket on gevent's pywsgi server, monkey-patched as its users have it."""

from gevent import monkey

monkey.patch_all()

import announce  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from geventwebsocket.handler import WebSocketHandler  # noqa: E402


def echo(environ, start_response):  # noqa: ARG001
    ws = environ["wsgi.websocket"]
    while not ws.closed:
        message = ws.receive()
        if message is None:
            break
        ws.send(message)
    return []


def main() -> None:
    """Serve until killed."""
    arguments = announce.parser(__doc__).parse_args()
    server = WSGIServer(
        ("127.0.0.1", arguments.port), echo, handler_class=WebSocketHandler, log=None, backlog=1024
    )
    server.start()
    announce.ready(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()

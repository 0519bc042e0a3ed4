"""The sync (threading) server of websockets."""

from __future__ import annotations

import announce
from websockets.sync.server import ServerConnection, serve


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


def main() -> None:
    """Serve until killed."""
    arguments = announce.parser(__doc__).parse_args()
    listener = announce.listen(arguments.port)
    with serve(echo, sock=listener, max_size=16 * 1024 * 1024) as server:
        announce.ready(listener.getsockname()[1])
        server.serve_forever()


if __name__ == "__main__":
    main()

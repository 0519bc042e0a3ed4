"""The floor: a thread per connection that gives back what it reads and parses nothing."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading

import announce

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_handshake(connection: socket.socket) -> None:
    """Answer the opening handshake, so that the same client can be used."""
    request = b""
    while b"\r\n\r\n" not in request:
        data = connection.recv(4096)
        if not data:
            raise ConnectionError("the client left during the handshake")
        request += data
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", request)
    assert key is not None
    accept = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def echo(connection: socket.socket) -> None:
    """Give back every byte until the client has no more."""
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            accept_handshake(connection)
            while data := connection.recv(64 * 1024):
                connection.sendall(data)
        except OSError:
            pass


def main() -> None:
    """Serve until killed."""
    arguments = announce.parser(__doc__).parse_args()
    with announce.listen(arguments.port) as listener:
        announce.ready(listener.getsockname()[1])
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=echo, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()

"""What the hosts share: the bytes that a server has read beyond the request."""

from __future__ import annotations

from typing import Any

__all__ = ["read_buffered"]


def read_buffered(reader: Any, sock: Any) -> bytes:
    """Take what a server's ``BufferedReader`` has read beyond the request, without waiting.

    Args:
        reader: the reader on top of the socket.
        sock: the socket; its timeout is put back afterwards.
    """
    timeout = sock.gettimeout()
    sock.setblocking(False)  # settimeout(0) is not the same to eventlet's TLS sockets
    try:
        size = len(reader.peek(1))
        data: bytes = reader.read1(size) if size else b""
    except OSError:  # nothing is there, or the peer is gone, as writing to it will tell
        return b""
    finally:
        sock.setblocking(True)
        sock.settimeout(timeout)
    return data

"""The only objects that touch a connection's socket, for both doors.

A :class:`Transport` wraps the socket a WSGI server lent us: it reads, writes with a
deadline, wakes a blocked reader and ends the stream; it never closes the socket, since
that is its owner's to do. It is socket-like enough (``recv``, ``sendall``,
``shutdown``, ``fileno``, ...) to be handed to a library that owns its I/O.

:class:`BlockingTransport` leaves plain TCP blocking, so that an echo costs one ``recv``
and one ``send``. :class:`NonBlockingTransport` is for TLS, where an ``SSLSocket`` must
never be used by two threads at once, and for cooperative sockets.
"""

from __future__ import annotations

import socket
from typing import Any

from .base import LINGER, Transport
from .blocking import BlockingTransport
from .nonblocking import NonBlockingTransport
from .waiting import patched_by, wait_socket

__all__ = [
    "LINGER",
    "BlockingTransport",
    "NonBlockingTransport",
    "Transport",
    "open_transport",
    "patched_by",
    "wait_socket",
]


def open_transport(sock: Any) -> Transport:
    """Wrap a socket in the transport that fits its kind.

    Args:
        sock: a connected ``socket.socket``, an ``ssl.SSLSocket`` or a cooperative one.
    """
    native = type(sock) is socket.socket and patched_by() is None
    if native and hasattr(socket, "MSG_DONTWAIT"):
        return BlockingTransport(sock)
    return NonBlockingTransport(sock)

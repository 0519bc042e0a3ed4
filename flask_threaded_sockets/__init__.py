"""WebSockets for Flask with plain threads.

A handler gets a gevent-websocket-style :class:`WebSocket`; the :class:`Sockets` router
puts handlers next to Flask's own routes; underneath sits a protocol backend that can be
exchanged. The same app runs on every WSGI server that lets it have the socket.
"""

from __future__ import annotations

from .exceptions import (
    ConfigurationError,
    FrameTooLargeException,
    ProtocolError,
    WebSocketError,
)
from .hookspecs import hookimpl
from .serving import ThreadedWebsocketServer, ThreadedWsWSGIServer
from .sockets import Sockets
from .websocket import WebSocket
from .wsgi import WebSocketWSGI

__all__ = [
    "ConfigurationError",
    "FrameTooLargeException",
    "ProtocolError",
    "Sockets",
    "ThreadedWebsocketServer",
    "ThreadedWsWSGIServer",
    "WebSocket",
    "WebSocketError",
    "WebSocketWSGI",
    "__version__",
    "hookimpl",
]

__version__ = "1.0.0"

"""The plugin: the hook and the backend object it provides."""

from __future__ import annotations

from flask_threaded_sockets.backend import Backend, Protocol, Upgrade
from flask_threaded_sockets.hookspecs import hookimpl
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.protocol_backend import ProtocolBackend

from .protocol import WsprotoProtocol

__all__ = ["WsprotoBackend", "websocket_backend"]


class WsprotoBackend(ProtocolBackend):
    """Speak RFC 6455 with wsproto's sans-I/O connection, in the core's I/O shell."""

    name = "wsproto"

    def protocol(self, upgrade: Upgrade, options: ConnectionOptions) -> Protocol:  # noqa: D102
        return WsprotoProtocol(deflate=upgrade.deflate, max_message_size=options.max_message_size)


@hookimpl
def websocket_backend() -> Backend:
    """Provide the backend ``wsproto``."""
    return WsprotoBackend()

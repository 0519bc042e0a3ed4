"""The plugin ``websockets``: the library's threading implementation, its own I/O and all."""

from __future__ import annotations

from flask_threaded_sockets.backend import Backend, Connection, Feature, Upgrade
from flask_threaded_sockets.hookspecs import hookimpl
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.transport import Transport

from .hosted import HostedCodec
from .sync_connection import SyncConnection

__all__ = ["ThreadingBackend", "websocket_backend"]


class ThreadingBackend(Backend):
    """Speak RFC 6455 with ``websockets.sync``: one more thread for each connection."""

    name = "websockets"
    features = frozenset(Feature)

    def open(  # noqa: D102
        self, transport: Transport, upgrade: Upgrade, options: ConnectionOptions
    ) -> Connection:
        transport.send_timeout = options.send_timeout
        codec = HostedCodec(upgrade.deflate, options.max_message_size)
        return SyncConnection(codec, transport, options, upgrade.early)


@hookimpl
def websocket_backend() -> Backend:
    """Provide the backend ``websockets``."""
    return ThreadingBackend()

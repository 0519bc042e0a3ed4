"""The built-in backend, registered through the same hook as everybody's."""

from __future__ import annotations

from .backend import Backend, Protocol, Upgrade
from .codec import BuiltinProtocol, Role
from .options import ConnectionOptions
from .plugins import hookimpl
from .protocol_backend import ProtocolBackend

__all__ = ["BuiltinBackend", "websocket_backend"]


class BuiltinBackend(ProtocolBackend):
    """Speak RFC 6455 and RFC 7692 in pure Python, with nothing else to install."""

    name = "builtin"

    def protocol(self, upgrade: Upgrade, options: ConnectionOptions) -> Protocol:  # noqa: D102
        return BuiltinProtocol(
            Role.SERVER, deflate=upgrade.deflate, max_message_size=options.max_message_size
        )


@hookimpl
def websocket_backend() -> Backend:
    """Provide the backend ``builtin``."""
    return BuiltinBackend()

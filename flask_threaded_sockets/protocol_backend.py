"""The easy door for backend authors: a sans-I/O protocol, and the core does the rest."""

from __future__ import annotations

from abc import abstractmethod

from .backend import Backend, Connection, Feature, Protocol, Upgrade
from .connection import ThreadedConnection
from .options import ConnectionOptions
from .transport import Transport

__all__ = ["ProtocolBackend"]


class ProtocolBackend(Backend):
    """Make a backend of a sans-I/O :class:`Protocol`: the easy door.

    A subclass names itself and implements :meth:`protocol`; sockets, threads, locks,
    timeouts, keepalive and queue are this package's.
    """

    features = frozenset(Feature)

    @abstractmethod
    def protocol(self, upgrade: Upgrade, options: ConnectionOptions) -> Protocol:
        """Make the protocol object of one connection, in state OPEN.

        Args:
            upgrade: what the opening handshake agreed; ``deflate`` says whether and how
                to compress. ``early`` is fed to the protocol by the shell.
            options: of these the protocol honours ``max_message_size``.
        """

    def open(  # noqa: D102
        self, transport: Transport, upgrade: Upgrade, options: ConnectionOptions
    ) -> Connection:
        transport.send_timeout = options.send_timeout
        connection = ThreadedConnection(self.protocol(upgrade, options), transport, options)
        connection.start(upgrade.early)
        return connection

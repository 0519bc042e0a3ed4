"""The registry of open WebSockets, and gevent-websocket's way to look at it.

One registry per process; snapshots only, so that it may be walked while clients come
and go.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .backend import Connection

if TYPE_CHECKING:
    from .websocket import WebSocket

__all__ = ["Client", "Clients", "Handler", "Server", "clients"]


class Server:
    """Answer to ``ws.handler.server``."""

    __slots__ = ("_server",)

    def __init__(self, server: Hashable) -> None:
        self._server = server

    @property
    def clients(self) -> dict[Any, Client]:
        """A snapshot: address -> client with ``.address`` and ``.ws``."""
        return clients.of_server(self._server)


class Handler:
    """Answer to ``ws.handler``.

    Attributes:
        active_client: this connection's own client.
        server: its ``clients`` are all that are connected to the same server.
    """

    __slots__ = ("active_client", "server")

    def __init__(self, client: Client) -> None:
        self.active_client = client
        self.server = Server(client.server)


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """Stand for one open WebSocket, as gevent-websocket's class of the name does.

    Attributes:
        address: the peer's address, e.g. ``("127.0.0.1", 51234)``; unique while open.
        ws: the WebSocket.
        connection: what the WebSocket talks through.
        server: what tells servers in one process apart.
        owner: what tells applications in one process apart; ``None``: not told.
        stop_on_signal: whether SIGTERM and SIGINT close it.
        thread: the ident of the thread that runs its handler.
    """

    address: Any
    ws: WebSocket
    connection: Connection
    server: Hashable
    owner: object = None
    stop_on_signal: bool = True
    thread: int = field(default_factory=threading.get_ident)

    @property
    def handler(self) -> Handler:
        """What ``ws.handler`` gives."""
        return Handler(self)


class Clients:
    """Hold the open WebSockets of this process; thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the two below; notified when they shrink
        self._open: dict[int, Client] = {}
        self._arriving = 0  # 101s on their way out, whose clients are not in _open yet
        self._numbers = itertools.count(1)

    def add(
        self,
        ws: WebSocket,
        connection: Connection,
        peer: Any,
        local: Any,
        *,
        owner: object = None,
        stop_on_signal: bool = True,
    ) -> Client:
        """Register a WebSocket.

        Args:
            ws: the WebSocket.
            connection: what it talks through.
            peer: what ``getpeername`` gave.
            local: what ``getsockname`` gave; its port tells the server.
            owner: what the application is known by to :meth:`of_owner`.
            stop_on_signal: whether SIGTERM and SIGINT close it.
        """
        number = next(self._numbers)
        # A Unix socket's clients have no address: they are numbered.
        address = tuple(peer[:2]) if isinstance(peer, tuple) else ("", number)
        server = local[1] if isinstance(local, tuple) else local
        client = Client(address, ws, connection, server, owner, stop_on_signal)
        with self._changed:
            self._open[id(client)] = client
        return client

    @contextlib.contextmanager
    def arrival(self) -> Iterator[None]:
        """Surround the writing of a 101 and the registration that follows it."""
        with self._changed:
            self._arriving += 1
        try:
            yield
        finally:
            with self._changed:
                self._arriving -= 1
                self._changed.notify_all()

    def wait_arrived(self, timeout: float) -> bool:
        """Wait until who has got a 101 is registered, at most ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._arriving, timeout)

    def remove(self, client: Client) -> None:
        """Forget a WebSocket; harmless when it was forgotten already."""
        with self._changed:
            self._open.pop(id(client), None)
            self._changed.notify_all()

    def wait_gone(self, targets: Sequence[Client], timeout: float) -> bool:
        """Wait until none of these is open any more, at most ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(id(client) in self._open for client in targets), timeout
            )

    def snapshot(self) -> list[Client]:
        """List the open WebSockets as they are now, in order of their opening."""
        with self._changed:
            return list(self._open.values())

    def __len__(self) -> int:
        return len(self._open) + self._arriving

    def of_server(self, server: Hashable) -> dict[Any, Client]:
        """Map addresses to the open WebSockets of one server, as they are now."""
        return {client.address: client for client in self.snapshot() if client.server == server}

    def of_owner(self, owner: object) -> list[Client]:
        """List the open WebSockets of one application, in order of their opening."""
        return [client for client in self.snapshot() if client.owner is owner]


clients = Clients()
"""The process's registry."""


def _begin_anew() -> None:
    """Give a forked child an empty registry: what is open is its parent's to close."""
    clients.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

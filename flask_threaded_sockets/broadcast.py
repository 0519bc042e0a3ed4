"""One message to many connections, where those that do not read delay nobody.

Where a connection can take a message without waiting (``Connection.send_soon``), each is
given it in turn, and what finds no room goes out behind. The others are sent to by
threads of their own: as many as there are connections that keep one waiting. The message
is encoded once: its bytes, and by the built-in backend also its frame.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .backend import Connection, SharedPayload
from .codes import Opcode
from .exceptions import WebSocketError
from .websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["BroadcastResult", "broadcast"]

# Seconds between two looks at who has made room.
_LOOK: Final = 0.005

# Threads to begin with, for connections that can only block, and how many more there are
# after each look that finds no progress. Each may be kept by a peer for send_timeout.
_THREADS: Final = 4
_THREADS_MAX: Final = 64

# Connections that have a thread with a message on its way: a second thread would wait for
# the first, and they would become many. One set for the process.
_busy: weakref.WeakSet[Connection] = weakref.WeakSet()
_busy_lock = threading.Lock()  # guards _busy


@dataclass(frozen=True, slots=True)
class BroadcastResult:
    """Say who has got a message.

    Attributes:
        delivered: those whose message is out: in the kernel's hands, as after ``send``.
        failed: the others, each with its error: a ``WebSocketError`` for a connection that
            is closed, a ``TimeoutError`` for one that has no room. The latter may still
            get the message later, or end by ``SOCKETS_SEND_TIMEOUT``.
    """

    delivered: tuple[WebSocket, ...]
    failed: Mapping[WebSocket, Exception]


@dataclass(slots=True)
class _Parcel:
    """The message on its way to one connection that can take it without waiting."""

    ws: WebSocket
    connection: Connection
    taken: bool = False


class _Delivery:
    """Be one call of :func:`broadcast`."""

    def __init__(self, opcode: int, payload: SharedPayload) -> None:
        self._opcode = opcode
        self._payload = payload
        self._lock = threading.Lock()  # guards _outcomes and _threads
        self._outcomes: dict[WebSocket, Exception | None] = {}  # None: delivered
        self._blocking: deque[tuple[WebSocket, Connection]] = deque()  # for a thread to take
        self._deferred: deque[tuple[WebSocket, Connection]] = deque()  # busy at the last look
        self._threads = 0

    def run(self, targets: Sequence[WebSocket], timeout: float) -> BroadcastResult:
        """Deliver as far as there is room, and wait for the rest."""
        deadline = time.monotonic() + timeout
        waiting = list(self._begin(targets))
        self._start_threads()
        while len(self._outcomes) < len(targets) and time.monotonic() < deadline:
            settled = len(self._outcomes)
            time.sleep(_LOOK)
            waiting = [parcel for parcel in waiting if not self._advance(parcel)]
            self._look_at_deferred()
            if len(self._outcomes) == settled or not self._threads:
                self._start_threads()
        self._blocking.clear()
        for ws in targets:
            self._settle(ws, TimeoutError(f"peer had no room within {timeout} seconds"))
        with self._lock:
            return BroadcastResult(
                tuple(ws for ws, error in self._outcomes.items() if error is None),
                {ws: error for ws, error in self._outcomes.items() if error is not None},
            )

    def _begin(self, targets: Iterable[WebSocket]) -> Iterable[_Parcel]:
        """Offer the message to each; give those that had no room for it."""
        for ws in targets:
            if ws.client is None or ws.closed:
                self._settle(ws, WebSocketError("Connection is already closed", ws=ws))
                continue
            parcel = _Parcel(ws, ws.client.connection)
            try:
                if not self._advance(parcel):
                    yield parcel
            except NotImplementedError:
                self._blocking.append((ws, parcel.connection))

    def _advance(self, parcel: _Parcel) -> bool:
        """Do what there is room for; tell whether this parcel is settled."""
        connection = parcel.connection
        try:
            if not parcel.taken and connection.send_soon(self._opcode, self._payload):
                parcel.taken = True
                self._count(parcel.ws)
            if not connection.flush() or not parcel.taken:
                return False
        except WebSocketError as error:
            if parcel.taken:
                self._count(parcel.ws, -1)
            self._settle(parcel.ws, error)
            return True
        self._settle(parcel.ws, None)
        return True

    def _settle(self, ws: WebSocket, outcome: Exception | None) -> None:
        with self._lock:
            if ws in self._outcomes:
                return
            self._outcomes[ws] = outcome

    def _count(self, ws: WebSocket, messages: int = 1) -> None:
        """Count what has been taken, also where it leaves after the timeout only."""
        size = messages * len(self._payload)  # a call within the addition could lose one
        ws.messages_sent += messages
        ws.bytes_sent += size

    def _start_threads(self) -> None:
        with self._lock:
            count = min(_THREADS, len(self._blocking), _THREADS_MAX - self._threads)
            self._threads += count
        for _ in range(count):
            # A daemon, since a peer that does not read may keep it for send_timeout.
            threading.Thread(target=self._send_blocking, name="broadcast", daemon=True).start()

    def _send_blocking(self) -> None:
        """Send to one after the other, in a thread, until none is left."""
        try:
            while self._blocking:
                try:
                    target = self._blocking.popleft()
                except IndexError:  # another thread was quicker
                    return
                self._send_to(*target)
        finally:
            with self._lock:
                self._threads -= 1

    def _send_to(self, ws: WebSocket, connection: Connection) -> None:
        with _busy_lock:
            is_busy = connection in _busy
            _busy.add(connection)
        if is_busy:
            self._deferred.append((ws, connection))
            return
        try:
            connection.send(self._opcode, self._payload)
        except WebSocketError as error:
            self._settle(ws, error)
        else:
            self._count(ws)
            self._settle(ws, None)
        finally:
            with _busy_lock:
                _busy.discard(connection)

    def _look_at_deferred(self) -> None:
        """Let the threads try those again that another broadcast has let go of."""
        for _ in range(len(self._deferred)):
            target = self._deferred.popleft()
            with _busy_lock:
                is_busy = target[1] in _busy
            (self._deferred if is_busy else self._blocking).append(target)


def broadcast(
    targets: Sequence[WebSocket], message: str | ReadableBuffer, timeout: float
) -> BroadcastResult:
    """Send a message to many; see :meth:`flask_threaded_sockets.Sockets.broadcast`.

    Args:
        targets: to whom; each once.
        message: ``str`` is sent as text, bytes-like as binary.
        timeout: seconds to wait for those that have no room.
    """
    if isinstance(message, str):
        opcode, payload = Opcode.TEXT, SharedPayload(message.encode())
    else:
        # A copy, as the message may leave after the caller has changed its buffer.
        opcode, payload = Opcode.BINARY, SharedPayload(memoryview(message))
    return _Delivery(opcode, payload).run(targets, timeout)

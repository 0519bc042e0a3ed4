"""``websockets.sync``'s connection on a socket that a WSGI server has lent.

The library's own: the thread that reads, its loop, and the order in which protocol and
output are handled. Ours: the socket (a ``Transport``), where events go, and the writing:
the library writes under the lock that its reader needs, so that two peers which flood
each other would stop each other for good.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from websockets.sync.connection import Connection

from flask_threaded_sockets.backend import Buffer
from flask_threaded_sockets.events import Event, Message
from flask_threaded_sockets.transport import Transport

from .codec import ServerCodec
from .inbox import Inbox

__all__ = ["HostedCodec", "HostedConnection"]

# Buffers of unsent Pongs at which we stop reading until the peer takes some, and how
# often that is looked at, in seconds.
_OUTGOING_MAX: Final = 1024
_OUTGOING_POLL: Final = 0.05


class _PacedSocket:
    """A transport that reads only while there is room for what comes.

    Its descriptor is a copy. The library (17.1 and newer) waits for it with epoll, which
    forgets a descriptor that is closed: where the server closed its own one in the
    instant between our shutting down and the reader's waking up, the reader would sleep
    for ever. A copy stays with epoll until the reader has seen the end.
    """

    def __init__(self, transport: Transport, wait_for_room: Callable[[], None]) -> None:
        self._transport = transport
        self._wait_for_room = wait_for_room
        self._copy: int | None = None  # made and closed by the reader's thread only
        self.heard_at = 0.0

    def fileno(self) -> int:
        if self._copy is None:
            # Raises OSError where the server has closed its own: the reader then ends.
            self._copy = os.dup(self._transport.fileno())
        return self._copy

    def discard(self) -> None:
        """Close the copy; the reader has ended."""
        if self._copy is not None:
            os.close(self._copy)
            self._copy = None

    def recv(self, size: int) -> bytes:
        self._wait_for_room()
        data = self._transport.recv(size)
        self.heard_at = time.monotonic()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class HostedCodec(ServerCodec):
    """Pass on messages before the library writes the answers to what came after them.

    The library would do so afterwards: then a peer that has its Pong could not rely on
    the messages before its Ping being there.

    Attributes:
        deliver: called with each event, in the reader's thread.
    """

    deliver: Callable[[Event], None]

    def events_received(self) -> list[Event]:  # type: ignore[override]
        """Deliver messages; leave the rest to the library, for after the writing.

        A Close is told when its answer is out: who is told ends the stream.
        """
        rest: list[Event] = []
        for event in super().events_received():
            if isinstance(event, Message):
                self.deliver(event)
            else:
                rest.append(event)
        return rest


class HostedConnection(Connection):
    """Read in the library's thread, write in whosoever's without a lock the reader needs.

    Locks, outermost first: ``write_lock``, held over a blocking write by a sender and
    only tried by all others; the library's ``protocol_mutex``, around the protocol and
    what it has encoded, never held over a write that blocks.

    Args:
        transport: the socket.
        codec: the protocol, in state OPEN.
        close_timeout: seconds, for the library.
        inbox: where messages wait.
        early: bytes that came with the handshake.
        deliver: see :class:`HostedCodec`.
        lost: called when the reader has ended.

    Attributes:
        write_lock: who writes to the socket.
    """

    def __init__(
        self,
        transport: Transport,
        codec: HostedCodec,
        close_timeout: float,
        inbox: Inbox,
        early: bytes,
        deliver: Callable[[Event], None],
        lost: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._inbox = inbox
        self._early = early
        self._deliver = codec.deliver = deliver
        self._lost = lost
        self._paced = _PacedSocket(transport, self._wait_for_room)
        self._outgoing: deque[Buffer] = deque()  # what is encoded and not yet written
        self._waiting_since: float | None = None  # when the peer last made room for it
        self._half_close = False  # nothing follows what is in there
        self.write_lock = threading.Lock()
        # Starts the reader's thread.
        super().__init__(
            cast("socket.socket", self._paced),
            codec,
            ping_interval=None,
            ping_timeout=None,
            close_timeout=close_timeout,
            max_queue=None,
        )

    @property
    def heard_at(self) -> float:
        """The monotonic time at which bytes came last; 0: never."""
        return self._paced.heard_at

    def _wait_for_room(self) -> None:
        while len(self._outgoing) > _OUTGOING_MAX and not self._transport.ended:
            time.sleep(_OUTGOING_POLL)
        self._inbox.wait_for_room()

    # What the library calls, in the reader's thread.

    def recv_events(self) -> None:
        """Read until the end, the early bytes first."""
        try:
            if self._early:
                with self.protocol_mutex:
                    self.protocol.receive_data(self._early)
                    events = self.protocol.events_received()
                    self.send_data()
                for event in events:
                    self.process_event(event)
            super().recv_events()
        finally:
            self._paced.discard()

    def process_event(self, event: object) -> None:
        """Pass on an event; it is one of the core's, by the codec."""
        self._deliver(cast("Event", event))

    def send_data(self) -> None:
        """Take what the protocol has encoded, and write what there is room for."""
        self._collect()
        self.flush()

    def close_socket(self) -> None:
        """End the stream, and tell so."""
        super().close_socket()
        self._lost()

    # What the connection calls, in any thread.

    def _collect(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self._outgoing.append(data)
            else:
                self._half_close = True

    def _take_outgoing(self) -> list[Buffer]:
        buffers: list[Buffer] = []
        while self._outgoing:
            buffers.append(self._outgoing.popleft())
        return buffers

    def stuck(self, now: float, timeout: float) -> bool:
        """Tell whether what waits has found no room at all for so long, in seconds.

        What a sender is writing has a deadline of its own.
        """
        since = self._waiting_since
        return since is not None and now > since + timeout

    def transmit(self, encode: Callable[[], None], timeout: float) -> None:
        """Encode and write; blocks at most ``timeout`` seconds without progress.

        Raises:
            OSError: the link is dead, or a frame is half written.
        """
        try:
            with self.write_lock:
                with self.protocol_mutex:
                    encode()
                    self._collect()
                    buffers = self._take_outgoing()
                self._waiting_since = None
                self._transport.write(buffers, timeout)
        finally:  # who came meanwhile has left it to this thread, which may be failing itself
            self.flush()

    def post(self, encode: Callable[[], None]) -> None:
        """Encode, and put it behind what is being written; never blocks."""
        with self.protocol_mutex:
            encode()
            self._collect()
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as there is room; never blocks.

        Who holds the write lock looks again after letting it go, and who does not get it
        has put its part there before trying: nothing is forgotten.
        """
        while (self._outgoing or self._half_close) and self.write_lock.acquire(blocking=False):
            try:
                taken = self._take_outgoing()
                left = self._transport.write(taken, 0)
                self._outgoing.extendleft(reversed(left))
                if not left:
                    self._waiting_since = None
                elif self._waiting_since is None or left[0] is not taken[0]:
                    self._waiting_since = time.monotonic()
                # Under the lock: else another thread may have taken the last frame and
                # not written it yet.
                if self._half_close and not self._outgoing:
                    self._half_close = False
                    self._transport.half_close()
            except OSError:
                self._transport.end()  # the reader sees it and tells
                return
            finally:
                self.write_lock.release()
            if left:
                return  # the kernel's buffer is full: the monitor tries again

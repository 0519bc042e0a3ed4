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

import contextlib
import select
import socket
import ssl
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final

from .backend import Buffer

__all__ = [
    "BlockingTransport",
    "NonBlockingTransport",
    "Transport",
    "open_transport",
    "wait_socket",
]

# How long finish() discards what the peer still sends, so that no reset eats our Close.
LINGER: Final = 0.5

# One SSL_write is retried whole when the kernel's buffer is full, so it is kept short.
_TLS_WRITE_MAX: Final = 64 * 1024


def wait_socket(fd: int, *, write: bool = False, timeout: float | None = None) -> bool:
    """Wait until a descriptor is readable (or at its end), or writable.

    Args:
        fd: a file descriptor; a negative one counts as ready, so that the call that
            follows reports the error.
        write: whether to wait for room to write instead.
        timeout: seconds; ``None``: for ever.

    Returns:
        Whether it became ready in time.
    """
    if fd < 0:
        return True
    if not hasattr(select, "poll"):  # Windows, and eventlet after monkey patching
        read_list, write_list = ([], [fd]) if write else ([fd], [])
        ready = select.select(read_list, write_list, [], timeout)
        return bool(ready[0] or ready[1])
    poller = select.poll()
    poller.register(fd, select.POLLOUT if write else select.POLLIN)
    return bool(poller.poll(None if timeout is None else max(0, timeout) * 1000))


class Transport(ABC):
    """Read and write one connection's socket, without ever closing it.

    One thread at a time may read and one may write; that is for the caller to arrange.
    :meth:`wake`, :meth:`shutdown` and the properties may be used from any thread.

    Attributes:
        send_timeout: seconds :meth:`sendall` waits for a peer that does not read.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._state_lock = threading.Lock()  # guards _ended and _woken
        self._ended = False
        self._woken = False
        self.send_timeout: float | None = None
        with contextlib.suppress(OSError, AttributeError):  # a Unix socket has no Nagle
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # What the shell uses.

    @abstractmethod
    def recv(self, size: int) -> bytes:
        """Read at most ``size`` bytes; blocks; ``b""`` at the end of the stream."""

    @abstractmethod
    def recv_into(self, buffer: memoryview) -> int:
        """Read into a buffer; blocks; 0 at the end of the stream."""

    @abstractmethod
    def recv_ready(self, size: int) -> bytes | None:
        """Read what is there, without waiting; ``None`` when nothing is."""

    @abstractmethod
    def recv_ready_into(self, buffer: memoryview) -> int | None:
        """Read what is there into a buffer; ``None`` when nothing is."""

    @abstractmethod
    def _send_some(self, buffers: Sequence[Buffer]) -> int:
        """Write without waiting; the number of bytes taken, 0 when there is no room."""

    def write(self, buffers: list[Buffer], timeout: float | None) -> list[Buffer]:
        """Write buffers in order, waiting while the peer makes no room.

        Args:
            buffers: what to write; not changed.
            timeout: seconds without any progress after which to give up; ``0``: write
                what fits now; ``None``: wait for ever.

        Returns:
            What was not written: nothing, unless ``timeout`` is ``0``.

        Raises:
            TimeoutError: no progress in time; the stream is then cut in mid-frame.
            OSError: the link is dead.
        """
        sent = self._send_some(buffers)
        left = buffers
        while True:
            left = _drop(left, sent)
            if not left or timeout == 0:
                return left
            if not wait_socket(self.fileno(), write=True, timeout=timeout):
                raise TimeoutError(f"peer took no data for {timeout} seconds")
            sent = self._send_some(left)

    def wait(self, timeout: float | None) -> bool:
        """Wait until :meth:`recv_ready` has something to say, at most ``timeout`` seconds."""
        return wait_socket(self.fileno(), timeout=timeout)

    def hung_up(self) -> bool:
        """Tell without reading whether the peer's end of the stream or a reset is in."""
        fd = self.fileno()
        if self._ended or fd < 0:
            return True
        if not hasattr(select, "POLLRDHUP"):
            return False
        poller = select.poll()
        poller.register(fd, select.POLLRDHUP)
        return bool(poller.poll(0))

    def wake(self) -> None:
        """Make a blocked read return, as if the stream had ended; writing still works.

        What the peer sends is still read, as far as it is there; see :attr:`woken`.
        """
        with self._state_lock:
            self._woken = True
            self._shutdown_raw(socket.SHUT_RD)

    @property
    def woken(self) -> bool:
        """Whether :meth:`wake` was called, so that an empty read is no end of stream."""
        return self._woken

    @property
    def ended(self) -> bool:
        """Whether the stream was shut down by us."""
        return self._ended

    def half_close(self) -> None:
        """Let the peer see the end of our stream; it may go on sending."""
        self._shutdown_raw(socket.SHUT_WR)

    def end(self) -> None:
        """Shut the stream down both ways, at once; wakes who blocks on it; idempotent.

        The socket stays open: it is its owner's.
        """
        with self._state_lock:
            if self._ended:
                return
            self._ended = True
        self._shutdown_all()

    def finish(self) -> None:
        """End the stream so that the peer gets all we sent; blocks half a second at most.

        Closing with unread data would make the kernel send a reset, which destroys what
        the peer has not read yet. So: half-close, discard until the peer's end, shut
        down. The caller must be the only reader.
        """
        if not self._ended:
            self.half_close()
            deadline = time.monotonic() + LINGER
            with contextlib.suppress(OSError):
                while (left := deadline - time.monotonic()) > 0 and self.wait(left):
                    if self.recv_ready(65536) == b"":
                        break
        self.end()

    def _shutdown_raw(self, how: int) -> None:
        # socket.socket's own method: SSLSocket.shutdown would drop the TLS state under
        # the feet of a thread that is using it.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, how)

    def _shutdown_all(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    # What a library that owns its I/O expects of a socket.

    def fileno(self) -> int:
        """Give the descriptor, -1 after its owner closed the socket."""
        fd: int = self._sock.fileno()
        return fd

    def send(self, data: Buffer) -> int:
        """Write at least one byte; blocks as :meth:`sendall` does."""
        self.sendall(data)
        return len(data)

    def sendall(self, data: Buffer) -> None:
        """Write all of it; blocks while the peer reads, else for ``send_timeout``."""
        self.write([data], self.send_timeout)

    def shutdown(self, how: int) -> None:
        """Shut down one or both directions (``socket.SHUT_*``)."""
        if how == socket.SHUT_RDWR:
            self.end()
        elif how == socket.SHUT_WR:
            self.half_close()
        else:
            self.wake()

    def close(self) -> None:
        """Shut down both ways; the socket itself is closed by its owner, not here."""
        self.end()

    def settimeout(self, timeout: float | None) -> None:  # noqa: B027
        """Accept and ignore a timeout: deadlines are the transport's own."""

    def gettimeout(self) -> float | None:
        """Tell that reads block for ever."""
        return None

    def getpeername(self) -> Any:
        """Give the peer's address."""
        return self._sock.getpeername()

    def getsockname(self) -> Any:
        """Give our own address."""
        return self._sock.getsockname()

    def setsockopt(self, *args: Any) -> None:
        """Set an option of the socket."""
        self._sock.setsockopt(*args)


def _drop(buffers: list[Buffer], count: int) -> list[Buffer]:
    """Leave out the first ``count`` bytes, without copying."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [memoryview(buffer)[count:] if count else buffer, *buffers[index + 1 :]]
        count -= len(buffer)
    return []


class BlockingTransport(Transport):
    """Plain TCP on a blocking socket: a read blocks in the kernel, one call per message.

    A timeout set on the socket would cost a poll per call, and so would a selector.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        sock.settimeout(None)

    def recv(self, size: int) -> bytes:  # noqa: D102
        data: bytes = self._sock.recv(size)
        return data

    def recv_into(self, buffer: memoryview) -> int:  # noqa: D102
        count: int = self._sock.recv_into(buffer)
        return count

    def recv_ready(self, size: int) -> bytes | None:  # noqa: D102
        try:
            data: bytes = self._sock.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        return data

    def recv_ready_into(self, buffer: memoryview) -> int | None:  # noqa: D102
        try:
            count: int = self._sock.recv_into(buffer, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        return count

    def _send_some(self, buffers: Sequence[Buffer]) -> int:
        try:
            if len(buffers) == 1:
                sent: int = self._sock.send(buffers[0], socket.MSG_DONTWAIT)
            else:
                # The kernel takes at most IOV_MAX (1,024) buffers at once.
                sent = self._sock.sendmsg(buffers[:1024], [], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        return sent


class NonBlockingTransport(Transport):
    """A TLS or cooperative socket: wait outside, then one call without waiting.

    An ``SSLSocket`` breaks when two threads are inside it at once, and a blocking read
    under a lock would keep writers out (CPython issues 137583 and 143756).
    """

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._call_lock = threading.Lock()  # held around each single call on the socket
        sock.settimeout(0)

    def recv(self, size: int) -> bytes:  # noqa: D102
        while (data := self.recv_ready(size)) is None:
            self.wait(None)
        return data

    def recv_into(self, buffer: memoryview) -> int:  # noqa: D102
        while (count := self.recv_ready_into(buffer)) is None:
            self.wait(None)
        return count

    def recv_ready(self, size: int) -> bytes | None:  # noqa: D102
        data: bytes | None = self._read(lambda: self._sock.recv(size))
        return data

    def recv_ready_into(self, buffer: memoryview) -> int | None:  # noqa: D102
        count: int | None = self._read(lambda: self._sock.recv_into(buffer))
        return count

    def wait(self, timeout: float | None) -> bool:  # noqa: D102
        # Decrypted bytes wait inside the SSL object, where no poll sees them.
        pending = getattr(self._sock, "pending", None)
        if pending is not None:
            with self._call_lock:
                if getattr(self._sock, "_sslobj", self) is not None and pending():
                    return True
        return super().wait(timeout)

    def _read(self, call: Callable[[], Any]) -> Any:
        try:
            with self._call_lock:
                return call()
        except (ssl.SSLWantReadError, BlockingIOError):
            return None
        except ssl.SSLWantWriteError:  # a key update: the peer must read first
            wait_socket(self.fileno(), write=True, timeout=self.send_timeout)
            return None

    def _send_some(self, buffers: Sequence[Buffer]) -> int:
        total = 0
        for buffer in buffers:
            view = memoryview(buffer)
            while view:
                chunk = view[:_TLS_WRITE_MAX]
                try:
                    with self._call_lock:
                        sent = self._sock.send(chunk)
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                    return total
                total += sent
                view = view[sent:]
        return total

    def half_close(self) -> None:
        """Send close_notify and a FIN, so that the peer sees a clean end of stream."""
        unwrap = getattr(self._sock, "unwrap", None)
        if unwrap is not None:
            with self._call_lock, contextlib.suppress(OSError, ValueError):
                unwrap()
        super().half_close()

    def _shutdown_all(self) -> None:
        # SSLSocket.shutdown also drops the TLS state, so that what the host may still
        # write fails with EPIPE, which every host takes for a client that has gone.
        self._shutdown_raw(socket.SHUT_RDWR)
        with self._call_lock:
            super()._shutdown_all()
            with contextlib.suppress(OSError):
                self._sock.settimeout(None)


def open_transport(sock: Any) -> Transport:
    """Wrap a socket in the transport that fits its kind.

    Args:
        sock: a connected ``socket.socket``, an ``ssl.SSLSocket`` or a cooperative one.
    """
    if type(sock) is socket.socket and hasattr(socket, "MSG_DONTWAIT") and not _patched():
        return BlockingTransport(sock)
    return NonBlockingTransport(sock)


def _patched() -> bool:
    """Tell whether gevent or eventlet has put its own class in the place of socket's."""
    return not socket.socket.__module__.startswith("socket")

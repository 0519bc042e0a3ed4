"""The interface of a transport, and what all kinds of socket have in common."""

from __future__ import annotations

import _socket
import contextlib
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..backend import Buffer
from .waiting import hung_up, native_socket, settle, wait_socket

__all__ = ["LINGER", "Transport"]

# How long finish() discards what the peer still sends, so that no reset eats our Close.
LINGER: Final = 0.5


class Transport(ABC):
    """Read and write one connection's socket, without ever closing it.

    One thread at a time may read and one may write; that is for the caller to arrange.
    :meth:`wake`, :meth:`shutdown` and the properties may be used from any thread.

    Attributes:
        send_timeout: seconds :meth:`sendall` waits for a peer that does not read.
        taken: grows while a peer takes, piece by piece, what found no room at first.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._state_lock = threading.Lock()  # guards _ended and _woken; never held over waiting
        self._ended = False
        self._woken = False
        self.send_timeout: float | None = None
        self.taken = 0
        with contextlib.suppress(OSError, AttributeError):  # a Unix socket has no Nagle
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # What the shell uses.

    @abstractmethod
    def recv(self, size: int) -> bytes:
        """Read at most ``size`` bytes; blocks; ``b""`` at the end of the stream."""

    def reader(self) -> Callable[[int], bytes]:
        """Give the shortest way to call :meth:`recv`."""
        return self.recv

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
        return self._write_rest(buffers, self._send_some(buffers), timeout)

    def _write_rest(self, buffers: list[Buffer], sent: int, timeout: float | None) -> list[Buffer]:
        left = buffers
        while True:
            left = _drop(left, sent)
            if left and sent:
                self.taken += 1
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
        return self._ended or fd < 0 or hung_up(fd)

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
            # Under the lock: who comes second must not give a half-ended TLS socket back.
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
        settle()  # the owner may close the socket now

    def _shutdown_raw(self, how: int) -> None:
        # The base class's method: SSLSocket.shutdown would drop the TLS state under the
        # feet of a thread that is using it.
        with contextlib.suppress(OSError):
            _socket.socket.shutdown(native_socket(self._sock), how)

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

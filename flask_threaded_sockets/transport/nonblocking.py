"""TLS and cooperative sockets: wait outside, then one call without waiting."""

from __future__ import annotations

import _socket
import contextlib
import errno
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..backend import Buffer
from .base import Transport
from .waiting import native_socket, patched_by, wait_socket

__all__ = ["NonBlockingTransport"]

# One SSL_write is retried whole when the kernel's buffer is full, so it is kept short.
_TLS_WRITE_MAX: Final = 64 * 1024

# Header, payload and what encryption may add (RFC 5246 section 6.2.3).
_TLS_RECORD_MAX: Final = 5 + 2**14 + 2048


# Seconds a greenlet reads and writes on end, where it need not wait, before others have
# their turn.
_TURN: Final = 0.02


class NonBlockingTransport(Transport):
    """A TLS or cooperative socket: wait outside, then one call without waiting.

    An ``SSLSocket`` breaks when two threads are inside it at once, and a blocking read
    under a lock would keep writers out (CPython issues 137583 and 143756).
    """

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._call_lock = threading.Lock()  # held around each single call on the socket
        self._turn_ends = 0.0 if patched_by() else math.inf
        self._timeout = sock.gettimeout()
        sock.setblocking(False)  # settimeout(0) is not the same to eventlet's TLS sockets

    def _take_turns(self) -> None:
        """Let other greenlets run at times: a flood would keep them from it for good."""
        if time.monotonic() > self._turn_ends:
            # Not 0: gevent would look for what has arrived once in fifty turns only.
            time.sleep(0.0001)
            self._turn_ends = time.monotonic() + _TURN

    def recv(self, size: int) -> bytes:  # noqa: D102
        self._take_turns()
        while (data := self.recv_ready(size)) is None:
            self.wait(None)
        return data

    def recv_into(self, buffer: memoryview) -> int:  # noqa: D102
        self._take_turns()
        while (count := self.recv_ready_into(buffer)) is None:
            self.wait(None)
        return count

    def recv_ready(self, size: int) -> bytes | None:  # noqa: D102
        data: bytes | None = self._read(lambda: self._sock.recv(size), b"")
        return data

    def recv_ready_into(self, buffer: memoryview) -> int | None:  # noqa: D102
        count: int | None = self._read(lambda: self._sock.recv_into(buffer), 0)
        return count

    def wait(self, timeout: float | None) -> bool:  # noqa: D102
        # Decrypted bytes wait inside the SSL object, where no poll sees them.
        pending = getattr(self._sock, "pending", None)
        if pending is not None:
            with self._call_lock:
                if getattr(self._sock, "_sslobj", self) is not None and pending():
                    return True
        return super().wait(timeout)

    def _read(self, call: Callable[[], Any], end: bytes | int) -> Any:
        try:
            with self._call_lock:
                # An ended socket is its owner's again, in his mode: eventlet's would wait.
                if self._ended or (self._woken and self._would_meet_the_end()):
                    return end
                return call()
        except (ssl.SSLWantReadError, BlockingIOError):
            return None
        except ssl.SSLWantWriteError:  # a key update: the peer must read first
            wait_socket(self.fileno(), write=True, timeout=self.send_timeout)
            return None

    def _would_meet_the_end(self) -> bool:
        """Tell whether OpenSSL has no whole record to read before the end that we made.

        It answers the end of a stream with a fatal alert, in the place of a close_notify
        and behind which nothing is read any more: the peer's Close may yet come.
        """
        if getattr(self._sock, "_sslobj", None) is None or self._sock.pending():
            return False
        try:
            # The base class's method: SSLSocket.recv takes no flags.
            data = _socket.socket.recv(native_socket(self._sock), _TLS_RECORD_MAX, socket.MSG_PEEK)
        except OSError:  # for the call itself to find
            return False
        return len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], "big")

    def write(self, buffers: list[Buffer], timeout: float | None) -> list[Buffer]:  # noqa: D102
        if timeout != 0:
            self._take_turns()
        return super().write(buffers, timeout)

    def _send_some(self, buffers: Sequence[Buffer]) -> int:
        total = 0
        for buffer in buffers:
            view = memoryview(buffer)
            while view:
                chunk = view[:_TLS_WRITE_MAX]
                try:
                    with self._call_lock:
                        if self._ended:  # see _read()
                            raise BrokenPipeError(errno.EPIPE, "stream was ended by us")
                        sent = self._sock.send(chunk)
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                    return total
                if not sent:  # gevent's TLS sockets say so that there is no room
                    return total
                total += sent
                view = view[sent:]
        return total

    def half_close(self) -> None:
        """Send close_notify and a FIN, so that the peer sees a clean end of stream."""
        # Not unwrap(), whose result in eventlet 0.41 closes the socket when it is dropped.
        tls = getattr(self._sock, "_sslobj", None)
        if tls is not None:
            with self._call_lock, contextlib.suppress(OSError, ValueError):
                tls.shutdown()
        super().half_close()

    def _shutdown_all(self) -> None:
        # SSLSocket.shutdown also drops the TLS state, so that what the host may still
        # write fails with EPIPE, which every host takes for a client that has gone.
        self._shutdown_raw(socket.SHUT_RDWR)
        with self._call_lock:
            super()._shutdown_all()
            with contextlib.suppress(OSError):
                self._sock.setblocking(True)
                self._sock.settimeout(self._timeout)

"""A client made by hand: literal bytes on a real socket, and exactly what came back.

Shares no code with the package, so that both cannot be wrong in the same way.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

from wire import frame

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "DEADLINE",
    "HANDSHAKE",
    "PING",
    "PONG",
    "TEXT",
    "Frame",
    "Head",
    "Peer",
    "bulk",
    "close_frame",
    "request",
]

DEADLINE = 20.0  # seconds; only a failure takes as long

# First bytes of final frames.
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A

# RFC 6455 section 1.3's example; the Host is put in front.
HANDSHAKE: tuple[tuple[str, str], ...] = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Frame(NamedTuple):
    first: int
    payload: bytes


class Head(NamedTuple):
    status: int
    headers: dict[str, str]


def request(
    path: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    *,
    replace: dict[str, str | None] | None = None,
    method: str = "GET",
    version: str = "HTTP/1.1",
) -> bytes:
    """Build an opening handshake; ``replace`` changes a header, or with ``None`` drops it."""
    changes = replace or {}
    lines = [
        (name, changes.get(name, value)) for name, value in (("Host", "test.example"), *HANDSHAKE)
    ]
    lines += headers
    text = "".join(f"{name}: {value}\r\n" for name, value in lines if value is not None)
    return f"{method} {path} {version}\r\n{text}\r\n".encode("latin-1")


def bulk(first: int, payload: bytes) -> bytes:
    """Make a frame as :func:`wire.frame` does, but quickly: the masking key is zero."""
    length = len(payload)
    if length < 126:
        header = bytes([first, 0x80 | length])
    elif length < 65536:
        header = bytes([first, 0xFE]) + length.to_bytes(2, "big")
    else:
        header = bytes([first, 0xFF]) + length.to_bytes(8, "big")
    return header + bytes(4) + payload


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Make a client's Close."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


class _SharedTLS:
    """An ``SSLSocket`` for a reading and a writing thread, which by itself it is not.

    Two threads inside one break it (CPython issue 137583): wait outside, then one call.
    """

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._lock = threading.Lock()  # held around each single call
        sock.setblocking(False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds

    def recv(self, size: int) -> bytes:
        return self._call(self._sock.recv, size)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._call(self._sock.send, view[:16_384]) :]

    def _call(self, call: Callable[[Any], Any], argument: Any) -> Any:
        while True:
            try:
                with self._lock:
                    return call(argument)
            except ssl.SSLWantReadError:
                ready = select.select([self._sock], [], [], self._timeout)
            except ssl.SSLWantWriteError:
                ready = select.select([], [self._sock], [], self._timeout)
            if not any(ready):
                raise TimeoutError


class Peer:
    """One connection to a server under test; every wait has a deadline.

    ``port`` is one of 127.0.0.1, a Unix socket's path, or an IPv6 address and a port.
    """

    def __init__(
        self,
        port: int | str | tuple[str, int],
        *,
        tls: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        if isinstance(port, int):
            family, address = socket.AF_INET, ("127.0.0.1", port)
        else:
            family = socket.AF_UNIX if isinstance(port, str) else socket.AF_INET6
            address = port
        sock = socket.socket(family)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(DEADLINE)
        sock.connect(address)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address = sock.getsockname()
        self.sock: Any = sock
        if tls is not None:
            self.sock = _SharedTLS(tls.wrap_socket(sock, server_hostname="localhost"))
        self._read = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Writing

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def send_bytewise(self, data: bytes) -> None:
        for index in range(len(data)):
            self.sock.sendall(data[index : index + 1])

    def text(self, message: str) -> None:
        self.send(frame(TEXT, message.encode()))

    # Reading

    def _more(self) -> bool:
        chunk = self.sock.recv(1 << 20)
        self._read += chunk
        return bool(chunk)

    def read(self, count: int) -> bytes:
        """Read exactly so many bytes."""
        while len(self._read) < count:
            if not self._more():
                have, last = len(self._read), bytes(self._read[-100:])
                raise EOFError(f"stream ended after {have} of {count} bytes, the last: {last!r}")
        data = bytes(self._read[:count])
        del self._read[:count]
        return data

    def head(self) -> Head:
        """Read a response's head; names in lower case."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                raise EOFError(f"stream ended in the head {bytes(self._read)!r}")
        end = self._read.index(b"\r\n\r\n") + 4
        status, *lines = self.read(end).decode("latin-1").split("\r\n")[:-2]
        pairs = (line.split(": ", 1) for line in lines)
        return Head(int(status.split(" ")[1]), {name.lower(): value for name, value in pairs})

    def frame(self) -> Frame:
        """Read a frame, which a server does not mask (RFC 6455 section 5.1)."""
        first, length = self.read(2)
        if length == 126:
            length = int.from_bytes(self.read(2), "big")
        elif length == 127:
            length = int.from_bytes(self.read(8), "big")
        elif length > 127:
            raise AssertionError(f"masked frame {first:#x} {length:#x} from the server")
        return Frame(first, self.read(length))

    def frames_to_end(self, *, answer: bool = True) -> list[Frame]:
        """Read frames until the end of the stream; bytes that are no frames are an error.

        With ``answer`` a Close is answered, and the end with an end, as a client does.
        """
        frames = []
        while self._read or self._more():
            frames.append(self.frame())
            if answer and frames[-1].first == CLOSE:
                with contextlib.suppress(OSError):  # the server may have closed already
                    self.send(frame(CLOSE, frames[-1].payload[:2]))
        if answer:
            self.close()
        return frames

    def to_end(self) -> bytes:
        """Read all bytes up to the end of the stream."""
        while self._more():
            pass
        return self.read(len(self._read))

    def silent(self, seconds: float) -> bool:
        """Tell whether nothing, not even an end, comes for a while."""
        if self._read:
            return False
        self.sock.settimeout(seconds)
        try:
            self._more()
        except TimeoutError:
            return True
        else:
            return False
        finally:
            self.sock.settimeout(DEADLINE)

    # Ending

    def half_close(self) -> None:
        """Send a FIN."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Send an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

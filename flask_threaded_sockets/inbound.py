"""The way into a connection: one read, of the size and to the place that fit."""

from __future__ import annotations

from typing import Final

from .transport import Transport

__all__ = ["Inbound"]

# Bytes of one read. A connection waits with the small size, since the kernel's call holds
# that much memory while it is idle, and reads with the large one while more is coming.
_SMALL: Final = 1024
_LARGE: Final = 64 * 1024


class Inbound:
    """Read a connection's socket; the caller is its only reader.

    Attributes:
        into: where the protocol wants the next bytes; ``None``: it takes new ones.
    """

    __slots__ = ("_recv", "_size", "_transport", "into")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._recv = transport.reader()
        self._size = _SMALL
        self.into: memoryview | None = None

    def read(self) -> bytes | int:
        """Wait for bytes and give them, or the count of those now in ``into``.

        Empty or 0 at the end of the stream.

        Raises:
            OSError: the link is dead.
        """
        if self.into is None:
            data = self._recv(self._size)
            self._size = _LARGE if len(data) >= _SMALL else _SMALL
            return data
        return self._counted(self._transport.recv_into(self.into))

    def read_ready(self) -> bytes | int | None:
        """Give what is there, as :meth:`read`; ``None`` when nothing is.

        Raises:
            OSError: the link is dead.
        """
        if self.into is None:
            data = self._transport.recv_ready(self._size)
            if data is not None:
                self._size = _LARGE if len(data) >= _SMALL else _SMALL
            return data
        count = self._transport.recv_ready_into(self.into)
        return None if count is None else self._counted(count)

    def _counted(self, count: int) -> int:
        self.into = None  # from here on the protocol may resize what the view shows
        return count

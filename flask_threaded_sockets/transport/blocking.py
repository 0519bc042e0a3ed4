"""Plain TCP, one system call per message each way."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ..backend import Buffer
from .base import Transport

__all__ = ["BlockingTransport"]


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

"""Plain TCP, one system call per message each way."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final

from ..backend import Buffer
from .base import Transport

__all__ = ["BlockingTransport"]

_DONTWAIT: Final = int(socket.MSG_DONTWAIT)


class BlockingTransport(Transport):
    """Plain TCP on a blocking socket: a read blocks in the kernel, one call per message.

    A timeout set on the socket would cost a poll per call, and so would a selector.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        sock.settimeout(None)
        self._send = sock.send

    def recv(self, size: int) -> bytes:  # noqa: D102
        data: bytes = self._sock.recv(size)
        return data

    def reader(self) -> Callable[[int], bytes]:  # noqa: D102
        recv: Callable[[int], bytes] = self._sock.recv
        return recv

    def recv_into(self, buffer: memoryview) -> int:  # noqa: D102
        count: int = self._sock.recv_into(buffer)
        return count

    def recv_ready(self, size: int) -> bytes | None:  # noqa: D102
        try:
            data: bytes = self._sock.recv(size, _DONTWAIT)
        except BlockingIOError:
            return None
        return data

    def recv_ready_into(self, buffer: memoryview) -> int | None:  # noqa: D102
        try:
            count: int = self._sock.recv_into(buffer, 0, _DONTWAIT)
        except BlockingIOError:
            return None
        return count

    def write(self, buffers: list[Buffer], timeout: float | None) -> list[Buffer]:  # noqa: D102
        if len(buffers) == 1:
            sent = 0
            try:
                sent = self._send(buffers[0], _DONTWAIT)
            except BlockingIOError:
                pass
            if sent == len(buffers[0]):
                return []
            return self._write_rest(buffers, sent, timeout)
        return super().write(buffers, timeout)

    def _send_some(self, buffers: Sequence[Buffer]) -> int:
        try:
            # The kernel takes at most IOV_MAX (1,024) buffers at once.
            sent: int = self._sock.sendmsg(buffers[:1024], [], _DONTWAIT)
        except BlockingIOError:
            return 0
        return sent

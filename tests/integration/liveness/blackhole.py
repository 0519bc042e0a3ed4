"""A link that takes nothing, made by a filter on a socket (Linux)."""

from __future__ import annotations

import ctypes
import socket
import struct

__all__ = ["blackhole"]

SO_ATTACH_FILTER = 26  # asm-generic/socket.h


class _Instruction(ctypes.Structure):
    """One of classic BPF's, as linux/filter.h has it."""

    _fields_ = (
        ("code", ctypes.c_ushort),
        ("jt", ctypes.c_ubyte),
        ("jf", ctypes.c_ubyte),
        ("k", ctypes.c_uint32),
    )


def blackhole(sock: socket.socket) -> None:
    """Let the kernel drop every segment that comes for a socket, unanswered.

    To the other end this is a cable that was pulled: neither data nor acknowledgements.
    """
    keep_nothing = _Instruction(6, 0, 0, 0)  # BPF_RET, 0 bytes
    program = struct.pack("HP", 1, ctypes.addressof(keep_nothing))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

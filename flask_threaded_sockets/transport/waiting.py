"""How to wait for a descriptor, also where gevent or eventlet has patched the process.

Under monkey patching every wait must be the patched one, which lets the other greenlets
run. A look without waiting must be the native one: gevent's ``poll`` knows no hang-ups,
and eventlet has no ``poll`` at all.
"""

from __future__ import annotations

import _socket
import select
import socket
import sys
from typing import Any, Final, Literal

__all__ = ["hung_up", "native_socket", "patched_by", "settle", "wait_socket"]

# The longest wait of one poll(), in milliseconds: a C int, some 24 days.
_POLL_MAX: Final = 2**31 - 1


def patched_by() -> Literal["gevent", "eventlet"] | None:
    """Tell who has put his own socket class in the place of the standard library's."""
    module = socket.socket.__module__
    if module.startswith("gevent."):
        return "gevent"
    if module.startswith("eventlet."):
        return "eventlet"
    return None


def native_socket(sock: Any) -> Any:
    """Give the operating system's socket in a cooperative one, else the socket itself."""
    if isinstance(sock, _socket.socket):
        return sock
    # gevent 26.9 has it in _sock. eventlet 0.41 has it in fd, and itself in _sock.
    inner = getattr(sock, "fd", None) or getattr(sock, "_sock", None)
    return inner if isinstance(inner, _socket.socket) else sock


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
    if timeout is None:
        return bool(poller.poll(None))
    left = max(0, timeout) * 1000
    while left > _POLL_MAX:
        if poller.poll(_POLL_MAX):
            return True
        left -= _POLL_MAX
    return bool(poller.poll(left))


def hung_up(fd: int) -> bool:
    """Tell without reading whether a peer's end of the stream or a reset is in."""
    poll = _native_poll()
    if poll is None or not hasattr(select, "POLLRDHUP"):
        return False
    poller = poll()
    poller.register(fd, select.POLLRDHUP)
    return bool(poller.poll(0))


def settle() -> None:
    """Let gevent tell the kernel what is waited for, before a descriptor is closed.

    It does so once per turn of its loop. libev ends the whole process (an assertion, as of
    gevent 26.9) where a descriptor with a change to tell is closed by then: one greenlet
    gave up waiting for room, say, while another goes on waiting for data.
    """
    if patched_by() == "gevent":
        # Not 0: that comes back within the same turn.
        sys.modules["gevent"].sleep(0.001)


def _native_poll() -> Any:
    patcher = patched_by()
    if patcher == "gevent":
        return sys.modules["gevent.monkey"].get_original("select", "poll")
    if patcher == "eventlet":
        return sys.modules["eventlet.patcher"].original("select").poll
    return getattr(select, "poll", None)

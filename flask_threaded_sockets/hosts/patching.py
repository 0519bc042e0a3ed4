"""What the cooperative hosts share: they work where the whole process is patched."""

from __future__ import annotations

import threading
from typing import Final, Literal

from ..transport import patched_by

__all__ = ["patching_obstacle"]

_REMEDY: Final = {
    "gevent": "gevent.monkey.patch_all()",
    "eventlet": "eventlet.monkey_patch()",
}


def patching_obstacle(library: Literal["gevent", "eventlet"]) -> str | None:
    """Tell why a cooperative server cannot carry a WebSocket: a blocking wait would stop it.

    Args:
        library: the server's.
    """
    # gevent 26.9 and eventlet 0.41 put their own functions in the place of threading's.
    patched = patched_by() == library and threading.Lock.__module__.startswith(library)
    if patched:
        return None
    return (
        f"{library} has not patched sockets and threads: call {_REMEDY[library]} "
        f"before anything else is imported"
    )

"""The built-in codec: RFC 6455 and permessage-deflate in pure Python, without I/O.

Bytes in, events out, bytes to send out. Nothing here knows of Flask, sockets or
threads; the shell around it is :mod:`flask_threaded_sockets.connection`.
"""

from __future__ import annotations

from .protocol import BuiltinProtocol
from .role import Role

__all__ = ["BuiltinProtocol", "Role"]

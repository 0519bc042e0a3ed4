"""The backends ``websockets`` and ``websockets-sansio`` of flask-threaded-sockets.

Chosen by name, e.g. ``Sockets(app, backend="websockets")``; nothing here is called by
an application. Importing this package does not import websockets.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"

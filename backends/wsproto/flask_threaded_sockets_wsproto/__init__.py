"""The backend ``wsproto`` of flask-threaded-sockets.

Chosen by its name, e.g. ``Sockets(app, backend="wsproto")``; nothing here is called by
an application. Importing this package does not import wsproto.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"

"""One conformance suite for every backend of flask-threaded-sockets."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"

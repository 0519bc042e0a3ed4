"""The Autobahn test suite's own cases, run through a backend and told as pytest's items."""

from __future__ import annotations

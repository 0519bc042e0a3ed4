"""What ``--autobahn`` adds to ``pytest --pyargs flask_threaded_sockets_conformance``."""

from __future__ import annotations

from flask_threaded_sockets_conformance.autobahn.suite import AutobahnSuite


class TestAutobahn(AutobahnSuite):
    """All cases, for each backend of ``--ws-backend``."""

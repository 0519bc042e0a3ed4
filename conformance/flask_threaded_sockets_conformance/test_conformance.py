"""What ``pytest --pyargs flask_threaded_sockets_conformance --ws-backend NAME`` runs."""

from __future__ import annotations

from flask_threaded_sockets_conformance.suite import ConformanceSuite


class TestConformance(ConformanceSuite):
    """All cases, for each backend of ``--ws-backend``."""

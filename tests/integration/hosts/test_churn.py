"""What a thousand resets leave behind in a worker of gunicorn's, which keeps all threads."""

from __future__ import annotations

import pytest
from integration.hosts.conftest import installed
from integration.liveness.churn import check_churn
from integration.liveness.hosted import served


@pytest.mark.slow
def test_thousand_resets_leave_nothing_behind(backend, tmp_path):
    installed("gunicorn gthread")
    with served("gunicorn", tmp_path) as it:
        check_churn(it)

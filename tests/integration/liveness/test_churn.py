"""What a thousand resets leave behind on the two servers of the package's own dependencies.

gunicorn's turn is with the servers of others.
"""

from __future__ import annotations

import pytest
from integration.liveness.churn import check_churn
from integration.liveness.hosted import served


@pytest.mark.parametrize("server", ["own", "werkzeug"])
@pytest.mark.slow
def test_thousand_resets_leave_nothing_behind(backend, server, tmp_path):
    with served(server, tmp_path) as it:
        check_churn(it)

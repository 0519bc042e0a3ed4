"""What all tests here share: the cases in ``backends/shared/tests``."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("differential", "stack")

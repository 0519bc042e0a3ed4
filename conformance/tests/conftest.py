"""What the kit's own tests share: the broken backends in ``mutants``."""

from __future__ import annotations

import sys
from pathlib import Path

# With --import-mode=importlib pytest leaves the path alone.
sys.path.insert(0, str(Path(__file__).parent))

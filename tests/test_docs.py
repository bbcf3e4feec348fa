"""The docs say what the code does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_list_of_errors_is_up_to_date() -> None:
    result = subprocess.run([sys.executable, "scripts/list_errors.py", "--check"], cwd=ROOT)
    assert result.returncode == 0, "run: python scripts/list_errors.py"

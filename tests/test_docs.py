"""The docs say what the code does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_list_of_errors_is_up_to_date() -> None:
    result = subprocess.run([sys.executable, "scripts/list_errors.py", "--check"], cwd=ROOT)
    assert result.returncode == 0, "run: python scripts/list_errors.py"


def test_the_list_of_errors_holds_those_of_both_packages() -> None:
    """Kinds that a module of its own defines, too, and what is wrong with a table file."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import list_errors
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    kinds = list_errors.read_kinds()
    assert {"IngestError", "NoTlsError", "ParameterError"} <= set(kinds)
    found = {(kind, sentence) for kind, sentence, _ in list_errors.find_sentences(kinds)}
    of_files = [said for kind, said in found if kind == "IngestError"]
    assert any(said.startswith("says the same as line ") for said in of_files)
    assert any(kind == "NoTlsError" for kind, _ in found)

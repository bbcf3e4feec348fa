"""What the demo writes down of its work: checks before it, and how a result came to be."""

from __future__ import annotations

from typing import Any

from element_deeplabcut.errors import SetupError
from element_deeplabcut.provenance import describe

from .folder import DemoFolder


def check(tasks: Any, folder: DemoFolder) -> str:
    """Check queued tasks before they are done, and keep what was found.

    Returns:
        What was found, in a few words.

    Raises:
        SetupError: They cannot be done here.
    """
    report = tasks.check()
    with folder.checks.open("a", encoding="utf-8") as file:
        file.write(f"{report}\n\n")
    if not report:
        raise SetupError("; ".join(problem.text for problem in report.problems))
    n_findings = sum(len(task.findings) for task in report.tasks)
    return f"{n_findings} checks passed before"


def tell(table: Any, key: dict[str, Any], folder: DemoFolder) -> None:
    """Write down how a row came to be, with its files hashed again."""
    story = describe(table, key, check_files=True)
    folder.description.write_text(f"{story}\n", encoding="utf-8")

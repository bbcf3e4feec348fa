"""Files that a command is asked to write."""

from __future__ import annotations

from pathlib import Path

from element_deeplabcut.errors import PathError


def check_output(file: Path, overwrite: bool) -> None:
    """Insist that a file can be written, before anything is computed for it.

    Raises:
        PathError: It is there and may not be replaced, or its folder is not there.
    """
    if file.is_dir():
        raise PathError(f"'{file}' is a folder. Name a file with --output.")
    if file.exists() and not overwrite:
        raise PathError(f"'{file}' exists. Add --overwrite, or name another file with --output.")
    if not file.parent.is_dir():
        raise PathError(f"The folder '{file.parent}' does not exist. Make it first.")

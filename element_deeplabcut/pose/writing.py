"""The pose as files that DeepLabCut's own tools read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PathError, ResultError
from ..linking import show_path
from .table import build_table

if TYPE_CHECKING:
    from .data import Pose

H5_KEY = "df_with_missing"


def write_h5(pose: Pose, path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Write DeepLabCut's h5; see `Pose.to_h5`."""
    if pose.n_frames == 0:  # pandas would write a file that it cannot read
        raise ResultError("The pose has no frames, and an h5 needs one. Write a CSV instead.")
    table = build_table(pose)
    return _write(
        Path(path), overwrite, lambda file: table.to_hdf(file, key=H5_KEY, format="table", mode="w")
    )


def write_csv(pose: Pose, path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Write DeepLabCut's CSV; see `Pose.to_csv`."""
    table = build_table(pose)
    return _write(Path(path), overwrite, table.to_csv)


def _write(path: Path, overwrite: bool, write: Callable[[Path], None]) -> Path:
    """Write beside the target and move it there, so that nobody finds half a file."""
    check_target(path, overwrite)
    handle, name = tempfile.mkstemp(
        suffix=path.suffix, prefix=f".{path.stem[:100]}-", dir=path.parent
    )
    os.close(handle)
    try:
        write(Path(name))
        os.chmod(name, 0o666 & ~_read_umask())
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    return path


def check_target(path: Path, overwrite: bool) -> None:
    """Insist that a file may be written.

    Raises:
        PathError: It is there already and may not be replaced, or its folder is not there.
    """
    if not path.parent.is_dir():
        raise PathError(f"The folder '{show_path(path.parent)}' does not exist. Make it first.")
    if path.is_dir() or (os.path.lexists(path) and not overwrite):
        raise PathError(
            f"'{show_path(path)}' is there already. Name another file, or say overwrite=True to "
            "replace it."
        )


def _read_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask

"""Writing NWB files so that nobody finds half a file."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import PathError
from ...linking import show_path
from ...optional import import_optional
from ...pose.writing import check_target
from ...store.files import slugify
from .objects import EXTRA

if TYPE_CHECKING:
    import pynwb

SUFFIX = ".nwb"


def plan_files(
    output_path: str | os.PathLike[str], individuals: list[str], overwrite: bool
) -> dict[str, Path]:
    """Name a file for each individual, and insist that it may be written.

    Args:
        output_path: Where the only individual goes; several have their names added to it.
        individuals: Names.
        overwrite: Replace files that are there.

    Raises:
        PathError: The path is not called ``.nwb``, a file is there already, or its folder is not.
    """
    path = Path(output_path)
    if path.suffix != SUFFIX:
        raise PathError(f"'{show_path(path)}' is not called .nwb. Name the file to be written.")
    if len(individuals) == 1:
        files = {individuals[0]: path}
    else:
        files = {}
        for number, name in enumerate(individuals, 1):
            file = path.with_name(f"{path.stem}_{slugify(name)}{SUFFIX}")
            if file in files.values():  # names that look the same once they are plain
                file = path.with_name(f"{path.stem}_{slugify(name)}-{number}{SUFFIX}")
            files[name] = file
    for file in files.values():
        check_target(file, overwrite)
    return files


def write_files(nwbfiles: dict[Path, pynwb.NWBFile]) -> None:
    """Write files beside their places; they take them together, once all are written."""
    staged = {}
    try:
        for path, nwbfile in nwbfiles.items():
            staged[path] = path.with_name(f".{path.stem[:100]}-{uuid.uuid4().hex[:12]}{SUFFIX}")
            with import_optional("pynwb", EXTRA).NWBHDF5IO(str(staged[path]), "w") as stream:
                stream.write(nwbfile)
        for path, written in staged.items():
            _sync(written)
            os.replace(written, path)
    finally:
        for written in staged.values():
            written.unlink(missing_ok=True)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

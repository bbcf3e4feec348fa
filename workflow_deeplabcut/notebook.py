"""What a notebook of this workflow begins with, so that it starts wherever it is opened.

::

    from workflow_deeplabcut import notebook

    notebook.start()
    from workflow_deeplabcut.pipeline import model, train
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

CONFIGURATION = "dj_local_conf.json"
_NOTEBOOKS = "notebooks"
_MARK = "01-Configure.ipynb"


def find_root(start: str | os.PathLike[str] | None = None) -> Path:
    """Find the folder that a notebook works in.

    Args:
        start: Where to look first; None for the working directory.

    Returns:
        The nearest folder, from there upwards, that holds ``dj_local_conf.json`` or this
        workflow's notebooks; else the checkout that this package is of; else ``start`` itself.
    """
    here = Path(start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / CONFIGURATION).is_file() or (folder / _NOTEBOOKS / _MARK).is_file():
            return folder
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / _NOTEBOOKS / _MARK).is_file() else here


def start() -> None:
    """Make the root folder the working directory, and keep logs quiet.

    DataJoint reads its configuration there when it is imported; where it has been imported
    already, it is told to.
    """
    os.chdir(find_root())
    # Whom it connects to is in dj.config; the log would repeat it in every notebook.
    os.environ.setdefault("DJ_LOG_LEVEL", "WARNING")
    # Without ipywidgets progress bars are text, which is as good.
    warnings.filterwarnings("ignore", message="IProgress not found")
    datajoint = sys.modules.get("datajoint")
    if datajoint is not None and Path(CONFIGURATION).is_file():
        datajoint.config.load(CONFIGURATION)

"""How a result came to be, for a person who reads it a year later.

::

    from element_deeplabcut.provenance import describe

    print(describe(model.PoseEstimation, key))
    describe(model.PoseEstimation & key, check_files=True).changed_files

Everything is told from the rows and their ``run_info``; the files are only looked at to say whether
they are still what they were. So it works on a laptop without DeepLabCut and without the files.
What a row of an earlier version did not record is called "not recorded".
"""

from .describing import describe
from .description import (
    Computation,
    Description,
    FileState,
    LabelChanges,
    Labels,
    Setting,
    SettingGroup,
)

__all__ = [
    "Computation",
    "Description",
    "FileState",
    "LabelChanges",
    "Labels",
    "Setting",
    "SettingGroup",
    "describe",
]

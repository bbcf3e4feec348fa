"""Snapshots of a training, and the scorer string DeepLabCut derives from them.

PyTorch snapshots are ``snapshot-EEE.pt`` and ``snapshot-best-EEE.pt`` (EEE: epochs trained);
"best" is the one with the highest test mAP, the earliest on a tie. DeepLabCut's order, which
``snapshotindex`` counts through, is by epoch with the best one last, so that -1 means the best one
if there is one, else the last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError

_PYTORCH_NAME = re.compile(r"snapshot(-best)?-(\d+)\.pt")


@dataclass(frozen=True, order=True)
class Snapshot:
    """One saved state of a network.

    Attributes:
        best: Whether DeepLabCut marked it as the best of its training.
        epochs: Epochs (PyTorch) trained so far.
        path: The file.
    """

    best: bool
    epochs: int
    path: Path

    @property
    def uid(self) -> str:
        """DeepLabCut's short name, as it stands in scorer strings: ``best-10`` or ``12``."""
        return f"best-{self.epochs}" if self.best else str(self.epochs)


def list_snapshots(train_folder: Path) -> list[Snapshot]:
    """List the PyTorch snapshots of a train folder in DeepLabCut's order (best last)."""
    if not train_folder.is_dir():
        return []
    matches = [(_PYTORCH_NAME.fullmatch(file.name), file) for file in train_folder.iterdir()]
    return sorted(Snapshot(bool(m[1]), int(m[2]), file) for m, file in matches if m)


def select_snapshot(train_folder: Path, snapshotindex: int) -> Snapshot:
    """Choose a snapshot the way DeepLabCut's ``snapshotindex`` does.

    Raises:
        ModelError: There is no snapshot, or none with that index.
    """
    snapshots = list_snapshots(train_folder)
    if not snapshots:
        raise ModelError(f"'{train_folder}' holds no snapshot. Train the model first.")
    if not -len(snapshots) <= snapshotindex < len(snapshots):
        names = ", ".join(snapshot.path.name for snapshot in snapshots)
        raise ModelError(
            f"snapshotindex {snapshotindex} is out of range: '{train_folder}' holds {names}."
        )
    return snapshots[snapshotindex]


def pytorch_scorer(net_type: str, task: str, date: str, shuffle: int, snapshot: Snapshot) -> str:
    """Write the scorer string that DeepLabCut 3 gives a PyTorch snapshot's predictions.

    It holds neither iteration nor training fraction nor model prefix, so equal scorers do not
    mean equal models.
    """
    network = "".join(part.capitalize() for part in net_type.split("_"))
    return f"DLC_{network}_{task}{date}shuffle{shuffle}_snapshot_{snapshot.uid}"

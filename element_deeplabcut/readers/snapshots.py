"""Snapshots of a training, and the scorer string DeepLabCut derives from them.

PyTorch snapshots are ``snapshot-EEE.pt`` and ``snapshot-best-EEE.pt`` (EEE: epochs trained);
"best" is the one with the highest test mAP, the earliest on a tie. DeepLabCut's order, which
``snapshotindex`` counts through, is by epoch with the best one last, so that -1 means the best one
if there is one, else the last.

TensorFlow snapshots are three files each, ``snapshot-N.index``, ``.meta`` and
``.data-00000-of-00001`` (N: iterations trained); their order is by N. A detector of a top-down
model has snapshots ``snapshot-detector-EEE.pt`` of its own beside those of the pose model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError

POSE, DETECTOR = "snapshot", "snapshot-detector"
_PYTORCH_NAME = r"{prefix}(-best)?-(\d+)\.pt"
_TENSORFLOW_NAME = re.compile(r"snapshot-(\d+)\.index")
_TENSORFLOW_WEIGHTS = ".data-00000-of-00001"
_TENSORFLOW_ENDINGS = (".index", ".meta", _TENSORFLOW_WEIGHTS)


@dataclass(frozen=True, order=True)
class Snapshot:
    """One saved state of a network.

    Attributes:
        best: Whether DeepLabCut marked it as the best of its training.
        epochs: Epochs (PyTorch) or iterations (TensorFlow) trained so far.
        path: The file; with TensorFlow, what its three files have in common.
    """

    best: bool
    epochs: int
    path: Path

    @property
    def files(self) -> list[Path]:
        """The files it consists of.

        Raises:
            ModelError: One of TensorFlow's three is missing.
        """
        if self.path.suffix == ".pt":
            return [self.path]
        files = [self.path.with_name(self.path.name + end) for end in _TENSORFLOW_ENDINGS]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise ModelError(
                f"The snapshot '{self.path}' lacks {', '.join(missing)}. Restore the file, or "
                "choose another snapshot with snapshotindex."
            )
        return files

    @property
    def weights_file(self) -> Path:
        """The file that holds the weights."""
        if self.path.suffix == ".pt":
            return self.path
        return self.path.with_name(self.path.name + _TENSORFLOW_WEIGHTS)

    @property
    def uid(self) -> str:
        """DeepLabCut's short name, as it stands in scorer strings: ``best-10`` or ``12``."""
        return f"best-{self.epochs}" if self.best else str(self.epochs)


def list_snapshots(
    train_folder: Path, engine: str = "pytorch", prefix: str = POSE
) -> list[Snapshot]:
    """List the snapshots of a train folder in DeepLabCut's order (PyTorch: the best one last)."""
    if not train_folder.is_dir():
        return []
    if engine == "tensorflow":
        matches = [(_TENSORFLOW_NAME.fullmatch(file.name), file) for file in train_folder.iterdir()]
        return sorted(Snapshot(False, int(m[1]), file.with_suffix("")) for m, file in matches if m)
    name = re.compile(_PYTORCH_NAME.format(prefix=prefix))
    matches = [(name.fullmatch(file.name), file) for file in train_folder.iterdir()]
    return sorted(Snapshot(bool(m[1]), int(m[2]), file) for m, file in matches if m)


def select_snapshot(
    train_folder: Path, snapshotindex: int, engine: str = "pytorch", prefix: str = POSE
) -> Snapshot:
    """Choose a snapshot the way DeepLabCut's ``snapshotindex`` does.

    Raises:
        ModelError: There is no snapshot, or none with that index.
    """
    snapshots = list_snapshots(train_folder, engine, prefix)
    if not snapshots:
        raise ModelError(f"'{train_folder}' holds no snapshot. Train the model first.")
    if not -len(snapshots) <= snapshotindex < len(snapshots):
        names = ", ".join(snapshot.path.name for snapshot in snapshots)
        raise ModelError(
            f"snapshotindex {snapshotindex} is out of range: '{train_folder}' holds {names}."
        )
    return snapshots[snapshotindex]


def pytorch_scorer(
    net_type: str,
    task: str,
    date: str,
    shuffle: int,
    snapshot: Snapshot,
    detector: Snapshot | None = None,
) -> str:
    """Write the scorer string that DeepLabCut 3 gives a PyTorch snapshot's predictions.

    It holds neither iteration nor training fraction nor model prefix, so equal scorers do not
    mean equal models.
    """
    network = "".join(part.capitalize() for part in net_type.split("_"))
    name = f"snapshot_{snapshot.uid}"
    if detector is not None:
        name = f"detector_{detector.uid}_{name}"
    return f"DLC_{network}_{task}{date}shuffle{shuffle}_{name}"


def tensorflow_scorer(
    pose_config: Mapping[str, Any], task: str, date: str, shuffle: int, iterations: int
) -> str:
    """Write the scorer string that DeepLabCut gives a TensorFlow snapshot's predictions.

    Args:
        pose_config: Content of ``train/pose_cfg.yaml``.
        task: Task in the project's config.
        date: Date there.
        shuffle: Shuffle it was trained on.
        iterations: Iterations it was trained for.

    Raises:
        ModelError: The network is none that DeepLabCut has a name for.
    """
    net_type = str(pose_config.get("net_type", ""))
    if "resnet" in net_type:
        multi_stage = bool(pose_config.get("multi_stage", False))
        network = "dlcrnetms5" if multi_stage else net_type.replace("_", "")
    elif re.fullmatch(r"mobilenet_v2_\d(\.\d+)?", net_type):
        network = f"mobnet_{int(float(net_type.split('_')[-1]) * 100)}"
    elif re.fullmatch(r"efficientnet-\w+", net_type):
        network = f"effnet_{net_type.split('-')[1]}"
    else:
        raise ModelError(
            f"The network '{net_type}' in pose_cfg.yaml is none of DeepLabCut's (resnet_*, "
            "mobilenet_v2_*, efficientnet-*). Restore the file."
        )
    return f"DLC_{network}_{task}{date}shuffle{shuffle}_{iterations}"

"""The real project the tests work on, where this machine has it.

Labelled frames and a video of a mouse in an open field, as DeepLabCut's authors publish them. It is
read where it lies and never written: its folder is a root directory of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from .conftest import TINY_NETWORK, TRAINING_PARAMS, Lab

NAME = "openfield-Pranav-2018-10-30"
VIDEO = "videos/m3v1mp4.mp4"
"""Path of its video, relative to the project."""

SMALL_NETWORK = {
    **TINY_NETWORK,
    "data.train.crop_sampling.width": 256,
    "data.train.crop_sampling.height": 256,
}
"""The tiny network of the tests, shown crops of frames that are 640 x 480 px."""


def find_real_project() -> Path:
    """Find the project, or skip the test.

    Returns:
        Its folder: ``DLC_REAL_PROJECT``, or ``shared/data`` beside the repository.
    """
    beside = Path(__file__).parents[2] / "shared" / "data" / NAME
    project = Path(os.environ.get("DLC_REAL_PROJECT") or beside)
    if not (project / "config.yaml").is_file():
        pytest.skip(f"no real project in '{project}'; set DLC_REAL_PROJECT to its folder")
    return project


@contextmanager
def as_root(lab: Lab, folder: Path) -> Iterator[None]:
    """Let the lab have one more root directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLC_ROOT_DATA_DIR", os.pathsep.join([str(lab.root), str(folder)]))
        yield


def look_at(folder: Path) -> dict[str, tuple[int, str]]:
    """Time stamp and content of everything below a folder, itself included."""
    return {
        str(path): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in (folder, *sorted(folder.rglob("*")))
    }


def cut_video(source: Path, target: Path, n_frames: int) -> None:
    """Encode the first frames of a video anew.

    Copying them as they are encoded would leave a gap: frames are stored in another order than
    they are shown.
    """
    with av.open(source) as old, av.open(target, "w") as new:
        stream = old.streams.video[0]
        cut = new.add_stream("libx264", rate=stream.average_rate, options={"crf": "17"})
        cut.width, cut.height, cut.pix_fmt = stream.width, stream.height, "yuv420p"
        for frame, _ in zip(old.decode(stream), range(n_frames), strict=False):
            new.mux(cut.encode(frame))
        new.mux(cut.encode())


def count_frames(video: Path) -> int:
    """Decode a whole video and count."""
    with av.open(video) as container:
        return sum(1 for _ in container.decode(video=0))


def training_params(epochs: int, **changes: Any) -> dict[str, Any]:
    """Parameters of a training whose learning rate falls towards its end."""
    schedule = {
        "runner.scheduler.params.milestones": [round(0.7 * epochs), round(0.9 * epochs)],
        "runner.eval_interval": max(1, epochs // 3),
    }
    return {
        **TRAINING_PARAMS,
        "epochs": epochs,
        "save_epochs": epochs,
        "pytorch_cfg_updates": {**SMALL_NETWORK, **schedule},
        **changes,
    }

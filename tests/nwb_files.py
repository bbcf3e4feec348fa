"""Reading NWB files back as their users do: nwbinspector, and movement."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

READER = "movement==0.15.0"

READ = """
import sys
import numpy as np
from movement.io import load_poses

dataset = load_poses.from_nwb_file(sys.argv[1], pose_estimation_key=sys.argv[2])
order = next(name for name in dataset.position.dims if name.startswith("keypoint"))
animals = next(name for name in dataset.position.dims if name.startswith("individual"))
np.savez(
    sys.argv[3],
    position=dataset.position.transpose("time", order, animals, "space").values,
    confidence=dataset.confidence.transpose("time", order, animals).values,
    keypoints=dataset[order].values.astype(str),
    time=dataset.time.values,
    software=dataset.attrs["source_software"],
)
"""


@dataclass(frozen=True)
class Movement:
    """A movement that reads NWB files (0.7 or later).

    Attributes:
        folder: Where it is installed; None for beside everything else.
    """

    folder: Path | None

    def read(self, file: Path, name: str = "PoseEstimation") -> dict[str, np.ndarray]:
        """Read a file: position (time, keypoint, individual, space), confidence, names, time."""
        target = file.with_suffix(".npz")
        path = {} if self.folder is None else {"PYTHONPATH": str(self.folder)}
        subprocess.run(
            [sys.executable, "-c", READ, str(file), name, str(target)],
            check=True, cwd=file.parent, env={**os.environ, **path}, timeout=300,
        )  # fmt: skip
        with np.load(target) as stored:
            return dict(stored)


def find_movement(folder: Path) -> Movement:
    """Find a movement that reads NWB, or install one for this test run.

    The one beside DeepLabCut's TensorFlow engine is older, because later ones ask for numpy 2;
    what is needed here works without it, so its requirements are left as they are.
    """
    if importlib.util.find_spec("movement.io.nwb") is not None:
        return Movement(None)
    if sys.version_info < (3, 11):
        pytest.skip("movement has read NWB since 0.7, which needs Python 3.11")
    environment = {"HOME": str(folder), **os.environ}
    if CERTIFICATES.is_file():  # uv knows only its own
        environment.setdefault("SSL_CERT_FILE", str(CERTIFICATES))
    what = ["install", "-q", "--no-deps", "--target", str(folder / "movement"), READER]
    if subprocess.run([sys.executable, "-m", "uv", "pip", *what], env=environment).returncode != 0:
        venv.create(folder / "pip", with_pip=True)
        pip = [str(folder / "pip" / "bin" / "python"), "-m", "pip"]
        subprocess.run([*pip, *what], env=environment, check=True)
    return Movement(folder / "movement")


def inspect(file: Path) -> dict[str, list[str]]:
    """Ask nwbinspector: importance -> names of the checks that found something.

    Insists that the file follows the schemas, too.
    """
    import pynwb
    from nwbinspector import inspect_nwbfile

    assert pynwb.validate(path=str(file)) == []
    found: dict[str, list[str]] = {}
    for message in inspect_nwbfile(file):
        found.setdefault(message.importance.name, []).append(message.check_function_name)
    return found

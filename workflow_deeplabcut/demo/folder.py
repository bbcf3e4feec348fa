"""The folder that holds all the demo makes, and how one is known to be the demo's own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from element_deeplabcut.errors import PathError

DEFAULT_OUTPUT = "demo_output"
MARKER = ".element-deeplabcut-demo"


@dataclass(frozen=True)
class DemoFolder:
    """A demo's folder.

    Attributes:
        path: Absolute, without links.
    """

    path: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> DemoFolder:
        """Name the folder at a path; nothing is created."""
        return cls(Path(path).resolve())

    @property
    def marker(self) -> Path:
        """Empty file that says whose folder this is; held locked while a demo runs."""
        return self.path / MARKER

    @property
    def database(self) -> Path:
        """The private database server's directory, the one thing a second run keeps."""
        return self.path / "database"

    @property
    def data(self) -> Path:
        """Root directory: videos and the DeepLabCut project."""
        return self.path / "data"

    @property
    def results(self) -> Path:
        """Processed directory: trainings, the model store, poses."""
        return self.path / "results"

    @property
    def log(self) -> Path:
        """What libraries wrote to the terminal's error stream."""
        return self.path / "log.txt"

    @property
    def summary(self) -> Path:
        """The numbers of the last run."""
        return self.path / "summary.json"

    @property
    def predicted_over_true(self) -> Path:
        """Picture of predicted over true points on frames."""
        return self.path / "predicted_over_true.png"

    @property
    def trajectory(self) -> Path:
        """Picture of one recording's trajectories."""
        return self.path / "trajectory.png"

    @property
    def learning_curve(self) -> Path:
        """Picture of loss and error over the training."""
        return self.path / "learning_curve.png"

    @property
    def speed(self) -> Path:
        """Picture of the animal's speed over the truth."""
        return self.path / "speed.png"

    @property
    def quality(self) -> Path:
        """Table of verdicts on the poses."""
        return self.path / "quality.csv"

    @property
    def leaderboard(self) -> Path:
        """Table of the training's snapshots by their test error."""
        return self.path / "leaderboard.csv"

    @property
    def labeled_video(self) -> Path:
        """Recording with its poses drawn in."""
        return self.path / "labeled_video.mp4"

    @property
    def nwb(self) -> Path:
        """Poses of a recording for other programs and archives."""
        return self.path / "mouse1.nwb"

    @property
    def pictures(self) -> tuple[Path, ...]:
        """All pictures."""
        return self.predicted_over_true, self.trajectory, self.learning_curve, self.speed

    @property
    def products(self) -> tuple[Path, ...]:
        """All files that a run leaves to be looked at."""
        tables = (self.leaderboard, self.quality)
        return (*self.pictures, *tables, self.labeled_video, self.nwb, self.summary)

    def check_is_demo(self) -> None:
        """Insist that a demo was run here.

        Raises:
            PathError: None was.
        """
        if not self.marker.is_file():
            raise PathError(
                f"{self.path} holds no demo. Run it there first, with "
                f"`python -m workflow_deeplabcut.demo --output {self.path}`, or name its folder."
            )

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Have the folder to ourselves, emptied of what the last run left but its database.

        Raises:
            PathError: It cannot be written, holds something else, or another demo runs in it.
        """
        try:
            descriptor = self._open_marker()
        except OSError as error:
            raise PathError(
                f"{self.path} cannot hold the demo ({error.strerror}). Name another folder with "
                "--output."
            ) from error
        try:
            self._lock(descriptor)
            self._clear()
            yield
        finally:
            os.close(descriptor)

    def _open_marker(self) -> int:
        self.path.mkdir(parents=True, exist_ok=True)
        names = os.listdir(self.path)
        if names and MARKER not in names:
            raise PathError(
                f"{self.path} holds files that are not the demo's ({sorted(names)[0]}, for "
                "instance), so it is left alone. Name a folder that is new or empty with --output."
            )
        return os.open(self.marker, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PathError(
                f"Another demo is running in {self.path}: wait for it, or name another folder with "
                "--output."
            ) from None

    def _clear(self) -> None:
        for path in (self.data, self.results, self.log, *self.products):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

"""A lab for the drills: a server of its own, the real pipeline, and as many tasks as are wanted."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datajoint as dj

from element_deeplabcut.errors import PathError
from tests.element.conftest import write_fake_project
from workflow_deeplabcut import database, synthetic
from workflow_deeplabcut.worker.lease import declare_leases

from . import scripted_engine
from .record import Record

PREFIX = "drills_"
SESSION = {"subject": "mouse1", "session_datetime": "2026-02-01 10:00:00"}
MODEL = "scripted"
SMALL_DISK = "small-disk"
N_FRAMES = 12
_MARKER = ".element-deeplabcut-drills"
N_SEEDS = 10
"""Trainings share parameter sets, because a worker reads them all when it looks for work."""


class Site:
    """A lab.

    Attributes:
        folder: Holds all of it.
        server: Its database server.
        raw: Folder of the videos.
        processed: Processed directory.
        pipeline: The module workflow_deeplabcut.pipeline.
        tables: Computed tables, in the workers' usual order.
        expected_errors: Recordings whose pose estimation has to fail.
        calls: File with a line for each computation.
    """

    def __init__(self, folder: Path, server: database.Server) -> None:
        self.folder, self.server = folder, server
        self.raw, self.processed = folder / "data" / "raw", folder / "processed"
        self.calls = folder / "calls.txt"
        self.expected_errors: set[int] = set()
        self.raw.mkdir(parents=True)
        os.environ["DLC_ROOT_DATA_DIR"] = str(folder / "data")
        os.environ["DLC_PROCESSED_DATA_DIR"] = str(self.processed)
        os.environ["DATABASE_PREFIX"] = PREFIX
        os.environ[scripted_engine.CALLS] = str(self.calls)
        server.configure_datajoint()
        from workflow_deeplabcut import pipeline

        self.pipeline: Any = pipeline
        model, train = pipeline.model, pipeline.train
        self.tables = (
            model.RecordingInfo, model.PoseEstimation, model.ModelEvaluation, train.ModelTraining,
        )  # fmt: skip
        self._recordings, self._trainings = itertools.count(1), itertools.count(1)
        self._models = itertools.count(1)
        self._register()

    def _register(self) -> None:
        pipeline, train = self.pipeline, self.pipeline.train
        declare_leases(dj.conn(), PREFIX)
        for schema in (pipeline.model.schema, train.schema):
            schema.jobs  # noqa: B018 -- declares ~jobs
        pipeline.subject.Subject.insert1(
            {"subject": "mouse1", "sex": "F", "subject_birth_date": "2026-01-01",
             "subject_description": ""}
        )  # fmt: skip
        pipeline.session.Session.insert1(SESSION)
        self.project = write_fake_project(self.folder / "data" / "open-ann-2026-01-01")
        synthetic.render_video(self.folder / "original.mp4", N_FRAMES, width=80, height=80, seed=1)
        train.VideoSet.insert1({"video_set_id": 1})
        for seed in range(N_SEEDS):
            params = {"shuffle": 1, "trainingsetindex": 0, "engine": "pytorch", "seed": seed}
            train.TrainingParamSet.insert_new_params("drill", params, seed)
        (key,) = self.add_trainings(1)
        with scripted_engine.in_place_of_pytorch():
            train.ModelTraining.populate(key)
        self.model_key = pipeline.model.Model.insert_from_training(key, MODEL)

    # --- tasks ------------------------------------------------------------------------------------

    def add_recordings(
        self, n: int, *, seconds: float | None = None, output_dir: str = ""
    ) -> list[int]:
        """Queue recordings, each with a video of its own, and their analysis.

        Args:
            n: How many.
            seconds: How long the analysis of each takes; None for some milliseconds.
            output_dir: Where results go, relative to the processed directory.
        """
        model = self.pipeline.model
        numbers = [next(self._recordings) for _ in range(n)]
        names = {number: self._name_video(number, seconds) for number in numbers}
        for name in names.values():
            os.link(self.folder / "original.mp4", self.raw / name)
        keys = [{**SESSION, "recording_id": number} for number in numbers]
        model.VideoRecording.insert({**key, "device": "Camera1"} for key in keys)
        model.VideoRecording.File.insert(
            {**key, "file_id": 1, "file_path": f"raw/{names[key['recording_id']]}"} for key in keys
        )
        task = {"task_mode": "trigger", "pose_estimation_output_dir": output_dir, **self.model_key}
        model.PoseEstimationTask.insert({**key, **task} for key in keys)
        return numbers

    @staticmethod
    def _name_video(number: int, seconds: float | None) -> str:
        return f"{number:05}.mp4" if seconds is None else f"{number:05}-takes-{seconds:g}.mp4"

    def add_trainings(self, n: int) -> list[dict[str, int]]:
        """Queue trainings, all on the one project."""
        keys = [
            {"video_set_id": 1, "paramset_idx": number % N_SEEDS, "training_id": number}
            for number in itertools.islice(self._trainings, n)
        ]
        self.pipeline.train.TrainingTask.insert(
            {**key, "project_path": self.project.name} for key in keys
        )
        return keys

    def add_models(self, n: int) -> None:
        """Register the model under further names; each of them is to be evaluated."""
        model = self.pipeline.model
        row = (model.Model & self.model_key).fetch1()
        parts = (model.Model.BodyPart & self.model_key).fetch("body_part")
        names = [f"scripted {next(self._models)}" for _ in range(n)]
        model.Model.insert({**row, "model_name": name} for name in names)
        model.Model.BodyPart.insert(
            {"model_name": name, "body_part": part} for name in names for part in parts
        )

    def refill(self, tables: Sequence[Any], wanted: int = 12) -> None:
        """Queue more work where a table has little left."""
        model, train = self.pipeline.model, self.pipeline.train
        if model.PoseEstimation in tables and self.count_pending(model.PoseEstimation) < wanted:
            self.add_recordings(3 * wanted)
        if model.ModelEvaluation in tables and self.count_pending(model.ModelEvaluation) < wanted:
            self.add_models(wanted)
        if train.ModelTraining in tables and self.count_pending(train.ModelTraining) < wanted:
            self.add_trainings(wanted)

    def count_pending(self, table: Any, *, with_waiting: bool = True) -> int:
        """Tasks that are neither recorded nor failed; also those that wait for another table's."""
        source = table().key_source
        if with_waiting and table.__name__ == "PoseEstimation":
            source = self.pipeline.model.PoseEstimationTask()
        errors = table().connection.schemas[table.database].jobs & {
            "table_name": table.table_name, "status": "error"}  # fmt: skip
        return len(source.proj()) - len(table()) - len(errors)

    def drain(
        self, tables: Sequence[Any] | None = None, seconds: float = 90, *, with_waiting: bool = True
    ) -> bool:
        """Wait until all work is recorded or failed; whether it is."""
        deadline = time.monotonic() + seconds
        tables = tables or self.tables
        while any(self.count_pending(table, with_waiting=with_waiting) > 0 for table in tables):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def count_attempts(self) -> int:
        """Folders of unfinished work, which dead workers leave and living ones remove."""
        return sum(len(list(folder.iterdir())) for folder in self.processed.rglob(".attempts"))

    def log(self, record: Record) -> Path:
        """File for what the workers of a drill say."""
        (self.folder / "logs").mkdir(exist_ok=True)
        return self.folder / "logs" / f"{record.name}.log"

    # --- the server -------------------------------------------------------------------------------

    def kill_server(self) -> bool:
        """Send the server SIGKILL, and wait until it is gone."""
        server = database.status(self.server.data_dir)
        if server is None:
            return False
        os.kill(server.pid, signal.SIGKILL)
        while database.status(self.server.data_dir) is not None:
            time.sleep(0.01)
        return True

    def start_server(self) -> None:
        started = database.start(self.server.data_dir)
        if started.port != self.server.port:
            raise RuntimeError("the server came back on another port")
        dj.conn().connect()

    @contextlib.contextmanager
    def asking(self) -> Iterator[Any]:
        """A cursor on a plain connection, beside all that is drilled."""
        with self.server.connect(autocommit=True) as connection, connection.cursor() as cursor:
            yield cursor


@contextlib.contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Build a lab in a folder, and stop its server at the end.

    Raises:
        PathError: The folder holds something else than earlier drills.
    """
    _clear(folder)
    with database.running(folder / "database") as server:
        yield Site(folder, server)


def _clear(folder: Path) -> None:
    """Empty a folder of what earlier drills left, even if they were killed."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in folder.iterdir()}
    if names and _MARKER not in names:
        raise PathError(
            f"'{folder}' holds files that are not the drills'. Name a folder that is new or empty."
        )
    (folder / _MARKER).touch()
    database.stop(folder / "database")
    if os.path.ismount(folder / "processed" / SMALL_DISK):
        subprocess.run(["umount", str(folder / "processed" / SMALL_DISK)], check=True)
    remove_lab(folder)
    shutil.rmtree(folder / "logs", ignore_errors=True)
    (folder / "summary.json").unlink(missing_ok=True)


def remove_lab(folder: Path) -> None:
    """Remove all but summary and logs."""
    for name in ("data", "database", "processed"):
        if (folder / name).exists():
            shutil.rmtree(folder / name)
    for name in ("calls.txt", "original.mp4"):
        (folder / name).unlink(missing_ok=True)

"""One pose estimation loaded from results that DeepLabCut wrote elsewhere.

Each video file of the recording gets its own result, by its name and the model's scorer; the table
must have a row for each decoded frame and the model's body parts, and DeepLabCut's notes beside it
(``_meta.pickle``) must name this model. Where there are no notes, only the scorer in name and
table vouches for the result; that is logged, and said in ``run_info``. Nothing is written to disk.
What a crop does to coordinates stands in `vouching`.

**Frames.** A tracker's file ends with the last frame in which it followed an animal. Where the
notes vouch for the frame count, the frames after it are filled with NaN. Any other table must have
exactly the video's frames. The count in PyTorch's notes is what the video's header promises; where
that differs from the decoded frames, the rows decide, and a warning is logged.

**Memory.** Of a long result only one trajectory is in memory at a time (`readers.columns`).

**Without a likelihood**, as in triangulated results, the stored likelihood is NaN throughout.
"""

from __future__ import annotations

import datetime
import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..blobs import shorten
from ..errors import ParameterError, ResultError, VideoError
from ..linking import Roots, show_path
from ..readers.columns import copy_file
from ..readers.pose import PoseTable, Track, parse_pose
from ..readers.result_files import ResultFiles, Wanted, choose_result
from ..readers.result_meta import ResultMeta, read_meta
from ..readers.untrusted import MAX_PICKLE_BYTES, read_bytes
from .inference import InferenceResult, RecordingFile
from .provenance import Stopwatch
from .vouching import ModelFacts, check_meta, check_table, find_crop

logger = logging.getLogger(__name__)

TASK_MODES = ("trigger", "load")


@dataclass(frozen=True)
class LoadingJob:
    """What the database says of a pose estimation to be loaded.

    Attributes:
        key: Primary key of the task.
        model: The model.
        files: The recording's files, in the order of `first_frame`.
        width: Frame width, px.
        height: Frame height, px.
        params: Checked pose estimation parameters, without the wish for a labeled video.
        folder: Folder of the results, relative to a root or the processed directory.
    """

    key: Mapping[str, Any]
    model: ModelFacts
    files: tuple[RecordingFile, ...]
    width: int
    height: int
    params: Mapping[str, Any]
    folder: str


@dataclass(frozen=True)
class _Loaded:
    """The result of one video file, and what is recorded of it."""

    table: PoseTable
    crop: list[int] | None
    finished_at: datetime.datetime
    facts: dict[str, Any]


def check_task_mode(params: Mapping[str, Any], task_mode: str) -> None:
    """Insist that checked parameters mean something in a task's mode.

    Raises:
        ParameterError: Some do not, or there is no such mode.
    """
    if task_mode not in TASK_MODES:
        raise ParameterError(
            f"task_mode is {task_mode!r}; it must be 'trigger' to compute, or 'load' to take "
            "existing results."
        )
    odd = ("batch_size", "dynamic", "exact", "precision") if task_mode == "load" else ("filtered",)
    given = [name for name in odd if params.get(name)]
    if given:
        why = {
            "load": "nothing is computed",
            "trigger": "the raw result is stored; filter with DeepLabCut and load that",
        }[task_mode]
        raise ParameterError(
            f"{' and '.join(given)} cannot be honoured with task_mode '{task_mode}': {why}. Leave "
            "it out."
        )


def run_loading(job: LoadingJob, roots: Roots) -> InferenceResult:
    """Load the results of a recording.

    Raises:
        ResultError: A result is missing, ambiguous, unsafe, damaged, or of another model.
        VideoError: It has another number of frames, or was made of another picture.
        PathError: The folder or a file is missing or leads out of the roots.
    """
    watch = Stopwatch()
    folder = roots.confine(roots.resolve(job.folder))
    if not folder.is_dir():
        raise ResultError(f"'{job.folder}' is a file. Give the folder that holds the results.")
    names = sorted(os.listdir(folder))
    loaded = [_load_file(file, job, names, folder, roots) for file in job.files]
    _check_together(job, loaded)
    provenance = watch.record(engine=job.model.engine, device="", versions={})
    run_info = {
        **provenance,
        "task_mode": "load",
        "folder": job.folder,
        "scorer": job.model.scorer,
        "sources": [one.facts for one in loaded],
    }
    n_frames = sum(file.n_frames for file in job.files)
    return InferenceResult(
        finished_at=max(one.finished_at for one in loaded),
        crop=loaded[0].crop,
        frame_index=np.arange(n_frames, dtype=np.int32),
        trajectories=_join([one.table for one in loaded]),
        run_info=run_info,
    )


# --- one file -------------------------------------------------------------------------------------


def _load_file(
    file: RecordingFile, job: LoadingJob, names: Sequence[str], folder: Path, roots: Roots
) -> _Loaded:
    model = job.model
    wanted = Wanted(
        PurePosixPath(file.path).stem,
        model.scorer,
        model.multi_animal,
        model.tracker,
        bool(job.params.get("filtered")),
    )

    def camera_scorers(name: str) -> dict[str, str]:
        try:
            return dict(_read_meta(folder / name, roots).camera_scorers)
        except ResultError:
            return {}  # of some other result; this one is not hindered by it

    chosen = choose_result(names, wanted, show_path(folder), camera_scorers)
    path = roots.confine(folder / chosen.pose)
    what = f"'{show_path(folder / chosen.pose)}'"
    with copy_file(path) as copy:
        table = parse_pose(copy.stream, chosen.pose.endswith(".csv"), what)
    meta = _read_meta(folder / chosen.meta, roots) if chosen.meta else None
    check_table(table, chosen.scorer, model, what)
    crop = None
    if not table.three_d:
        stated = job.params.get("cropping")
        crop = find_crop(meta, stated, model, job.width, job.height, what)
    if meta is None:
        logger.warning(
            "%s has no _meta.pickle: nothing but its scorer vouches for the model, and nothing "
            "but the task's parameters for the crop.", what,
        )  # fmt: skip
    elif not chosen.three_d:
        check_meta(meta, wanted.scorers, model, len(table.frames), what)
        _check_size(meta, crop, job, what)
    table = _fill(table, file, bool(chosen.tracker), meta, what)
    modified_at = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.timezone.utc)
    facts = {
        "file_id": file.file_id,
        "file": chosen.pose,
        "size": copy.size,
        "sha256": copy.sha256,
        "meta": chosen.meta,
        "vouched_by": "meta" if meta else "scorer",
        "generation": _guess_generation(chosen, meta),
        "scorer": table.scorer,
        "tracker": chosen.tracker.lstrip("_"),
        "filtered": wanted.filtered,
    }
    finished_at = meta.finished_at if meta and meta.finished_at else None
    return _Loaded(table, crop, finished_at or modified_at.replace(tzinfo=None), facts)


def _read_meta(path: Path, roots: Roots) -> ResultMeta:
    return read_meta(read_bytes(roots.confine(path), MAX_PICKLE_BYTES), f"'{show_path(path)}'")


def _check_size(meta: ResultMeta, crop: list[int] | None, job: LoadingJob, what: str) -> None:
    sizes = {(job.width, job.height)}
    if crop is not None:
        sizes.add((crop[1] - crop[0], crop[3] - crop[2]))
    if meta.frame_size is not None and meta.frame_size not in sizes:
        raise VideoError(
            f"{what} was made of a picture of {meta.frame_size[0]} x {meta.frame_size[1]} px, and "
            f"the recording has {job.width} x {job.height} px. It is of another video, or of a "
            "scaled copy; register the video that was analyzed."
        )


def _fill(
    table: PoseTable, file: RecordingFile, tracked: bool, meta: ResultMeta | None, what: str
) -> PoseTable:
    frames = table.frames
    if np.array_equal(frames, np.arange(file.n_frames)):
        return table
    counted = meta is not None and meta.n_frames == file.n_frames
    if not tracked or not counted or frames[-1] >= file.n_frames:
        raise VideoError(
            f"{what} has {len(frames)} rows (frames {frames[0]} to {frames[-1]}), and "
            f"'{file.path}' has {file.n_frames} frames. It is of another video, or the video "
            "changed; analyze it again with DeepLabCut."
        )
    return PoseTable(
        table.scorer,
        np.arange(file.n_frames),
        tuple(_spread_track(track, frames, file.n_frames) for track in table.tracks),
    )


def _spread_track(track: Track, frames: npt.NDArray[np.int64], n_frames: int) -> Track:
    def spread(read: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[np.floating[Any]]:
        values = read()
        longer = np.full(n_frames, np.nan, dtype=values.dtype)
        longer[frames] = values
        return longer

    columns = {name: functools.partial(spread, read) for name, read in track.columns.items()}
    return replace(track, columns=columns)


def _guess_generation(chosen: ResultFiles, meta: ResultMeta | None) -> str:
    if chosen.three_d:
        return "DeepLabCut triangulation"
    if (meta and meta.engine == "pytorch") or "_snapshot_" in chosen.scorer:
        return "DeepLabCut 3, PyTorch"
    if chosen.scorer.startswith("DeepCut"):
        return "DeepLabCut before 2.1, TensorFlow"
    if chosen.meta and chosen.meta.endswith("includingmetadata.pickle"):
        return "DeepLabCut 2.1, TensorFlow"
    return "DeepLabCut 2.1 or later, TensorFlow"


# --- all files together ---------------------------------------------------------------------------


def _check_together(job: LoadingJob, loaded: Sequence[_Loaded]) -> None:
    taken: dict[str, str] = {}
    for file, one in zip(job.files, loaded, strict=True):
        other = taken.setdefault(one.facts["file"], file.path)
        if other != file.path:
            raise ResultError(
                f"'{other}' and '{file.path}' have the same name, so '{one.facts['file']}' fits "
                "both: DeepLabCut takes the second for analyzed. Rename one video and analyze it "
                "again, or use task_mode 'trigger'."
            )
    first = loaded[0]
    for one in loaded[1:]:
        if one.crop != first.crop:
            raise ResultError(
                f"'{first.facts['file']}' was made with the crop {first.crop} and "
                f"'{one.facts['file']}' with {one.crop}. Analyze the files of one recording with "
                "one crop."
            )
        if _list_tracks(one.table) != _list_tracks(first.table):
            raise ResultError(
                f"'{first.facts['file']}' and '{one.facts['file']}' differ in their individuals or "
                "coordinates. Track the files of one recording with the same settings."
            )


def _list_tracks(table: PoseTable) -> set[tuple[str, str, bool]]:
    return {(track.individual, track.body_part, table.three_d) for track in table.tracks}


def _join(tables: Sequence[PoseTable]) -> list[LoadedTrajectory]:
    lookups = [
        {(track.individual, track.body_part): track for track in table.tracks} for table in tables
    ]
    return [
        LoadedTrajectory(
            track.individual,
            track.body_part,
            tuple(lookup[track.individual, track.body_part] for lookup in lookups),
            sum(len(table.frames) for table in tables),
        )
        for track in tables[0].tracks
    ]


@dataclass(frozen=True)
class LoadedTrajectory:
    """A `Trajectory` out of result files, whose numbers are read when they are asked for.

    Attributes:
        individual: Name; '' for a single animal.
        body_part: Name.
        tracks: The same body part in each file.
        n_frames: Frames of all files.
    """

    individual: str
    body_part: str
    tracks: tuple[Track, ...]
    n_frames: int

    @property
    def x(self) -> npt.NDArray[np.floating[Any]]:
        """Floating point, shape (n_frames,), px as DeepLabCut wrote them."""
        return self._read("x")

    @property
    def y(self) -> npt.NDArray[np.floating[Any]]:
        """Likewise."""
        return self._read("y")

    @property
    def z(self) -> npt.NDArray[np.floating[Any]] | None:
        """Third coordinate, where there is one."""
        return self._read("z") if "z" in self.tracks[0].columns else None

    @property
    def likelihood(self) -> npt.NDArray[np.floating[Any]]:
        """Likewise, in [0, 1]; NaN where the files have none."""
        if "likelihood" in self.tracks[0].columns:
            return self._read("likelihood")
        return np.full(self.n_frames, np.nan, np.float32)

    def _read(self, name: str) -> npt.NDArray[np.floating[Any]]:
        parts = [track.columns[name]() for track in self.tracks]
        return shorten(parts[0] if len(parts) == 1 else np.concatenate(parts))

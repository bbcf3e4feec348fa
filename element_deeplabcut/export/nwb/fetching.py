"""What the database says of the pose estimations that are to go into a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ... import model
from ...errors import PathError, QueryError
from ...linking import Roots
from ...model.activation import get_linked
from ...pose import Pose
from ...tables import explain_not_one
from .estimation import Estimation

logger = logging.getLogger(__name__)


def pick_keys(restriction: Any) -> list[dict[str, Any]]:
    """List the pose estimations that go into the files of one session.

    Args:
        restriction: Key, or any restriction of ``PoseEstimation``.

    Raises:
        QueryError: It matches none, those of several sessions, or several of one recording.
    """
    query = model.PoseEstimation() & restriction
    keys: list[dict[str, Any]] = query.fetch("KEY", order_by="KEY")
    if not keys:
        raise explain_not_one(query, "PoseEstimation")
    find_session_key(keys)
    taken: dict[tuple[Any, ...], str] = {}
    for key in keys:
        recording = tuple(key[name] for name in model.VideoRecording.primary_key)
        other = taken.setdefault(recording, key["model_name"])
        if other != key["model_name"]:
            raise QueryError(
                f"Recording {key['recording_id']} was analyzed with '{other}' and with "
                f"'{key['model_name']}', and a file takes one. Restrict it by model_name."
            )
    return keys


def find_session_key(keys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Find the one session that estimations belong to.

    Raises:
        QueryError: There are several.
    """
    names = get_linked("Session").primary_key
    sessions = {tuple(key[name] for name in names) for key in keys}
    if len(sessions) > 1:
        raise QueryError(
            f"The restriction matches pose estimations of {len(sessions)} sessions, and a file "
            "holds one. Restrict it to one session."
        )
    return dict(zip(names, sessions.pop(), strict=True))


def fetch_session(session_key: Mapping[str, Any]) -> dict[str, Any]:
    """Fetch a session's row."""
    return (get_linked("Session") & session_key).fetch1()


def fetch_estimation(key: Mapping[str, Any], *, full_frame: bool = True) -> Estimation:
    """Fetch one pose estimation.

    Raises:
        QueryError: The key matches none, or several.
    """
    pose = model.PoseEstimation.get_pose(key, full_frame=full_frame)
    row = (model.PoseEstimation() & pose.key).fetch1()
    used = (model.Model() & pose.key).fetch1()
    task = (model.PoseEstimationTask() & pose.key).fetch1()
    recording = {name: pose.key[name] for name in model.VideoRecording.primary_key}
    recorded_at = (model.RecordingInfo() & recording).fetch("recording_datetime")
    camera, camera_description = _fetch_camera(recording)
    parts = model.BodyPart() & [{"body_part": part} for part in pose.body_parts]
    descriptions = zip(*parts.fetch("body_part", "body_part_description"), strict=True)
    roots = model.get_roots()
    return Estimation(
        pose=pose,
        recording=recording,
        camera=camera,
        camera_description=camera_description,
        model_name=used["model_name"],
        software_version=row["run_info"].get("deeplabcut"),
        finished_at=row["pose_estimation_time"],
        recorded_at=recorded_at[0] if len(recorded_at) else None,
        provenance=_list_provenance(row, used, task),
        part_descriptions=dict(descriptions),
        videos=tuple(_find_video(file.path, roots) for file in pose.files),
        labeled_videos=_find_labeled_videos(pose, roots),
    )


def _list_provenance(
    row: Mapping[str, Any], used: Mapping[str, Any], task: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "model_name": used["model_name"],
        "bundle_hash": used["bundle_hash"],
        "snapshot": used["snapshot"],
        "engine": used["engine"],
        "shuffle": used["shuffle"],
        "task_mode": task["task_mode"],
        "pose_estimation_params": task["pose_estimation_params"],
        "run_info": row["run_info"],
    }


def _fetch_camera(recording: Mapping[str, Any]) -> tuple[str, str]:
    """Name the linked device and say what the lab's table says of it, whatever its columns are."""
    table = get_linked("Device")
    row = ((model.VideoRecording() & recording) * table()).fetch1()
    name = "_".join(str(row[column]) for column in table.primary_key)
    texts = [
        f"{column}: {row[column]}"
        for column in table.heading.secondary_attributes
        if isinstance(row[column], str) and row[column].strip()
    ]
    return name, "; ".join(texts)


def _find_video(path: str, roots: Roots) -> Path:
    """Find a file of the recording; one that is not on this machine is linked to nevertheless."""
    try:
        return roots.resolve(path)
    except PathError as error:
        guess = roots.data[0] / path
        logger.warning(
            "The NWB file links to '%s', which cannot be opened on this machine: %s", guess, error
        )
        return guess


def _find_labeled_videos(pose: Pose, roots: Roots) -> tuple[Path, ...]:
    """Find the labeled videos, if there is one for each file of the recording."""
    rows = (model.LabeledVideo.File() & pose.key).fetch("file_id", "labeled_video_path")
    paths = dict(zip(*rows, strict=True))
    if not paths or not all(file.file_id in paths for file in pose.files):
        return ()
    found = tuple(roots.processed / paths[file.file_id] for file in pose.files)
    for path in found:
        if not path.is_file():
            logger.warning("The NWB file links to '%s', which is not on this machine.", path)
    return found

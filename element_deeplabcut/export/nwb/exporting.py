"""From the tables to NWB files: what a user calls."""

from __future__ import annotations

import datetime
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ...errors import ParameterError
from ...optional import import_optional
from ...version import __version__
from .assembly import Placement, add_estimation
from .elements import create_file, fetch_note
from .estimation import Estimation
from .fetching import fetch_estimation, fetch_session, find_session_key, pick_keys
from .files import plan_files, write_files
from .metadata import build_subject, check_fields, check_session, find_start, read_zone
from .names import name_objects
from .objects import EXTRA
from .subjects import describe_subjects, pick_animals, pick_one_animal

if TYPE_CHECKING:
    import ndx_pose
    import pynwb

Times = Sequence[float] | npt.NDArray[Any]


def export_pose_nwb(
    key: Any,
    output_path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    individuals: str | Sequence[str] | None = None,
    full_frame: bool = True,
    timezone: str | datetime.tzinfo | None = None,
    session: Mapping[str, Any] | None = None,
    subject: Mapping[str, Any] | None = None,
    subjects: Mapping[str, Mapping[str, Any]] | None = None,
    starting_time: float | Mapping[int, float] | None = None,
    timestamps: Times | Mapping[int, Times] | None = None,
    lab_key: Mapping[str, Any] | None = None,
    project_key: Mapping[str, Any] | None = None,
    protocol_key: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the poses of a session to NWB, one file per animal.

    Where the linked tables are those of element-session and element-animal, their own NWB
    functions describe session and subject; what is given here comes first. Everything is checked
    before anything is written.

    Args:
        key: Restriction of ``PoseEstimation`` to one session and at most one estimation per
            recording. Each becomes a ``PoseEstimation`` of its camera: of that name if it is the
            only one, else ``PoseEstimation<camera>``.
        output_path: File to write, ``.nwb``. With several animals their names are added to it.
        overwrite: Replace files that are there.
        individuals: Animals to write; None for all.
        full_frame: Give x and y in pixels of the whole frame; False counts from the crop that was
            analyzed.
        timezone: Zone of the session's start in the database, which holds none (``"UTC"``,
            ``"Europe/London"``).
        session: Fields of ``pynwb.NWBFile``: ``session_start_time``, ``session_description``,
            ``experimenter`` and so on.
        subject: Fields of ``pynwb.file.Subject``: ``subject_id``, ``sex``, ``species``, ``age`` or
            ``date_of_birth`` and so on.
        subjects: The same for each individual of a multi-animal model. A ``subject_id`` of the
            lab's own table is enough where that is element-animal's.
        starting_time: When the recording started, in seconds from the session's start; of several
            recordings: recording_id -> seconds. Left out, recordings are taken to start with the
            session, and the file says so.
        timestamps: Measured time of each frame of the recording, likewise from the session's start;
            of several: recording_id -> times. Left out, the recording's exact rate is written.
        lab_key: Key of element-lab's ``Lab``, to name lab and institution.
        project_key: Key of its ``Project``.
        protocol_key: Key of its ``Protocol``.

    Returns:
        The files written, in the order of the individuals.

    Raises:
        SetupError: pynwb or ndx-pose is not installed.
        QueryError: The key matches nothing or too much, or there is no such individual.
        MetadataError: Nobody says when the session started, in which time zone, or who the
            subject is.
        ParameterError: A recording has no frame rate, or times do not fit it.
        PathError: A file is there already, or its folder is not.
    """
    import_optional("ndx_pose", EXTRA)
    keys = pick_keys(key)
    session_key = find_session_key(keys)
    zone = read_zone(timezone)
    said = check_fields("session", session)
    start = find_start(said, fetch_session(session_key), zone)
    zone = zone or start.tzinfo
    given = check_session(said, zone)
    estimations = _tell_cameras_apart(
        [fetch_estimation(one, full_frame=full_frame) for one in keys]
    )
    animals = pick_animals(estimations, individuals)
    files = plan_files(output_path, animals, overwrite)
    placements = _place(estimations, Path(output_path).parent, starting_time, timestamps)
    who = describe_subjects(estimations, animals, session_key, subject, subjects)
    nwbfiles = {}
    for animal, path in files.items():
        fields = {
            "session_description": fetch_note(session_key) or _describe(session_key),
            "was_generated_by": [["element-deeplabcut", __version__]],
            **given,
            "session_start_time": start,
            "identifier": _identify(given, animal if len(files) > 1 else ""),
            "subject": build_subject(who[animal], zone, animal),
        }
        nwbfiles[path] = create_file(
            session_key, fields,
            {"lab_key": lab_key, "project_key": project_key, "protocol_key": protocol_key},
        )  # fmt: skip
        for estimation, placement in zip(estimations, placements, strict=True):
            if animal in estimation.animals:
                add_estimation(nwbfiles[path], estimation, animal, placement)
    write_files(nwbfiles)
    return list(files.values())


def add_pose_to_nwb(
    nwbfile: pynwb.NWBFile,
    key: Any,
    *,
    individual: str | None = None,
    label: str = "",
    full_frame: bool = True,
    folder: str | os.PathLike[str] | None = None,
    starting_time: float | None = None,
    timestamps: Times | None = None,
    source_video: pynwb.image.ImageSeries | None = None,
) -> ndx_pose.PoseEstimation:
    """Add one pose estimation to an NWB file that other Elements, or the lab, build.

    Args:
        nwbfile: The file, in memory.
        key: Restriction of ``PoseEstimation`` to exactly one.
        individual: Whose poses; may be left out where there is only one animal.
        label: What tells it apart from poses of other cameras: ``PoseEstimation<label>``.
        full_frame: As for `export_pose_nwb`.
        folder: Folder the file will be in, which links to videos are relative to; None for
            absolute links.
        starting_time: When the recording started, in seconds from the session's start; None takes
            it for the session's start, and the file says so.
        timestamps: Measured time of each frame of the recording, s.
        source_video: Original video, if it is in the file already.

    Returns:
        What was added to the module ``behavior``.

    Raises:
        SetupError: pynwb or ndx-pose is not installed.
        QueryError: The key matches none or several, or there is no such individual.
        ParameterError: The label is taken, the recording has no frame rate, or times do not fit.
    """
    import_optional("ndx_pose", EXTRA)
    estimation = fetch_estimation(key, full_frame=full_frame)
    animal = pick_one_animal(estimation, individual)
    placement = Placement(
        label, None if folder is None else Path(folder), starting_time, timestamps
    )
    return add_estimation(nwbfile, estimation, animal, placement, source_video)


# --- which times, which names ---------------------------------------------------------------------


def _tell_cameras_apart(estimations: list[Estimation]) -> list[Estimation]:
    """Name cameras so that NWB can hold the names and no two become one."""
    names = name_objects(dict.fromkeys(one.camera for one in estimations))
    return [replace(one, camera=names[one.camera]) for one in estimations]


def _place(
    estimations: Sequence[Estimation], folder: Path, starting_time: Any, timestamps: Any
) -> list[Placement]:
    """Find a label and the times of each recording.

    Raises:
        ParameterError: Times are of other recordings than those exported, or recordings of one
            camera would start together.
    """
    ids = [one.recording["recording_id"] for one in estimations]
    starts = _share_out(starting_time, ids, "starting_time")
    times = _share_out(timestamps, ids, "timestamps")
    cameras = [one.camera for one in estimations]
    placements = []
    for number, camera in zip(ids, cameras, strict=True):
        label = ""
        if len(ids) > 1:
            label = camera if cameras.count(camera) == 1 else f"{camera}_{number}"
        placement = Placement(label, folder, starts.get(number), times.get(number))
        if placement.is_assumed and cameras.count(camera) > 1:
            raise ParameterError(
                f"Several recordings are by '{camera}', so they cannot all start with the session. "
                f"Give starting_time={{{number}: seconds, ...}}."
            )
        placements.append(placement)
    return placements


def _share_out(value: Any, ids: Sequence[int], what: str) -> dict[int, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        if len(ids) > 1:
            raise ParameterError(
                f"There are the recordings {', '.join(map(str, ids))}. Give {what} for each: "
                f"{what}={{{ids[0]}: ...}}."
            )
        return {ids[0]: value}
    unknown = [number for number in value if number not in ids]
    if unknown:
        raise ParameterError(
            f"{what} names recording {unknown[0]}; those exported are {', '.join(map(str, ids))}."
        )
    return dict(value)


def _describe(session_key: Mapping[str, Any]) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in session_key.items())
    return f"Poses predicted from the video recordings of a session ({facts})."


def _identify(given: Mapping[str, Any], animal: str) -> str:
    """Identify a file; two of one session must not share an identifier."""
    if "identifier" not in given:
        return str(uuid.uuid4())
    return f"{given['identifier']}_{animal}" if animal else str(given["identifier"])

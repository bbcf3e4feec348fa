"""Which file of a folder is the result of one video by one model.

DeepLabCut names a result ``<video's stem><scorer>[_<tracker>][_filtered].h5`` (or ``.csv``). It
finds one again by the beginning of its name, which takes ``mouse10`` for ``mouse1`` and a network
of 10000 iterations for one of 1000. Here the whole name must fit. Up to DeepLabCut 2.1 scorers
began with ``DeepCut``. A triangulated result bears the name of a pair of videos and a scorer of its
own; its notes say which models it is from.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import ResultError
from ..linking import show_path

TRACKERS = {"ellipse": "_el", "box": "_bx", "skeleton": "_sk", "ctd": "_ctd", "transformer": "_tr"}
"""DeepLabCut's names for its trackers, and what they add to a file's name."""

_FORMATS = (".h5", ".csv")
_META_NAMES = ("_meta.pickle", "includingmetadata.pickle", "_includingmetadata.pickle")
_N_SHOWN = 4

CameraScorers = Callable[[str], dict[str, str]]
"""Reads the scorer of each camera from the notes of that name; empty if it is no triangulation."""


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    Attributes:
        stem: Name of the video without its ending.
        scorer: DeepLabCut's name for the model.
        multi_animal: Whether the model tells animals apart, so that a tracker may have run.
        tracker: Tracker that the model's config prefers.
        filtered: Whether the filtered result is wanted instead of the raw one.
    """

    stem: str
    scorer: str
    multi_animal: bool = False
    tracker: str = ""
    filtered: bool = False

    @property
    def scorers(self) -> tuple[str, ...]:
        """The scorer, and how DeepLabCut spelled it up to version 2.1."""
        legacy = f"DeepCut{self.scorer[3:]}" if self.scorer.startswith("DLC_") else None
        return (self.scorer, legacy) if legacy else (self.scorer,)


@dataclass(frozen=True)
class ResultFiles:
    """The files of one result, by name.

    Attributes:
        pose: The table.
        meta: DeepLabCut's notes on it, where they are there.
        scorer: Scorer that the table must bear.
        tracker: What the tracker added to the name; '' where none ran.
        three_d: Whether it was found as the triangulation of two videos.
    """

    pose: str
    meta: str | None
    scorer: str
    tracker: str = ""
    three_d: bool = False


def choose_result(
    names: Sequence[str], wanted: Wanted, folder: str, camera_scorers: CameraScorers
) -> ResultFiles:
    """Choose the result of one video among the files of a folder.

    Args:
        names: Names of the files.
        wanted: Video and model.
        folder: How messages call the folder.
        camera_scorers: Reads the notes of a triangulation.

    Raises:
        ResultError: There is none, or several fit; the message names what was looked for.
    """
    present = frozenset(names)
    found = _find_plain(present, wanted) or _find_triangulated(present, wanted, camera_scorers)
    if len(found) > 1:
        listing = ", ".join(f"'{show_path(result.pose)}'" for result in found)
        raise ResultError(
            f"Several results in '{folder}' fit the video '{wanted.stem}' and the model "
            f"'{wanted.scorer}': {listing}. Move those you do not want to another folder."
        )
    if not found:
        raise ResultError(_explain_missing(present, wanted, folder))
    return found[0]


def _find_plain(names: frozenset[str], wanted: Wanted) -> list[ResultFiles]:
    found = []
    for scorer in wanted.scorers:
        for tracker in (*TRACKERS.values(), "") if wanted.multi_animal else ("",):
            start = f"{wanted.stem}{scorer}"
            pose = _with_format(names, f"{start}{tracker}" + "_filtered" * wanted.filtered)
            if pose is not None:
                found.append(ResultFiles(pose, _find_meta(names, start), scorer, tracker))
    # Detections that no tracker has sorted by animal are second best.
    found = [result for result in found if result.tracker] or found
    preferred = [r for r in found if r.tracker and r.tracker == TRACKERS.get(wanted.tracker)]
    return preferred or found


def _find_triangulated(
    names: frozenset[str], wanted: Wanted, camera_scorers: CameraScorers
) -> list[ResultFiles]:
    found = []
    for start in sorted({_without_format(name) for name in names} if not wanted.filtered else ()):
        meta, pose = _find_meta(names, start), _with_format(names, start)
        if meta is None or pose is None:
            continue
        for camera, scorer in camera_scorers(meta).items():
            pair = _name_pair(wanted.stem, camera)
            if scorer in wanted.scorers and pair and start.startswith(f"{pair}_"):
                own_scorer = start[len(pair) + 1 :]
                found.append(ResultFiles(pose, meta, own_scorer, three_d=True))
                break
    return found


def _name_pair(stem: str, camera: str) -> str:
    """Name a pair of videos as DeepLabCut's triangulation does: without the camera."""
    if not camera or camera not in stem:
        return ""
    before, after = stem.split(camera)[0], stem.split(camera)[-1]
    before = before[:-1] if before.endswith(("_", "-")) else before
    after = after[1:] if after.startswith(("_", "-")) else after
    return "_".join(part for part in (before, after) if part)


def _with_format(names: frozenset[str], start: str) -> str | None:
    return next((start + ending for ending in _FORMATS if start + ending in names), None)


def _without_format(name: str) -> str:
    return next((name[: -len(end)] for end in _FORMATS if name.endswith(end)), name)


def _find_meta(names: frozenset[str], start: str) -> str | None:
    return next((start + ending for ending in _META_NAMES if start + ending in names), None)


def _explain_missing(names: frozenset[str], wanted: Wanted, folder: str) -> str:
    start = f"{wanted.stem}{wanted.scorer}"
    looked_for = f"{start}{'_filtered' * wanted.filtered}.h5"
    text = f"'{folder}' holds no result of the video '{wanted.stem}' by the model: '{looked_for}' "
    text += "(or .csv) was looked for" + (", also with a tracker" if wanted.multi_animal else "")
    text += ", and is not there. "
    other = f"{start}{'' if wanted.filtered else '_filtered'}"
    if _with_format(names, other) and wanted.filtered:
        return text + "Only the raw result is; leave out filtered."
    if _with_format(names, other):
        return text + "Only the filtered one is; ask for it with {'filtered': True}."
    if f"{start}_full.pickle" in names and wanted.multi_animal:
        return text + "Only the detections are; run DeepLabCut's tracking (stitch_tracklets) first."
    tables = sorted(name for name in names if name.endswith(_FORMATS))
    own = [name for name in tables if name.startswith(f"{wanted.stem}D")]
    near = own or difflib.get_close_matches(looked_for, tables, n=_N_SHOWN, cutoff=0.3)
    if not near:
        return text + "There is no table at all; check pose_estimation_output_dir."
    listing = ", ".join(f"'{show_path(name)}'" for name in near[:_N_SHOWN])
    return text + f"Nearest there: {listing}. Check the folder, the model, and the video's name."

"""The sentences a file says about its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...pose import Pose
from ...store.files import dump_json
from .estimation import UNIQUE

if TYPE_CHECKING:
    from .estimation import Estimation

_UNITS = {
    "px": "pixels",
    "um": "micrometers",
    "mm": "millimeters",
    "cm": "centimeters",
    "m": "meters",
    "unknown": "n.a.",  # NWB's word for a unit that nobody knows
}


def name_unit(pose: Pose) -> str:
    """Spell the unit of a pose's coordinates as NWB does."""
    return _UNITS.get(pose.unit, pose.unit)


def describe_frame_of_reference(pose: Pose) -> str:
    """Say where (0, 0) is."""
    if len(pose.space) == 3:
        return "(0, 0, 0) and the axes are those of DeepLabCut's calibration of the cameras."
    if pose.crop is None or pose.full_frame:
        where = "the whole video frame"
    else:
        x1, x2, y1, y2 = pose.crop
        where = f"the crop of the video frame that was analyzed (x {x1} to {x2}, y {y1} to {y2} px)"
    return f"(0, 0) is the centre of the top left pixel of {where}; x points right and y down."


def define_confidence(pose: Pose) -> str:
    """Say what the likelihood is."""
    return (
        "Likelihood by DeepLabCut, from 0 to 1: how strongly the network's score map responds at "
        f"the predicted position. The model's config trusts points from {pose.p_cutoff:g} on "
        "(pcutoff)."
    )


def describe_part(part: str, individual: str, description: str) -> str:
    """Say what a series holds."""
    of = f" of '{individual}'" if individual and individual != UNIQUE else ""
    said = f" {description.rstrip('.')}." if description else ""
    return f"Position of the body part '{part}'{of} in each frame.{said}"


def describe_pose(pose: Pose, individual: str = "") -> str:
    """Say how poses came to be, of a pose alone."""
    animal = f" of the individual '{individual}'" if individual else ""
    if individual == UNIQUE:
        animal = " of points that belong to no individual"
    crop = ""
    if pose.crop is not None:
        x1, x2, y1, y2 = pose.crop
        shift = "the whole frame" if pose.full_frame else "the crop"
        crop = (
            f" Only the crop x {x1} to {x2}, y {y1} to {y2} px was analyzed; coordinates count "
            f"from the corner of {shift}."
        )
    return f"Poses{animal}, predicted from video by DeepLabCut with '{pose.scorer}'.{crop}"


def describe_estimation(
    estimation: Estimation, individual: str = "", *, start_assumed: bool = False
) -> str:
    """Say how poses came to be, with all that the database knows, the last part as JSON."""
    assumed = ""
    if start_assumed:
        assumed = (
            " When the recording started within the session is not recorded: its first frame is "
            "taken for the session's start."
        )
    model = f" Model: '{estimation.model_name}'." if estimation.model_name else ""
    finished = ""
    if estimation.finished_at is not None:
        finished = f" Predicted {estimation.finished_at.isoformat()} UTC."
    provenance = ""
    if estimation.provenance:
        provenance = f" Provenance: {dump_json(estimation.provenance)}"
    return describe_pose(estimation.pose, individual) + model + finished + assumed + provenance


def comment_series(estimation: Estimation) -> str:
    """Name the model in a series, for those who take a series out of its file."""
    bundle = estimation.provenance.get("bundle_hash")
    facts = [f"model '{estimation.model_name}'"] if estimation.model_name else []
    facts += [f"model bundle {bundle}"] if bundle else []
    facts += [f"scorer {estimation.pose.scorer}"]
    return ", ".join(facts)


def describe_video(estimation: Estimation, labeled: bool) -> str:
    """Say what a video shows."""
    if labeled:
        return (
            f"Video by {estimation.camera} with the predicted body parts drawn in, frame by frame; "
            "times are those of the recording."
        )
    recorded = ""
    if estimation.recorded_at is not None:
        recorded = (
            f" The video file's metadata say that it was made {estimation.recorded_at.isoformat()} "
            "UTC."
        )
    return f"Video by {estimation.camera} that poses were predicted from.{recorded}"

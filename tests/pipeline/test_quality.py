"""PoseQuality in the tables: verdicts on scripted and on real poses, and what they restrict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from element_deeplabcut.errors import ParameterError, QueryError

from ..conftest import Lab
from ..motions import line
from .scripted import load_pose


def rigid(n_frames: int = 100) -> np.ndarray:
    nose = line(n_frames, (30, 0), (50, 50))
    return np.stack([nose, nose - [0, 10]], axis=1)


def test_a_verdict_restricts_what_is_processed(lab: Lab, scripted: Any) -> None:
    report, kinematics = lab.pipeline.report, lab.pipeline.kinematics
    likelihood = np.ones((100, 2))
    likelihood[20:80, 0] = 0.1
    good, bad = load_pose(lab, rigid()), load_pose(lab, rigid(), likelihood)
    thresholds = {"quality_paramset_idx": report.QualityParamSet.insert_default()}
    report.PoseQuality.populate([good, bad], thresholds)
    assert (report.PoseQuality & good & thresholds).fetch1("verdict", "reason") == ("PASS", "")
    assert (report.PoseQuality & bad & thresholds).fetch1("verdict", "reason") == (
        "FAIL", "nose: only 40.0% of the frames above p-cutoff; not seen for 2 s.",
    )  # fmt: skip
    rows = (report.PoseQuality.BodyPart & bad).fetch(as_dict=True, order_by="body_part")
    assert [row["part_verdict"] for row in rows] == ["FAIL", "PASS"]
    assert rows[0]["share_above_cutoff"] == pytest.approx(0.4)
    assert (rows[0]["longest_gap_frames"], rows[0]["longest_gap"]) == (60, 2.0)
    assert (rows[1]["jump_rate"], rows[1]["limb_outlier_share"]) == (0, 0)

    index = kinematics.KinematicsParamSet.insert_new_params("quality", {"max_gap": 1})
    params = {"kinematics_paramset_idx": index}
    kinematics.ProcessedPose.populate(
        [good, bad], params, report.PoseQuality & thresholds & "verdict='PASS'"
    )
    assert kinematics.ProcessedPose & good & params
    assert not kinematics.ProcessedPose & bad & params


def test_thresholds_are_checked_and_kept_once(lab: Lab) -> None:
    table = lab.pipeline.report.QualityParamSet
    index = table.insert_new_params("strict", {"p_cutoff": 0.9})
    assert table.insert_new_params("again", {"p_cutoff": 0.9}) == index
    assert (table & {"quality_paramset_idx": index}).fetch1("params")["jump_length"] == 0.1
    assert table.insert_default() == table.insert_default() != index
    with pytest.raises(ParameterError, match="Did you mean 'p_cutoff'"):
        table.insert_new_params("wrong", {"pcutoff": 0.9})


def test_an_unknown_body_part_is_refused(lab: Lab, scripted: Any) -> None:
    report = lab.pipeline.report
    key = load_pose(lab, rigid(10))
    index = report.QualityParamSet.insert_new_params("nose only", {"body_parts": ["noze"]})
    with pytest.raises(QueryError, match="Did you mean 'nose'"):
        report.PoseQuality.populate(key, {"quality_paramset_idx": index})
    assert not report.PoseQuality & key
    (report.QualityParamSet & {"quality_paramset_idx": index}).delete(safemode=False)


@pytest.mark.dlc
def test_a_real_pose_of_a_good_network(lab: Lab, estimated: dict[str, Any]) -> None:
    """Its limbs keep their length and it stays in the picture; the tiny network is unsure."""
    report = lab.pipeline.report
    index = report.QualityParamSet.insert_new_params(
        "real", {"p_cutoff": 0.4, "share_above_warn": 0.8}
    )
    key = {**estimated, "quality_paramset_idx": index}
    report.PoseQuality.populate(key)
    likelihood = lab.pipeline.model.PoseEstimation.get_pose(estimated).likelihood
    rows = (report.PoseQuality.BodyPart & key).fetch(as_dict=True)
    assert len(rows) == 4
    parts = lab.pipeline.model.PoseEstimation.get_pose(estimated).body_parts
    for row in rows:
        above = (likelihood[:, parts.index(row["body_part"]), 0] >= 0.4).mean()
        assert row["share_above_cutoff"] == pytest.approx(above)
        assert row["out_of_frame_share"] == 0
        assert row["jump_rate"] == 0
    assert (report.PoseQuality & key).fetch1("verdict") in ("PASS", "WARN")

"""Restrictions choose: DataJoint takes whatever names no column of a table for true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import datajoint as dj
import numpy as np
import pandas as pd
import pytest

from element_deeplabcut.errors import QueryError
from element_deeplabcut.progress import INFERENCE, TRAINING, announced, show_frames, show_training

from ..conftest import TRAINING_PARAMS, Lab


@pytest.fixture
def begun(lab: Lab, scripted: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Keys of a training and of an inference that were begun, beside one more of each."""
    train, model = lab.pipeline.train, lab.pipeline.model
    trainings = [lab.add_training(number, TRAINING_PARAMS) for number in (1260, 1261)]
    analyses = []
    for number in (1260, 1261):
        recording = lab.add_recording(number, lab.new_video)
        analyses.append(model.PoseEstimationTask.generate({**recording, **scripted}))
    for key in trainings:
        with announced(TRAINING, key), show_training("", "pytorch", 0, "cuda:7"):
            pass
    for key in analyses:
        with announced(INFERENCE, key), show_frames("", 10, "pytorch", "cuda:7"):
            pass
    yield trainings[0], analyses[0]
    (model.VideoRecording & analyses).delete(safemode=False)
    (train.TrainingTask & trainings).delete(safemode=False)


def listed(lab: Lab, restriction: Any) -> list[tuple[str, Any]]:
    """What is listed of the fixture's tasks: table and number, sorted."""
    found = [
        (one.table, one.key.get("training_id", one.key.get("recording_id")))
        for one in lab.pipeline.report.list_progress(restriction)
    ]
    return sorted(one for one in found if one[1] in (1260, 1261))


TRAINED, ANALYZED = ("ModelTraining", 1260), ("PoseEstimation", 1260)


def test_a_restriction_of_one_kind_of_task_lists_none_of_the_other(
    lab: Lab, begun: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    train, model, (training, analysis) = lab.pipeline.train, lab.pipeline.model, begun
    for restriction in (
        training, "training_id=1260", {"training_id": 1260}, [training],
        train.TrainingTask & "training_id=1260",
        dj.AndList(["training_id=1260", "state='finished'"]),
        (train.TrainingTask & training).fetch("KEY", as_dict=False),
        (train.TrainingTask & training).fetch()[0],
        (train.TrainingTask & training).fetch(format="frame"),
    ):  # fmt: skip
        assert listed(lab, restriction) == [TRAINED], restriction
    for restriction in (
        analysis, "recording_id=1260", {"recording_id": 1260}, [analysis],
        model.PoseEstimationTask & "recording_id=1260",
        model.VideoRecording & "recording_id=1260",  # it has a column `device`, as progress has
        dj.AndList([{"recording_id": 1260}, "state='finished'"]),
    ):  # fmt: skip
        assert listed(lab, restriction) == [ANALYZED], restriction


def test_a_restriction_of_both_lists_both(
    lab: Lab, begun: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    training, analysis = begun
    everything = sorted(
        (name, number) for name, _ in (TRAINED, ANALYZED) for number in (1260, 1261)
    )
    for restriction in (True, {}, "device='cuda:7'", {"device": "cuda:7"}, dj.AndList()):
        assert listed(lab, restriction) == everything, restriction
    for restriction in (
        [training, analysis], ["training_id=1260", "recording_id=1260"],
        [{"training_id": 1260}, lab.pipeline.model.PoseEstimationTask & analysis],
        (part for part in begun),
    ):  # fmt: skip
        assert listed(lab, restriction) == [TRAINED, ANALYZED], restriction
    assert listed(lab, dj.AndList([training, analysis])) == []
    assert ("ModelTraining", 1261) in listed(lab, dj.Not({"training_id": 1260}))
    assert TRAINED not in listed(lab, dj.Not({"training_id": 1260}))


@pytest.mark.parametrize(
    "restriction",
    [{"trainingid": 3}, "trainingid=3", "Training_Id_=3", "training_id=", [{"trainingid": 3}],
     dj.AndList([{"state": "failed"}, {"trainingid": 3}]), dj.Not({"trainingid": 3}),
     {"training_id": 3, "recording_id": 3}, pd.DataFrame({"trainingid": [3]}),
     np.array([(3,)], dtype=[("trainingid", int)])],
)  # fmt: skip
def test_what_fits_neither_kind_of_task_is_refused(lab: Lab, restriction: Any) -> None:
    with pytest.raises(QueryError, match=r"training_id.*recording_id"):
        lab.pipeline.report.list_progress(restriction)


def test_a_table_that_shares_no_key_with_tasks_is_refused(lab: Lab) -> None:
    report = lab.pipeline.report
    with pytest.raises(QueryError, match="has no column of"):
        report.list_progress(report.QualityParamSet)


@pytest.mark.parametrize("ask", ["best_model", "leaderboard"])
@pytest.mark.parametrize(
    "restriction",
    [{"trainingid": 3}, {"training_id": 3, "shufle": 2}, [{"training_id": 3}, {"shufle": 2}],
     dj.AndList([{"training_id": 3}, {"shufle": 2}]), {"test_error": 1.0}, {"host": "gpu-1"},
     "shufle=2", "training_id=", np.array([(3,)], dtype=[("trainingid", int)])],
)  # fmt: skip
def test_a_column_that_trainings_do_not_have_is_refused(
    lab: Lab, ask: str, restriction: Any
) -> None:
    columns = r"training_id, .*paramset_desc, engine, net_type, shuffle"
    with pytest.raises(QueryError, match=columns):
        getattr(lab.pipeline.report, ask)(restriction)


@pytest.mark.parametrize("ask", ["best_model", "leaderboard"])
def test_a_table_that_shares_no_key_with_trainings_is_refused(lab: Lab, ask: str) -> None:
    with pytest.raises(QueryError, match="has no column of"):
        getattr(lab.pipeline.report, ask)(lab.pipeline.model.VideoRecording)

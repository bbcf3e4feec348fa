"""A worker on the pipeline's own tables, with DeepLabCut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from element_deeplabcut.errors import ParameterError, Stopped
from element_deeplabcut.interruption import interruptible
from workflow_deeplabcut.worker import list_engines, list_tables, restrict_to_engines, run_worker
from workflow_deeplabcut.worker.signals import StopRequest

from ...conftest import TRAINING_PARAMS, Lab, Trained

pytestmark = pytest.mark.dlc


@pytest.fixture(autouse=True)
def _clean(lab: Lab) -> Iterator[None]:
    yield
    lab.pipeline.model.schema.jobs.delete()
    lab.pipeline.train.schema.jobs.delete()


def add_estimation(lab: Lab, trained: Trained, number: int) -> dict[str, Any]:
    key = {**lab.add_recording(number, lab.new_video), **trained.model_key}
    lab.pipeline.model.PoseEstimationTask.generate(key)
    return key


def names(tables: list[Any]) -> list[str]:
    return [table.__name__ for table in tables]


def test_the_pipelines_tables_in_order(lab: Lab) -> None:
    found = [
        name
        for name in names(list_tables())
        if name in ("RecordingInfo", "PoseEstimation", "ModelEvaluation", "ModelTraining")
    ]
    assert found == ["RecordingInfo", "PoseEstimation", "ModelEvaluation", "ModelTraining"]
    assert names(list_tables(names=["model.PoseEstimation"])) == ["PoseEstimation"]


def test_a_worker_reads_a_video_and_analyzes_it(lab: Lab, trained: Trained) -> None:
    key = add_estimation(lab, trained, 9600)
    model = lab.pipeline.model
    summary = run_worker(
        [model.RecordingInfo, model.PoseEstimation],
        restrictions=[{"recording_id": 9600}], device="cpu", stop_when_idle=True,
    )  # fmt: skip
    assert (summary.done, summary.failed) == (2, 0)
    assert model.PoseEstimation.get_trajectory(key).shape == (100, 12)
    assert (model.PoseEstimation & key).fetch1("run_info")["device"] == "cpu"


def test_an_interrupted_inference_leaves_nothing(lab: Lab, trained: Trained) -> None:
    key = add_estimation(lab, trained, 9601)
    model = lab.pipeline.model
    model.RecordingInfo.populate(key)
    stop = StopRequest(grace=0)

    class AfterSomeFrames:
        calls = 0

        def __call__(self) -> None:
            self.calls += 1
            if self.calls == 3:
                stop.request()
            stop.check()

    with interruptible(AfterSomeFrames()), pytest.raises(Stopped):
        model.PoseEstimation.populate(key)
    assert not model.PoseEstimation & key
    folder = lab.processed / model.PoseEstimationTask.infer_output_dir(key, relative=True)
    assert not list(folder.rglob("manifest.json"))
    model.PoseEstimation.populate(key)
    assert len(model.PoseEstimation & key) == 1


def test_a_training_stops_after_an_epoch(lab: Lab) -> None:
    table = lab.pipeline.train.ModelTraining
    key = lab.add_training(820, {**TRAINING_PARAMS, "epochs": 50, "save_epochs": 1})
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Stopped("The worker has to end; the job goes back to the queue.")

    with interruptible(check), pytest.raises(Stopped):
        table.populate(key)
    assert len(calls) == 2
    assert not table & key
    (lab.pipeline.train.TrainingTask & key).delete_quick()


def test_jobs_by_engine(lab: Lab, estimated: dict[str, Any], trained: Trained) -> None:
    model, train = lab.pipeline.model, lab.pipeline.train
    assert "pytorch" in list_engines()

    def count(table: Any, engines: list[str], key: dict[str, Any]) -> int:
        return len(table()._jobs_to_do([restrict_to_engines(table, engines), key]))

    jobs = (
        (model.PoseEstimation, estimated),
        (model.ModelEvaluation, trained.model_key),
        (train.ModelTraining, trained.training_key),
    )
    for table, key in jobs:
        assert count(table, ["pytorch"], key) == 1
        assert count(table, ["tensorflow"], key) == 0
    loading = {**estimated, **lab.add_recording(9602, lab.new_video)}
    assert count(model.RecordingInfo, [], loading) == 1
    model.RecordingInfo.populate(loading)
    model.PoseEstimationTask.generate(loading, task_mode="load")
    assert count(model.PoseEstimation, [], loading) == 1
    (model.PoseEstimationTask & loading).delete_quick()
    with pytest.raises(ParameterError, match="no engine caffe"):
        restrict_to_engines(model.PoseEstimation, ["caffe"])

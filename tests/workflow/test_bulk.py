"""Queueing in bulk: the plan first, then all of it or nothing, and the way back."""

from __future__ import annotations

import json
from typing import Any

import datajoint as dj
import pytest

from element_deeplabcut.errors import DatabaseError, ParameterError, QueryError
from workflow_deeplabcut import bulk, cli

from ..conftest import Lab
from ..pipeline.scripted import register_model

ONLY = "recording_id BETWEEN 1150 AND 1159"


@pytest.fixture(scope="module")
def recordings(lab: Lab) -> list[dict[str, Any]]:
    register_model(lab, "bulk-a")
    register_model(lab, "bulk-b")
    return [lab.add_recording(number, lab.new_video) for number in range(1150, 1160)]


def test_every_recording_that_lacks_poses(lab: Lab, recordings: list[dict[str, Any]]) -> None:
    tasks = lab.pipeline.model.PoseEstimationTask
    one = {**recordings[3], "model_name": "bulk-a"}
    tasks.generate(one)
    plan = bulk.plan_inference("bulk-a", ONLY, {"batch_size": 4})
    assert len(plan.rows) == 9
    assert str(plan).splitlines() == [
        "Poses of the model 'bulk-a' in 10 recordings: 9 tasks to queue",
        "  1 left out, as a task is there that waits, runs or failed "
        "(see workflow-deeplabcut jobs)",
    ]
    assert len(tasks & "model_name='bulk-a'") == 1
    plan = bulk.queue_inference("bulk-a", ONLY, params={"batch_size": 4})
    assert len(tasks & "model_name='bulk-a'") == 10
    assert bulk.plan_inference("bulk-a", ONLY).rows == []

    # one by one comes to the same
    same = {**recordings[0], "model_name": "bulk-a"}
    assert tasks.generate(same, params={"batch_size": 4})
    (tasks & same).delete_quick()
    bulked = dict(plan.rows[0])
    tasks.generate(same, params={"batch_size": 4})
    row = (tasks & same).fetch1()
    assert row == {**bulked, "session_datetime": row["session_datetime"]}

    undone = bulk.undo(plan.batch_id)
    assert undone.removed == 9
    assert (tasks & "model_name='bulk-a'").fetch("recording_id").tolist() == [1153]
    with pytest.raises(ParameterError, match="There is no batch"):
        bulk.undo(plan.batch_id)


def test_a_plan_that_is_out_of_date_queues_nothing(
    lab: Lab, recordings: list[dict[str, Any]]
) -> None:
    tasks = lab.pipeline.model.PoseEstimationTask
    plan = bulk.plan_inference("bulk-b", ONLY)
    tasks.generate({**recordings[-1], "model_name": "bulk-b"})
    with pytest.raises(DatabaseError, match="Make the plan again"):
        plan.execute()
    assert len(tasks & "model_name='bulk-b'") == 1
    (tasks & "model_name='bulk-b'").delete_quick()


def test_running_jobs_are_not_taken_back(lab: Lab, recordings: list[dict[str, Any]]) -> None:
    model = lab.pipeline.model
    plan = bulk.queue_inference("bulk-b", ONLY, verbose=False)
    busy = {name: plan.rows[0][name] for name in model.PoseEstimationTask.primary_key}
    jobs = model.schema.jobs
    table = model.PoseEstimation()
    assert jobs.reserve(table.table_name, table._job_key(busy))
    assert str(bulk.undo(plan.batch_id)) == (
        "9 tasks taken back; 1 kept, as somebody computes them now"
    )
    jobs.complete(table.table_name, table._job_key(busy))
    assert str(bulk.undo(plan.batch_id)) == "1 task taken back; 9 gone before"


def test_the_number_of_queries_does_not_grow(
    lab: Lab, recordings: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = lab.pipeline.model.schema.connection
    query = connection.query
    asked: list[str] = []

    def count(text: str, *args: Any, **options: Any) -> Any:
        asked.append(text)
        return query(text, *args, **options)

    monkeypatch.setattr(connection, "query", count)
    numbers = []
    for restriction in ("recording_id=1150", ONLY):
        asked.clear()
        bulk.queue_inference("bulk-b", restriction, verbose=False)
        numbers.append(len(asked))
    assert numbers[0] == numbers[1]


def test_who_only_looks_creates_no_schema(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PREFIX", "bulk_unused_")
    assert bulk.list_queued() == []
    with pytest.raises(ParameterError, match="There is no batch 7 to take back"):
        bulk.undo(7)
    assert "bulk_unused_queue" not in dj.list_schemas(lab.pipeline.model.schema.connection)


def test_trainings(lab: Lab) -> None:
    train = lab.pipeline.train
    train.VideoSet.insert([{"video_set_id": 1150}, {"video_set_id": 1151}])
    train.VideoSet.File.insert1(
        {"video_set_id": 1150, "file_id": 1, "file_path": lab.training_video}
    )
    first, second = (
        train.TrainingParamSet.insert_new_params(
            "bulk", {"shuffle": 1150, "trainingsetindex": 0, "epochs": n}
        )
        for n in (1, 2)
    )
    with pytest.raises(ParameterError, match="Video set 1151 names no files"):
        bulk.plan_training([first, second], [1150, 1151])
    with pytest.raises(ParameterError, match="Video set 1150 cannot be trained on: The files"):
        bulk.plan_training(first, 1150)  # a video beside its project
    project = lab.config.parent.name
    sets = [1150, 1151]
    plan = bulk.queue_training([first, second], sets, project=f"{project}/config.yaml")
    assert [(row["video_set_id"], row["paramset_idx"]) for row in plan.rows] == [
        (1150, first), (1150, second), (1151, first), (1151, second),
    ]  # fmt: skip
    assert {row["project_path"] for row in plan.rows} == {project}
    ids = [row["training_id"] for row in plan.rows]
    assert ids == list(range(ids[0], ids[0] + 4))
    assert bulk.plan_training([first, second], sets, project=project).rows == []
    assert len(bulk.plan_training(first, 1150, project=project, repeat=True).rows) == 1
    assert bulk.undo(plan.batch_id).removed == 4
    with pytest.raises(QueryError, match="There is no paramset_idx 9999 in TrainingParamSet"):
        bulk.plan_training(9999, 1150)


def test_the_command_asks_before_it_queues(
    lab: Lab, recordings: list[dict[str, Any]], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    register_model(lab, "bulk-c")
    tasks = lab.pipeline.model.PoseEstimationTask & "model_name='bulk-c'"
    command = ["queue", "inference", "bulk-c", "--restrict", "recording_id=1150"]
    assert cli.main([*command, "--dry-run"]) == 0
    assert cli.main(command) == 3  # there is no terminal here
    assert "Nothing was queued. Add --yes" in capsys.readouterr().out
    assert not tasks
    monkeypatch.setattr("sys.stdin", _Terminal("no\n"))
    assert cli.main(command) == 3
    assert not tasks
    monkeypatch.setattr("sys.stdin", _Terminal("no\n"))
    capsys.readouterr()
    assert cli.main([*command, "--json"]) == 3
    asked = capsys.readouterr()
    assert "1 task to queue\nQueue 1 task?" in asked.err  # what is asked about is seen
    assert json.loads(asked.out)["n_tasks"] == 1
    monkeypatch.setattr("sys.stdin", _Terminal("y\n"))
    assert cli.main(command) == 0
    assert len(tasks) == 1
    capsys.readouterr()
    assert cli.main(["queue", "list", "--json"]) == 0
    newest = json.loads(capsys.readouterr().out)[0]
    assert newest["what"] == "Poses of the model 'bulk-c' in 1 recording"
    assert cli.main([*command, "--yes"]) == 0
    assert "0 tasks to queue" in capsys.readouterr().out
    assert cli.main(["queue", "undo", str(newest["batch_id"])]) == 0
    assert capsys.readouterr().out == "1 task taken back\n"
    assert not tasks


class _Terminal:
    """Somebody at a terminal, who types one line."""

    def __init__(self, line: str) -> None:
        self.line = line

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self.line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inference", "nobody"], "There is no model 'nobody'"),
        (
            ["inference", "bulk-a", "--restrict", "animal=1"],
            "Recordings have no attribute 'animal'",
        ),
        (["inference", "bulk-a", "--restrict", "recording_id=1x"], "must be a number, and is '1x'"),
        (["inference", "bulk-a", "--restrict", "recording_id=-1"], "There is no such recording"),
        (["inference", "bulk-a", "--params", '{"shuffle": 1}'], "the model's own row says it"),
        (["inference", "bulk-a", "--params", "shuffle"], "--params is no JSON"),
        (["undo", "123456"], "There is no batch 123456"),
    ],
)
def test_a_mistake_gets_a_sentence(
    lab: Lab, recordings: list[dict[str, Any]], capsys: pytest.CaptureFixture[str],
    arguments: list[str], said: str,
) -> None:  # fmt: skip
    assert cli.main(["queue", *arguments]) == 1
    assert said in capsys.readouterr().err

"""``jobs --restrict`` finds what ``worker --restrict`` takes; what can match nothing is refused."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import datajoint as dj
import pytest

from element_deeplabcut.errors import ParameterError
from workflow_deeplabcut import cli
from workflow_deeplabcut.worker import clear_jobs, list_jobs
from workflow_deeplabcut.worker.choosing import choose_by, fits

from ...conftest import Lab

KEY = {
    "subject": "mouse1",
    "session_datetime": datetime.datetime(2026, 2, 1, 10),
    "recording_id": 1180,
    "model_name": "choosing 07",
}
TABLES = ("--table", "RecordingInfo", "--table", "PoseEstimation")


@pytest.fixture
def failed(lab: Lab) -> Iterator[Any]:
    """A recording of which the poses could not be computed."""
    lab.add_recording(1180, lab.new_video)
    model = lab.pipeline.model
    table = model.PoseEstimation()
    model.schema.jobs.error(table.table_name, table._job_key(KEY), "Error: scripted")
    yield table
    model.schema.jobs.delete()
    (model.VideoRecording.File & "recording_id=1180").delete_quick()
    (model.VideoRecording & "recording_id=1180").delete_quick()


@pytest.mark.parametrize(
    "said",
    [
        "session_datetime=2026-02-01 10:00:00",
        "session_datetime=2026-02-01 10:00",
        "session_datetime=2026-02-01T10:00:00",
        "recording_id=1180",
        "recording_id=01180",
        "recording_id=1180.0",
        "subject=mouse1",
    ],
)
def test_a_job_is_found_however_its_key_is_spelt(
    lab: Lab, failed: Any, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    name, _, value = said.partition("=")
    assert 1180 in (lab.pipeline.model.VideoRecording & {name: value}).fetch("recording_id")
    assert cli.main(["jobs", *TABLES, "--restrict", said]) == 0
    assert capsys.readouterr().out.endswith("1 job listed\n")


@pytest.mark.parametrize(
    "said",
    ["session_datetime=2026-02-01", "recording_id=1181", "subject=mouse2", "model_name=choosing 7"],
)
def test_other_jobs_are_left_alone(
    failed: Any, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    assert cli.main(["jobs", "clear", *TABLES, "--restrict", said]) == 0
    assert capsys.readouterr().out == "0 jobs cleared\n"
    assert len(list_jobs([failed])) == 1


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("task_mode=trigger", "No table has an attribute 'task_mode' in its primary key"),
        ("run_info=1", "No table has an attribute 'run_info' in its primary key"),
        ("recording_id=3x", "recording_id must be a number, and is '3x'"),
        ("recording_id=nan", "recording_id must be a number, and is 'nan'"),
        ("session_datetime=today", "must be a date and time such as 2026-02-01 10:00:00"),
        ("session_datetime=2026-02-01T10:00+01:00", "such as 2026-02-01 10:00:00"),
    ],
)
@pytest.mark.parametrize("action", ["list", "clear"])
def test_what_can_match_nothing_is_refused(
    failed: Any, capsys: pytest.CaptureFixture[str], action: str, said: str, problem: str
) -> None:
    assert cli.main(["jobs", action, *TABLES, "--restrict", said]) == 1
    assert problem in capsys.readouterr().err
    assert len(list_jobs([failed])) == 1


def test_a_script_chooses_by_values(failed: Any) -> None:
    for key in (KEY, {"recording_id": 1180.0}, {"session_datetime": "2026-02-01 10:00"}):
        assert [job.key for job in list_jobs([failed], key=key)] == [KEY]
    with pytest.raises(ParameterError, match="choose from model_name, recording_id"):
        clear_jobs([failed], key={"task_mode": "trigger"})


def test_a_table_without_the_attribute_has_no_such_job(lab: Lab, failed: Any) -> None:
    tables = [lab.pipeline.model.RecordingInfo, lab.pipeline.model.PoseEstimation]
    recording = {name: KEY[name] for name in tables[0].primary_key}
    jobs = lab.pipeline.model.schema.jobs
    jobs.error(tables[0].table_name, tables[0]()._job_key(recording), "Error: scripted")
    assert len(list_jobs(tables, key={"recording_id": 1180})) == 2
    (found,) = list_jobs(tables, key={"model_name": "choosing 07"})
    assert found.table == "PoseEstimation"


class Odd(dj.Computed):
    """Key of types that this package's tables do not have."""

    definition = """
    day    : date
    name   : uuid
    weight : decimal(5, 2)
    """


def test_columns_of_other_types(lab: Lab) -> None:
    schema = dj.Schema("test_choosing", connection=lab.pipeline.model.schema.connection)
    table = schema(Odd)()
    name = uuid.UUID(int=7)
    key = {"day": datetime.date(2026, 2, 1), "name": name, "weight": 2.5}
    for given in (key, {"day": "2026-02-01"}, {"name": str(name).upper()}, {"weight": "2.50"}):
        assert fits(table, key, *choose_by([table], given))
    for given in ({"day": "2026-02-02"}, {"name": uuid.UUID(int=8)}, {"weight": "2.51"}):
        assert not fits(table, key, *choose_by([table], given))
    for given, problem in (
        ({"day": "2026-02-01 10:00"}, "day must be a date such as 2026-02-01, and is"),
        ({"name": "seven"}, "name must be a UUID"),
        ({"weight": "much"}, "weight must be a number"),
    ):
        with pytest.raises(ParameterError, match=problem):
            choose_by([table], given)
    schema.drop(force=True)

"""Files against the database: all of a file or none, nothing twice, nothing that contradicts."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datajoint as dj
import pytest

from element_deeplabcut.errors import ParameterError
from workflow_deeplabcut import cli, ingest

from ...conftest import Lab
from ...pipeline.scripted import register_model

Write = Callable[..., Path]
SUBJECTS = "subject,sex,subject_birth_date,subject_description"
SESSIONS = "subject,session_datetime,session_dir,session_note"
PARAMS = "paramset_idx,paramset_desc,config_path,shuffle,trainingsetindex,epochs"
VIDEO_SETS = "video_set_id,file_id,file_path"
VIDEOS = "recording_id,subject,session_datetime,file_id,file_path,device"
MODELS = (
    "model_name,config_relative_path,shuffle,trainingsetindex,paramset_idx,prompt,"
    "model_description,params"
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(header: str, *lines: str, name: str = "table.csv") -> Path:
        file = tmp_path / name
        file.write_text("\n".join([header, *lines, ""]))
        return file

    return write_file


def problems_of(function: Callable[..., Any], file: Path, **options: Any) -> list[tuple[Any, ...]]:
    with pytest.raises(ingest.IngestError) as caught:
        function(file, **options)
    return [(one.line, one.column, one.said) for one in caught.value.problems]


# --- all or none ----------------------------------------------------------------------------------


def test_an_error_in_the_last_of_a_thousand_lines_leaves_nothing(lab: Lab, write: Write) -> None:
    lines = [f"all{n},F,2026-01-01," for n in range(1000)]
    lines[-1] = "all999,F,2026-13-01,"
    found = problems_of(ingest.ingest_subjects, write(SUBJECTS, *lines))
    assert [(line, column) for line, column, _ in found] == [(1001, "subject_birth_date")]
    subjects = lab.pipeline.subject.Subject & "subject LIKE 'all%'"
    assert not subjects
    lines[-1] = "all999,F,2026-12-01,"
    outcome = ingest.ingest_subjects(write(SUBJECTS, *lines))
    assert outcome.inserted == {"Subject": 1000}
    assert len(subjects) == 1000
    assert ingest.ingest_subjects(write(SUBJECTS, *lines)).n_known == 1000


def test_a_row_that_the_server_refuses_leaves_nothing(lab: Lab, write: Write) -> None:
    """The check has passed; the second of two chunks meets a row that came in meanwhile."""
    lines = [f"chk{n},F,2026-01-01," for n in range(1500)]
    subject = lab.pipeline.subject.Subject
    connection = subject.connection
    insert, seen = subject.insert, []

    def insert_beside_others(self: Any, rows: Any, **options: Any) -> None:
        if not seen:
            seen.append(len(subject & "subject LIKE 'chk%'"))
            other = lab.server.connect()
            with contextlib.closing(other), other.cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {subject.full_table_name} (subject, sex, subject_birth_date) "
                    "VALUES ('chk1400', 'M', '2026-01-01')"
                )
                other.commit()
        insert(rows, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject, "insert", insert_beside_others)
        found = problems_of(ingest.ingest_subjects, write(SUBJECTS, *lines))
    assert [(line, column) for line, column, _ in found] == [(1402, "sex")]
    assert not connection.in_transaction
    assert len(subject & "subject LIKE 'chk%'") == 1


@pytest.mark.slow
def test_killed_while_it_writes(lab: Lab, write: Write) -> None:
    file = write(SUBJECTS, *(f"kil{n},F,2026-01-01," for n in range(20000)))
    pid = _fork(lambda: ingest.ingest_subjects(file))
    with contextlib.closing(lab.server.connect()) as watcher, watcher.cursor() as cursor:
        deadline = time.monotonic() + 120
        while True:
            cursor.execute("SELECT MAX(trx_rows_modified) FROM information_schema.INNODB_TRX")
            ((modified,),) = cursor.fetchall()
            if modified and modified > 1000:
                break
            assert time.monotonic() < deadline, "it never wrote"
            time.sleep(0.12)  # the server makes this list anew once it was left alone for 0.1 s
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    subjects = lab.pipeline.subject.Subject & "subject LIKE 'kil%'"
    assert not subjects
    assert ingest.ingest_subjects(file).inserted == {"Subject": 20000}


@pytest.mark.slow
def test_two_at_once(lab: Lab, write: Write) -> None:
    file = write(SUBJECTS, *(f"two{n},F,2026-01-01," for n in range(2000)))
    pids = [_fork(lambda: ingest.ingest_subjects(file)) for _ in range(2)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert codes == [0, 0]
    assert len(lab.pipeline.subject.Subject & "subject LIKE 'two%'") == 2000


def _fork(work: Callable[[], Any]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(BaseException):
            dj.conn().connect()  # of its own; the parent keeps the first
            work()
            code = 0
        os._exit(code)
    return pid


# --- what is there already ------------------------------------------------------------------------


def test_sessions_with_directory_and_note(lab: Lab, write: Write) -> None:
    when = "2026-03-01 09:00:00"
    assert ingest.ingest_sessions(write(SESSIONS, f"mouse1,{when},raw,calm")).inserted == {
        "Session": 1, "SessionDirectory": 1, "SessionNote": 1,
    }  # fmt: skip
    key = {"subject": "mouse1", "session_datetime": when}
    session = lab.pipeline.session
    assert (session.SessionDirectory & key).fetch1("session_dir") == "raw"
    assert (session.SessionNote & key).fetch1("session_note") == "calm"
    assert ingest.ingest_sessions(write(SESSIONS, f"mouse1,{when},,")).n_known == 1
    file = write(SESSIONS, f"mouse1,{when},nowhere,wild", "mous1,2026-03-02 9:00,,")
    found = problems_of(ingest.ingest_sessions, file)
    said = {column: text for _, column, text in found}
    assert "is 'wild' here and 'calm' in the database" in said["session_note"]
    assert "there is no Subject 'mous1'. Did you mean 'mouse1'?" in said["subject"]


def test_lines_of_one_file_that_contradict_each_other(lab: Lab, write: Write) -> None:
    lines = ["dup1,F,2026-01-01,", "dup1,M,2026-01-01,", "dup2,F,2026-01-01,", "dup2,F,2026-01-01,"]
    assert problems_of(ingest.ingest_subjects, write(SUBJECTS, *lines)) == [
        (3, "sex", "is 'M' here and 'F' in line 2. Correct one of the two."),
        (5, "", "says the same as line 4. Remove one of the two."),
    ]


def test_names_that_nobody_could_look_for(lab: Lab, write: Write) -> None:
    """DataJoint takes a double quote for the end of the name, and the rest of it for SQL."""
    found = problems_of(ingest.ingest_subjects, write(SUBJECTS, '"a ""b""",F,2026-01-01,'))
    ((line, column, said),) = found
    assert (line, column) == (2, "subject")
    assert "double quote" in said
    with pytest.raises(ParameterError, match="double quote"):
        lab.pipeline.model.Model.insert_new_model(
            'x" OR "1"="1', lab.config, shuffle=1, trainingsetindex=0, prompt=False
        )


def test_duplicates_are_problems_if_asked(lab: Lab, write: Write) -> None:
    file = write(SUBJECTS, "mouse1,F,2026-01-01,")
    (problem,) = problems_of(ingest.ingest_subjects, file, skip_duplicates=False)
    assert "1 of its lines are in the database already" in problem[2]


# --- parameter sets -------------------------------------------------------------------------------


def test_parameters_are_typed_and_laid_over_the_config(lab: Lab, write: Write) -> None:
    config = f"{lab.config.parent.name}/config.yaml"
    file = write(
        "paramset_desc,config_path,shuffle,trainingsetindex,epochs,load_head_weights,"
        "pytorch_cfg_updates,net_type",
        f'typed,{config},1140,0,5,False,"{{""runner.eval_interval"": 3}}",',
        "bare,,1141,0,,,,resnet_101",
    )
    assert ingest.ingest_train_params(file, verbose=False).inserted == {"TrainingParamSet": 2}
    sets = lab.pipeline.train.TrainingParamSet
    typed = (sets & "paramset_desc='typed'").fetch1("params")
    assert typed == {
        "shuffle": 1140, "trainingsetindex": 0, "epochs": 5, "load_head_weights": False,
        "pytorch_cfg_updates": {"runner.eval_interval": 3},
        "engine": "pytorch", "net_type": "resnet_50",
    }  # fmt: skip
    assert type(typed["epochs"]) is int
    bare = (sets & "paramset_desc='bare'").fetch1("params")
    assert bare == {"shuffle": 1141, "trainingsetindex": 0, "net_type": "resnet_101"}
    assert ingest.ingest_train_params(file, verbose=False).n_known == 2


def test_parameters_that_contradict(lab: Lab, write: Write) -> None:
    ingest.ingest_train_params(write(PARAMS, "1140,first,,1142,0,7"), verbose=False)
    lines = [
        "1140,first,,1142,0,8",  # the number holds others
        "1141,first,,1142,0,7",  # the parameters have another number
        "1140,second,,1142,0,7",  # another description
        "1142,x,,1143,0,9",
        "1143,y,,1143,0,9",  # the same as the line before
        "1144,z,nowhere/config.yaml,1,0,9",
    ]
    found = problems_of(ingest.ingest_train_params, write(PARAMS, *lines))
    said = {(line, column): text for line, column, text in found}
    assert "epochs is 8 here and 7 there" in said[2, "paramset_idx"]
    assert "is 1141 here, and 1140 in the database" in said[3, "paramset_idx"]
    assert "is 'second' here and 'first' in the database" in said[4, "paramset_desc"]
    assert "the same parameters as line 5" in said[6, ""]
    assert "exists below none of the root directories" in said[7, "config_path"]
    assert not lab.pipeline.train.TrainingParamSet & "paramset_idx IN (1142, 1143, 1144)"


# --- videos ---------------------------------------------------------------------------------------


def test_recordings(lab: Lab, write: Write) -> None:
    when = "2026-02-01 10:00:00"
    good = [
        f"1140,mouse1,{when},1,raw/new.mp4,Camera1",
        f"1140,mouse1,{when},2,raw/train.mp4,Camera1",
    ]
    assert ingest.ingest_model_vids(write(VIDEOS, *good)).inserted == {
        "VideoRecording": 1, "VideoRecording.File": 2,
    }  # fmt: skip
    assert ingest.ingest_model_vids(write(VIDEOS, *good)).n_known == 2
    lines = [
        f"1140,mouse1,{when},1,raw/train.mp4,Camera1",
        f"1141,mouse1,{when},1,raw/missing.mp4,Camera1",
        f"1142,mouse1,{when},1,raw/new.mp4,Camera3",
        "1143,mouse1,2026-02-02 10:00,1,raw/new.mp4,Camera1",
        f"1144,mouse1,{when},1,../new.mp4,Camera1",
        f"1145,mouse1,{when},1,raw/new.mp4,Camera1",
        f"1145,mouse1,{when},2,raw/train.mp4,Camera2",
    ]
    found = problems_of(ingest.ingest_model_vids, write(VIDEOS, *lines))
    said = {(line, column): text for line, column, text in found}
    assert "is 'raw/train.mp4' here and 'raw/new.mp4' in the database" in said[2, "file_path"]
    assert "'raw/missing.mp4' exists below none" in said[3, "file_path"]
    assert "there is no Device 'Camera3'. Did you mean 'Camera" in said[4, "device"]
    assert "there is no Session 'mouse1', '2026-02-02 10:00:00'" in said[5, "session_datetime"]
    assert "it must be a path relative to a root directory" in said[6, "file_path"]
    assert "is 'Camera2' here and 'Camera1' in line 7" in said[8, "device"]
    assert len(said) == 6
    there = [f"1146,mouse1,{when},1,raw/later.mp4,Camera1"]
    ingest.ingest_model_vids(write(VIDEOS, *there), check_files=False)


def test_a_recording_that_was_read_gets_no_further_file(lab: Lab, write: Write) -> None:
    line = "1147,mouse1,2026-02-01 10:00:00,{},raw/new.mp4,Camera1"
    ingest.ingest_model_vids(write(VIDEOS, line.format(1)))
    lab.pipeline.model.RecordingInfo.populate("recording_id=1147")
    file = write(VIDEOS, line.format(1), line.format(2))
    (problem,) = problems_of(ingest.ingest_model_vids, file)
    assert problem[:2] == (3, "file_id")
    assert "recording 1147 has been read" in problem[2]


def test_video_sets(lab: Lab, write: Write) -> None:
    file = write(VIDEO_SETS, "1140,1,raw/train.mp4", "1140,2,raw/new.mp4")
    assert ingest.ingest_train_vids(file).inserted == {"VideoSet": 1, "VideoSet.File": 2}
    assert ingest.ingest_train_vids(file).n_known == 2
    (problem,) = problems_of(ingest.ingest_train_vids, write(VIDEO_SETS, "1140,2,raw/train.mp4"))
    assert "is 'raw/train.mp4' here and 'raw/new.mp4' in the database" in problem[2]


# --- models ---------------------------------------------------------------------------------------


def test_models(lab: Lab, write: Write) -> None:
    register_model(lab, "ingest-source")
    path = "project-ingest-source/config.yaml"
    file = write(MODELS, f'ingested,{path},1,0,,False,from a file,"{{""pcutoff"": 0.3}}"')
    model = lab.pipeline.model
    assert ingest.ingest_model(file, dry_run=True).inserted == {"Model": 1}
    assert not model.Model & "model_name='ingested'"
    assert ingest.ingest_model(file).inserted == {"Model": 1}
    row = (model.Model & "model_name='ingested'").fetch1()
    assert (row["project_path"], row["model_description"]) == (
        "project-ingest-source",
        "from a file",
    )
    assert row["config_template"]["pcutoff"] == 0.3
    assert len(model.Model.BodyPart & "model_name='ingested'") == 2
    assert ingest.ingest_model(file).n_known == 1
    lines = [
        f'ingested,{path},2,0,,,,"{{""pcutoff"": 0.4}}"',
        f"other,{path},9,0,,,,",
        f"another,{path},1,0,,,,\"{{'nets': 5}}\"",
        f"third,{path},1,0,9999,,,",
    ]
    found = problems_of(ingest.ingest_model, write(MODELS, *lines))
    said = {(line, column): text for line, column, text in found}
    assert "is '2' here and '1' in the database" in said[2, "shuffle"]
    assert "is '0.4' here and '0.3' in the database" in said[2, "params (pcutoff)"]
    assert "has no trained shuffle 9" in said[3, "config_relative_path"]
    assert "params of a model holds nets" in said[4, "params"]
    assert "there is no TrainingParamSet '9999'" in said[5, "paramset_idx"]


# --- folders and the command ----------------------------------------------------------------------


def test_a_folder_is_checked_as_a_whole_first(lab: Lab, write: Write, tmp_path: Path) -> None:
    """Sessions may refer to subjects of the same folder; a mistake in one stops both."""
    write(SUBJECTS, "fold1,U,1 Jan 2026,", name="subjects.csv")
    write(SESSIONS, "fold1,2026-04-01 10:00,nowhere,", name="sessions.csv")
    with pytest.raises(ingest.IngestError, match=r"sessions.csv, line 2, column session_dir"):
        ingest.ingest_all(tmp_path)
    assert not lab.pipeline.subject.Subject & "subject='fold1'"
    write(SESSIONS, "fold1,2026-04-01 10:00,raw,", name="sessions.csv")
    ingest.ingest_all(tmp_path, dry_run=True)
    assert not lab.pipeline.subject.Subject & "subject='fold1'"
    assert [one.kind for one in ingest.ingest_all(tmp_path)] == ["subjects", "sessions"]
    assert [one.n_known for one in ingest.ingest_all(tmp_path)] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["subjects"], "Which file? For instance: workflow-deeplabcut ingest subjects FILE"),
        (["subject", "a.csv"], "no kind of table file 'subject'. Did you mean 'subjects'?"),
        (["nowhere"], "'nowhere' is no folder"),
        (["subjects", "missing.csv"], "missing.csv: cannot be read (No such file"),
        (["."], "holds none of the table files"),
        ([__file__], "Say its kind"),
        (["--skip", "modell", "."], "Did you mean 'model'?"),
    ],
)
def test_a_mistake_gets_a_sentence(
    lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["ingest", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_problems_as_json(lab: Lab, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    file = write(SUBJECTS, "json1,X,2026-01-01,")
    assert cli.main(["ingest", "subjects", str(file), "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["line"], problem["column"]) == (2, "sex")


def test_a_model_that_a_person_declines(
    lab: Lab, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_model(lab, "ingest-asked")
    path = "project-ingest-asked/config.yaml"
    file = write(MODELS, f"asked,{path},1,0,,yes,,", f"unasked,{path},1,0,,no,,")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    outcome = ingest.ingest_model(file)
    assert (outcome.inserted, outcome.declined) == ({"Model": 1}, ("asked",))
    names = lab.pipeline.model.Model.fetch("model_name")
    assert "unasked" in names
    assert "asked" not in names

"""From the tables to NWB files, as a user would: poses that are known to the last bit."""

from __future__ import annotations

import datetime
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
import pytest
import yaml

from element_deeplabcut.errors import MetadataError, ParameterError, PathError, QueryError
from element_deeplabcut.export.nwb import add_pose_to_nwb, export_pose_nwb
from workflow_deeplabcut.cli import main

from ..conftest import Lab
from ..nwb_files import find_movement, inspect
from ..scripted_poses import N_FRAMES, PARTS, ScriptedSession, numbers
from .test_activation import run_python

MOUSE = {"sex": "F", "age": "P90D", "species": "Mus musculus"}


def read(file: Path) -> Any:
    """Open a file; pynwb reads arrays when they are asked for, so it stays open."""
    return pynwb.NWBHDF5IO(str(file), "r").read()


class Script(ScriptedSession):
    """A session of the workflow."""

    def __init__(self, lab: Lab, subject: str) -> None:
        self.lab = lab
        session = {"subject": subject, "session_datetime": "2026-03-01 09:30:00"}
        super().__init__(lab.pipeline.model, session)
        lab.pipeline.subject.Subject.insert1(
            {"subject": subject, "sex": "M", "subject_birth_date": "2026-01-05",
             "subject_description": ""}
        )  # fmt: skip
        lab.pipeline.session.Session.insert1(self.session)


_subjects = iter(f"nwb{number}" for number in range(100))


@pytest.fixture
def script(lab: Lab) -> Script:
    return Script(lab, next(_subjects))


# --- one animal, one camera -----------------------------------------------------------------------


def test_what_a_user_types(script: Script, tmp_path: Path) -> None:
    key = script.add(1)
    (file,) = export_pose_nwb(key, tmp_path / "mouse.nwb", timezone="Europe/Berlin")
    nwbfile = read(file)
    assert nwbfile.session_start_time.isoformat() == "2026-03-01T09:30:00+01:00"
    assert nwbfile.session_id == f"{script.session['subject']}_2026-03-01T09:30:00"
    assert nwbfile.subject.subject_id == script.session["subject"]
    assert nwbfile.subject.sex == "M"
    assert nwbfile.subject.date_of_birth.isoformat() == "2026-01-05T00:00:00+01:00"
    poses = nwbfile.processing["behavior"]["PoseEstimation"]
    for part, body_part in enumerate(PARTS):
        seed = 10 * part
        assert np.array_equal(poses[body_part].data[:, 0], numbers(seed))
        assert np.array_equal(poses[body_part].data[:, 1], numbers(seed + 1))
        assert np.array_equal(poses[body_part].confidence[:], numbers(seed + 2) / 200)
        assert poses[body_part].rate == 30000 / 1001
    assert "Where whiskers are." in poses["whisker pad"].description
    assert poses.scorer == "DLC_nwb-model"
    assert poses.source_software_version == "3.0.2"
    assert '"bundle_hash":"f00d"' in poses.description
    assert list(poses.skeleton.nodes) == list(PARTS)
    assert (
        poses.device.description
        == "modality: Pose estimation; description: Camera above the animal"
    )
    (link,) = poses.source_video.external_file
    assert not os.path.isabs(link)
    assert os.path.samefile(tmp_path / link, script.lab.root / "raw" / "new.mp4")


def test_nwbinspector_finds_nothing_that_can_be_said(script: Script, tmp_path: Path) -> None:
    """What remains is what neither the database nor this test's caller says."""
    (file,) = export_pose_nwb(
        script.add(1), tmp_path / "mouse.nwb", timezone="UTC", subject={"species": "Mus musculus"}
    )
    found = inspect(file)
    assert set(found) == {"BEST_PRACTICE_SUGGESTION"}
    assert set(found["BEST_PRACTICE_SUGGESTION"]) == {
        "check_experimenter_exists", "check_experiment_description", "check_institution",
        "check_keywords",
    }  # fmt: skip


def test_the_elements_say_what_they_know(script: Script, tmp_path: Path) -> None:
    pipeline, session = script.lab.pipeline, script.session
    subject = {"subject": session["subject"]}
    pipeline.session.SessionNote.insert1({**session, "session_note": "Restless today."})
    pipeline.lab.User.insert1({"user": "jane"}, skip_duplicates=True)
    pipeline.session.SessionExperimenter.insert1({**session, "user": "jane"})
    pipeline.subject.Line.insert1(
        {"line": "C57", "species": "Mus musculus", "is_active": 1}, skip_duplicates=True
    )
    pipeline.subject.Subject.Line.insert1({**subject, "line": "C57"})
    (file,) = export_pose_nwb(
        script.add(1), tmp_path / "mouse.nwb", timezone="UTC", session={"keywords": ["open field"]}
    )
    nwbfile = read(file)
    assert nwbfile.session_description == "Restless today."
    assert list(nwbfile.experimenter) == ["jane"]
    assert nwbfile.subject.species == "Mus musculus"
    assert nwbfile.subject.genotype is None
    assert list(nwbfile.keywords) == ["open field"]


def test_element_lab_names_the_institution(script: Script, tmp_path: Path) -> None:
    lab = script.lab.pipeline.lab
    lab.Organization.insert1({"organization": "uni", "org_name": "University of Somewhere"})
    lab.Lab.insert1({"lab": "doe", "lab_name": "Doe Lab", "address": "", "time_zone": "UTC+1"})
    lab.Lab.Organization.insert1({"lab": "doe", "organization": "uni"})
    (file,) = export_pose_nwb(
        script.add(1), tmp_path / "mouse.nwb", timezone="UTC", lab_key={"lab": "doe"}
    )
    nwbfile = read(file)
    assert (nwbfile.lab, nwbfile.institution) == ("Doe Lab", "University of Somewhere")


def test_the_machines_own_time_zone_does_not_matter(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = script.add(1)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        (file,) = export_pose_nwb(key, tmp_path / "mouse.nwb", timezone="UTC")
    finally:
        monkeypatch.undo()
        time.tzset()
    start = datetime.datetime(2026, 3, 1, 9, 30, tzinfo=datetime.timezone.utc)
    assert read(file).session_start_time == start


def test_a_crop_is_undone_unless_asked_for(script: Script, tmp_path: Path) -> None:
    key = script.add(1, crop=[20, 200, 10, 190])
    for full_frame, shift in ((True, (20, 10)), (False, (0, 0))):
        (file,) = export_pose_nwb(
            key, tmp_path / "mouse.nwb", overwrite=True, timezone="UTC", full_frame=full_frame
        )
        pad = read(file).processing["behavior"]["PoseEstimation"]["whisker pad"]
        wanted = np.stack([numbers(0), numbers(1)], axis=1) + np.array(shift, np.float32)
        assert np.array_equal(pad.data[:], wanted)


def test_the_labeled_video_is_linked(
    script: Script, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = script.add(1)
    script.model.LabeledVideo.insert1({**key, "run_info": {}}, allow_direct_insert=True)
    path = "labeled/1-new-labeled.mp4"
    script.model.LabeledVideo.File.insert1(
        {**key, "file_id": 1, "labeled_video_path": path}, allow_direct_insert=True
    )
    with caplog.at_level(logging.WARNING):
        (file,) = export_pose_nwb(key, tmp_path / "mouse.nwb", timezone="UTC")
    assert f"{path}', which is not on this machine" in caplog.text
    behavior = read(file).processing["behavior"]
    video = behavior["PoseEstimation"].labeled_video
    assert video is behavior["LabeledVideoCamera1"]
    assert os.path.normpath(tmp_path / video.external_file[0]) == str(script.lab.processed / path)
    assert video.rate == 30000 / 1001


# --- what is refused ------------------------------------------------------------------------------


def test_nothing_is_invented_and_nothing_written(script: Script, tmp_path: Path) -> None:
    key, file = script.add(1), tmp_path / "mouse.nwb"
    with pytest.raises(MetadataError, match="2026-03-01 09:30:00, has no time zone"):
        export_pose_nwb(key, file)
    with pytest.raises(QueryError, match="matches 0 rows"):
        export_pose_nwb({**key, "recording_id": 99}, file, timezone="UTC")
    with pytest.raises(MetadataError, match="favourite_colour"):
        export_pose_nwb(key, file, timezone="UTC", session={"favourite_colour": "blue"})
    with pytest.raises(MetadataError, match="described apart from the session"):
        export_pose_nwb(key, file, timezone="UTC", session={"subject": MOUSE})
    with pytest.raises(MetadataError, match="element-lab cannot say anything"):
        export_pose_nwb(key, file, timezone="UTC", lab_key={"lab": "nowhere"})
    for name in ("session", "subject", "subjects"):
        with pytest.raises(MetadataError, match=f"{name} is 'mouse1'; give its fields"):
            export_pose_nwb(key, file, **{"timezone": "UTC", name: "mouse1"})
    with pytest.raises(MetadataError, match="There is no time zone '5'"):
        export_pose_nwb(key, file, timezone=5)
    with pytest.raises(ParameterError, match="starting_time is '10'; give a number"):
        export_pose_nwb(key, file, timezone="UTC", starting_time="10")
    with pytest.raises(ParameterError, match="The individual is 3; give a name"):
        export_pose_nwb(key, file, timezone="UTC", individuals=3)
    assert not list(tmp_path.iterdir())
    file.write_text("precious")
    with pytest.raises(PathError, match="overwrite=True"):
        export_pose_nwb(key, file, timezone="UTC")
    assert file.read_text() == "precious"


def test_two_models_of_one_recording_are_a_question(script: Script, tmp_path: Path) -> None:
    script.add(1)
    script.add(1, model="nwb-other")
    with pytest.raises(QueryError, match="'nwb-model' and with 'nwb-other'"):
        export_pose_nwb(script.session, tmp_path / "mouse.nwb", timezone="UTC")


def test_two_sessions_are_a_question(script: Script, lab: Lab, tmp_path: Path) -> None:
    other = Script(lab, next(_subjects))
    keys = [script.add(1), other.add(1)]
    with pytest.raises(QueryError, match="of 2 sessions"):
        export_pose_nwb(keys, tmp_path / "mouse.nwb", timezone="UTC")


def test_a_missing_video_is_linked_and_warned_of(
    script: Script, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = script.add(1, video="raw/on-the-server-only.mp4")
    with caplog.at_level(logging.WARNING):
        (file,) = export_pose_nwb(key, tmp_path / "mouse.nwb", timezone="UTC")
    assert "on-the-server-only.mp4', which cannot be opened" in caplog.text
    (link,) = read(file).acquisition["VideoCamera1"].external_file
    expected = script.lab.root / "raw" / "on-the-server-only.mp4"
    assert os.path.normpath(tmp_path / link) == str(expected)


def test_a_version_nobody_knows_is_left_out(script: Script, tmp_path: Path) -> None:
    key = script.add(1, run_info={"task_mode": "load"})
    (file,) = export_pose_nwb(key, tmp_path / "mouse.nwb", timezone="UTC")
    poses = read(file).processing["behavior"]["PoseEstimation"]
    assert poses.source_software == "DeepLabCut"
    assert poses.source_software_version is None


# --- several cameras, several animals -------------------------------------------------------------


def test_one_pose_estimation_per_camera(script: Script, tmp_path: Path) -> None:
    script.add(1)
    script.add(2, device="Camera2")
    (file,) = export_pose_nwb(
        script.session, tmp_path / "both.nwb", timezone="UTC", starting_time={1: 0.0, 2: 12.5}
    )
    behavior = read(file).processing["behavior"]
    one, two = behavior["PoseEstimationCamera1"], behavior["PoseEstimationCamera2"]
    assert (one["whisker pad"].starting_time, two["whisker pad"].starting_time) == (0.0, 12.5)
    assert (one.device.name, two.device.name) == ("Camera1", "Camera2")
    assert one.skeleton is two.skeleton
    assert two.source_video.starting_time == 12.5


def test_cameras_of_similar_names_stay_two(script: Script, tmp_path: Path) -> None:
    cameras = ("top/left", "top_left")
    for number, camera in enumerate(cameras, 1):
        script.lab.pipeline.Device.insert1(
            {"device": camera, "modality": "", "description": camera}, skip_duplicates=True
        )
        script.add(number, device=camera)
    (file,) = export_pose_nwb(script.session, tmp_path / "both.nwb", timezone="UTC")
    behavior = read(file).processing["behavior"]
    for name, camera in zip(("top_left_2", "top_left"), cameras, strict=True):
        assert behavior[f"PoseEstimation{name}"].device.description == f"description: {camera}"


def test_timestamps_of_a_recording(script: Script, tmp_path: Path) -> None:
    key, times = script.add(1), np.cumsum(np.random.default_rng(5).uniform(0.03, 0.04, N_FRAMES))
    with pytest.raises(ParameterError, match="leave out starting_time"):
        export_pose_nwb(
            key, tmp_path / "s.nwb", timezone="UTC", timestamps=times, starting_time=1.0
        )
    (file,) = export_pose_nwb(key, tmp_path / "s.nwb", timezone="UTC", timestamps={1: times})
    poses = read(file).processing["behavior"]["PoseEstimation"]
    assert np.array_equal(poses["tail base"].timestamps[:], times)
    assert np.array_equal(poses.source_video.timestamps[:], times)


def test_one_camera_cannot_record_twice_at_once(script: Script, tmp_path: Path) -> None:
    script.add(1)
    script.add(2)
    with pytest.raises(ParameterError, match="cannot all start with the session"):
        export_pose_nwb(script.session, tmp_path / "s.nwb", timezone="UTC")
    with pytest.raises(ParameterError, match="names recording 7"):
        export_pose_nwb(script.session, tmp_path / "s.nwb", timezone="UTC", starting_time={7: 1.0})
    (file,) = export_pose_nwb(
        script.session, tmp_path / "s.nwb", timezone="UTC", starting_time={1: 0.0, 2: 600.0}
    )
    behavior = read(file).processing["behavior"]
    assert behavior["PoseEstimationCamera1_2"]["whisker pad"].starting_time == 600.0


def test_one_file_per_animal(script: Script, tmp_path: Path) -> None:
    key = script.add(1, individuals=("black", "white", "single"))
    with pytest.raises(MetadataError, match="which subject 'black', 'white' is"):
        export_pose_nwb(key, tmp_path / "s.nwb", timezone="UTC")
    with pytest.raises(MetadataError, match="'grey', which is no individual"):
        export_pose_nwb(key, tmp_path / "s.nwb", timezone="UTC", subjects={"grey": MOUSE})
    with pytest.raises(MetadataError, match="subject= describes one"):
        export_pose_nwb(key, tmp_path / "s.nwb", timezone="UTC", subject=MOUSE)
    assert not list(tmp_path.iterdir())
    files = export_pose_nwb(
        key,
        tmp_path / "s.nwb",
        timezone="UTC",
        subjects={
            "black": {"subject_id": script.session["subject"]},  # element-animal knows the rest
            "white": {"subject_id": "stranger", **MOUSE},
        },
    )
    assert [file.name for file in files] == ["s_black.nwb", "s_white.nwb"]
    black, white = (read(file) for file in files)
    assert black.identifier != white.identifier
    assert (black.subject.subject_id, black.subject.sex) == (script.session["subject"], "M")
    assert (white.subject.subject_id, white.subject.sex) == ("stranger", "F")
    for animal, nwbfile in enumerate((black, white)):
        behavior = nwbfile.processing["behavior"]
        pad = behavior["PoseEstimation"]["whisker pad"]
        assert np.array_equal(pad.data[:, 0], numbers(100 * animal))
        assert np.array_equal(
            behavior["PoseEstimation_single"]["tail base"].data[:, 1], numbers(200 + 10 + 1)
        )
    assert all("CRITICAL" not in inspect(file) for file in files)


def test_two_animals_are_not_one_subject(script: Script, tmp_path: Path) -> None:
    key = script.add(1, individuals=("black", "white"))
    same = {"subject_id": script.session["subject"]}
    with pytest.raises(MetadataError, match="'black' and 'white' are both"):
        export_pose_nwb(
            key, tmp_path / "s.nwb", timezone="UTC", subjects={"black": same, "white": same}
        )


def test_another_subject_than_the_sessions_has_facts_of_its_own(
    script: Script, tmp_path: Path
) -> None:
    """What the table says of the session's subject is not written of another one."""
    key = script.add(1)
    with pytest.raises(MetadataError, match="lacks sex, age"):
        export_pose_nwb(key, tmp_path / "s.nwb", timezone="UTC", subject={"subject_id": "guest"})
    (file,) = export_pose_nwb(
        key, tmp_path / "s.nwb", timezone="UTC", subject={"subject_id": "guest", **MOUSE}
    )
    subject = read(file).subject
    assert (subject.subject_id, subject.sex, subject.date_of_birth) == ("guest", "F", None)
    assert subject.description is None


def test_one_animal_of_several(script: Script, tmp_path: Path) -> None:
    key = script.add(1, individuals=("black", "white"))
    with pytest.raises(QueryError, match="no individual 'grey'"):
        export_pose_nwb(key, tmp_path / "s.nwb", timezone="UTC", individuals="grey")
    subjects = {"white": {"subject_id": "stranger", **MOUSE}}
    (file,) = export_pose_nwb(
        key, tmp_path / "s.nwb", timezone="UTC", individuals="white", subjects=subjects
    )
    assert file.name == "s.nwb"
    pad = read(file).processing["behavior"]["PoseEstimation"]["whisker pad"]
    assert np.array_equal(pad.data[:, 0], numbers(100))


# --- a lab's own file, a lab's own tables ---------------------------------------------------------


def test_a_lab_adds_poses_to_its_own_file(script: Script, tmp_path: Path) -> None:
    key = script.add(1)
    nwbfile = pynwb.NWBFile(
        session_description="Everything of the day.",
        identifier="the-labs-own",
        session_start_time=datetime.datetime(2026, 3, 1, 9, tzinfo=datetime.timezone.utc),
    )
    nwbfile.create_device(name="Camera1", description="the lab's words")
    video = pynwb.image.ImageSeries(
        name="top", external_file=["top.mp4"], format="external", rate=30.0, num_samples=N_FRAMES,
        unit="n.a.",
    )  # fmt: skip
    nwbfile.add_acquisition(video)
    poses = add_pose_to_nwb(nwbfile, key, folder=tmp_path, starting_time=3.0, source_video=video)
    assert poses.device.description == "the lab's words"
    assert poses.source_video is video
    assert set(nwbfile.acquisition) == {"top"}
    assert poses["whisker pad"].starting_time == 3.0
    with pytest.raises(ParameterError, match="Give another label"):
        add_pose_to_nwb(nwbfile, key)
    with pynwb.NWBHDF5IO(str(tmp_path / "lab.nwb"), "w") as stream:
        stream.write(nwbfile)
    pad = read(tmp_path / "lab.nwb").processing["behavior"]["PoseEstimation"]["whisker pad"]
    assert np.array_equal(pad.data[:, 0], numbers(0))


CONNECT = """
import datajoint as dj
dj.config.update({{"database.host": "127.0.0.1", "database.port": {port}, "database.user": {user!r},
                   "database.password": {password!r}, "database.use_tls": False}})

def get_dlc_root_data_dir():
    return {root!r}
"""

OWN_TABLES = """
import pathlib, sys
from element_deeplabcut import model
from element_deeplabcut.errors import MetadataError
from element_deeplabcut.export.nwb import export_pose_nwb
from tests.scripted_poses import ScriptedSession

assert not {"pynwb", "ndx_pose", "hdmf"} & set(sys.modules), "importing must stay light"
schema = dj.schema("own_lab")

@schema
class Session(dj.Manual):
    definition = "animal : varchar(8)\\nday : date"

@schema
class Device(dj.Manual):
    definition = "rig : int\\nview : varchar(8)\\n---\\nlens : varchar(16)"

model.activate("own_model", linking_module=__name__)
session = {"animal": "a1", "day": "2026-03-01"}
Session.insert1(session)
Device.insert1((3, "top", "12 mm"))
key = ScriptedSession(model, session).add(1, device={"rig": 3, "view": "top"})
file = pathlib.Path(FILE)
for given in (
    {},
    {"session": {"session_start_time": "2026-03-01T10:00:00"}},
    {"session": {"session_start_time": "2026-03-01T10:00:00+01:00"}},
):
    try:
        export_pose_nwb(key, file, **given)
    except MetadataError as error:
        print(error)
assert not file.exists()
export_pose_nwb(key, file, **given, subject={"subject_id": "a1", "sex": "U", "age": "P90D"})
assert not [name for name in sys.modules if name.split(".")[0].startswith("element_session")]
"""


def connect(lab: Lab) -> str:
    server = lab.server
    return CONNECT.format(
        port=server.port, user=server.user, password=server.password, root=str(lab.root)
    )


def test_a_labs_own_tables_say_what_they_can(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "own.nwb"
    result = run_python(connect(lab) + OWN_TABLES.replace("FILE", repr(str(file))))
    assert result.returncode == 0, result.stderr
    refused = result.stdout.splitlines()
    assert "nobody says when the session started" in refused[0]
    assert "has no time zone" in refused[1]
    assert "lacks subject_id, sex, age" in refused[2]
    nwbfile = read(file)
    assert nwbfile.session_start_time.isoformat() == "2026-03-01T10:00:00+01:00"
    assert "animal a1, day 2026-03-01" in nwbfile.session_description
    assert (nwbfile.devices["3_top"].description) == "lens: 12 mm"
    pad = nwbfile.processing["behavior"]["PoseEstimation"]["whisker pad"]
    assert np.array_equal(pad.data[:, 0], numbers(0))


SESSIONS_WITH_IDS = """
from element_animal import subject
from element_animal.subject import Subject
from element_lab import lab
from element_lab.lab import Lab, Location, Project, Protocol, Source, User
from element_session import session_with_id as session
from element_session.session_with_id import Session
from element_deeplabcut import model
from element_deeplabcut.export.nwb import export_pose_nwb
from tests.scripted_poses import ScriptedSession

Experimenter = User
lab.activate("ids_lab")
subject.activate("ids_subject", linking_module=__name__)
session.activate("ids_session", linking_module=__name__)

@lab.schema
class Device(dj.Manual):
    definition = "device : varchar(32)"

model.activate("ids_model", linking_module=__name__)
Device.insert1(("Camera1",))
Subject.insert1({"subject": "m7", "sex": "F", "subject_birth_date": "2026-01-05"})
key = {"subject": "m7", "session_id": 4}
Session.insert1({**key, "session_datetime": "2026-03-01 09:30:00"})
key = ScriptedSession(model, key).add(1)
export_pose_nwb(key, FILE, timezone="UTC")
"""


def test_sessions_with_ids(lab: Lab, tmp_path: Path) -> None:
    """The other session table of element-session: its start is no part of its key."""
    file = tmp_path / "ids.nwb"
    result = run_python(connect(lab) + SESSIONS_WITH_IDS.replace("FILE", repr(str(file))))
    assert result.returncode == 0, result.stderr
    nwbfile = read(file)
    assert nwbfile.session_start_time.isoformat() == "2026-03-01T09:30:00+00:00"
    assert (nwbfile.session_id, nwbfile.subject.subject_id) == ("m7_4", "m7")


# --- the command line -----------------------------------------------------------------------------


def test_the_command(script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.add(1)
    metadata = tmp_path / "session.yaml"
    metadata.write_text(
        yaml.safe_dump({"session": {"lab": "Doe lab"}, "subject": {"species": "Mus musculus"}})
    )
    command = [
        "export", "nwb", "--subject", script.session["subject"], "--session",
        script.session["session_datetime"], "--recording", "1", "--model", "nwb-model",
        "--metadata", str(metadata), "--starting-time", "2.5",
        "--output", str(tmp_path / "mouse.nwb"), "--json",
    ]  # fmt: skip
    assert main(command) == 1
    assert "has no time zone" in capsys.readouterr().err
    assert main([*command, "--timezone", "UTC"]) == 0
    assert json.loads(capsys.readouterr().out) == {"files": [str(tmp_path / "mouse.nwb")]}
    nwbfile = read(tmp_path / "mouse.nwb")
    assert (nwbfile.lab, nwbfile.subject.species) == ("Doe lab", "Mus musculus")
    assert nwbfile.processing["behavior"]["PoseEstimation"]["whisker pad"].starting_time == 2.5
    assert main([*command, "--timezone", "UTC"]) == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [("[1, 2]", "must hold sections"), ("animal: {sex: F}", "section 'animal'"), ("{", "as YAML")],
)
def test_metadata_that_cannot_be_read(
    content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.yaml").write_text(content)
    output = ["--output", str(tmp_path / "mouse.nwb")]
    assert main(["export", "nwb", "--metadata", str(tmp_path / "m.yaml"), *output]) == 1
    assert words in capsys.readouterr().err


# --- the real thing -------------------------------------------------------------------------------


@pytest.mark.dlc
def test_a_real_estimation(
    lab: Lab,
    estimated: dict[str, Any],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Predicted by DeepLabCut, exported, and read by movement: the numbers of the table."""
    movement = find_movement(tmp_path_factory.mktemp("environment"))
    (file,) = export_pose_nwb(estimated, tmp_path / "mouse.nwb", timezone="UTC")
    poses = read(file).processing["behavior"]["PoseEstimation"]
    assert poses.source_software_version is not None
    assert "CRITICAL" not in inspect(file)
    table = lab.pipeline.model.PoseEstimation.get_trajectory(estimated)
    loaded = movement.read(file)
    for place, part in enumerate(loaded["keypoints"]):
        wanted = table.xs(part, level="bodyparts", axis="columns").to_numpy()
        assert np.array_equal(loaded["position"][:, place, 0], wanted[:, :2])
        assert np.array_equal(loaded["confidence"][:, place, 0], wanted[:, 2])
    parts = list(table.columns.get_level_values("bodyparts").unique())
    order = [list(loaded["keypoints"]).index(part) for part in parts]
    errors = np.linalg.norm(loaded["position"][:, order, 0] - lab.truth, axis=-1)
    assert errors.mean() < 2

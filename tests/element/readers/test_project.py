from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import PurePosixPath

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import ProjectError
from element_deeplabcut.readers.project import (
    parse_project,
    read_project,
    read_shuffle_engine,
    read_yaml,
)

SETTINGS = {
    "Task": "reach",
    "scorer": "ann",
    "date": "Oct30",
    "bodyparts": ["paw", "elbow"],
    "TrainingFraction": [0.95, 0.29],
}


def parse(tmp_path, **settings):
    return parse_project({**SETTINGS, **settings}, tmp_path)


# ---- what a config says ----------------------------------------------------------------------


def test_a_config_is_read_whole(project_dir):
    project = read_project(project_dir / "config.yaml")
    assert project.directory == project_dir
    assert (project.task, project.date, project.scorer) == ("open", "Jan1", "ann")
    assert project.body_parts == ("nose", "tail")
    assert project.training_fractions == (0.8,)
    assert project.skeleton == (("nose", "tail"),)
    assert (project.iteration, project.p_cutoff, project.snapshotindex) == (0, 0.4, -1)
    assert not project.multi_animal
    assert project.settings["engine"] == "pytorch"


def test_a_projects_folder_stands_for_its_config(project_dir):
    assert read_project(project_dir) == read_project(project_dir / "config.yaml")


def test_the_folder_is_where_the_file_is_and_not_where_it_was(make_project):
    folder = make_project(project_path="/somewhere/else")
    assert read_project(folder).directory == folder


def test_entries_that_older_versions_lack_have_defaults(tmp_path):
    project = parse(tmp_path)
    assert (project.iteration, project.snapshotindex, project.p_cutoff) == (0, -1, 0.6)
    assert project.skeleton == ()
    assert not project.multi_animal


@pytest.mark.parametrize(("written", "meant"), [("all", -1), (None, -1), (-1, -1), (3, 3)])
def test_snapshotindex(tmp_path, written, meant):
    assert parse(tmp_path, snapshotindex=written).snapshotindex == meant


def test_a_multi_animal_project(tmp_path):
    project = parse(
        tmp_path, multianimalproject=True, bodyparts="MULTI!", multianimalbodyparts=["a", "b"]
    )
    assert project.multi_animal
    assert project.body_parts == ("a", "b")


def test_a_crop_counts_only_if_it_is_switched_on(tmp_path):
    edges = {"x1": 10, "x2": 110, "y1": 20, "y2": 220}
    assert parse(tmp_path, cropping=False, **edges).crop is None
    assert parse(tmp_path, **edges).crop is None
    assert parse(tmp_path, cropping=True, **edges).crop == [10, 110, 20, 220]


def test_a_crop_without_edges_is_refused(tmp_path):
    with pytest.raises(ProjectError, match="cropping: true"):
        _ = parse(tmp_path, cropping=True, x1=0).crop


# ---- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fraction", "percent"),
    [(0.29, 28), (0.57, 56), (0.58, 57), (0.28, 28), (0.8, 80), (0.95, 95), (0.999, 99), (1, 100)],
)
def test_the_percentage_is_truncated_as_deeplabcut_does(tmp_path, fraction, percent):
    assert parse(tmp_path, TrainingFraction=[fraction]).percent(0) == percent


def test_names_of_folders_and_files(tmp_path):
    project = parse(tmp_path, iteration=2)
    assert project.shuffle_name(3, 1) == "reachOct30-trainset28shuffle3"
    assert project.model_folder("pytorch", 3, 0) == PurePosixPath(
        "dlc-models-pytorch/iteration-2/reachOct30-trainset95shuffle3"
    )
    assert project.model_folder("tensorflow", 1, 0, "mine") == PurePosixPath(
        "mine/dlc-models/iteration-2/reachOct30-trainset95shuffle1"
    )
    dataset = PurePosixPath("training-datasets/iteration-2/UnaugmentedDataSet_reachOct30")
    assert project.dataset_folder() == dataset
    assert project.split_file(3, 1) == dataset / "Documentation_data-reach_28shuffle3.pickle"


@pytest.mark.parametrize("index", [-1, 2, 10])
def test_a_fraction_out_of_range_is_refused(tmp_path, index):
    with pytest.raises(ProjectError, match=rf"trainingsetindex {index} .*\[0\.95, 0\.29\]"):
        parse(tmp_path).shuffle_name(1, index)


# ---- what is wrong with a config -------------------------------------------------------------


@pytest.mark.parametrize("name", ["Task", "scorer", "date", "bodyparts", "TrainingFraction"])
@pytest.mark.parametrize("how", ["gone", "null", "empty"])
def test_missing_entries_are_named(tmp_path, name, how):
    settings = {**SETTINGS, name: None if how == "null" else []}
    if how == "gone":
        del settings[name]
    with pytest.raises(ProjectError, match=rf"config\.yaml' lacks {name}\."):
        parse_project(settings, tmp_path)


def test_all_missing_entries_are_named_at_once(tmp_path):
    with pytest.raises(ProjectError, match="lacks Task, scorer, date, TrainingFraction, bodyparts"):
        parse_project({}, tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"TrainingFraction": ["most"]},
        {"TrainingFraction": [95]},
        {"TrainingFraction": [0]},
        {"TrainingFraction": [float("nan")]},
        {"iteration": "first"},
        {"pcutoff": "high"},
        {"snapshotindex": "best"},
        {"skeleton": [["a", "b", "c"]]},
        {"skeleton": 5},
    ],
)
def test_values_of_the_wrong_kind_are_refused(tmp_path, settings):
    with pytest.raises(ProjectError, match="wrong kind"):
        parse(tmp_path, **settings)


def test_a_missing_config_is_refused_at_once(tmp_path):
    started = time.monotonic()
    for path in (tmp_path, tmp_path / "config.yaml", tmp_path / "no" / "project"):
        with pytest.raises(ProjectError, match="does not exist"):
            read_project(path)
    assert time.monotonic() - started < 5


def test_a_config_that_is_a_link_in_circles_is_refused(tmp_path):
    (tmp_path / "config.yaml").symlink_to(tmp_path / "config.yaml")
    with pytest.raises(ProjectError):
        read_project(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "text",
    ["", "- a\n- b\n", "just text", "a: [1, 2", "a: !!python/object/apply:os.getcwd []", "\0"],
    ids=["empty", "list", "text", "half", "python tag", "null byte"],
)
def test_a_file_that_is_no_plain_mapping_is_refused(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ProjectError, match=r"config\.yaml' (is|cannot)"):
        read_yaml(tmp_path / "config.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProjectError):
        read_yaml(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "tag", ["object/apply:os.system", "object/new:os.system", "name:os.system"]
)
def test_a_python_tag_runs_nothing(tmp_path, tag):
    proof = tmp_path / "proof"
    (tmp_path / "config.yaml").write_text(f"Task: !!python/{tag} ['touch {proof}']\n")
    with pytest.raises(ProjectError, match="plain YAML"):
        read_project(tmp_path)
    assert not proof.exists()


@given(
    st.text(st.characters(codec="utf-8") | st.sampled_from("{}[]:-&*!|>'\"%@\n \t"), max_size=40)
)
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(text.encode())
    os.utime(file, (1, 1))  # written long ago: nobody is at it, so it is not waited for
    with contextlib.suppress(ProjectError):
        assert isinstance(read_yaml(file), dict)


# DeepLabCut writes YAML 1.2, in which these are texts. A scorer may have the initials N. O.
@pytest.mark.parametrize("initials", ["NO", "No", "on", "off", "yes", "Y", "1:30"])
def test_texts_are_what_they_are_for_deeplabcut(tmp_path, initials):
    text = yaml.safe_dump({**SETTINGS, "scorer": "SCORER", "bodyparts": ["PART"]})
    text = text.replace("SCORER", initials).replace("PART", initials)
    (tmp_path / "config.yaml").write_text(text)
    project = read_project(tmp_path)
    assert project.scorer == initials
    assert project.body_parts == (initials,)


@pytest.mark.dlc
@pytest.mark.parametrize(
    "value", ["NO", "on", "1:30", "010", "1e3", "0.29", 1e-05, 0.29, "2026-01-01", None, True,
              "null", "~", "0x1F", "1_000", ""],
)  # fmt: skip
def test_files_written_by_deeplabcut_mean_the_same_here(tmp_path, value):
    from deeplabcut.core.config import read_config_as_dict, write_config

    file = tmp_path / "any.yaml"
    write_config(file, {"value": value, "list": [value]})
    theirs, ours = read_config_as_dict(file), read_yaml(file)
    assert repr(ours) == repr(theirs)


# ---- a config that is being rewritten --------------------------------------------------------


WHOLE = """\
Task: reach
scorer: ann
date: Oct30
TrainingFraction: [0.95, 0.29]
bodyparts:
- paw
- elbow
"""


# DeepLabCut writes in pieces of 8 kB, so a config with many videos is there in part at first.
@pytest.mark.parametrize(
    "cut",
    ["Task", "0.95,", "scorer: a", "- elbow"],
    ids=["empty", "no YAML", "half", "fewer parts"],
)
def test_a_config_being_rewritten_is_waited_for(tmp_path, cut):
    file, ready = tmp_path / "config.yaml", threading.Event()
    end = WHOLE.index(cut)

    def rewrite():
        with file.open("w") as stream:
            stream.write(WHOLE[:end])
            stream.flush()
            ready.set()
            time.sleep(0.05)
            stream.write(WHOLE[end:])

    writer = threading.Thread(target=rewrite)
    writer.start()
    ready.wait()
    try:
        project = read_project(file)
    finally:
        writer.join()
    assert (project.scorer, project.body_parts) == ("ann", ("paw", "elbow"))


def test_a_config_rewritten_by_another_process_all_the_time_is_always_whole(tmp_path):
    text = yaml.safe_dump(SETTINGS)
    file = tmp_path / "config.yaml"
    file.write_text(text)
    code = textwrap.dedent(
        f"""
        import time
        while True:
            with open({str(file)!r}, "w") as stream:
                time.sleep(0.005)
                stream.write({text!r})
            time.sleep(0.005)
        """
    )
    with subprocess.Popen([sys.executable, "-c", code]) as writer:
        try:
            for _ in range(8):
                assert read_project(file).body_parts == ("paw", "elbow")
        finally:
            writer.kill()


def test_a_part_that_comes_back_is_not_believed(tmp_path):
    """Longer than a part may stay, because somebody rewrites the file again and again."""
    file, stop = tmp_path / "config.yaml", threading.Event()
    file.write_text(WHOLE)
    part = WHOLE[: WHOLE.index("- elbow")]

    def rewrite():
        while not stop.is_set():
            for text, seconds in ((part, 0.06), (WHOLE, 0.14)):
                file.write_text(text)
                time.sleep(seconds)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(4):
            assert read_project(file).body_parts == ("paw", "elbow")
    finally:
        stop.set()
        writer.join()


# ---- which engine a shuffle is for -----------------------------------------------------------


def write_engine_config(project_dir, folder, name):
    train = project_dir / folder / "iteration-0" / "openJan1-trainset80shuffle7" / "train"
    train.mkdir(parents=True)
    (train / name).write_text("net_type: resnet_50\n")


def test_the_record_of_a_shuffle_wins_over_the_config(make_project):
    project = read_project(make_project(engine="tensorflow"))
    assert read_shuffle_engine(project, 1, 0) == "pytorch"


@pytest.mark.parametrize(
    ("recorded", "engine"),
    [
        ("tensorflow", "tensorflow"),
        ("tf", "tensorflow"),
        ("TF", "tensorflow"),
        ("pytorch", "pytorch"),
    ],
)
def test_spellings_of_the_record(project_dir, recorded, engine):
    project = read_project(project_dir)
    record = {"shuffles": {"openJan1-trainset80shuffle1": {"engine": recorded}}}
    (project_dir / project.dataset_folder() / "metadata.yaml").write_text(yaml.safe_dump(record))
    assert read_shuffle_engine(project, 1, 0) == engine


def test_without_a_record_the_model_folder_says_it(project_dir):
    project = read_project(project_dir)
    write_engine_config(project_dir, "dlc-models", "pose_cfg.yaml")
    assert read_shuffle_engine(project, 7, 0) == "tensorflow"
    write_engine_config(project_dir, "dlc-models-pytorch", "pytorch_config.yaml")
    assert read_shuffle_engine(project, 7, 0) == "pytorch"


def test_a_shuffle_that_does_not_exist_has_no_engine(project_dir):
    assert read_shuffle_engine(read_project(project_dir), 8, 0) is None


# ---- contracts with DeepLabCut ---------------------------------------------------------------


@pytest.mark.dlc
@pytest.mark.parametrize("engine", ["pytorch", "tensorflow"])
@pytest.mark.parametrize("prefix", ["", "mine"])
def test_folder_names_are_deeplabcuts_for_every_fraction(tmp_path, engine, prefix):
    from deeplabcut import Engine
    from deeplabcut.utils import auxiliaryfunctions

    fractions = [percent / 100 for percent in range(1, 101)] + [1 / 3, 0.999, 0.005]
    settings = {**SETTINGS, "TrainingFraction": fractions, "iteration": 3}
    project = parse_project(settings, tmp_path)
    dataset = auxiliaryfunctions.get_training_set_folder(settings)
    assert project.dataset_folder() == PurePosixPath(dataset)
    for index, fraction in enumerate(fractions):
        for shuffle in (0, 1, 12, 1000):
            model = auxiliaryfunctions.get_model_folder(
                fraction, shuffle, settings, modelprefix=prefix, engine=Engine(engine)
            )
            assert project.model_folder(engine, shuffle, index, prefix) == PurePosixPath(model)
            _, split = auxiliaryfunctions.get_data_and_metadata_filenames(
                dataset, fraction, shuffle, settings
            )
            assert project.split_file(shuffle, index) == PurePosixPath(split)


@pytest.mark.dlc
def test_a_dataset_made_by_deeplabcut_lies_where_we_look(dlc_project):
    project = read_project(dlc_project)
    assert (dlc_project / project.split_file(1, 0)).is_file()
    model = dlc_project / project.model_folder("pytorch", 1, 0)
    assert (model / "train" / "pytorch_config.yaml").is_file()
    assert read_shuffle_engine(project, 1, 0) == "pytorch"
    assert read_shuffle_engine(project, 2, 0) is None

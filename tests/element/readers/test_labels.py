from __future__ import annotations

import os
import pickle
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from element_deeplabcut.errors import ProjectError
from element_deeplabcut.readers.labels import (
    LabelSet,
    Split,
    check_split,
    digest_labels,
    labels_file,
    list_labelled_folders,
    read_labels,
    read_split,
)
from element_deeplabcut.readers.project import read_project
from workflow_deeplabcut.synthetic import BODY_PARTS

from ..conftest import IMAGES, PARTS, TEST, TRAIN, true_positions, write_labels, write_split


@pytest.fixture
def labels(project_dir):
    project = read_project(project_dir)
    return read_labels(project_dir / project.dataset_folder() / "CollectedData_ann.h5")


# ---- label tables ----------------------------------------------------------------------------


def test_positions_equal_the_ground_truth(filmed_project):
    folder, truth = filmed_project
    labels = read_labels(folder / "labeled-data" / "mouse" / "CollectedData_tester.h5")
    assert labels.body_parts == BODY_PARTS
    assert labels.images == tuple(f"labeled-data/mouse/img{k:02d}.png" for k in range(12))
    assert labels.positions.dtype == np.float64
    np.testing.assert_array_equal(labels.positions, truth)
    assert labels.folders == {"mouse"}


def test_points_that_were_not_labelled_are_nan(labels):
    np.testing.assert_array_equal(labels.positions, true_positions())
    assert np.isnan(labels.positions[3, 1]).all()
    assert labels.folders == {"m1", "m2"}


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_older_tables_are_indexed_by_one_text(tmp_path, separator):
    columns = pd.MultiIndex.from_product([["ann"], PARTS, ["x", "y"]],
                                         names=["scorer", "bodyparts", "coords"])  # fmt: skip
    index = [image.replace("/", separator) for image in IMAGES]
    table = pd.DataFrame(true_positions().reshape(len(IMAGES), -1), index, columns)
    table.to_hdf(tmp_path / "labels.h5", key="df_with_missing", mode="w", format="table")
    assert read_labels(tmp_path / "labels.h5").images == IMAGES


def write_table(file, levels, names):
    columns = pd.MultiIndex.from_tuples(levels, names=names)
    index = pd.MultiIndex.from_tuples([tuple(image.split("/")) for image in IMAGES])
    values = np.arange(len(IMAGES) * len(columns), dtype=float).reshape(len(IMAGES), -1)
    pd.DataFrame(values, index, columns).to_hdf(file, key="df_with_missing", mode="w")


NAMES = ["scorer", "bodyparts", "coords"]
NOT_LABELS = {
    "y before x": ([("a", part, coord) for part in PARTS for coord in "yx"], NAMES),
    "all x, then all y": ([("a", part, coord) for coord in "xy" for part in PARTS], NAMES),
    "several animals": (
        [("a", animal, part, coord) for animal in "mn" for part in PARTS for coord in "xy"],
        ["scorer", "individuals", "bodyparts", "coords"],
    ),
    "other names": ([("a", part, coord) for part in PARTS for coord in "xy"], ["a", "b", "c"]),
}  # fmt: skip


def test_likelihoods_among_labels_are_left_out_as_deeplabcut_does(tmp_path):
    columns = [("a", part, coord) for part in PARTS for coord in ("x", "y", "likelihood")]
    write_table(tmp_path / "labels.h5", columns, NAMES)
    labels = read_labels(tmp_path / "labels.h5")
    assert labels.body_parts == tuple(PARTS)
    assert labels.positions[0, 0].tolist() == [0, 1]
    assert labels.positions[0, 1].tolist() == [3, 4]


@pytest.mark.parametrize("kind", NOT_LABELS)
def test_a_table_in_another_order_is_refused(tmp_path, kind):
    write_table(tmp_path / "labels.h5", *NOT_LABELS[kind])
    with pytest.raises(ProjectError, match="not a label table"):
        read_labels(tmp_path / "labels.h5")


@pytest.mark.parametrize("how", ["missing", "text", "empty", "truncated", "no table", "folder"])
def test_a_damaged_table_is_refused(tmp_path, how):
    file = tmp_path / "labels.h5"
    if how == "text":
        file.write_text("scorer,ann\n")
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "truncated":
        write_labels(file, true_positions())
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif how == "no table":
        pd.Series([1, 2]).to_hdf(file, key="other")
    elif how == "folder":
        file.mkdir()
    with pytest.raises(ProjectError, match=r"labels\.h5"):
        read_labels(file)


def test_folders_with_labels_of_the_scorer_are_listed(project_dir):
    project = read_project(project_dir)
    assert list_labelled_folders(project) == ("m1", "m2")
    (project_dir / "labeled-data" / "m3").mkdir()
    write_labels(project_dir / "labeled-data" / "m3" / "CollectedData_bob.h5", true_positions())
    assert list_labelled_folders(project) == ("m1", "m2")
    labels_file(project, "m1").unlink()
    assert list_labelled_folders(project) == ("m2",)
    shutil.rmtree(project_dir / "labeled-data")
    assert list_labelled_folders(project) == ()


# ---- hashes ----------------------------------------------------------------------------------


def test_the_hash_does_not_depend_on_the_order_of_rows(project_dir, labels):
    order = np.random.default_rng(0).permutation(len(IMAGES))
    shuffled = LabelSet(
        tuple(labels.images[row] for row in order), labels.body_parts, labels.positions[order]
    )
    assert digest_labels(shuffled, project_dir).hash == digest_labels(labels, project_dir).hash


def test_the_hash_does_not_depend_on_where_the_project_is(project_dir, labels, tmp_path):
    moved = shutil.copytree(project_dir, tmp_path / "moved")
    assert digest_labels(labels, moved).hash == digest_labels(labels, project_dir).hash


def test_the_hash_changes_with_one_label(project_dir, labels):
    positions = labels.positions.copy()
    positions[5, 1, 0] = np.nextafter(positions[5, 1, 0], np.inf)
    moved = replace(labels, positions=positions)
    assert digest_labels(moved, project_dir).hash != digest_labels(labels, project_dir).hash


def test_the_hash_changes_when_two_frames_exchange_their_labels(project_dir, labels):
    positions = labels.positions.copy()
    positions[[0, 1]] = positions[[1, 0]]
    swapped = replace(labels, positions=positions)
    assert digest_labels(swapped, project_dir).hash != digest_labels(labels, project_dir).hash


def test_the_hash_changes_with_a_picture(project_dir, labels):
    before = digest_labels(labels, project_dir).hash
    (project_dir / IMAGES[9]).write_bytes(b"another picture")
    assert digest_labels(labels, project_dir).hash != before


def test_the_hash_changes_with_names(project_dir, labels):
    before = digest_labels(labels, project_dir).hash
    assert digest_labels(replace(labels, body_parts=("tail", "nose")), project_dir).hash != before
    renamed = IMAGES[0].replace("img00", "img77")
    (project_dir / IMAGES[0]).rename(project_dir / renamed)
    assert digest_labels(replace(labels, images=(renamed, *IMAGES[1:])), project_dir).hash != before


def test_a_missing_picture_is_named(project_dir, labels):
    (project_dir / IMAGES[4]).unlink()
    with pytest.raises(ProjectError, match=f"name '{IMAGES[4]}'"):
        digest_labels(labels, project_dir)


# ---- splits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_split_is_read(tmp_path, protocol):
    write_split(tmp_path / "split.pickle", protocol=protocol)
    split = read_split(tmp_path / "split.pickle")
    assert split == Split(TRAIN, TEST, tuple(IMAGES[row] for row in TRAIN))
    assert all(type(row) is int for row in (*split.train, *split.test))


def test_a_split_in_plain_values_is_read(tmp_path):
    record = [[{"image": IMAGES[0].replace("/", "\\")}], [0, np.int64(2)], [1], 0.8]
    (tmp_path / "split.pickle").write_bytes(pickle.dumps(record))
    assert read_split(tmp_path / "split.pickle") == Split((0, 2), (1,), (IMAGES[0],))


def test_rows_that_only_pad_a_split_are_left_out(tmp_path):
    # DeepLabCut pads the index lists of projects with few frames with -1.
    write_split(tmp_path / "split.pickle")
    record = pickle.loads((tmp_path / "split.pickle").read_bytes())
    record[1], record[2] = np.array([0, 1, -1]), np.array([-1, 2])
    (tmp_path / "split.pickle").write_bytes(pickle.dumps(record))
    split = read_split(tmp_path / "split.pickle")
    assert (split.train, split.test) == ((0, 1), (2,))


@pytest.mark.parametrize(
    ("here", "there"), [("numpy._core", "numpy.core"), ("numpy.core", "numpy._core")]
)
def test_a_split_written_under_another_numpy_is_read(tmp_path, here, there):
    file = tmp_path / "split.pickle"
    write_split(file, protocol=3)  # which spells modules as lines of text
    content = file.read_bytes()
    file.write_bytes(content.replace(here.encode() + b".", there.encode() + b"."))
    assert read_split(file).train == TRAIN


class Bomb:
    """Runs something when it is unpickled."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "function", [os.system, subprocess.getoutput, eval], ids=lambda f: f.__name__
)
def test_a_malicious_split_is_refused_and_not_run(tmp_path, protocol, function):
    proof, file = tmp_path / "proof", tmp_path / "split.pickle"
    code = f"touch {proof}" if function is not eval else f"open({str(proof)!r}, 'w')"
    content = pickle.dumps([[], [0], [Bomb(function, code)], 0.8], protocol=protocol)
    pickle.loads(content)
    assert proof.exists(), "the bomb is a dud"
    proof.unlink()
    file.write_bytes(content)
    with pytest.raises(ProjectError, match="not the record of a DeepLabCut shuffle"):
        read_split(file)
    assert not proof.exists()


def name_in_pickle(module: str, name: str) -> bytes:
    """A pickle whose whole content is one imported name (protocol 4, STACK_GLOBAL)."""
    texts = [b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)]
    return b"\x80\x04" + b"".join(texts) + b"\x93."


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "eval"), ("builtins", "getattr"), ("os", "system"), ("numpy", "load"),
     ("numpy", "ndarray.tofile"), ("numpy", "f2py.os.system"),
     ("numpy.core.multiarray", "fromfile"), ("numpy._core.multiarray", "fromfile"),
     ("numpy.core", "multiarray._reconstruct"),
     ("pathlib", "Path"), ("pandas", "read_pickle"), ("_codecs", "decode")],
)  # fmt: skip
def test_names_beyond_arrays_are_refused(tmp_path, module, name):
    (tmp_path / "split.pickle").write_bytes(name_in_pickle(module, name))
    with pytest.raises(ProjectError, match=f"names {module}.{name}"):
        read_split(tmp_path / "split.pickle")


@pytest.mark.parametrize(
    "content",
    [
        None,
        [1, 2],
        [[], [], []],
        [[{"picture": "x"}], [0], [1], 0.8],
        [[5], [0], [1], 0.8],
        [[], ["first"], [1], 0.8],
        [[], 5, [1], 0.8],
        "four",
        {"a": 1, "b": 2, "c": 3, "d": 4},
    ],
)
def test_a_record_of_another_form_is_refused(tmp_path, content):
    (tmp_path / "split.pickle").write_bytes(pickle.dumps(content))
    with pytest.raises(ProjectError, match="Create the training dataset again"):
        read_split(tmp_path / "split.pickle")


def test_a_missing_split_is_refused(tmp_path):
    with pytest.raises(ProjectError, match="not the record"):
        read_split(tmp_path / "none.pickle")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_split_cut_anywhere_is_refused(tmp_path, protocol):
    file = tmp_path / "split.pickle"
    write_split(file, protocol=protocol)
    content = file.read_bytes()
    for length in (*range(0, len(content), 7), len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(ProjectError):
            read_split(file)


# Bytes that hang together as instructions. None that reserves memory for what does not follow.
OPCODES = st.lists(
    st.sampled_from(list(b"(]}l.dt0123NI1\n\x85\x86\x87\x88\x89)aebsuq\x94h\x00R\x81")), max_size=12
)


@example(list(b"\x88)a"))  # AttributeError
@example(list(b"e"))
@given(OPCODES)
def test_any_instructions_are_read_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.pickle"
    file.write_bytes(bytes(content) + b".")
    with pytest.raises(ProjectError):
        read_split(file)


def test_a_split_fits_the_labels_it_was_made_from(tmp_path, labels):
    check_split(Split(TRAIN, TEST, tuple(IMAGES[row] for row in TRAIN)), labels, tmp_path)


def test_a_frame_without_any_label_may_lack_among_the_training_images(tmp_path, labels):
    check_split(Split(TRAIN, TEST, tuple(IMAGES[row] for row in TRAIN[1:])), labels, tmp_path)


def test_a_split_of_other_labels_is_refused(tmp_path, labels):
    split = Split(TRAIN, TEST, tuple(IMAGES[row] for row in TRAIN))
    earlier = "labeled-data/a0/img00.png"  # sorts first, so every row moves by one
    more = LabelSet(
        (earlier, *labels.images),
        labels.body_parts,
        np.concatenate([labels.positions[:1], labels.positions]),
    )
    fewer = LabelSet(labels.images[:9], labels.body_parts, labels.positions[:9])
    renamed = replace(labels, images=(earlier, *labels.images[1:]))
    for changed in (more, fewer, renamed):
        with pytest.raises(ProjectError, match="made from other labels") as caught:
            check_split(split, changed, tmp_path)
        assert str(tmp_path) in str(caught.value)


@pytest.mark.dlc
def test_a_split_made_by_deeplabcut(dlc_project):
    project = read_project(dlc_project)
    split = read_split(dlc_project / project.split_file(1, 0))
    dataset = dlc_project / project.dataset_folder() / "CollectedData_tester.h5"
    labels = read_labels(dataset)
    assert sorted((*split.train, *split.test)) == list(range(12))
    assert len(split.train) == 9  # 80 % of 12, rounded down
    assert split.train_images == tuple(labels.images[row] for row in split.train)
    check_split(split, labels, dataset)

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import QueryError
from element_deeplabcut.trajectories import build_table, name_output_dir, pick_body_parts

CONFIG = {"bodyparts": ["nose", "leftear", "rightear"]}
SCORER = "DLC_Resnet50_openJan1shuffle1_snapshot_best-10"


def make_row(body_part, offset, individual="", n_frames=4):
    frames = np.arange(n_frames, dtype=np.int32)
    return {
        "individual": individual,
        "body_part": body_part,
        "frame_index": frames,
        "x_pos": (frames + offset).astype(np.float32),
        "y_pos": (10 * frames + offset).astype(np.float32),
        "likelihood": np.full(n_frames, offset / 100, np.float32),
    }


# ---- folder names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"subject": "a b"}, {"subject": "a-b"}),
        ({"subject": "A"}, {"subject": "a"}),
        ({"subject": "a", "id": "b-c"}, {"subject": "a-b", "id": "c"}),
        ({"subject": "ä"}, {"subject": "ö"}),
        ({"subject": "x" * 200 + "1"}, {"subject": "x" * 200 + "2"}),
        ({"subject": "a"}, {"mouse": "a"}),
        ({"subject": "../x"}, {"subject": "x"}),
    ],
)
def test_output_folders_of_distinct_keys_are_distinct(one, other):
    assert name_output_dir(one) != name_output_dir(other)


@given(st.dictionaries(st.sampled_from("abc"), st.text(max_size=8), min_size=1),
       st.dictionaries(st.sampled_from("abc"), st.text(max_size=8), min_size=1))  # fmt: skip
def test_output_folders_are_equal_exactly_for_equal_keys(one, other):
    assert (name_output_dir(one) == name_output_dir(other)) == (one == other)


@given(st.dictionaries(st.sampled_from("abc"), st.text(max_size=300) | st.integers(), min_size=1))
def test_an_output_folder_is_one_plain_name_below_poses(key):
    folder = name_output_dir(key)
    assert not folder.is_absolute()
    assert folder.parts[0] == "poses"
    assert len(folder.parts) == 2
    assert set(folder.name) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
    )
    assert len(folder.name) <= 128


def test_an_output_folder_is_readable():
    key = {"subject": "mouse 1", "session_datetime": datetime.datetime(2026, 2, 1), "id": 3}
    for value in ("mouse-1", "2026-02-01-00-00-00", "3"):
        assert f"{value}-" in name_output_dir(key).name


def test_the_order_of_a_key_does_not_matter():
    key = {"subject": "m", "recording_id": 1}
    assert name_output_dir(key) == name_output_dir(dict(reversed(key.items())))


# ---- body parts ------------------------------------------------------------------------------


def test_body_parts_by_name():
    assert pick_body_parts(CONFIG, "all") == ["nose", "leftear", "rightear"]
    assert pick_body_parts(CONFIG, "nose") == ["nose"]  # one name, not four letters
    assert pick_body_parts(CONFIG, ("rightear", "nose")) == ["rightear", "nose"]


def test_an_unknown_body_part_is_refused_with_the_nearest():
    with pytest.raises(QueryError, match=r"'leftera'.*Did you mean 'leftear'"):
        pick_body_parts(CONFIG, ["nose", "leftera"])
    with pytest.raises(QueryError, match="It has nose, leftear, rightear"):
        pick_body_parts(CONFIG, "zzz")


# ---- the table -------------------------------------------------------------------------------


def test_the_layout_is_deeplabcuts():
    rows = [make_row("leftear", 2), make_row("nose", 1)]
    table = build_table(rows, SCORER, ["nose", "leftear"], None)
    expected = pd.MultiIndex.from_product(
        [[SCORER], ["nose", "leftear"], ["x", "y", "likelihood"]],
        names=["scorer", "bodyparts", "coords"],
    )
    pd.testing.assert_index_equal(table.columns, expected)
    pd.testing.assert_index_equal(table.index, pd.RangeIndex(4), exact="equiv")


def test_every_number_stands_in_its_own_column():
    rows = [make_row("leftear", 2), make_row("nose", 1)]
    table = build_table(rows, SCORER, ["nose", "leftear"], None)
    for part, offset in (("nose", 1), ("leftear", 2)):
        assert table[SCORER][part]["x"].tolist() == [offset + k for k in range(4)]
        assert table[SCORER][part]["y"].tolist() == [offset + 10 * k for k in range(4)]
        np.testing.assert_array_equal(
            table[SCORER][part]["likelihood"], np.full(4, offset / 100, np.float32)
        )


def test_the_columns_follow_the_order_asked_for():
    rows = [make_row("nose", 1), make_row("leftear", 2)]
    table = build_table(rows, SCORER, ["leftear", "nose"], None)
    assert list(table.columns.get_level_values("bodyparts").unique()) == ["leftear", "nose"]


def test_a_crop_moves_x_by_its_left_edge_and_y_by_its_upper_one():
    row = make_row("nose", 0)
    table = build_table([row], SCORER, ["nose"], [100, 300, 20, 220])
    assert table[SCORER]["nose"]["x"].tolist() == [100, 101, 102, 103]
    assert table[SCORER]["nose"]["y"].tolist() == [20, 30, 40, 50]
    assert table[SCORER]["nose"]["likelihood"].tolist() == [0, 0, 0, 0]
    assert row["x_pos"].tolist() == [0, 1, 2, 3]  # what was fetched is left alone


def test_named_animals_get_a_level_of_their_own():
    rows = [make_row(part, 10 * animal + k, f"m{animal}")
            for animal in (2, 1) for k, part in enumerate(("nose", "tail"))]  # fmt: skip
    table = build_table(rows, SCORER, ["nose", "tail"], None)
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    assert list(table.columns.get_level_values("individuals").unique()) == ["m1", "m2"]
    assert table[SCORER]["m2"]["tail"]["x"].tolist() == [21, 22, 23, 24]


@pytest.mark.dlc
def test_the_layout_equals_a_file_of_deeplabcut(tmp_path):
    from deeplabcut.pose_estimation_pytorch.apis.videos import create_df_from_prediction

    rng = np.random.default_rng(0)
    poses = rng.uniform(0, 100, (5, 1, 2, 3)).astype(np.float32)
    theirs = create_df_from_prediction(
        predictions=[{"bodyparts": frame} for frame in poses],
        dlc_scorer=SCORER,
        multi_animal=False,
        model_cfg={"metadata": {"bodyparts": ["nose", "tail"], "individuals": ["one"],
                                "unique_bodyparts": []}},
        output_path=tmp_path,
        output_prefix="x",
    )  # fmt: skip
    rows = [
        {"individual": "", "body_part": part, "frame_index": np.arange(5, dtype=np.int32),
         "x_pos": poses[:, 0, k, 0], "y_pos": poses[:, 0, k, 1], "likelihood": poses[:, 0, k, 2]}
        for k, part in enumerate(("nose", "tail"))
    ]  # fmt: skip
    ours = build_table(rows, SCORER, ["nose", "tail"], None)
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, check_index_type="equiv")

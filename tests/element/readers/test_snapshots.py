from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import ModelError
from element_deeplabcut.readers.snapshots import (
    Snapshot,
    list_snapshots,
    pytorch_scorer,
    select_snapshot,
)

NOT_SNAPSHOTS = (
    "snapshot.pt",
    "snapshot-12.pth",
    "snapshot-detector-050.pt",
    "snapshot-detector-best-050.pt",
    "my-snapshot-012.pt",
    "snapshot-012.pt.tmp",
    "snapshot-best-.pt",
    "snapshot-100.index",
    "initial-weights.pt",
    "pytorch_config.yaml",
)


def write_snapshots(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("weights")
    return folder


def names_of(snapshots) -> list[str]:
    return [snapshot.path.name for snapshot in snapshots]


def test_snapshots_are_listed_by_epoch_with_the_best_one_last(tmp_path):
    folder = write_snapshots(
        tmp_path, "snapshot-1000.pt", "snapshot-best-010.pt", "snapshot-200.pt", "snapshot-005.pt"
    )
    assert names_of(list_snapshots(folder)) == [
        "snapshot-005.pt", "snapshot-200.pt", "snapshot-1000.pt", "snapshot-best-010.pt"
    ]  # fmt: skip
    assert [snapshot.epochs for snapshot in list_snapshots(folder)] == [5, 200, 1000, 10]
    assert [snapshot.uid for snapshot in list_snapshots(folder)] == ["5", "200", "1000", "best-10"]


def test_other_files_are_no_snapshots(tmp_path):
    folder = write_snapshots(tmp_path, *NOT_SNAPSHOTS, "snapshot-012.pt")
    assert names_of(list_snapshots(folder)) == ["snapshot-012.pt"]


def test_a_folder_that_does_not_exist_holds_no_snapshot(tmp_path):
    assert list_snapshots(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (-1, "snapshot-best-010.pt"),
        (-2, "snapshot-012.pt"),
        (0, "snapshot-006.pt"),
        (2, "snapshot-best-010.pt"),
        (-3, "snapshot-006.pt"),
    ],
)
def test_snapshotindex_counts_through_them(tmp_path, index, name):
    write_snapshots(tmp_path, "snapshot-012.pt", "snapshot-best-010.pt", "snapshot-006.pt")
    assert select_snapshot(tmp_path, index).path == tmp_path / name


def test_without_a_best_one_the_last_is_chosen(tmp_path):
    write_snapshots(tmp_path, "snapshot-012.pt", "snapshot-006.pt")
    assert select_snapshot(tmp_path, -1).path.name == "snapshot-012.pt"


@pytest.mark.parametrize("index", [2, -3, 100])
def test_an_index_out_of_range_is_refused_with_the_names(tmp_path, index):
    write_snapshots(tmp_path, "snapshot-012.pt", "snapshot-006.pt")
    with pytest.raises(ModelError, match=rf"{index} .*snapshot-006\.pt, snapshot-012\.pt"):
        select_snapshot(tmp_path, index)


def test_a_folder_without_snapshots_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no snapshot"):
        select_snapshot(tmp_path, -1)


@pytest.mark.parametrize(
    ("net_type", "best", "scorer"),
    [
        ("resnet_50", False, "DLC_Resnet50_openJan1shuffle2_snapshot_12"),
        ("resnet_50", True, "DLC_Resnet50_openJan1shuffle2_snapshot_best-12"),
        ("hrnet_w18", False, "DLC_HrnetW18_openJan1shuffle2_snapshot_12"),
        ("dekr_w32", True, "DLC_DekrW32_openJan1shuffle2_snapshot_best-12"),
    ],
)
def test_scorer(net_type, best, scorer):
    snapshot = Snapshot(best, 12, Path("any.pt"))
    assert pytorch_scorer(net_type, "open", "Jan1", 2, snapshot) == scorer


FILES = st.sets(
    st.builds(
        lambda best, epoch, width: f"snapshot{best}-{epoch:0{width}d}.pt",
        st.sampled_from(["", "-best"]),
        st.integers(0, 1200),
        st.integers(1, 4),
    )
    | st.sampled_from(NOT_SNAPSHOTS),
    max_size=8,
)


@given(FILES)
def test_the_list_is_sorted_and_complete(tmp_path_factory, names):
    folder = write_snapshots(tmp_path_factory.mktemp("train"), *names)
    listed = list_snapshots(folder)
    assert set(names_of(listed)) == names - set(NOT_SNAPSHOTS)
    order = [(snapshot.best, snapshot.epochs) for snapshot in listed]
    assert order == sorted(order)


@pytest.mark.dlc
def test_the_list_is_deeplabcuts(tmp_path):
    from deeplabcut.pose_estimation_pytorch.data import snapshots as theirs

    names = ["snapshot-006.pt", "snapshot-012.pt", "snapshot-1000.pt", "snapshot-best-010.pt",
             "snapshot-best-200.pt", *NOT_SNAPSHOTS]  # fmt: skip
    write_snapshots(tmp_path, *names)
    expected = theirs.list_snapshots(tmp_path, "snapshot")
    ours = list_snapshots(tmp_path)
    assert names_of(ours) == names_of(expected)
    assert [s.uid for s in ours] == [s.uid() for s in expected]
    assert [(s.best, s.epochs) for s in ours] == [(s.best, s.epochs) for s in expected]


@pytest.mark.dlc
@pytest.mark.parametrize("name", ["snapshot-best-010.pt", "snapshot-012.pt", "snapshot-1000.pt"])
def test_the_scorer_is_deeplabcuts(dlc_project, tmp_path, name):
    from deeplabcut.pose_estimation_pytorch.data import DLCLoader

    loader = DLCLoader(config=dlc_project / "config.yaml", trainset_index=0, shuffle=1)
    snapshot = list_snapshots(write_snapshots(tmp_path, name))[0]
    config, engine_config = loader.project_cfg, loader.model_cfg
    assert pytorch_scorer(
        engine_config["net_type"], config["Task"], config["date"], 1, snapshot
    ) == loader.scorer(Path(name))

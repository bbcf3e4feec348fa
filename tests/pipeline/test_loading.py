"""task_mode load: results of every generation, of the real engine where it can run here."""

from __future__ import annotations

import itertools
import logging
import os
import pickle
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
import yaml

from element_deeplabcut.colors import name_colors
from element_deeplabcut.errors import (
    EngineError,
    ModelError,
    ParameterError,
    PathError,
    QueryError,
    ResultError,
    VideoError,
)
from element_deeplabcut.store.bundles import make_bundle_view, open_bundle
from workflow_deeplabcut import synthetic

from ..conftest import Lab, Trained
from ..dlc_results import (
    make_table,
    pytorch_meta,
    tensorflow_meta,
    write_meta,
    write_table,
)
from ..labeled_dots import find_dots

N_FRAMES = 12
PARTS = list(synthetic.BODY_PARTS)
TF = "DLC_resnet50_openfieldOct30shuffle1_1000"
LEGACY = TF.replace("DLC", "DeepCut")
TORCH = "DLC_Resnet50_openfieldOct30shuffle2_snapshot_best-10"
MULTI = "DLC_dlcrnetms5_openfieldOct30shuffle3_2000"
_ids = itertools.count(500)


@dataclass
class Shelf:
    """A lab with models of both engines, and a folder of results of its own."""

    lab: Lab
    folder: Path
    keys: list[dict[str, Any]] = field(default_factory=list)

    @property
    def relative(self) -> str:
        return self.folder.relative_to(self.lab.root).as_posix()

    def queue(self, model: str, *stems: str, **params: Any) -> dict[str, Any]:
        """Register a recording of videos with these names, and queue the loading."""
        files = [f"raw/{self.folder.name}/{stem}.mp4" for stem in stems]
        for file in files:
            path = self.lab.root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                shutil.copyfile(self.lab.root / "raw" / "short.mp4", path)
        key = {**self.lab.add_recording(next(_ids), *files), "model_name": model}
        tables = self.lab.pipeline.model
        tables.RecordingInfo.populate(key)
        tables.PoseEstimationTask.generate(key, "load", params, output_dir=self.folder)
        return key

    def load(self, model: str, *stems: str, **params: Any) -> dict[str, Any]:
        key = self.queue(model, *stems, **params)
        self.lab.pipeline.model.PoseEstimation.populate(key)
        return key

    def table(self, key: dict[str, Any], **options: Any) -> pd.DataFrame:
        return self.lab.pipeline.model.PoseEstimation.get_trajectory(key, **options)

    def info(self, key: dict[str, Any]) -> dict[str, Any]:
        return (self.lab.pipeline.model.PoseEstimation & key).fetch1("run_info")

    def refuse(self, error: type[Exception], match: str, *stems: str, **params: Any) -> None:
        model = params.pop("model", "tf")
        key = self.queue(model, *stems, **params)
        tables = self.lab.pipeline.model
        before = sorted(self.lab.processed.rglob("*"))
        with pytest.raises(error, match=match):
            tables.PoseEstimation.populate(key)
        assert not tables.PoseEstimation & key
        assert not tables.PoseEstimation.BodyPartPosition & key
        assert sorted(self.lab.processed.rglob("*")) == before


def write_model(
    project: Path, engine: str, shuffle: int, pose_config: dict[str, Any], files: Sequence[str]
) -> None:
    name = {"tensorflow": "dlc-models", "pytorch": "dlc-models-pytorch"}[engine]
    folder = project / name / "iteration-0" / f"openfieldOct30-trainset80shuffle{shuffle}"
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
    config = {"tensorflow": "pose_cfg.yaml", "pytorch": "pytorch_config.yaml"}[engine]
    (folder / "train" / config).write_text(yaml.safe_dump(pose_config))
    (folder / "test" / "pose_cfg.yaml").write_text(yaml.safe_dump({"init_weights": "/a/b"}))
    for file in files:
        (folder / "train" / file).write_bytes(f"{file} of shuffle {shuffle}".encode())


def write_project(project: Path, **changes: Any) -> Path:
    config = {
        "Task": "openfield", "scorer": "Pranav", "date": "Oct30", "iteration": 0,
        "multianimalproject": False, "TrainingFraction": [0.8, 0.95], "bodyparts": PARTS,
        "snapshotindex": -1, "pcutoff": 0.4, "project_path": "/nowhere", "video_sets": {},
        **changes,
    }  # fmt: skip
    project.mkdir(parents=True)
    (project / "config.yaml").write_text(yaml.safe_dump(config))
    return project / "config.yaml"


def snapshot(iterations: int) -> list[str]:
    ends = ("index", "meta", "data-00000-of-00001")
    return [f"snapshot-{iterations}.{end}" for end in ends]


@pytest.fixture(scope="module")
def models(lab: Lab) -> dict[str, dict[str, Any]]:
    """Models of both engines, one of several animals; registered, not run."""
    synthetic.render_video(lab.root / "raw" / "short.mp4", N_FRAMES)
    config = write_project(lab.root / "openfield")
    tf = {"net_type": "resnet_50", "project_path": "/a", "init_weights": "/a/resnet.ckpt"}
    write_model(config.parent, "tensorflow", 1, tf, [*snapshot(1000), *snapshot(200)])
    write_model(config.parent, "pytorch", 2, {"net_type": "resnet_50", "metadata": {}},
                ["snapshot-best-010.pt", "snapshot-012.pt"])  # fmt: skip
    several = write_project(
        lab.root / "openfield-several", multianimalproject=True, bodyparts="MULTI!",
        multianimalbodyparts=PARTS[:2], uniquebodyparts=["corner"],
        individuals=["mus1", "mus2"], default_track_method="ellipse",
    )  # fmt: skip
    write_model(several.parent, "tensorflow", 3, {**tf, "multi_stage": True}, snapshot(2000))
    table = lab.pipeline.model.Model
    rows = {}
    for name, path, shuffle in (("tf", config, 1), ("torch", config, 2), ("several", several, 3)):
        key = table.insert_new_model(name, path, shuffle=shuffle, trainingsetindex=0, prompt=False)
        rows[name] = (table & key).fetch1()
    return rows


@pytest.fixture
def shelf(lab: Lab, models: dict[str, Any], tmp_path: Path) -> Iterator[Shelf]:
    folder = lab.root / "results" / tmp_path.name
    folder.mkdir(parents=True)
    yield Shelf(lab, folder)
    shutil.rmtree(folder)


def same(loaded: pd.DataFrame, written: pd.DataFrame) -> None:
    written = written[loaded.columns] if set(loaded.columns) == set(written.columns) else written
    assert np.array_equal(loaded.to_numpy(np.float64), written.to_numpy(np.float64), equal_nan=True)


# --- models of engines that are not here ----------------------------------------------------------


def test_tensorflow_models_are_registered(lab: Lab, models: dict[str, Any]) -> None:
    row = models["tf"]
    assert (row["engine"], row["scorer"], row["snapshot"]) == ("tensorflow", TF, "snapshot-1000")
    assert models["torch"]["scorer"] == TORCH
    folder = lab.processed / "models" / row["bundle_hash"]
    kept = {file.name for file in folder.rglob("snapshot-*")}
    assert kept == set(snapshot(1000))
    text = "".join(file.read_text() for file in folder.rglob("*.yaml"))
    assert "/a" not in text


def test_a_snapshot_of_two_files_is_refused(lab: Lab, models: dict[str, Any]) -> None:
    config = write_project(lab.root / "openfield-part")
    write_model(config.parent, "tensorflow", 1, {"net_type": "resnet_50"}, snapshot(5)[:2])
    with pytest.raises(ModelError, match=r"lacks snapshot-5\.data-00000-of-00001"):
        lab.pipeline.model.Model.insert_new_model(
            "part", config, shuffle=1, trainingsetindex=0, prompt=False
        )


def test_several_animals_have_unique_body_parts_too(lab: Lab, models: dict[str, Any]) -> None:
    parts = (lab.pipeline.model.Model.BodyPart & {"model_name": "several"}).fetch("body_part")
    assert sorted(parts) == sorted([*PARTS[:2], "corner"])
    assert models["several"]["scorer"] == MULTI


@pytest.mark.dlc
@pytest.mark.parametrize(("model", "error"), [("tf", EngineError), ("several", ModelError)])
def test_such_models_are_not_run(model: str, error: type[Exception], shelf: Shelf) -> None:
    tables = shelf.lab.pipeline.model
    key = {**shelf.lab.add_recording(next(_ids), "raw/short.mp4"), "model_name": model}
    tables.RecordingInfo.populate(key)
    tables.PoseEstimationTask.generate(key)
    with pytest.raises(error):
        tables.PoseEstimation.populate(key)


# --- one result -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "scorer", "ending", "meta_ending"),
    [
        ("tf", TF, ".h5", "_meta.pickle"),
        ("tf", TF, ".csv", "_meta.pickle"),
        ("tf", TF, ".h5", "includingmetadata.pickle"),
        ("tf", LEGACY, ".h5", "includingmetadata.pickle"),
        ("torch", TORCH, ".h5", "_meta.pickle"),
    ],
)
def test_each_generation_loads_bit_for_bit(
    model: str, scorer: str, ending: str, meta_ending: str, shelf: Shelf
) -> None:
    dtype = "float32" if model == "torch" else "float64"
    file = shelf.folder / f"mouse1{scorer}{ending}"
    write_table(make_table(scorer, PARTS, N_FRAMES, dtype=dtype), file)
    make_meta = pytorch_meta if model == "torch" else tensorflow_meta
    write_meta(make_meta(scorer, N_FRAMES), shelf.folder / f"mouse1{scorer}{meta_ending}")
    key = shelf.load(model, "mouse1")
    read = (
        pd.read_csv(file, header=[0, 1, 2], index_col=0)
        if ending == ".csv" else pd.read_hdf(file)
    )  # fmt: skip
    same(shelf.table(key), read)
    row = (shelf.lab.pipeline.model.PoseEstimation.BodyPartPosition & key).fetch(as_dict=True)[0]
    assert row["x_pos"].dtype == dtype
    assert row["frame_index"].tolist() == list(range(N_FRAMES))
    (source,) = shelf.info(key)["sources"]
    assert source["file"] == file.name
    assert source["size"] == file.stat().st_size
    assert len(source["sha256"]) == 64
    assert source["vouched_by"] == "meta"


def test_without_notes_the_scorer_vouches(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    write_table(make_table(TF, PARTS, N_FRAMES), shelf.folder / f"mouse1{TF}.h5")
    with caplog.at_level(logging.WARNING):
        key = shelf.load("tf", "mouse1")
    assert "nothing but its scorer vouches" in caplog.text
    assert shelf.info(key)["sources"][0]["vouched_by"] == "scorer"


def test_raw_unless_filtered_is_asked_for(shelf: Shelf) -> None:
    raw = write_table(make_table(TF, PARTS, N_FRAMES), shelf.folder / f"a{TF}.h5")
    filtered = write_table(
        make_table(TF, PARTS, N_FRAMES, seed=1), shelf.folder / f"a{TF}_filtered.h5"
    )
    same(shelf.table(shelf.load("tf", "a")), raw)
    same(shelf.table(shelf.load("tf", "a", filtered=True)), filtered)
    with pytest.raises(ParameterError, match="filtered cannot be honoured"):
        shelf.lab.pipeline.model.PoseEstimationTask.generate(
            {**shelf.lab.session_key, "recording_id": 1, "model_name": "tf"},
            params={"filtered": True},
        )
    with pytest.raises(ParameterError, match="task_mode is 'laod'; it must be 'trigger'"):
        shelf.lab.pipeline.model.PoseEstimationTask.generate(
            {**shelf.lab.session_key, "recording_id": 1, "model_name": "tf"}, "laod"
        )


def test_files_of_a_recording_follow_each_other(shelf: Shelf) -> None:
    tables = {}
    for seed, stem in enumerate(("mouse10", "mouse1", "mouse1DLC_x")):
        file = shelf.folder / f"{stem}{TF}.h5"
        tables[stem] = write_table(make_table(TF, PARTS, N_FRAMES, seed=seed), file)
    key = shelf.load("tf", "mouse10", "mouse1", "mouse1DLC_x")
    table = shelf.table(key)
    assert list(table.index) == list(range(3 * N_FRAMES))
    same(table, pd.concat(list(tables.values())))


# --- several animals, three dimensions ------------------------------------------------------------


@pytest.mark.parametrize("tracker", ["_el", "_bx", "_sk", ""])
def test_several_animals(tracker: str, shelf: Shelf) -> None:
    written = make_table(
        MULTI, PARTS[:2], N_FRAMES, individuals=["mus1", "mus2"], unique=["corner"]
    )
    write_table(written, shelf.folder / f"a{MULTI}{tracker}.h5", "tracks")
    key = shelf.load("several", "a")
    table = shelf.table(key)
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    same(table, written)
    positions = shelf.lab.pipeline.model.PoseEstimation.BodyPartPosition & key
    assert {(r["individual"], r["body_part"]) for r in positions.fetch("KEY")} == {
        *itertools.product(["mus1", "mus2"], PARTS[:2]), ("single", "corner"),
    }  # fmt: skip


def test_several_animals_are_cleaned_measured_and_judged(shelf: Shelf) -> None:
    """Each by itself, also the thing of which there is one."""
    names = ["mus1", "mus2"]
    written = make_table(MULTI, PARTS[:2], N_FRAMES, individuals=names, unique=["corner"])
    written.loc[:, written.columns.get_level_values("coords") == "likelihood"] = 1.0
    write_table(written, shelf.folder / f"a{MULTI}_el.h5", "tracks")
    key = shelf.load("several", "a")
    pipeline = shelf.lab.pipeline
    pose = pipeline.model.PoseEstimation.get_pose(key)
    assert pose.individuals == ("mus1", "mus2", "single")
    assert pose.body_parts == (*PARTS[:2], "corner")
    assert pose.is_tracked.T.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert np.isnan(pose.position[:, 2, :2]).all()
    only = pipeline.model.PoseEstimation.get_pose(key, PARTS[1], "mus2", slice(3, 6))
    expected = [written[MULTI, "mus2", PARTS[1], coord][3:6] for coord in ("x", "y")]
    assert np.array_equal(only.position[:, 0, 0].T, expected)
    with pytest.raises(QueryError, match=r"no individual 'mus3'. Did you mean 'mus2'"):
        pipeline.model.PoseEstimation.get_pose(key, individuals="mus3")
    with pytest.raises(QueryError, match="mus1 has no trajectory of corner"):
        pipeline.model.PoseEstimation.get_pose(key, "corner", "mus1")
    same(pd.read_hdf(pose.to_h5(shelf.folder / "out.h5")), written)

    tables = pipeline.kinematics
    index = tables.KinematicsParamSet.insert_new_params(
        "raw", {"smoothing": "none", "max_gap": 0, "heading": [PARTS[1], PARTS[0]]}
    )
    params = {"kinematics_paramset_idx": index}
    tables.ProcessedPose.populate(key, params)
    tables.Kinematics.populate(key, params)
    clean = tables.ProcessedPose.get_pose({**key, **params})
    assert np.array_equal(clean.position, pose.position, equal_nan=True)
    motion = tables.Kinematics.get_dataset({**key, **params})
    assert motion.individuals.values.tolist() == ["mus1", "mus2", "single"]
    centre = pose.position[:, :2, 1].mean(axis=1)
    assert np.allclose(motion.centroid.sel(individuals="mus2"), centre)
    assert np.isnan(motion.heading.sel(individuals="single")).all()

    thresholds = {"quality_paramset_idx": pipeline.report.QualityParamSet.insert_default()}
    pipeline.report.PoseQuality.populate(key, thresholds)
    assert len(pipeline.report.PoseQuality.BodyPart & key & thresholds) == 5


def test_the_tracker_of_the_config_is_preferred(shelf: Shelf) -> None:
    written = {}
    for seed, tracker in enumerate(("", "_bx", "_el")):
        written[tracker] = make_table(MULTI, PARTS[:2], N_FRAMES, individuals=["mus1"],
                                      unique=["corner"], seed=seed)  # fmt: skip
        write_table(written[tracker], shelf.folder / f"a{MULTI}{tracker}.h5", "tracks")
    same(shelf.table(shelf.load("several", "a")), written["_el"])


def test_tracks_may_end_early_where_the_notes_vouch_for_the_frames(shelf: Shelf) -> None:
    written = make_table(MULTI, PARTS[:2], N_FRAMES - 4, individuals=["mus1"], unique=["corner"])
    write_table(written, shelf.folder / f"a{MULTI}_el.h5", "tracks")
    shelf.refuse(VideoError, "has 8 rows", "a", model="several")
    write_meta(tensorflow_meta(MULTI, N_FRAMES), shelf.folder / f"a{MULTI}_meta.pickle")
    table = shelf.table(shelf.load("several", "a"))
    same(table.iloc[:-4], written)
    assert table.iloc[-4:].isna().all(axis=None)


@pytest.mark.parametrize("with_likelihood", [True, False])
def test_three_dimensions(with_likelihood: bool, shelf: Shelf) -> None:
    coords = ("x", "y", "z", "likelihood") if with_likelihood else ("x", "y", "z")
    written = make_table(TF, PARTS, N_FRAMES, coords=coords)
    write_table(written, shelf.folder / f"a{TF}.h5")
    key = shelf.load("tf", "a")
    table = shelf.table(key)
    same(table[list(written.columns)], written)
    (row,) = (shelf.lab.pipeline.model.PoseEstimation.BodyPartPosition & key
              & {"body_part": PARTS[0]}).fetch(as_dict=True)  # fmt: skip
    assert np.array_equal(row["z_pos"], written[TF, PARTS[0], "z"])
    assert np.isnan(row["likelihood"]).all() == (not with_likelihood)
    pose = shelf.lab.pipeline.model.PoseEstimation.get_pose(key, frames=slice(2, 5))
    assert (pose.space, pose.unit) == (("x", "y", "z"), "unknown")
    assert np.array_equal(pose.position[:, 0, 0, 2], written[TF, PARTS[0], "z"][2:5])
    assert pose.has_likelihood == with_likelihood
    tables = shelf.lab.pipeline.kinematics
    params = {"kinematics_paramset_idx": tables.KinematicsParamSet.insert_default()}
    tables.ProcessedPose.populate(key, params)
    assert tables.ProcessedPose.get_pose({**key, **params}).space == ("x", "y", "z")
    with pytest.raises(ResultError, match="is triangulated"):
        tables.Kinematics.populate(key, params)


def test_a_triangulated_pair_of_videos(shelf: Shelf) -> None:
    written = make_table("DLC_3D", PARTS, N_FRAMES, coords=("x", "y", "z"))
    write_table(written, shelf.folder / "trial1_DLC_3D.h5")
    meta = {"stereo_matrix": {"R1": np.eye(3)}, "scorer_name": {"camera-1": TF, "camera-2": TF}}
    write_meta(meta, shelf.folder / "trial1_DLC_3D_meta.pickle")
    key = shelf.load("tf", "trial1_camera-1")
    table = shelf.table(key)
    assert np.array_equal(table.xs("z", axis=1, level="coords"), written.xs("z", axis=1, level=2))
    shelf.refuse(ResultError, "holds no result", "trial2_camera-1")


# --- crops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effective"), [("tf", [29, 180, 58, 190]), ("torch", [28, 180, 57, 190])]
)
def test_crops_are_undone_as_each_engine_made_them(
    model: str, effective: list[int], shelf: Shelf
) -> None:
    scorer, make_meta = (TF, tensorflow_meta) if model == "tf" else (TORCH, pytorch_meta)
    size = (200, 200) if model == "tf" else (152, 133)
    written = write_table(make_table(scorer, PARTS, N_FRAMES), shelf.folder / f"a{scorer}.h5")
    write_meta(
        make_meta(scorer, N_FRAMES, cropping=True, cropping_parameters=[29, 180, 58, 190],
                  frame_dimensions=size), shelf.folder / f"a{scorer}_meta.pickle",
    )  # fmt: skip
    key = shelf.load(model, "a")
    assert (shelf.lab.pipeline.model.PoseEstimation & key).fetch1("crop") == effective
    same(shelf.table(key, full_frame=False), written)
    shift = (shelf.table(key) - shelf.table(key, full_frame=False)).to_numpy().reshape(-1, 3)
    assert np.allclose(shift, [effective[0], effective[2], 0])


def test_the_task_names_the_crop_where_nothing_is_noted(shelf: Shelf) -> None:
    write_table(make_table(TF, PARTS, N_FRAMES), shelf.folder / f"a{TF}.h5")
    key = shelf.load("tf", "a", cropping=[10, 100, 20, 100])
    crop = (shelf.lab.pipeline.model.PoseEstimation & key).fetch1("crop")
    assert crop == [10, 100, 20, 100]
    write_meta(tensorflow_meta(TF, N_FRAMES), shelf.folder / f"a{TF}_meta.pickle")
    shelf.refuse(ParameterError, "Leave cropping out", "a", cropping=[10, 100, 20, 100])


# --- a folder of everything -----------------------------------------------------------------------


def test_a_folder_of_mixed_generations_loads_without_a_wrong_row(shelf: Shelf) -> None:
    """Every generation side by side, with names that begin alike; each task gets its own."""
    expected: dict[tuple[str, str, bool], pd.DataFrame] = {}
    seeds = itertools.count()

    def put(stem: str, model: str, scorer: str, ending: str, filtered: bool = False) -> None:
        table = make_table(scorer, PARTS, N_FRAMES, seed=next(seeds))
        expected[stem, model, filtered] = write_table(table, shelf.folder / f"{stem}{ending}")

    for stem in ("mouse1", "mouse10", "mouse", f"mouse{TF}", "m"):
        put(stem, "torch", TORCH, f"{TORCH}.h5")
        write_meta(pytorch_meta(TORCH, N_FRAMES), shelf.folder / f"{stem}{TORCH}_meta.pickle")
        put(stem, "torch", TORCH, f"{TORCH}_filtered.h5", filtered=True)
    put("mouse1", "tf", TF, f"{TF}.h5")
    put("mouse10", "tf", LEGACY, f"{LEGACY}.h5")
    put("mouse", "tf", TF, f"{TF}.csv")
    expected["mouse", "tf", False] = pd.read_csv(
        shelf.folder / f"mouse{TF}.csv", header=[0, 1, 2], index_col=0
    )
    put("mouse1", "tf", TF, f"{TF}_filtered.csv", filtered=True)
    expected["mouse1", "tf", True] = pd.read_csv(
        shelf.folder / f"mouse1{TF}_filtered.csv", header=[0, 1, 2], index_col=0
    )
    for other in (f"{TF}0", f"{TORCH}0", TF.replace("shuffle1", "shuffle11"), f"{TF}_skeleton",
                  f"{TF}_el", f"{TORCH}_bx"):  # fmt: skip
        write_table(make_table(other, PARTS, N_FRAMES, seed=99), shelf.folder / f"mouse1{other}.h5")
    several = make_table(MULTI, PARTS[:2], N_FRAMES, individuals=["mus1", "mus2"],
                         unique=["corner"], seed=50)  # fmt: skip
    write_table(several, shelf.folder / f"mouse1{MULTI}_el.h5", "tracks")
    (shelf.folder / os.fsdecode(b"mouse1\xff.h5")).write_bytes(b"")
    for (stem, model, filtered), table in expected.items():
        params = {"filtered": True} if filtered else {}
        same(shelf.table(shelf.load(model, stem, **params)), table)
    same(shelf.table(shelf.load("several", "mouse1")), several)


# --- what is refused ------------------------------------------------------------------------------


def put_meta(shelf: Shelf, **changes: Any) -> None:
    write_table(make_table(TF, PARTS, N_FRAMES), shelf.folder / f"a{TF}.h5")
    write_meta(tensorflow_meta(TF, N_FRAMES, **changes), shelf.folder / f"a{TF}_meta.pickle")


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"Scorer": TF + "0"}, ResultError, "say scorer"),
        ({"iteration (active-learning)": 1}, ResultError, "say iteration 1, the model has 0"),
        ({"training set fraction": 0.95}, ResultError, r"say training fraction 0\.95"),
        ({"nframes": N_FRAMES + 1}, ResultError, "count 13 frames"),
        ({"frame_dimensions": (100, 100)}, VideoError, "100 x 100 px"),
        ({"cropping": True, "cropping_parameters": [0, 300, 0, 100]}, VideoError, "not inside"),
        ({"nframes": "many"}, ResultError, "does not hold what DeepLabCut notes"),
    ],
)
def test_notes_of_another_model_or_video(
    changes: dict[str, Any], error: type[Exception], match: str, shelf: Shelf
) -> None:
    put_meta(shelf, **changes)
    shelf.refuse(error, match, "a")


def test_a_missing_body_part_is_named(shelf: Shelf) -> None:
    write_table(make_table(TF, PARTS[1:], N_FRAMES), shelf.folder / f"a{TF}.h5")
    shelf.refuse(ResultError, f"lacks {PARTS[0]}", "a")
    write_table(make_table(TF, [*PARTS, "ear"], N_FRAMES), shelf.folder / f"a{TF}.h5")
    shelf.refuse(ResultError, "has ear, unknown to the model", "a")


@pytest.mark.parametrize("n_frames", [N_FRAMES - 1, N_FRAMES + 1])
def test_another_frame_count(n_frames: int, shelf: Shelf) -> None:
    write_table(make_table(TF, PARTS, n_frames), shelf.folder / f"a{TF}.h5")
    shelf.refuse(VideoError, f"has {n_frames} rows", "a")


def test_a_renamed_result(shelf: Shelf) -> None:
    write_table(make_table(TORCH, PARTS, N_FRAMES), shelf.folder / f"a{TF}.h5")
    shelf.refuse(ResultError, "It was renamed", "a")


def test_ambiguous_and_missing_results_name_what_is_there(shelf: Shelf) -> None:
    shelf.refuse(ResultError, "There is no table at all", "a")
    write_table(make_table(TF, PARTS, N_FRAMES), shelf.folder / f"ab{TF}.h5")
    shelf.refuse(ResultError, f"'a{TF}.h5' .or .csv. was looked for.*Nearest there: 'ab{TF}", "a")
    for scorer in (TF, LEGACY):
        write_table(make_table(scorer, PARTS, N_FRAMES), shelf.folder / f"a{scorer}.h5")
    shelf.refuse(ResultError, f"Several results .*'a{TF}.h5', 'a{LEGACY}.h5'", "a")


def test_two_videos_of_one_name(shelf: Shelf) -> None:
    write_table(make_table(TF, PARTS, N_FRAMES), shelf.folder / f"short{TF}.h5")
    shutil.copyfile(shelf.lab.root / "raw" / "short.mp4", shelf.folder / "short.mp4")
    tables = shelf.lab.pipeline.model
    key = shelf.lab.add_recording(next(_ids), "raw/short.mp4", f"{shelf.relative}/short.mp4")
    key["model_name"] = "tf"
    tables.RecordingInfo.populate(key)
    tables.PoseEstimationTask.generate(key, "load", output_dir=shelf.relative)
    with pytest.raises(ResultError, match="have the same name"):
        tables.PoseEstimation.populate(key)
    assert not tables.PoseEstimation & key


class Touch:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.file}'",)


def test_hostile_files_are_refused_and_not_run(shelf: Shelf, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    put_meta(shelf)
    meta, pose = shelf.folder / f"a{TF}_meta.pickle", shelf.folder / f"a{TF}.h5"
    meta.write_bytes(pickle.dumps({"data": Touch(canary)}))
    shelf.refuse(ResultError, r"could run code: it asks for posix\.system", "a")
    put_meta(shelf)
    with pd.HDFStore(pose, "a") as store:
        store.root._v_attrs.info = Touch(canary)
    shelf.refuse(ResultError, r"could run code: it asks for posix\.system", "a")
    assert not canary.exists()


def test_a_planted_link_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    write_table(make_table(TF, PARTS, N_FRAMES), tmp_path / "a.h5")
    (shelf.folder / f"a{TF}.h5").symlink_to(tmp_path / "a.h5")
    shelf.refuse(PathError, "outside every root", "a")
    put_link = shelf.folder / f"b{TF}_meta.pickle"
    write_table(make_table(TF, PARTS, N_FRAMES), shelf.folder / f"b{TF}.h5")
    put_link.symlink_to("/etc/passwd")
    shelf.refuse(PathError, "outside every root", "b")


# --- the real engine ------------------------------------------------------------------------------


@pytest.mark.dlc
def test_results_of_the_real_engine(
    lab: Lab, trained: Trained, estimated: dict[str, Any], tmp_path: Path
) -> None:
    """What DeepLabCut wrote, raw, filtered and as CSV, loads as it was computed."""
    import deeplabcut
    from deeplabcut.core.engine import Engine

    tables = lab.pipeline.model
    run = lab.processed / (tables.PoseEstimation & estimated).fetch1("run_info")["run_directory"]
    folder = lab.root / "results" / tmp_path.name
    shutil.copytree(next(run.rglob("*.h5")).parent, folder)
    (pose,) = folder.glob("*.h5")
    bundle = open_bundle(lab.processed, (tables.Model & trained.model_key).fetch1("bundle_hash"))
    (tmp_path / "view").mkdir()
    deeplabcut.filterpredictions(
        str(make_bundle_view(bundle, tmp_path / "view").config_file),
        [str(lab.root / lab.new_video)], shuffle=1, destfolder=str(folder), save_as_csv=True,
        engine=Engine.PYTORCH,
    )  # fmt: skip
    filtered = pose.with_name(f"{pose.stem}_filtered.h5")

    def load(**params: Any) -> pd.DataFrame:
        key = {**lab.add_recording(next(_ids), lab.new_video), **trained.model_key}
        tables.RecordingInfo.populate(key)
        tables.PoseEstimationTask.generate(key, "load", params, output_dir=folder)
        tables.PoseEstimation.populate(key)
        (source,) = (tables.PoseEstimation & key).fetch1("run_info")["sources"]
        assert source["vouched_by"] == "meta"
        assert source["generation"] == "DeepLabCut 3, PyTorch"
        return tables.PoseEstimation.get_trajectory(key)

    raw = load()
    same(raw, pd.read_hdf(pose))
    pd.testing.assert_frame_equal(raw, tables.PoseEstimation.get_trajectory(estimated))
    same(load(filtered=True), pd.read_hdf(filtered))
    filtered.unlink()
    csv = pd.read_csv(filtered.with_suffix(".csv"), header=[0, 1, 2], index_col=0)
    same(load(filtered=True), csv)


# --- labeled videos -------------------------------------------------------------------------------


def test_loaded_poses_of_several_animals_are_drawn(shelf: Shelf) -> None:
    """Each animal in its colour; here one point each, far from the other."""
    written = make_table(
        MULTI, PARTS[:2], N_FRAMES, individuals=["mus1", "mus2"], unique=["corner"]
    )
    written[:] = np.nan
    for animal, x in (("mus1", 40.25), ("mus2", 150.5)):
        place = (MULTI, animal, PARTS[0])
        written[[(*place, "x"), (*place, "y"), (*place, "likelihood")]] = (x, 90.75, 1.0)
    write_table(written, shelf.folder / f"a{MULTI}_el.h5", "tracks")
    settings = {"color_by": "individual", "keypoints_only": True, "dotsize": 5, "alphavalue": 1}
    key = shelf.load("several", "a", labeled_video={**settings, "crf": 5, "colormap": "rainbow"})
    tables = shelf.lab.pipeline.model
    tables.LabeledVideo.populate(key)
    (path,) = tables.LabeledVideo.get_paths(key)
    pose = tables.PoseEstimation.get_pose(key)
    colors = name_colors(pose.individuals, "rainbow")
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == N_FRAMES
    for frame in frames:
        dots = find_dots(frame, colors)
        assert np.allclose(dots["mus1"], (40.25, 90.75), atol=0.2)
        assert np.allclose(dots["mus2"], (150.5, 90.75), atol=0.2)
        assert np.isnan(dots["single"]).all()


def test_three_dimensional_poses_are_not_drawn(shelf: Shelf) -> None:
    written = make_table(TF, PARTS, N_FRAMES, coords=("x", "y", "z"))
    write_table(written, shelf.folder / f"a{TF}.h5")
    key = shelf.load("tf", "a", labeled_video=True)
    with pytest.raises(ResultError, match="three-dimensional"):
        shelf.lab.pipeline.model.LabeledVideo.populate(key)
    assert not shelf.lab.pipeline.model.LabeledVideo & key

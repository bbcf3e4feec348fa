from __future__ import annotations

import shutil
import stat

import pytest
import yaml

from element_deeplabcut.errors import ElementError, ModelError, ProjectError
from element_deeplabcut.readers.labels import read_labels
from element_deeplabcut.readers.project import read_project
from element_deeplabcut.readers.snapshots import list_snapshots
from element_deeplabcut.store import files
from element_deeplabcut.store.bundles import build_bundle, make_bundle_view, open_bundle
from element_deeplabcut.store.files import hash_file

from ..conftest import DATASET, MODEL, true_positions, write_dataset, write_model

TRAIN = f"{MODEL.format(0)}/train"


@pytest.fixture
def store(tmp_path):
    return tmp_path / "processed"


def build(project_dir, store, **options):
    options = {"shuffle": 1, "trainingsetindex": 0, **options}
    return build_bundle(read_project(project_dir), store, **options)


def edit_yaml(file, **entries):
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, **entries}, sort_keys=False))


def edit_engine_config(project_dir, **entries):
    edit_yaml(project_dir / TRAIN / "pytorch_config.yaml", **entries)


# ---- what a bundle holds ---------------------------------------------------------------------


def test_a_bundle_says_what_model_it_is(project_dir, store):
    bundle = build(project_dir, store)
    facts = bundle.facts
    assert (facts.engine, facts.shuffle, facts.trainingsetindex) == ("pytorch", 1, 0)
    assert (facts.snapshot, facts.train_iterations) == ("snapshot-best-010.pt", 10)
    assert facts.scorer == "DLC_Resnet50_openJan1shuffle1_snapshot_best-10"
    assert facts.model_prefix == ""
    assert facts.has_labels
    assert bundle.project.body_parts == ("nose", "tail")
    assert bundle.directory == store / "models" / bundle.hash
    assert len(bundle.hash) == 64


def test_a_bundle_holds_one_snapshot_and_what_goes_with_it(project_dir, store):
    bundle = build(project_dir, store)
    files = {
        path.relative_to(bundle.directory).as_posix()
        for path in bundle.directory.rglob("*")
        if path.is_file()
    }
    dataset, model = DATASET.format(0), MODEL.format(0)
    assert files == {
        "bundle.json",
        "config.yaml",
        f"{model}/train/pytorch_config.yaml",
        f"{model}/train/snapshot-best-010.pt",
        f"{model}/test/pose_cfg.yaml",
        f"{dataset}/CollectedData_ann.h5",
        f"{dataset}/Documentation_data-open_80shuffle1.pickle",
        f"{dataset}/open_ann80shuffle1.mat",
    }
    copied = bundle.directory / model / "train" / "snapshot-best-010.pt"
    assert copied.read_text() == "weights of snapshot-best-010, iteration 0"
    assert not copied.is_symlink()


def test_no_file_of_a_bundle_names_the_machine_it_came_from(project_dir, store):
    bundle = build(project_dir, store)
    for file in bundle.directory.rglob("*"):
        if file.is_file():
            assert str(project_dir).encode() not in file.read_bytes(), file.name


def test_files_of_a_bundle_are_read_only(project_dir, store):
    bundle = build(project_dir, store)
    modes = {
        stat.S_IMODE(path.stat().st_mode) for path in bundle.directory.rglob("*") if path.is_file()
    }
    assert modes == {0o444}


def test_a_model_outlives_its_project(project_dir, store):
    bundle = build(project_dir, store)
    shutil.rmtree(project_dir)
    assert open_bundle(store, bundle.hash) == bundle


@pytest.mark.parametrize(
    ("index", "snapshot", "epochs", "uid"),
    [(-1, "snapshot-best-010.pt", 10, "best-10"), (-2, "snapshot-012.pt", 12, "12"),
     (0, "snapshot-006.pt", 6, "6"), (1, "snapshot-012.pt", 12, "12")],
)  # fmt: skip
def test_snapshotindex_chooses_the_snapshot(make_project, store, index, snapshot, epochs, uid):
    asked = build(make_project("asked"), store, snapshotindex=index)
    in_config = build(make_project("in-config", snapshotindex=index), store)
    in_settings = build(make_project("set"), store, settings={"snapshotindex": index})
    for bundle in (asked, in_config, in_settings):
        assert (bundle.facts.snapshot, bundle.facts.train_iterations) == (snapshot, epochs)
        assert bundle.facts.scorer.endswith(f"_snapshot_{uid}")


def test_settings_replace_entries_of_the_config(project_dir, store):
    bundle = build(project_dir, store, settings={"pcutoff": 0.9})
    assert bundle.project.p_cutoff == 0.9
    assert yaml.safe_load((bundle.directory / "config.yaml").read_text())["pcutoff"] == 0.9
    assert bundle.hash != build(project_dir, store).hash


def test_a_model_of_an_earlier_iteration_comes_with_the_labels_of_that_iteration(
    make_project, store
):
    project_dir = make_project(iteration=1)
    write_dataset(project_dir, iteration=1, seed=9)
    write_model(project_dir, iteration=1)
    bundle = build(project_dir, store, settings={"iteration": 0})
    name = f"{DATASET.format(0)}/CollectedData_ann.h5"
    assert bundle.facts.has_labels
    snapshot = bundle.directory / TRAIN / bundle.facts.snapshot
    assert snapshot.read_text().endswith("iteration 0")
    labels = read_labels(bundle.directory / name)
    assert labels.positions[0].tolist() == true_positions(seed=0)[0].tolist()


def test_a_model_below_a_prefix(project_dir, store):
    write_model(project_dir, prefix="mine")
    bundle = build(project_dir, store, model_prefix="mine")
    assert bundle.facts.model_prefix == "mine"
    assert (bundle.directory / "mine" / TRAIN / "snapshot-best-010.pt").is_file()


def test_a_model_below_a_prefix_without_a_record_of_engines(project_dir, store):
    shutil.move(project_dir / "dlc-models-pytorch", project_dir / "mine" / "dlc-models-pytorch")
    (project_dir / DATASET.format(0) / "metadata.yaml").unlink()
    assert build(project_dir, store, model_prefix="mine").facts.engine == "pytorch"


@pytest.mark.parametrize("missing", ["h5", "pickle", "mat", "all"])
def test_a_bundle_without_labels(project_dir, store, missing):
    for file in (project_dir / DATASET.format(0)).iterdir():
        if missing == "all" or file.suffix == f".{missing}":
            file.unlink()
    bundle = build(project_dir, store)
    assert not bundle.facts.has_labels
    assert not (bundle.directory / "training-datasets").exists()


# ---- named by content ------------------------------------------------------------------------


def test_the_same_model_twice_is_one_bundle(project_dir, store):
    assert build(project_dir, store) == build(project_dir, store)
    assert len(list((store / "models").glob("[!.]*"))) == 1
    assert list((store / "models" / ".attempts").iterdir()) == []


def test_a_moved_copy_of_the_project_gives_the_same_bundle(project_dir, store, tmp_path):
    first = build(project_dir, store)
    moved = tmp_path / "another disk" / "project"
    shutil.copytree(project_dir, moved)
    shutil.rmtree(project_dir)
    # what DeepLabCut rewrites when it meets a moved project
    videos = {str(moved / "videos" / "m1.mp4"): {"crop": "0, 200, 0, 200"}}
    edit_yaml(moved / "config.yaml", project_path=str(moved), video_sets=videos)
    metadata = yaml.safe_load((moved / TRAIN / "pytorch_config.yaml").read_text())["metadata"]
    edit_engine_config(moved, metadata={**metadata, "project_path": str(moved),
                                        "pose_config_path": str(moved / "x.yaml")})  # fmt: skip
    edit_yaml(moved / MODEL.format(0) / "test" / "pose_cfg.yaml", dataset=str(moved / "x.mat"))
    assert build(moved, store).hash == first.hash


def test_other_shuffles_do_not_change_a_bundle(project_dir, store):
    first = build(project_dir, store)
    edit_yaml(project_dir / DATASET.format(0) / "metadata.yaml", more="shuffles")
    (project_dir / TRAIN / "snapshot-006.pt").unlink()  # not the chosen one
    assert build(project_dir, store).hash == first.hash


@pytest.mark.parametrize("what", ["weights", "engine config", "config", "labels", "split"])
def test_everything_that_matters_changes_the_hash(project_dir, store, what):
    first = build(project_dir, store)
    dataset = project_dir / DATASET.format(0)
    if what == "weights":
        (project_dir / TRAIN / "snapshot-best-010.pt").write_text("other weights")
    elif what == "engine config":
        edit_engine_config(project_dir, train_settings={"epochs": 13})
    elif what == "config":
        edit_yaml(project_dir / "config.yaml", pcutoff=0.5)
    elif what == "labels":
        (dataset / "CollectedData_ann.h5").write_bytes(b"other labels")
    elif what == "split":
        (dataset / "Documentation_data-open_80shuffle1.pickle").write_bytes(b"other split")
    assert build(project_dir, store).hash != first.hash


# ---- refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", [{"shuffle": 2}, {"model_prefix": "none"}, {"trainingsetindex": 1}]
)
def test_a_model_that_does_not_exist_is_refused(project_dir, store, where):
    with pytest.raises(ProjectError):
        build(project_dir, store, **where)


@pytest.mark.parametrize("index", [3, -4])
def test_a_snapshot_that_does_not_exist_is_refused(project_dir, store, index):
    with pytest.raises(ModelError, match="out of range"):
        build(project_dir, store, snapshotindex=index)


def test_an_untrained_shuffle_is_refused(project_dir, store):
    for file in (project_dir / TRAIN).glob("*.pt"):
        file.unlink()
    with pytest.raises(ModelError, match="no snapshot"):
        build(project_dir, store)


@pytest.mark.parametrize(
    "name", [f"{TRAIN}/pytorch_config.yaml", f"{MODEL.format(0)}/test/pose_cfg.yaml"]
)
def test_a_model_that_lacks_a_config_is_refused(project_dir, store, name):
    (project_dir / name).unlink()
    with pytest.raises(ProjectError, match="does not exist"):
        build(project_dir, store)


def test_an_engine_config_without_a_network_is_refused(project_dir, store):
    (project_dir / TRAIN / "pytorch_config.yaml").write_text("runner: {}\n")
    with pytest.raises(ElementError, match="net_type"):
        build(project_dir, store)


# DeepLabCut reads all of these as false.
@pytest.mark.parametrize("value", [False, 0, "false", "False", "no", "off", "n", "f", "0"])
def test_an_engine_config_that_lets_a_snapshot_run_code_is_refused(project_dir, store, value):
    edit_engine_config(project_dir, runner={"load_weights_only": value})
    with pytest.raises(ModelError, match="load_weights_only"):
        build(project_dir, store)
    assert not list((store).glob("models/[!.]*"))


@pytest.mark.parametrize(
    "runner", [None, {}, {"load_weights_only": True}, {"load_weights_only": None}]
)
def test_an_engine_config_that_does_not_is_accepted(project_dir, store, runner):
    edit_engine_config(project_dir, runner=runner)
    assert build(project_dir, store)


@pytest.mark.dlc
@pytest.mark.parametrize("value", [False, 0, "false", "False", "no", "off", "n", "f", "0"])
def test_deeplabcut_reads_these_values_as_false(value):
    from deeplabcut.pose_estimation_pytorch.config.runner import RunnerConfig

    assert RunnerConfig(load_weights_only=value).load_weights_only is False


# ---- damage ----------------------------------------------------------------------------------


def damage(bundle, how):
    target = bundle.directory / TRAIN / bundle.facts.snapshot
    if how == "weights changed":
        target.chmod(0o644)
        target.write_text("weights of snapshot-best-010, iteration 1")
    elif how == "weights removed":
        target.unlink()
    elif how == "config changed":
        target = bundle.directory / "config.yaml"
        target.chmod(0o644)
        target.write_text(target.read_text().replace("0.4", "0.1"))
    elif how.startswith("bundle.json"):
        target = bundle.directory / "bundle.json"
        text = target.read_text()
        target.unlink()
        replacement = {
            "removed": None, "cut": text[:50], "empty": "", "a list": "[]", "null": "null",
            "says otherwise": text.replace('"shuffle": 1', '"shuffle": 2'),
        }[how.removeprefix("bundle.json ")]  # fmt: skip
        if replacement is not None:
            assert replacement != text
            target.write_text(replacement)
    elif how == "removed":
        shutil.rmtree(bundle.directory)


DAMAGES = [
    "weights changed", "weights removed", "config changed", "bundle.json removed",
    "bundle.json cut", "bundle.json empty", "bundle.json a list", "bundle.json null",
    "bundle.json says otherwise", "removed",
]  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_bundle_is_not_opened(project_dir, store, how):
    bundle = build(project_dir, store)
    damage(bundle, how)
    with pytest.raises(ModelError, match=r"missing or damaged|is damaged") as caught:
        open_bundle(store, bundle.hash)
    assert str(bundle.directory) in str(caught.value)


@pytest.mark.parametrize("how", DAMAGES)
def test_registering_a_damaged_model_again_repairs_it(project_dir, store, how):
    """The message about a damaged bundle tells the user to do this."""
    bundle = build(project_dir, store)
    damage(bundle, how)
    assert build(project_dir, store) == bundle
    assert open_bundle(store, bundle.hash) == bundle


def test_who_wants_the_labels_need_not_read_the_weights(project_dir, store, monkeypatch):
    """Comparing a hundred models would else hash all of their weights, each time."""
    bundle = build(project_dir, store)
    hashed = []
    monkeypatch.setattr(files, "hash_file", lambda file: hashed.append(file) or hash_file(file))
    opened = open_bundle(store, bundle.hash, with_weights=False)
    assert opened == bundle
    names = {file.name for file in hashed}
    assert {"config.yaml", "pytorch_config.yaml", "CollectedData_ann.h5"} <= names
    assert bundle.facts.snapshot not in names
    labels = bundle.directory / DATASET.format(0) / "CollectedData_ann.h5"
    labels.chmod(0o644)
    labels.write_bytes(labels.read_bytes() + b"x")
    with pytest.raises(ModelError, match=r"CollectedData_ann\.h5 changed"):
        open_bundle(store, bundle.hash, with_weights=False)


def test_a_bundle_under_another_name_is_not_opened(project_dir, store):
    bundle = build(project_dir, store)
    other = "0" * 64
    shutil.copytree(bundle.directory, store / "models" / other)
    with pytest.raises(ModelError, match="damaged"):
        open_bundle(store, other)


# ---- views of a bundle -----------------------------------------------------------------------


@pytest.fixture
def place(tmp_path):
    place = tmp_path / "run" / "project"
    place.mkdir(parents=True)
    return place


def test_a_view_copies_small_files_and_links_the_snapshot(project_dir, store, place):
    bundle = build(project_dir, store)
    view = make_bundle_view(bundle, place)
    snapshot = view.train_folder / "snapshot-best-010.pt"
    assert snapshot.is_symlink()
    assert snapshot.resolve() == (bundle.directory / TRAIN / "snapshot-best-010.pt").resolve()
    for name in (f"{TRAIN}/pytorch_config.yaml", f"{MODEL.format(0)}/test/pose_cfg.yaml",
                 f"{DATASET.format(0)}/CollectedData_ann.h5"):  # fmt: skip
        assert not (place / name).is_symlink()
        assert (place / name).read_bytes() == (bundle.directory / name).read_bytes()
    assert not (place / "bundle.json").exists()
    assert [s.path.name for s in list_snapshots(view.train_folder)] == [bundle.facts.snapshot]
    assert yaml.safe_load(view.config_file.read_text())["project_path"] == str(place)
    assert not (place / "labeled-data").exists()


def test_what_deeplabcut_rewrites_in_a_view_does_not_reach_the_bundle(project_dir, store, place):
    bundle = build(project_dir, store)
    view = make_bundle_view(bundle, place)
    for file in (
        view.config_file,
        view.engine_config_file,
        view.model_folder / "test/pose_cfg.yaml",
    ):
        file.write_text("rewritten")  # so it must be writable, too
    (view.train_folder / bundle.facts.snapshot).unlink()
    shutil.rmtree(view.directory)
    assert open_bundle(store, bundle.hash) == bundle


def test_a_view_for_an_evaluation_links_the_labelled_frames(project_dir, store, place):
    bundle = build(project_dir, store)
    make_bundle_view(bundle, place, frames_of=project_dir)
    assert (place / "labeled-data" / "m2" / "img03.png").read_bytes() == b"picture 9"
    assert sorted(link.name for link in (place / "labeled-data").iterdir()) == ["m1", "m2"]


def test_a_view_of_a_model_below_a_prefix(project_dir, store, place):
    write_model(project_dir, prefix="mine")
    view = make_bundle_view(build(project_dir, store, model_prefix="mine"), place)
    assert view.train_folder == place / "mine" / TRAIN
    assert view.engine_config_file.is_file()


def test_a_snapshot_planted_in_a_bundle_is_never_used(project_dir, store, place):
    bundle = build(project_dir, store)
    (bundle.directory / TRAIN / "snapshot-best-999.pt").write_text("other weights")
    try:
        view = make_bundle_view(open_bundle(store, bundle.hash), place)
    except ModelError:
        return
    assert [s.path.name for s in list_snapshots(view.train_folder)] == [bundle.facts.snapshot]

"""The fast path of inference, with the real DeepLabCut: its numbers are DeepLabCut's."""

from __future__ import annotations

import dataclasses
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from element_deeplabcut.engines import get_engine, pytorch_inference, pytorch_runner
from element_deeplabcut.engines.base import Analysis, InferencePlan, TrainingPlan, Video
from element_deeplabcut.engines.loaded import MODELS
from element_deeplabcut.engines.reading_ahead import read_ahead
from element_deeplabcut.errors import EngineError, ModelError, ParameterError, Stopped
from element_deeplabcut.interruption import check_interruption, interruptible
from element_deeplabcut.readers.project import parse_project
from element_deeplabcut.store.bundles import Bundle, build_bundle, make_bundle_view, open_bundle
from element_deeplabcut.store.files import make_folder
from element_deeplabcut.store.views import make_view
from workflow_deeplabcut import synthetic

from ..conftest import Lab, Trained

pytestmark = pytest.mark.dlc

EXACT, FAST = InferencePlan(exact=True), InferencePlan()
BOUND_PX = 1e-3


@pytest.fixture(autouse=True)
def _nothing_loaded() -> Iterator[None]:
    MODELS.release()
    yield
    MODELS.release()


@pytest.fixture(scope="module")
def bundle(lab: Lab, trained: Trained) -> Bundle:
    row = (lab.pipeline.model.Model & trained.model_key).fetch1()
    return open_bundle(lab.processed, row["bundle_hash"])


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    """Two different videos of one name, the second no multiple of the batch size."""
    found = []
    for seed, n_frames in ((31, 32), (32, 21)):
        path = tmp_path_factory.mktemp("videos") / "same.mp4"
        synthetic.render_video(path, n_frames, seed=seed)
        found.append(Video(path, n_frames))
    return found


class Runs:
    """Analyzes videos with this package and with DeepLabCut alone, each in a fresh folder."""

    _known: ClassVar[dict[Any, np.ndarray]] = {}

    def __init__(self, folder: Path) -> None:
        self._folder, self._n_runs = folder, 0

    def _prepare(self, bundle: Bundle) -> tuple[Any, Path]:
        self._n_runs += 1
        folder = make_folder(self._folder, str(self._n_runs))
        return make_bundle_view(bundle, make_folder(folder, "view")), make_folder(folder, "out")

    def ours(
        self,
        bundle: Bundle,
        video: Video,
        plan: InferencePlan = FAST,
        on_frames: Callable[[int], None] = lambda n: None,
    ) -> tuple[np.ndarray, Analysis]:
        view, out = self._prepare(bundle)
        found = get_engine("pytorch").infer(view, video, out, plan, "cpu", on_frames)
        assert {file.suffix for file in out.iterdir()} == {".h5", ".pickle"}
        return pd.read_hdf(found.file).to_numpy(), found

    def theirs(self, bundle: Bundle, video: Video, **settings: Any) -> np.ndarray:
        """DeepLabCut's result, computed once for all tests."""
        key = (bundle.hash, video.path, repr(settings))
        if key not in self._known:
            self._known[key] = self._analyze(bundle, video, **settings)
        return self._known[key]

    def _analyze(self, bundle: Bundle, video: Video, **settings: Any) -> np.ndarray:
        import deeplabcut

        view, out = self._prepare(bundle)
        deeplabcut.analyze_videos(
            str(view.config_file), [str(video.path)], destfolder=str(out), device="cpu",
            engine=deeplabcut.Engine.PYTORCH, **settings,
        )  # fmt: skip
        (file,) = out.glob("*.h5")
        return pd.read_hdf(file).to_numpy()


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).reshape(len(ours), -1, 3)[..., :2].max())


# --- the numbers ----------------------------------------------------------------------------------


def test_exact_is_deeplabcut_to_the_bit(runs: Runs, bundle: Bundle, videos: list[Video]) -> None:
    for _ in range(2):  # loaded, then kept
        for video in videos:
            ours, found = runs.ours(bundle, video, EXACT)
            np.testing.assert_array_equal(ours, runs.theirs(bundle, video))
            assert found.conditions["network"] == "deeplabcut"
    assert len(MODELS) == 1


def test_the_fast_path_is_within_its_bound(runs: Runs, bundle: Bundle, videos: list[Video]) -> None:
    for video in (*videos, *videos):
        ours, found = runs.ours(bundle, video)
        assert distance(ours, runs.theirs(bundle, video)) <= BOUND_PX
        assert found.conditions["network"] == "folded, channels last"
        assert found.conditions["difference_px"] <= BOUND_PX
        assert found.conditions["batch_size"] == 8
    assert len(MODELS) == 1


def test_batch_norms_are_folded(runs: Runs, bundle: Bundle, videos: list[Video]) -> None:
    from torch import nn

    runs.ours(bundle, videos[0])
    (runner,) = MODELS._models.values()

    def count(network: Any) -> int:
        return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())

    assert count(runner._own.model) > 10
    assert count(runner._fast) == 0


@pytest.mark.parametrize("plan", [EXACT, FAST], ids=["exact", "fast"])
def test_a_crop(runs: Runs, bundle: Bundle, videos: list[Video], plan: InferencePlan) -> None:
    crop = (20, 190, 10, 200)
    ours, _ = runs.ours(bundle, videos[0], dataclasses.replace(plan, crop=crop))
    theirs = runs.theirs(bundle, videos[0], cropping=list(crop))
    assert distance(ours, theirs) <= (0 if plan.exact else BOUND_PX)


def test_each_size_of_frames_is_compared_for_itself(
    runs: Runs, bundle: Bundle, videos: list[Video]
) -> None:
    runs.ours(bundle, videos[0])
    crop = (0, 160, 0, 200)
    ours, _ = runs.ours(bundle, videos[0], dataclasses.replace(FAST, crop=crop))
    assert distance(ours, runs.theirs(bundle, videos[0], cropping=list(crop))) <= BOUND_PX
    (runner,) = MODELS._models.values()
    assert set(runner._tolerances) == {(200, 160, 3)}


def test_dynamic_cropping_is_deeplabcuts(runs: Runs, bundle: Bundle, videos: list[Video]) -> None:
    plan = InferencePlan(batch_size=1, dynamic=(True, 0.5, 20))
    for video in videos:
        ours, _ = runs.ours(bundle, video, plan)
        theirs = runs.theirs(bundle, video, dynamic=(True, 0.5, 20), batch_size=1)
        np.testing.assert_array_equal(ours, theirs)
    assert len(MODELS) == 0


def test_fewer_frames_at_once(runs: Runs, bundle: Bundle, videos: list[Video]) -> None:
    ours, found = runs.ours(bundle, videos[1], InferencePlan(at_once=3))
    assert distance(ours, runs.theirs(bundle, videos[1])) <= BOUND_PX
    assert found.conditions["at_once"] == 3


def test_large_frames_take_turns_on_a_processor(
    runs: Runs, bundle: Bundle, videos: list[Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a layer leaves of eight large frames fits no cache."""
    import torch

    monkeypatch.setattr(pytorch_runner, "_CPU_PIXELS", 2 * 200 * 200 // torch.get_num_threads())
    ours, found = runs.ours(bundle, videos[1])
    assert distance(ours, runs.theirs(bundle, videos[1])) <= BOUND_PX
    assert (found.conditions["batch_size"], found.conditions["at_once"]) == (8, 2)


def test_reduced_precision_is_noted(runs: Runs, bundle: Bundle, videos: list[Video]) -> None:
    ours, found = runs.ours(bundle, videos[0], InferencePlan(precision="bfloat16"))
    assert found.conditions["precision"] == "bfloat16"
    assert found.conditions["difference_px"] > BOUND_PX
    assert BOUND_PX < distance(ours, runs.theirs(bundle, videos[0])) < 20


# --- networks that are not so sure ----------------------------------------------------------------


def build_random(lab: Lab, folder: Path, net: dict[str, Any]) -> Bundle:
    """A model of random weights, whose heat maps are nearly flat."""
    import torch
    import yaml
    from deeplabcut.pose_estimation_pytorch.config import PoseConfig
    from deeplabcut.pose_estimation_pytorch.models import PoseModel

    settings = yaml.safe_load(lab.config.read_text())
    view = make_view(
        parse_project(settings, lab.config.parent), make_folder(folder, "project"),
        engine="pytorch", shuffle=1, trainingsetindex=0, frames_of=lab.config.parent,
        folders=[folder.name for folder in (lab.config.parent / "labeled-data").iterdir()],
    )  # fmt: skip
    plan = TrainingPlan({}, "random", 1, 1, "resnet_50", "albumentations")
    get_engine("pytorch").create_dataset(view, plan)
    config = yaml.safe_load(view.engine_config_file.read_text())
    for path, value in net.items():
        *parents, name = path.split(".")
        place = config
        for parent in parents:
            place = place[parent]
        place[name] = value
    view.engine_config_file.write_text(yaml.safe_dump(config))
    torch.manual_seed(3)
    model = PoseModel.build(PoseConfig.from_any(view.engine_config_file)["model"])
    snapshot = {"model": model.state_dict(), "metadata": {"epoch": 1, "metrics": {}, "losses": {}}}
    torch.save(snapshot, view.train_folder / "snapshot-001.pt")
    return build_bundle(
        view.project, make_folder(folder, "store"), shuffle=1, trainingsetindex=0, snapshotindex=-1
    )


def test_deeplabcuts_default_network(
    lab: Lab, runs: Runs, tmp_path: Path, videos: list[Video]
) -> None:
    """resnet50_gn has no batch norms to fold, so that a processor gains nothing: it runs itself."""
    random = build_random(lab, tmp_path, {})
    ours, found = runs.ours(random, videos[1])
    assert found.conditions["network"] == "deeplabcut"
    assert distance(ours, runs.theirs(random, videos[1])) == 0


def test_frames_that_rounding_decides_are_left_to_deeplabcut(
    runs: Runs, bundle: Bundle, videos: list[Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a fifth of all frames in doubt, their batches are DeepLabCut's to the bit."""
    from element_deeplabcut.engines import pytorch_network

    class Doubting:
        def __call__(self, model: Any, maps: Any, margin: float) -> Any:
            found = real(model, maps, margin)
            if len(found) == 8:  # and not the first two frames, which are compared
                found[2] = self.n_calls in (2, 4)
            self.n_calls += 1
            return found

        n_calls = 0

    real = pytorch_network.is_doubtful
    monkeypatch.setattr(pytorch_network, "is_doubtful", Doubting())
    ours, found = runs.ours(bundle, videos[0])
    theirs = runs.theirs(bundle, videos[0])
    assert found.conditions["n_left"] == 16
    np.testing.assert_array_equal(ours[8:16], theirs[8:16])
    np.testing.assert_array_equal(ours[24:32], theirs[24:32])
    assert distance(ours, theirs) <= BOUND_PX


def test_a_network_that_differs_is_not_used(
    runs: Runs, bundle: Bundle, videos: list[Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folding that went wrong is noticed on the first frames."""
    import torch

    from element_deeplabcut.engines import pytorch_network

    real = pytorch_network.fold_batch_norms

    def fold_wrongly(network: Any) -> int:
        n_folded = real(network)
        with torch.no_grad():
            next(iter(network.parameters())).mul_(1.01)
        return n_folded

    monkeypatch.setattr(pytorch_network, "fold_batch_norms", fold_wrongly)
    ours, found = runs.ours(bundle, videos[0])
    np.testing.assert_array_equal(ours, runs.theirs(bundle, videos[0]))
    assert found.conditions["network"] == "deeplabcut"


def test_level_cells_are_found() -> None:
    import torch
    from deeplabcut.pose_estimation_pytorch.models.predictors import HeatmapPredictor

    from element_deeplabcut.engines.pytorch_network import is_doubtful

    class Head:
        predictor = HeatmapPredictor(apply_sigmoid=True)

    class Network:
        heads = {"bodypart": Head()}  # noqa: RUF012

    maps = torch.full((4, 2, 5, 5), -3.0)
    maps[:, :, 1, 1] = 2.0
    maps[1, 0, 3, 3] = 2.0 - 1e-5  # level within the margin
    maps[2, 1, 3, 3] = 2.0 - 1e-2  # clear
    maps[3, 0, 1, 1], maps[3, 0, 3, 3] = 20.0, 19.0  # one, after the sigmoid
    found = is_doubtful(Network(), {"bodypart": {"heatmap": maps}}, 1e-4)
    assert found.tolist() == [False, True, False, True]


# --- how frames travel ----------------------------------------------------------------------------


def test_reading_ahead_changes_no_number(runs: Runs, bundle: Bundle, videos: list[Video]) -> None:
    """What a GPU does, without one."""
    import torch
    from deeplabcut.pose_estimation_pytorch.apis.videos import VideoIterator

    runs.ours(bundle, videos[0])
    (runner,) = MODELS._models.values()
    in_turn = runner.inference(VideoIterator(str(videos[1].path)))
    frames, ahead = iter(VideoIterator(str(videos[1].path))), []
    with torch.inference_mode(), read_ahead(pytorch_runner._batch(frames, 8)) as batches:
        runner._run(batches, ahead)
    for one, other in zip(in_turn, ahead, strict=True):
        np.testing.assert_array_equal(one["bodyparts"], other["bodyparts"])


def test_a_gpu_that_is_too_small_gets_smaller_portions(
    runs: Runs, bundle: Bundle, videos: list[Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    real = pytorch_runner.network.make_fast
    sizes = []

    def make_small(model: Any, precision: str) -> Any:
        network = real(model, precision)

        def forward(inputs: Any) -> Any:
            sizes.append(len(inputs))
            if len(inputs) > 3:
                raise torch.cuda.OutOfMemoryError("injected")
            return network(inputs)

        return forward

    monkeypatch.setattr(pytorch_runner.network, "make_fast", make_small)
    ours, found = runs.ours(bundle, videos[0])
    assert max(sizes[5:]) <= 3
    assert found.conditions["at_once"] == 2  # 8, 4, then what fits
    assert distance(ours, runs.theirs(bundle, videos[0])) <= BOUND_PX


# --- what is kept ---------------------------------------------------------------------------------


def test_models_take_turns(
    lab: Lab, trained: Trained, runs: Runs, bundle: Bundle, videos: list[Video], tmp_path: Path
) -> None:
    model = lab.pipeline.model
    other_key = model.Model.insert_from_training(
        trained.training_key, "tiny, first snapshot", snapshotindex=0
    )
    other = open_bundle(lab.processed, (model.Model & other_key).fetch1("bundle_hash"))
    expected = {each.hash: runs.theirs(each, videos[0]) for each in (bundle, other)}
    assert distance(*expected.values()) > 0.01
    for each in (bundle, other, bundle, other):
        ours, _ = runs.ours(each, videos[0])
        assert distance(ours, expected[each.hash]) <= BOUND_PX
    assert len(MODELS) == 2


def test_a_video_is_what_it_is_whatever_came_before(
    runs: Runs, bundle: Bundle, videos: list[Video], tmp_path: Path
) -> None:
    """What the fast network is trusted with, and what is said of it, is the video's own."""
    flat = Video(tmp_path / "flat.mp4", 24)
    _render_flat(flat)
    alone, found = runs.ours(bundle, videos[1])
    for before in (flat, videos[0]):
        MODELS.release()
        runs.ours(bundle, before)
        again, found_again = runs.ours(bundle, videos[1])
        assert dict(found_again.conditions) == dict(found.conditions)
        np.testing.assert_array_equal(again, alone)


def _render_flat(video: Video) -> None:
    """A lens cap: of its frames no network is sure."""
    import cv2

    writer = cv2.VideoWriter(str(video.path), cv2.VideoWriter_fourcc(*"mp4v"), 30, (200, 200))
    for _ in range(video.n_frames):
        writer.write(np.zeros((200, 200, 3), np.uint8))
    writer.release()


def test_a_fork_of_a_process_that_has_computed_computes(
    runs: Runs, bundle: Bundle, videos: list[Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook: populate, then populate(processes=2); with the threads of a usual machine.

    A parent's threads are not there in the child, which waited for them for ever.
    """
    import torch

    n_threads = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    try:
        expected, _ = runs.ours(bundle, videos[1])
        assert torch.get_num_threads() == 2
        context = multiprocessing.get_context("fork")
        results = context.SimpleQueue()
        child = context.Process(target=lambda: results.put(runs.ours(bundle, videos[1])[0]))
        child.start()
        child.join(180)
        if child.is_alive():
            child.kill()
            pytest.fail("the child waits for threads that are not there")
        assert child.exitcode == 0
        assert distance(results.get(), expected) <= BOUND_PX
    finally:
        torch.set_num_threads(n_threads)


def _interrupt(done: int) -> None:
    if done == 19:
        raise Stopped("The worker has to end.")


def _break(done: int) -> None:
    if done == 19:
        raise ValueError("something broke")


@pytest.mark.parametrize("plan", [EXACT, FAST], ids=["exact", "fast"])
@pytest.mark.parametrize(("stop", "error"), [(_interrupt, Stopped), (_break, EngineError)])
def test_the_video_after_one_that_failed_is_right(
    runs: Runs,
    bundle: Bundle,
    videos: list[Video],
    plan: InferencePlan,
    stop: Callable[[int], None],
    error: type[Exception],
) -> None:
    """A runner that is used again after an exception hands out frames of the video before."""
    runs.ours(bundle, videos[0], plan)
    assert len(MODELS) == 1
    with pytest.raises(error):
        runs.ours(bundle, videos[0], plan, stop)
    assert len(MODELS) == 0
    ours, _ = runs.ours(bundle, videos[1], plan)
    theirs = runs.theirs(bundle, videos[1])
    assert distance(ours, theirs) <= (0 if plan.exact else BOUND_PX)


def test_deeplabcuts_own_thread_can_be_stopped(
    runs: Runs, bundle: Bundle, videos: list[Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU DeepLabCut reads in a thread, which does not know who asked for the frames."""
    monkeypatch.setattr(pytorch_inference, "_choose_threads", lambda view, device: None)
    n_checks = []

    def stop() -> None:
        n_checks.append(1)
        if len(n_checks) == 9:
            raise Stopped("The worker has to end.")

    with interruptible(stop), pytest.raises(Stopped):
        runs.ours(bundle, videos[0], EXACT, lambda done: check_interruption())
    ours, _ = runs.ours(bundle, videos[1], EXACT)
    np.testing.assert_array_equal(ours, runs.theirs(bundle, videos[1]))


def test_a_damaged_bundle_is_not_served_though_its_model_is_loaded(
    runs: Runs, bundle: Bundle, videos: list[Video], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(bundle.directory, store / "models" / bundle.hash)
    runs.ours(open_bundle(store, bundle.hash), videos[0])
    snapshot = next((store / "models").rglob("snapshot-*.pt"))
    snapshot.chmod(0o644)
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    with pytest.raises(ModelError, match="damaged"):
        open_bundle(store, bundle.hash)


def test_a_deeplabcut_that_is_not_known_runs_alone(
    runs: Runs, bundle: Bundle, videos: list[Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytorch_inference, "_KNOWN", ("2.9.",))
    ours, found = runs.ours(bundle, videos[0])
    np.testing.assert_array_equal(ours, runs.theirs(bundle, videos[0]))
    assert found.conditions["network"] == "deeplabcut"
    assert len(MODELS) == 0
    with pytest.raises(EngineError, match="Leave out precision"):
        runs.ours(bundle, videos[0], InferencePlan(precision="bfloat16"))


def test_a_training_gets_the_memory(
    runs: Runs, bundle: Bundle, videos: list[Video], tmp_path: Path
) -> None:
    runs.ours(bundle, videos[0])
    view = make_bundle_view(bundle, make_folder(tmp_path, "view"))
    (view.train_folder / "pytorch_config.yaml").unlink()
    plan = TrainingPlan({}, "random", 1, 1)
    with pytest.raises(Exception, match="pytorch_config"):
        get_engine("pytorch").train(view, plan, "cpu", lambda progress: None)
    assert len(MODELS) == 0


# --- through populate -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recording_id", "params", "network", "bound"),
    [
        (1070, None, "folded, channels last", BOUND_PX),
        (1071, {"exact": True}, "deeplabcut", 0),
        (1072, {"batch_size": 4}, "folded, channels last", BOUND_PX),
    ],
)
def test_populate_says_how_it_computed(
    lab: Lab,
    trained: Trained,
    runs: Runs,
    bundle: Bundle,
    recording_id: int,
    params: dict[str, Any] | None,
    network: str,
    bound: float,
) -> None:
    model = lab.pipeline.model
    key = {**lab.add_recording(recording_id, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key, params=params)
    model.PoseEstimation.populate(key, make_kwargs={"device": "cpu"})
    run_info = (model.PoseEstimation & key).fetch1("run_info")
    batch_size = (params or {}).get("batch_size", 8)
    assert (run_info["network"], run_info["batch_size"]) == (network, batch_size)
    assert run_info["precision"] == "float32"
    ours = model.PoseEstimation.get_trajectory(key).to_numpy(np.float64)
    theirs = runs.theirs(bundle, Video(lab.root / lab.new_video, 100), batch_size=batch_size)
    assert distance(ours, theirs) <= bound


def test_parameters_that_contradict_each_other_are_refused(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    key = {**lab.add_recording(1073, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    with pytest.raises(ParameterError, match="precision"):
        model.PoseEstimationTask.generate(key, params={"precision": "float8"})
    model.PoseEstimationTask.generate(key, params={"precision": "bfloat16", "exact": True})
    with pytest.raises(ParameterError, match="Leave one of them out"):
        model.PoseEstimation.populate(key)
    (model.PoseEstimationTask & key).delete(safemode=False)


def test_every_frame_is_counted(runs: Runs, bundle: Bundle, videos: list[Video]) -> None:
    """Each frame that is read is counted, with either network."""
    counts: dict[bool, list[int]] = {True: [], False: []}
    for exact, seen in counts.items():
        runs.ours(bundle, videos[1], InferencePlan(exact=exact), seen.append)
    assert counts[True] == counts[False] == list(range(1, 22))

"""DeepLabCut's TensorFlow engine, for the projects of DeepLabCut 2.

Its functions build a graph in TensorFlow's global default graph, and importing them switches eager
execution off for the whole process; it stays off, because DeepLabCut's functions called later from
the same notebook rely on it. PyTorch jobs may come before and after in the same process.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DeviceError, EngineError
from ..readers.labels import read_labels, read_split
from ..readers.snapshots import Snapshot
from ..store.views import ProjectView
from . import tensorflow_training as training
from . import tensorflow_weights as weights
from .base import (
    Analysis,
    Forecast,
    FrameErrors,
    InferencePlan,
    OnFrames,
    OnTraining,
    TrainingPlan,
    Video,
)
from .containment import contained
from .forks import claim_tensorflow
from .frames import counted_frames, upright_frames
from .loaded import MODELS
from .messages import explained
from .shared import create_shuffle, find_prediction

# --- the machine ----------------------------------------------------------------------------------


def describe(device: str | None) -> dict[str, str]:
    """Versions of everything that computes, and the device's name."""
    names = ("deeplabcut", "tensorflow", "numpy")
    facts = {name: importlib.metadata.version(name) for name in names}
    if device and device.startswith("cuda"):
        with contained():
            import tensorflow as tf

            gpu = tf.config.list_physical_devices("GPU")[_number(device)]
            facts["cuda"] = str(tf.sysconfig.get_build_info().get("cuda_version", ""))
            details = tf.config.experimental.get_device_details(gpu)
            facts["device_name"] = str(details.get("device_name", gpu.name))
    return facts


def resolve_device(device: str | None) -> str:
    """Turn a wish (None: the best there is) into a device that exists here.

    Raises:
        DeviceError: It does not exist.
    """
    with contained():
        import tensorflow as tf

        n_gpus = len(tf.config.list_physical_devices("GPU"))
    if device in (None, "auto"):
        return "cuda" if n_gpus else "cpu"
    if device == "cpu":
        return "cpu"
    kind, _, number = str(device).partition(":")
    if kind in ("cuda", "gpu") and number.isdecimal() | (number == "") and _number(device) < n_gpus:
        return f"cuda:{number}" if number else "cuda"
    raise DeviceError(
        f"TensorFlow cannot use the device '{device}' on this machine (it sees {n_gpus} GPUs; it "
        "brings no CUDA libraries of its own). Choose 'cpu', or 'cuda:N' with N below that number."
    )


def _number(device: str | None) -> int:
    return int((device or "").partition(":")[2] or 0)


@contextlib.contextmanager
def _fresh_graph(device: str) -> Iterator[None]:
    """Give DeepLabCut an empty graph on a device, and leave none behind.

    Raises:
        EngineError: The process computes on another device already, which TensorFlow cannot change,
            or was forked from one that has computed.
    """
    claim_tensorflow()
    import tensorflow as tf

    MODELS.release()  # PyTorch's, on the same GPU
    _limit_threads()
    gpus = tf.config.list_physical_devices("GPU")
    wanted = [] if device == "cpu" else [gpus[_number(device)]]
    if tf.config.get_visible_devices("GPU") != wanted:
        try:
            tf.config.set_visible_devices(wanted, "GPU")
        except RuntimeError as error:
            raise EngineError(
                f"This process has used TensorFlow on another device before, and cannot change to "
                f"'{device}'. Start a new process (restart the notebook's kernel) for it."
            ) from error
    tf.compat.v1.disable_eager_execution()
    tf.compat.v1.reset_default_graph()
    try:
        yield
    finally:
        tf.compat.v1.reset_default_graph()


def _limit_threads() -> None:
    """Let TensorFlow's threads obey the limit that PyTorch's obey.

    They spin like OpenMP's: with more of them than free cores a training took over five times as
    long. TensorFlow reads its variables when the process computes for the first time.
    """
    limit = os.environ.get("OMP_NUM_THREADS")
    if limit:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", limit)
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", limit)


# --- training -------------------------------------------------------------------------------------


def create_dataset(view: ProjectView, plan: TrainingPlan) -> None:
    """Create dataset, split and engine config of the view's shuffle from its labels."""
    with contained(view.log_file), weights.without_download():
        create_shuffle(view, plan)


def train(
    view: ProjectView,
    plan: TrainingPlan,
    device: str,
    on_progress: OnTraining,
    resume_from: Snapshot | None = None,
) -> None:
    """Train the view's shuffle; an exception raised by ``on_progress`` stops it cleanly.

    DeepLabCut's TensorFlow snapshots hold no state of the optimizer, so a resumed training has the
    weights and the learning rate of where it stopped, but starts with a fresh momentum.

    Raises:
        EngineError: Training failed, or pretrained weights were wanted and cannot be had.
    """
    with contained(view.log_file), _fresh_graph(device), explained("train the model"):
        training.run(view, plan, on_progress, resume_from)


def rehearse(view: ProjectView, plan: TrainingPlan) -> Forecast:
    """Go through what comes before a training, without training or downloading.

    Raises:
        EngineError: A setting is not valid, or starting weights cannot be had.
    """
    with contained(view.log_file):
        return training.rehearse(view, plan)


def check_model(view: ProjectView) -> None:
    """Whatever DeepLabCut made it, its configs are read by all."""


def is_complete(snapshot: Snapshot) -> bool:
    """Whether a snapshot was written to its end."""
    with contained():
        import tensorflow as tf

        try:
            tf.train.load_checkpoint(str(snapshot.path)).get_variable_to_shape_map()
        except (ValueError, tf.errors.OpError):
            return False
    return all(file.stat().st_size > 0 for file in snapshot.files)


# --- evaluation -----------------------------------------------------------------------------------


def evaluate(view: ProjectView, snapshot: str, device: str) -> FrameErrors:
    """Predict every labelled frame of the view with one of its snapshots.

    As DeepLabCut's ``evaluate_network`` does it, which would skip a snapshot it finds evaluated.

    Raises:
        EngineError: DeepLabCut failed.
    """
    labels = read_labels(
        view.directory / view.project.dataset_folder() / f"CollectedData_{view.project.scorer}.h5"
    )
    split = read_split(
        view.directory / view.project.split_file(view.shuffle, view.trainingsetindex)
    )
    with contained(view.log_file), _fresh_graph(device), explained("evaluate the model"):
        predicted = _predict_images(view, snapshot, labels.images)
    rows = [*split.train, *split.test]
    distance = np.linalg.norm(predicted[..., :2] - labels.positions, axis=-1)
    return FrameErrors(
        tuple(labels.images[row] for row in rows),
        distance[rows],
        predicted[rows, :, 2],
        np.repeat([False, True], [len(split.train), len(split.test)]),
    )


def _predict_images(view: ProjectView, snapshot: str, images: tuple[str, ...]) -> Any:
    """Predict images one by one: float64, shape (n_images, n_body_parts, 3), x, y, likelihood."""
    from deeplabcut.pose_estimation_tensorflow.config import load_config
    from deeplabcut.pose_estimation_tensorflow.core import predict
    from deeplabcut.pose_estimation_tensorflow.datasets.utils import data_to_input
    from deeplabcut.utils.auxfun_videos import imread

    config = load_config(str(view.model_folder / "test" / "pose_cfg.yaml"))
    config["batch_size"] = 1
    config["init_weights"] = str(view.train_folder / snapshot)
    session, inputs, outputs = predict.setup_pose_prediction(config, allow_growth=True)
    with session:
        poses = []
        for name in images:
            batch = data_to_input(imread(str(view.directory / name), mode="skimage"))
            found = session.run(outputs, feed_dict={inputs: batch})
            maps = predict.extract_cnn_output(found, config)
            poses.append(predict.argmax_pose_predict(*maps, config["stride"]))
    return np.asarray(poses, dtype=np.float64)


# --- inference ------------------------------------------------------------------------------------


def infer(
    view: ProjectView,
    video: Video,
    folder: Path,
    plan: InferencePlan,
    device: str,
    on_frames: OnFrames,
) -> Analysis:
    """Analyze a video; the prediction file is written to ``folder``.

    Raises:
        VideoError: The video holds fewer frames than it should.
        EngineError: DeepLabCut failed, or wrote no prediction.
    """
    what = f"analyze '{video.path.name}'"
    batch_size = plan.batch_size or int(view.project.settings.get("batch_size") or 1)
    if plan.at_once:
        batch_size = min(batch_size, plan.at_once)
    with contained(view.log_file), _fresh_graph(device), explained(what):
        from deeplabcut.pose_estimation_tensorflow import predict_videos

        # Nested in this order, what counts sees frames that are upright already.
        with upright_frames(), counted_frames(video.n_frames, on_frames):
            scorer = predict_videos.analyze_videos(
                str(view.config_file),
                [str(video.path)],
                shuffle=view.shuffle,
                trainingsetindex=view.trainingsetindex,
                modelprefix=view.model_prefix,
                destfolder=str(folder),
                batchsize=batch_size,
                cropping=list(plan.crop) if plan.crop else None,
                dynamic=plan.dynamic or (False, 0.5, 10),
                allow_growth=True,
                use_openvino=None,  # where it is installed it would compute other numbers
            )
    conditions = {"batch_size": batch_size, "network": "deeplabcut", "precision": "float32"}
    return Analysis(find_prediction(view, video, folder, scorer), conditions)

"""What a TensorFlow training starts from: pretrained weights, random ones, or a snapshot."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..params import PRETRAINED, RANDOM
from ..readers.snapshots import Snapshot
from ..readers.yaml_files import replace_yaml
from ..store.views import ProjectView
from .base import TrainingPlan

INITIAL = "initialsnapshot-0"
"""Weights a training starts from. DeepLabCut takes the number behind the first hyphen for the
iterations done, and restores all layers if the name holds "snapshot"; it does not list this one."""

_WEIGHTS = Path("pose_estimation_tensorflow/models/pretrained")
_ADDRESSES = "pretrained_model_urls.yaml"
"""Where DeepLabCut keeps pretrained weights, and says where to get them."""

_DOWNLOAD_TIMEOUT_S = 30
_REACH_TIMEOUT_S = 5
_RESNET_HOST, _OTHER_HOST = "download.tensorflow.org", "storage.googleapis.com"


@contextlib.contextmanager
def without_download() -> Iterator[None]:
    """Create a dataset without the download that DeepLabCut makes on the way, wanted or not."""
    from deeplabcut.utils import auxfun_models

    original = auxfun_models.check_for_weights
    auxfun_models.check_for_weights = lambda modeltype, parent: ""
    try:
        yield
    finally:
        auxfun_models.check_for_weights = original


def prepare_weights(view: ProjectView, plan: TrainingPlan, settings: dict[str, Any]) -> Path:
    """Put the weights in place that a training starts from, and return them.

    Raises:
        EngineError: They cannot be had.
    """
    if plan.init_weights == PRETRAINED:
        return _download_or_explain(str(settings["net_type"]))
    target = view.train_folder / INITIAL
    if plan.init_weights == RANDOM:
        # The graph is built from the settings' file.
        replace_yaml(view.engine_config_file, {**settings, "init_weights": ""})
        _write_random_weights(view.engine_config_file, target, plan.seed)
    else:
        _copy_weights(Path(plan.init_weights), target, plan.arguments)
    return target


def _download_or_explain(net_type: str) -> Path:
    from deeplabcut.utils import auxfun_models, auxiliaryfunctions

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_S)  # DeepLabCut's download would wait for ever
    try:
        package = Path(auxiliaryfunctions.get_deeplabcut_path())
        place = auxfun_models.MODELTYPE_FILEPATH_MAP.get(net_type)
        folder = package if place is None else _find_weights_folder(package, place)
        return Path(auxfun_models.check_for_weights(net_type, folder))
    except Exception as error:  # whatever kind of unreachable it is
        raise _explain_no_weights(error) from error
    finally:
        socket.setdefaulttimeout(timeout)


def are_here(net_type: str) -> bool:
    """Say whether pretrained weights are on this machine; nothing is downloaded.

    Raises:
        EngineError: They are neither here nor to be downloaded.
    """
    from deeplabcut.utils import auxfun_models, auxiliaryfunctions

    place = auxfun_models.MODELTYPE_FILEPATH_MAP.get(net_type)
    if place is None:
        return True  # DeepLabCut looks for none
    package = Path(auxiliaryfunctions.get_deeplabcut_path())
    if any(_are_in(folder, place) for folder in (package, _find_cache())):
        return True
    host = _RESNET_HOST if "resnet" in net_type else _OTHER_HOST
    try:
        socket.create_connection((host, 80), timeout=_REACH_TIMEOUT_S).close()
    except OSError as error:
        raise _explain_no_weights(error) from error
    return False


def _explain_no_weights(error: Exception) -> EngineError:
    return EngineError(
        "The pretrained weights are neither on this machine nor to be downloaded "
        f"({str(error).splitlines()[0]}). Connect it to the internet once, or set the "
        "parameter init_weights to 'random' or to a snapshot below a root directory."
    )


def _find_weights_folder(package: Path, place: Path) -> Path:
    """Choose where weights are kept: DeepLabCut's own package, or the user's cache.

    DeepLabCut downloads into its package, which nobody but its installer may be able to write: in a
    container, or where all of a lab use one installation.

    Args:
        package: DeepLabCut's folder.
        place: File of the weights, relative to it.

    Returns:
        Folder that `place` is relative to.
    """
    if _are_in(package, place) or os.access(package / _WEIGHTS, os.W_OK):
        return package
    cache = _find_cache()
    (cache / place).parent.mkdir(parents=True, exist_ok=True)
    for folder in {(cache / _WEIGHTS), (cache / place).parent}:
        shutil.copy(package / _WEIGHTS / _ADDRESSES, folder)  # looked for beside the weights
    return cache


def _find_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deeplabcut"


def _are_in(folder: Path, place: Path) -> bool:
    kept = (folder / place).parent
    return kept.is_dir() and any(Path(place).name in file.name for file in kept.iterdir())


def _write_random_weights(settings_file: Path, target: Path, seed: int) -> None:
    """Save the network as its initializers leave it: the same for the same seed."""
    import tensorflow as tf
    import tf_slim
    from deeplabcut.pose_estimation_tensorflow.config import load_config
    from deeplabcut.pose_estimation_tensorflow.core import train
    from deeplabcut.pose_estimation_tensorflow.nnets import PoseNetFactory

    tf.compat.v1.reset_default_graph()
    tf.compat.v1.set_random_seed(seed)
    settings = load_config(str(settings_file))
    batch, _, _ = train.setup_preloading(train.get_batch_spec(settings))
    PoseNetFactory.create(settings).train(batch)
    with tf.compat.v1.Session() as session:
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(tf_slim.get_variables_to_restore())
        saver.save(session, str(target), write_meta_graph=False, write_state=False)
    tf.compat.v1.reset_default_graph()


def _copy_weights(source: Path, target: Path, arguments: Mapping[str, Any]) -> None:
    """Copy a snapshot under the name of one that was not trained yet."""
    snapshot = check_snapshot(source)
    for end in (".index", ".data-00000-of-00001"):
        shutil.copyfile(
            snapshot.path.with_name(snapshot.path.name + end), target.with_name(target.name + end)
        )


def check_snapshot(source: Path) -> Snapshot:
    """Make sure that a snapshot is whole.

    Raises:
        EngineError: It is not.
    """
    snapshot = Snapshot(False, 0, source.with_suffix("") if source.suffix else source)
    missing = [end for end in (".index", ".data-00000-of-00001")
               if not snapshot.path.with_name(snapshot.path.name + end).is_file()]  # fmt: skip
    if missing:
        raise EngineError(
            f"'{source}' is not a snapshot of DeepLabCut's TensorFlow engine ({missing[0]} is "
            "missing beside it). Give init_weights one of the three files of a snapshot, for "
            "instance snapshot-50000.index."
        )
    return snapshot

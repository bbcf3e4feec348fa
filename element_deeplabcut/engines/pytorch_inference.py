"""Video analysis with DeepLabCut 3's PyTorch engine.

DeepLabCut's public ``analyze_videos`` does it: it reads its configs, names its scorer and writes
its files. Two things are put in its way: its runner, which it would load anew for each video, is
one that is loaded already (`loaded`) and faster (`pytorch_runner`); and each frame that it reads is
counted. Where DeepLabCut is not the version whose inner parts are known here, it runs alone.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import importlib.metadata
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..readers.yaml_files import read_yaml
from ..store.views import ProjectView
from .base import Analysis, InferencePlan, OnFrames, Video
from .frames import upright_frames
from .loaded import MODELS
from .pytorch_runner import Account, FastRunner, make_fast_runner
from .shared import find_prediction

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)

_KNOWN = ("3.0.",)
"""DeepLabCut's versions whose runners are known here."""


def analyze(
    view: ProjectView,
    video: Video,
    folder: Path,
    plan: InferencePlan,
    device: str,
    on_frames: OnFrames,
) -> Analysis:
    """Analyze a video; see `base.Engine.infer`."""
    from deeplabcut.pose_estimation_pytorch.apis import videos as api

    batch_size = plan.batch_size or int(view.project.settings.get("batch_size") or 1)
    if plan.at_once:  # a small GPU: not even DeepLabCut's own batches may be larger
        batch_size = min(batch_size, plan.at_once)
    served: list[Any] = []
    _tune_allocator(device)
    with upright_frames(), _counting(api, on_frames), _serving(api, view, plan, device, served):
        scorer = api.analyze_videos(
            str(view.config_file),
            [str(video.path)],
            shuffle=view.shuffle,
            trainingsetindex=view.trainingsetindex,
            modelprefix=view.model_prefix,
            snapshot_index=-1,  # the view holds one snapshot
            device=device,
            destfolder=str(folder),
            batch_size=batch_size,
            cropping=list(plan.crop) if plan.crop else None,
            dynamic=plan.dynamic or (False, 0.5, 10),
            inference_cfg=_choose_threads(view, device),
        )
    account = served[0].account if served and isinstance(served[0], FastRunner) else Account()
    conditions = {"batch_size": batch_size, **asdict(account)}
    return Analysis(find_prediction(view, video, folder, scorer), conditions)


# --- models that are loaded -----------------------------------------------------------------------


@contextlib.contextmanager
def _serving(
    api: Any, view: ProjectView, plan: InferencePlan, device: str, served: list[Any]
) -> Iterator[None]:
    """Give DeepLabCut, when it asks for a runner, one that is loaded already or made faster.

    Args:
        api: DeepLabCut's module of video analysis.
        view: The model.
        plan: How to analyze.
        device: Where.
        served: Is told the runner that DeepLabCut was given.
    """
    utils: Any = getattr(api, "utils", None)
    original = getattr(utils, "get_pose_inference_runner", None)
    # A dynamic crop follows the animal of one video: its runner is for that video alone.
    if original is None or not _knows_deeplabcut() or plan.dynamic:
        _insist_on_float32(plan)
        yield
        return

    def load(*args: Any, **kwargs: Any) -> Any:
        own = original(*args, **kwargs)
        fast = None if plan.exact else make_fast_runner(own, plan.at_once, plan.precision)
        if fast is None:
            _insist_on_float32(plan)
        return own if fast is None else fast

    with contextlib.ExitStack() as loans:

        def serve(*args: Any, **kwargs: Any) -> Any:
            utils.get_pose_inference_runner = original  # a runner may ask for another, its helper
            if view.bundle_hash:
                settings = (plan.exact, plan.precision, plan.at_once, kwargs.get("batch_size"))
                key = ("pytorch", view.bundle_hash, device, settings)
                loan = MODELS.lend(key, lambda: load(*args, **kwargs))
                served.append(loans.enter_context(loan))
            else:
                served.append(load(*args, **kwargs))
            return served[0]

        utils.get_pose_inference_runner = serve
        try:
            yield
        finally:
            utils.get_pose_inference_runner = original


def _insist_on_float32(plan: InferencePlan) -> None:
    if plan.precision != "float32":
        raise EngineError(
            f"This model, or this DeepLabCut, cannot be run in {plan.precision}: only networks "
            "whose poses are read from heat maps can. Leave out precision."
        )


def _knows_deeplabcut() -> bool:
    return importlib.metadata.version("deeplabcut").startswith(_KNOWN)


# --- threads and frames ---------------------------------------------------------------------------


def _choose_threads(view: ProjectView, device: str) -> dict[str, Any] | None:
    """Say in which settings DeepLabCut shall run: with a thread of its own to prepare frames?

    glibc keeps what one thread allocates and another frees: measured on 640 x 480 px, DeepLabCut's
    two threads grew to 23 GB within 1,650 frames. On a processor they are also a third slower than
    one, so one does all. A GPU needs the second.

    Returns:
        Settings in place of the engine config's, or None to leave them.
    """
    if device != "cpu":
        return None
    settings = read_yaml(view.engine_config_file, is_ours=True).get("inference") or {}
    threads = settings.get("multithreading") or {}
    return {**settings, "multithreading": {**threads, "enabled": False}}


def _tune_allocator(device: str) -> None:
    """Tell glibc how the buffers of this process come and go; it stays so.

    For a GPU two threads prepare frames: large buffers are taken from the system and given back to
    it, which keeps the memory constant. On a processor each layer's buffers are freed right before
    the next layer's are taken, and giving them back in between costs DeepLabCut's own network a
    seventh of its time; so at most 128 MB are held back.
    """
    is_cpu = device == "cpu"
    settings = {_M_MMAP_THRESHOLD: 1 << (25 if is_cpu else 20)}  # 32 MB is the most it takes
    if is_cpu:
        settings[_M_TRIM_THRESHOLD] = 1 << 27
    with contextlib.suppress(OSError, AttributeError):  # no glibc, no such habit
        for option, value in settings.items():
            ctypes.CDLL(None).mallopt(option, value)


@contextlib.contextmanager
def _counting(api: Any, on_frames: OnFrames) -> Iterator[None]:
    """Report frames as they are read, in place of DeepLabCut's own progress bar.

    DeepLabCut may read them in a thread of its own, which knows nothing of who asked for them; the
    report is made in the context of who did, so that work on a GPU can be stopped too.
    """
    original = api.tqdm
    run = contextvars.copy_context().run

    def count(frames: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        for number, frame in enumerate(frames, start=1):
            yield frame
            run(on_frames, number)

    api.tqdm = count
    try:
        yield
    finally:
        api.tqdm = original

"""A runner that stands for DeepLabCut's: the same poses of the same frames, sooner.

DeepLabCut prepares frame by frame, on the processor, and fetches each frame's numbers for
themselves. Here frames travel as bytes, a batch at once, are scaled where the network is, go
through the faster network of `pytorch_network`, and come back in one piece. On a GPU a thread reads
ahead, buffers are pinned, and a batch is fetched while the next is computed. On a processor, which
would only share its cores between the two, everything happens in turn.

What it cannot do exactly as DeepLabCut does, it leaves to DeepLabCut's own runner, which it holds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import pytorch_network as network
from .reading_ahead import read_ahead

Frame = npt.NDArray[np.uint8]
Prediction = Mapping[str, Any]
Scale = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

_GPU_FRAMES, _GPU_PIXELS = 64, 1 << 23
"""On a GPU so many frames go at once, and fewer where they are large (64 of 360 x 360 px). Not
measured: chosen because DeepLabCut's default of 8 small frames leaves a GPU idle."""

_CPU_PIXELS = 220_000
"""On a processor so many go through the network at once, for each of its threads: what a layer
leaves has to fit its cache. Measured with a tiny network and one thread, ms per frame for 1, 2, 4
and 8 frames at once: 5.5, 4.9, 4.6, 4.9 (200 x 200 px); 12.3, 11.4, 11.2, 13.1 (320); 25.2, 25.3,
27.6, 34.0 (480); 47.5, 47.6, 59.0, 66.7 (640). With resnet50_gn: 665, 695, 762, 819 (480)."""

_N_COMPARED = 2
"""First frames that both networks compute: ten thousands of scores each, enough to see how far
rounding goes, and little beside a short video."""

_PATIENCE = 16
_MUCH_DOUBT = 0.25
"""A network that leaves more than this to DeepLabCut, after so many batches, saves no time."""


@dataclass
class Account:
    """What a runner did with a video.

    Attributes:
        network: ``deeplabcut`` or ``folded, channels last``.
        precision: Of the network's arithmetic.
        n_left: Frames left to DeepLabCut's own network.
        difference_px: Largest difference between the two networks on the video's first frames; None
            where only one was used.
        at_once: Frames that went at once; None for DeepLabCut's own batches.
    """

    network: str = "deeplabcut"
    precision: str = "float32"
    n_left: int = 0
    difference_px: float | None = None
    at_once: int | None = None


@dataclass(frozen=True)
class _Launched:
    """A batch on its way: its frames, and its numbers as soon as `event` has happened."""

    frames: Sequence[Frame]
    poses: dict[str, Any]
    doubts: Any
    event: Any = None


class FastRunner:
    """Runs a fast network; DeepLabCut calls its ``inference`` and reads its ``batch_size``."""

    def __init__(self, own: Any, scale: Scale, at_once: int | None, precision: str) -> None:
        """Prepare a network; see `make_fast_runner`."""
        import torch

        self.batch_size = own.batch_size
        self.account = Account()
        self._own, self._at_once, self._precision = own, at_once, precision
        self._device = str(own.device)
        self._fast = network.make_fast(own.model, precision)
        self._factor, self._offset = (torch.from_numpy(each).to(own.device) for each in scale)
        self._contexts: dict[tuple[int, ...], dict[str, Any]] = {}
        self._tolerances: dict[tuple[int, ...], network.Tolerance | None] = {}
        self._portion: int | None = None
        self._compared: dict[str, dict[str, Any]] | None = None

    # --- what DeepLabCut calls --------------------------------------------------------------------

    def inference(self, images: Iterable[Frame], shelf_writer: None = None) -> list[Prediction]:
        """Predict the poses of all frames, in their order."""
        import torch

        # What was found out about one video says nothing of the next, and must not decide about it:
        # results would depend on what the process did before.
        self.account, self._portion = Account(), None
        self._tolerances.clear()
        found: list[Prediction] = []
        frames = iter(images)
        first = next(frames, None)
        if first is None:
            return found
        self.batch_size = self._count_at_once(first)
        batches = _batch(itertools.chain([first], frames), self.batch_size)
        with torch.inference_mode():
            if self._device == "cpu":
                self._run(batches, found)
            else:
                with read_ahead(batches) as ahead:
                    self._run(ahead, found)
        return found

    def _count_at_once(self, frame: Frame) -> int:
        """How many frames to compute at once: a multiple of DeepLabCut's own batch size."""
        import torch

        own_size: int = self._own.batch_size
        n_pixels = frame.shape[0] * frame.shape[1]
        wanted = self._at_once or own_size
        if self._device == "cpu":
            n_portions = math.ceil(wanted * n_pixels / (_CPU_PIXELS * torch.get_num_threads()))
            self._portion = math.ceil(wanted / n_portions)
        elif not self._at_once:
            wanted = min(_GPU_FRAMES, _GPU_PIXELS // n_pixels)
        return max(1, wanted // own_size) * own_size

    # --- batches ----------------------------------------------------------------------------------

    def _run(self, batches: Iterator[list[Frame]], found: list[Prediction]) -> None:
        """Launch each batch before the one before it is collected."""
        pending: _Launched | None = None
        for n_batches, frames in enumerate(batches, start=1):
            tolerance = self._find_tolerance(frames, n_batches)
            launched = None if tolerance is None else self._launch(frames, tolerance)
            if pending is not None:
                found += self._collect(pending)
            pending = launched
            if launched is None:
                found += self._predict_as_deeplabcut(frames)
                self.account.n_left += len(frames)
        if pending is not None:
            found += self._collect(pending)

    def _find_tolerance(self, frames: Sequence[Frame], n_batches: int) -> network.Tolerance | None:
        """How far to trust the fast network with frames of this size; the first ones tell."""
        size = frames[0].shape
        self._compared = None
        if size not in self._tolerances:
            self._compared = maps = self._forward(self._to_device(frames))
            n = min(_N_COMPARED, self._own.batch_size)
            few = {name: {kind: each[:n] for kind, each in maps[name].items()} for name in maps}
            self._tolerances[size] = self._compare(frames[:n], few)
        too_many = _MUCH_DOUBT * n_batches * self.batch_size
        if n_batches > _PATIENCE and self.account.n_left > too_many:
            self._tolerances[size] = None
        tolerance = self._tolerances[size]
        if tolerance is None:
            self._compared = None
        else:
            self.account.network = "folded, channels last"
            self.account.precision = self._precision
            self.account.difference_px = tolerance.difference_px
        return tolerance

    def _compare(
        self, frames: Sequence[Frame], fast: dict[str, dict[str, Any]]
    ) -> network.Tolerance | None:
        inputs = self._prepare_as_deeplabcut(frames)
        own = self._own.model(inputs.to(self._device))
        if self._precision != "float32":  # asked for, so it is taken, and the difference noted
            ours, theirs = (network.read_poses(self._own.model, maps) for maps in (fast, own))
            apart = [(ours[name] - theirs[name])[..., :2].abs().max() for name in ours]
            return network.Tolerance(max(float(each) for each in apart), -1)
        return network.compare(self._own.model, own, fast, self._device)

    # --- the fast network -------------------------------------------------------------------------

    def _launch(self, frames: Sequence[Frame], tolerance: network.Tolerance) -> _Launched:
        maps, self._compared = self._compared, None
        if maps is None:
            maps = self._forward(self._to_device(frames))
        self.account.at_once = min(self._portion or self.batch_size, self.batch_size)
        poses = network.read_poses(self._own.model, maps)
        doubts = None
        if tolerance.margin >= 0:
            doubts = network.is_doubtful(self._own.model, maps, tolerance.margin)
        if not self._device.startswith("cuda"):
            return _Launched(frames, poses, doubts)
        import torch

        poses = {name: _send_back(values) for name, values in poses.items()}
        doubts = None if doubts is None else _send_back(doubts)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(torch.device(self._device)))
        return _Launched(frames, poses, doubts, event)

    def _to_device(self, frames: Sequence[Frame]) -> Any:
        """Bring frames as bytes to the network, and scale them there: (n, 3, h, w)."""
        import torch

        batch = torch.from_numpy(np.stack(frames))
        if self._device.startswith("cuda"):
            batch = batch.pin_memory().to(self._device, non_blocking=True)
        bare = batch.to(self._device).float()
        scaled = torch.addcmul(self._offset, bare, self._factor, out=bare)
        # Bytes are stored with their channels last already, which the network wants.
        return scaled.permute(0, 3, 1, 2).to(getattr(torch, self._precision))

    def _forward(self, inputs: Any) -> dict[str, dict[str, Any]]:
        """Compute maps, in smaller portions where the memory of a GPU does not do for all."""
        import torch

        while True:
            try:
                parts = [self._fast(part) for part in inputs.split(self._portion or len(inputs))]
                break
            except torch.cuda.OutOfMemoryError:
                portion = self._portion or len(inputs)
                if portion == 1:
                    raise
                self._portion = (portion + 1) // 2
                torch.cuda.empty_cache()
        return {
            name: {kind: torch.cat([part[name][kind] for part in parts]).float() for kind in head}
            for name, head in parts[0].items()
        }

    def _collect(self, launched: _Launched) -> list[Prediction]:
        if launched.event is not None:
            launched.event.synchronize()
        poses = {name: values.cpu().numpy() for name, values in launched.poses.items()}
        found = [
            self._finish({name: {"poses": values[i]} for name, values in poses.items()}, frame)
            for i, frame in enumerate(launched.frames)
        ]
        if launched.doubts is None or not launched.doubts.any():
            return found
        own_size = self._own.batch_size
        for start in range(0, len(found), own_size):
            part = slice(start, start + own_size)
            if launched.doubts[part].any():
                found[part] = self._predict_as_deeplabcut(launched.frames[part])
                self.account.n_left += len(found[part])
        return found

    # --- DeepLabCut's own -------------------------------------------------------------------------

    def _predict_as_deeplabcut(self, frames: Sequence[Frame]) -> list[Prediction]:
        found = []
        for start in range(0, len(frames), self._own.batch_size):
            part = frames[start : start + self._own.batch_size]
            raw = self._own.predict(self._prepare_as_deeplabcut(part))
            found += [self._finish(each, frame) for each, frame in zip(raw, part, strict=True)]
        return found

    def _prepare_as_deeplabcut(self, frames: Sequence[Frame]) -> Any:
        import torch

        return torch.cat([self._own.preprocessor(frame, {})[0] for frame in frames])

    def _finish(self, raw: Any, frame: Frame) -> Prediction:
        """Let DeepLabCut bring what the network said into the frame's pixels."""
        if frame.shape not in self._contexts:
            self._contexts[frame.shape] = self._own.preprocessor(frame, {})[1]
        return self._own.postprocessor([raw], dict(self._contexts[frame.shape]))[0]


# --- what can be fast -----------------------------------------------------------------------------


def make_fast_runner(
    own: Any, at_once: int | None = None, precision: str = "float32"
) -> FastRunner | None:
    """Prepare a fast runner that stands for one of DeepLabCut's.

    Args:
        own: DeepLabCut's runner.
        at_once: Frames at once; None for as many as suit the device.
        precision: ``float32`` or ``bfloat16``.

    Returns:
        None where DeepLabCut's does anything that `FastRunner` cannot do.
    """
    if str(own.device) == "cpu" and precision == "float32" and not network.can_fold(own.model):
        return None  # channels last alone gain less than the comparison costs
    scale = _find_scale(own) if _is_plain(own) else None
    return None if scale is None else FastRunner(own, scale, at_once, precision)


def _is_plain(own: Any) -> bool:
    from deeplabcut.pose_estimation_pytorch.models import PoseModel
    from deeplabcut.pose_estimation_pytorch.runners.inference import PoseInferenceRunner

    settings = own.inference_cfg
    return (
        type(own) is PoseInferenceRunner
        and type(own.model) is PoseModel
        and own.dynamic is None
        and not settings.autocast.enabled
        and not settings.compile.enabled
        and not own.model.output_features
        and network.is_heatmap_network(own.model)
    )


def _find_scale(own: Any) -> Scale | None:
    """Factor and offset by which a runner scales each channel; None if it does anything else."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    ramp = np.repeat(ramp, 2, axis=1)
    values = own.preprocessor(ramp, {})[0].numpy()
    if values.shape != (1, 3, 256, 2):
        return None
    values = values[0].transpose(1, 2, 0)
    offset, factor = values[0, 0], (values[-1, 0] - values[0, 0]) / 255
    if not np.allclose(ramp * factor + offset, values, rtol=0, atol=1e-5):
        return None
    return factor.astype(np.float32), offset.astype(np.float32)


# --- frames ---------------------------------------------------------------------------------------


def _send_back(values: Any) -> Any:
    """Begin to copy numbers from a GPU into pinned memory."""
    import torch

    target = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return target.copy_(values, non_blocking=True)


def _batch(images: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    frames = (image for image in images)  # ends once; DeepLabCut's own begins again after its end
    while batch := list(itertools.islice(frames, size)):
        yield batch

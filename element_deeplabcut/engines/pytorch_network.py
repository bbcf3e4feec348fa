"""The same network, faster: other memory layout, batch norms folded into convolutions.

Both leave the mathematics as it is and change the order of the sums, hence the last bits of a
float32. Two things follow for poses, and both are dealt with, not hoped for:

1. Where the network is sure, the pose moves by some 1e-5 px. How much it does is measured against
   DeepLabCut's own network on the first frames of each video, and above the bound
   (`BOUND_PX`) the fast network is not used.
2. DeepLabCut takes the cell of the heat map with the highest score and refines the position from
   there. Where two cells are level within rounding, the last bits decide which, and the pose may
   jump by a pixel. Such frames are found (`is_doubtful`) and left to DeepLabCut's own network, in
   the very batch it would have made of them.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import Any

BOUND_PX = {"cpu": 1e-3, "cuda": 1e-2}
"""How far a pose may be from DeepLabCut's own. On a GPU its own convolutions round to TF32."""

_HEADROOM = 4
"""The first frames must be that much better than the bound, for the sake of those that follow."""

_DOUBT = 16
"""Scores are level where they differ by less than so many times the largest error seen."""

_RESOLUTION = 2.4e-7
"""Two steps of a float32 below 1: scores after the sigmoid that are this close count as level."""


@dataclass(frozen=True)
class Tolerance:
    """How a fast network compares with DeepLabCut's own on some frames.

    Attributes:
        difference_px: Largest difference in x or y where the network is sure.
        margin: Difference of two scores, before the sigmoid, below which they count as level.
    """

    difference_px: float
    margin: float


def is_heatmap_network(model: Any) -> bool:
    """Whether all poses of a network are the highest cells of heat maps, refined."""
    from deeplabcut.pose_estimation_pytorch.models.predictors import HeatmapPredictor

    predictors = [getattr(head, "predictor", None) for head in model.heads.values()]
    return bool(predictors) and all(type(each) is HeatmapPredictor for each in predictors)


def make_fast(model: Any, precision: str = "float32") -> Any:
    """Copy a network with batch norms folded, channels last, in the precision that is wanted."""
    import torch

    fast = copy.deepcopy(model).eval()
    fold_batch_norms(fast)
    return fast.to(memory_format=torch.channels_last, dtype=getattr(torch, precision))


def can_fold(model: Any) -> bool:
    """Whether a network has batch norms at all."""
    from torch import nn

    return any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def fold_batch_norms(network: Any) -> int:
    """Fold each batch norm into the convolution that is declared right before it, in place.

    Whether it is also computed right after it is not asked here: the comparison with DeepLabCut's
    own network shows it.

    Returns:
        How many were folded.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    n_folded = 0
    for module in network.modules():
        names = [name for name, _ in module.named_children()]
        for before, name in itertools.pairwise(names):
            norm = getattr(module, name)
            owner, last = _find_last(module, before)
            first = getattr(owner, last)
            if (
                isinstance(first, nn.Conv2d)
                and isinstance(norm, nn.BatchNorm2d)
                and first.out_channels == norm.num_features
                and norm.track_running_stats
            ):
                setattr(owner, last, fuse_conv_bn_eval(first, norm))
                setattr(module, name, _keep_activation(norm))
                n_folded += 1
    return n_folded


def _find_last(owner: Any, name: str) -> tuple[Any, str]:
    """Owner and name of what a child computes last: some norms follow a whole sequence."""
    from torch import nn

    child = getattr(owner, name)
    while isinstance(child, nn.Sequential) and len(child):
        owner, name = child, list(child.named_children())[-1][0]
        child = getattr(owner, name)
    return owner, name


def _keep_activation(norm: Any) -> Any:
    """What timm's ``BatchNormAct2d`` does after the norm."""
    from torch import nn

    rest = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(*rest) if rest else nn.Identity()


def read_poses(model: Any, outputs: Any) -> dict[str, Any]:
    """Read the poses of each head from its maps, as DeepLabCut does: (n, 1, n_parts, 3)."""
    exact = {
        name: {kind: values.float() for kind, values in head.items()}
        for name, head in outputs.items()
    }
    predictions = model.get_predictions(exact)
    return {name: head["poses"] for name, head in predictions.items()}


def is_doubtful(model: Any, outputs: Any, margin: float) -> Any:
    """Which frames have a body part whose two highest cells are level within rounding: bool, (n,).

    Args:
        model: The network.
        outputs: Its maps.
        margin: See `Tolerance`.
    """
    doubts = []
    for name, head in model.heads.items():
        best, second = outputs[name]["heatmap"].flatten(2).topk(2).values.unbind(-1)
        is_level = best - second <= margin
        if head.predictor.apply_sigmoid:
            is_level |= best.sigmoid() - second.sigmoid() <= _RESOLUTION
        doubts.append(is_level.any(dim=1))
    found = doubts[0]
    for doubt in doubts[1:]:
        found = found | doubt
    return found


def compare(model: Any, own: Any, fast: Any, device: str) -> Tolerance | None:
    """Compare the maps of a fast network with those of DeepLabCut's own.

    Args:
        model: The network.
        own: Its maps of some frames.
        fast: Maps of the same frames by the fast network.
        device: Where they were computed.

    Returns:
        How well they agree; None where they do not, or where too few frames are clear enough to
        tell.
    """
    error = max(
        float((own[name]["heatmap"] - fast[name]["heatmap"]).abs().max()) for name in model.heads
    )
    margin = _DOUBT * error
    is_clear = ~is_doubtful(model, own, margin)
    if not error < float("inf") or 2 * int(is_clear.sum()) < len(is_clear):
        return None
    ours, theirs = read_poses(model, fast), read_poses(model, own)
    difference = max(
        float((ours[name] - theirs[name])[is_clear][..., :2].abs().max()) for name in ours
    )
    bound = BOUND_PX.get(device.partition(":")[0], min(BOUND_PX.values()))
    return Tolerance(difference, margin) if difference * _HEADROOM <= bound else None

"""The pose as DeepLabCut lays it out: one row per frame, columns by scorer, body part and coord."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from .data import Pose

LIKELIHOOD = "likelihood"


def build_table(pose: Pose, *, copy: bool = True) -> pd.DataFrame:
    """Lay out a pose; see `Pose.to_dataframe`.

    Args:
        pose: The pose.
        copy: Leave the pose independent of the table. False is for a pose that nobody keeps.
    """
    coords = (*pose.space, LIKELIHOOD)
    named = any(pose.individuals)
    columns = []
    for animal, part in np.argwhere(pose.is_tracked.T):
        levels = (pose.individuals[animal],) if named else ()
        columns += [(pose.scorer, *levels, pose.body_parts[part], coord) for coord in coords]
    names = ["scorer", *(["individuals"] if named else []), "bodyparts", "coords"]
    values = _find_block(pose)
    if values is None:
        values = _gather(pose)
    elif copy:
        values = values.copy()
    # pandas holds a table column by column: transposed, this array is used as it is.
    return pd.DataFrame(
        values.reshape(len(columns), pose.n_frames).T,
        index=pd.Index(pose.frame_index, dtype=np.int64),
        columns=_label(columns, names),
        copy=False,
    )


def _label(columns: Sequence[tuple[str, ...]], names: Sequence[str]) -> pd.MultiIndex:
    """Make what ``MultiIndex.from_tuples`` does; that takes longer than to read a short pose."""
    levels = [sorted(set(level)) for level in zip(*columns, strict=True)]
    places = [{name: place for place, name in enumerate(level)} for level in levels]
    codes = [
        [place[name] for name in level]
        for place, level in zip(places, zip(*columns, strict=True), strict=True)
    ]
    return pd.MultiIndex(levels, codes, names=names, verify_integrity=False)


def _find_block(pose: Pose) -> npt.NDArray[Any] | None:
    """Find the array of a pose fresh from the database, which has the table's order already."""
    block = pose.position.base
    shape = (*pose.is_tracked.T.shape, len(pose.space) + 1, pose.n_frames)
    if block is None or block is not pose.likelihood.base or block.shape != shape:
        return None
    # A reversed or transposed view of the block has it for its base, too.
    cube = block.transpose(3, 1, 0, 2)
    is_fresh = _is_same(pose.position, cube[..., :-1]) and _is_same(pose.likelihood, cube[..., -1])
    return block if is_fresh and pose.is_tracked.all() else None


def _is_same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Whether two arrays are the same view of the same memory."""
    return bool(one.__array_interface__ == other.__array_interface__)


def _gather(pose: Pose) -> npt.NDArray[Any]:
    """Copy what the model predicts; shape (number of trajectories, number of coords, n_frames)."""
    n_coords = len(pose.space) + 1
    places = np.argwhere(pose.is_tracked.T)
    width = np.result_type(pose.position, pose.likelihood)
    values = np.empty((len(places), n_coords, pose.n_frames), width)
    for number, (animal, part) in enumerate(places):
        values[number, :-1] = pose.position[:, part, animal].T
        values[number, -1] = pose.likelihood[:, part, animal]
    return values

"""The pose as DeepLabCut lays it out: one row per frame, columns by scorer, body part and coord."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from .data import Pose

LIKELIHOOD = "likelihood"


def build_table(pose: Pose) -> pd.DataFrame:
    """Lay out a pose; see `Pose.to_dataframe`."""
    coords = (*pose.space, LIKELIHOOD)
    named = any(pose.individuals)
    columns = []
    values = np.empty((int(pose.is_tracked.sum()), len(coords), pose.n_frames), pose.position.dtype)
    for number, (animal, part) in enumerate(np.argwhere(pose.is_tracked.T)):
        values[number, :-1] = pose.position[:, part, animal].T
        values[number, -1] = pose.likelihood[:, part, animal]
        levels = (pose.individuals[animal],) if named else ()
        columns += [(pose.scorer, *levels, pose.body_parts[part], coord) for coord in coords]
    names = ["scorer", *(["individuals"] if named else []), "bodyparts", "coords"]
    # pandas holds a table column by column: transposed, this array is used as it is.
    return pd.DataFrame(
        values.reshape(len(columns), pose.n_frames).T,
        index=pd.Index(pose.frame_index, dtype=np.int64),
        columns=pd.MultiIndex.from_tuples(columns, names=names),
        copy=False,
    )

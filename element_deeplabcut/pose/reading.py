"""Reading a pose out of the database: the wanted body parts and frames, close to the wire.

DataJoint's ``fetch`` unpacks a blob in four copies and holds every row of the answer at once. Here
each trajectory travels alone and goes straight to its place, and a range of frames is cut out by
the server.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..blobs import select_range, unpack_range, unpack_vector
from ..errors import DatabaseError, ParameterError, QueryError
from ..trajectories import list_body_parts
from .data import PIXELS, UNKNOWN_UNIT, Pose
from .facts import PoseFacts, PoseTables

COORDS = ("x_pos", "y_pos", "z_pos")
LIKELIHOOD = "likelihood"


@dataclass(frozen=True)
class Wanted:
    """What to read of one estimation.

    Attributes:
        key: Primary key of the estimation.
        body_parts: Names, in the order of the result.
        individuals: Names, in the order of the result; None for all there are.
        start: First frame.
        stop: The frame after the last.
        nframes: Frames of the whole recording.
    """

    key: Mapping[str, Any]
    body_parts: tuple[str, ...]
    individuals: tuple[str, ...] | None
    start: int
    stop: int
    nframes: int


@dataclass(frozen=True)
class Arrays:
    """Trajectories as they are stored.

    Attributes:
        position: Shape (n_frames, n_body_parts, n_individuals, 2 or 3).
        likelihood: Shape (n_frames, n_body_parts, n_individuals).
        frame_index: int64, shape (n_frames,).
        individuals: Names.
        tracked: bool, shape (n_body_parts, n_individuals): of what there is a row.
    """

    position: npt.NDArray[np.floating[Any]]
    likelihood: npt.NDArray[np.floating[Any]]
    frame_index: npt.NDArray[np.int64]
    individuals: tuple[str, ...]
    tracked: npt.NDArray[np.bool_]


def read_pose(
    tables: PoseTables,
    facts: PoseFacts,
    body_parts: str | Sequence[str] | None,
    individuals: str | Sequence[str] | None,
    frames: slice | None,
    full_frame: bool,
) -> Pose:
    """Read the wanted part of a pose; see ``PoseEstimation.get_pose``."""
    parts = pick_names(body_parts, list_body_parts(facts.config), "body part")
    nframes = facts.nframes
    if nframes is None:
        nframes = _count_frames(tables.position, facts.sql_key)
    start, stop = resolve_frames(frames, nframes)
    wanted = Wanted(facts.sql_key, parts, as_names(individuals), start, stop, nframes)
    arrays = read_arrays(tables.position, wanted, facts.config.get("individuals") or ())
    if full_frame and facts.crop is not None:
        arrays.position[..., 0] += facts.crop[0]
        arrays.position[..., 1] += facts.crop[2]
    return Pose(
        position=arrays.position,
        likelihood=arrays.likelihood,
        frame_index=arrays.frame_index,
        body_parts=parts,
        individuals=arrays.individuals,
        scorer=facts.scorer,
        rate=facts.rate,
        files=facts.files,
        width=facts.width,
        height=facts.height,
        crop=facts.crop,
        full_frame=full_frame or facts.crop is None,
        unit=PIXELS if arrays.position.shape[-1] == 2 else UNKNOWN_UNIT,
        skeleton=facts.skeleton_of(parts),
        p_cutoff=facts.p_cutoff,
        tracked=arrays.tracked,
        key=facts.key,
    )


def as_names(names: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Take one name for a list of one."""
    return (names,) if isinstance(names, str) else None if names is None else tuple(names)


def _count_frames(table: Any, key: Mapping[str, Any]) -> int:
    """Count an estimation's frames from its rows, where the recording's facts were deleted."""
    where = " AND ".join(f"`{name}`=%s" for name in key)
    row = table.connection.query(
        f"SELECT frame_index FROM {table.full_table_name} WHERE {where} LIMIT 1",
        args=tuple(key.values()),
    ).fetchone()
    return 0 if row is None else len(unpack_vector(row[0]))


def resolve_frames(frames: slice | None, nframes: int) -> tuple[int, int]:
    """Turn a slice into the first frame and the one after the last.

    Negative numbers count from the end and numbers beyond the end are cut off, as in Python.

    Raises:
        ParameterError: It is no slice of numbers, or has a step.
    """
    if frames is None:
        return 0, nframes
    if not isinstance(frames, slice):
        raise ParameterError(
            f"frames is {frames!r}; give a slice of frame numbers, for instance slice(0, 1000)."
        )
    if frames.step not in (None, 1):
        raise ParameterError(
            f"frames has the step {frames.step}. Read the whole range, then take every "
            "so-manieth frame of the arrays: pose.position[::10]."
        )
    try:
        start, stop, _ = frames.indices(nframes)
    except TypeError as error:
        raise ParameterError(f"frames is {frames!r}; its ends must be whole numbers.") from error
    return start, max(start, stop)


def pick_names(
    wanted: str | Sequence[str] | None, known: Sequence[str], what: str
) -> tuple[str, ...]:
    """Choose among names.

    Args:
        wanted: One name, several, or None for all.
        known: The names there are.
        what: How messages call them.

    Raises:
        QueryError: There is no such name; the message suggests the nearest.
    """
    if wanted is None:
        return tuple(known)
    names = (wanted,) if isinstance(wanted, str) else tuple(dict.fromkeys(wanted))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"It has {', '.join(known)}."
            raise QueryError(f"The pose has no {what} '{name}'. {hint}")
    if not names:
        raise QueryError(f"No {what} is asked for. Name at least one, or leave it out for all.")
    return names


def read_arrays(table: Any, wanted: Wanted, order: Sequence[str] = ()) -> Arrays:
    """Read trajectories.

    Args:
        table: ``PoseEstimation.BodyPartPosition``.
        wanted: What to read.
        order: Individuals in the order in which DeepLabCut would have them; others come after.

    Raises:
        QueryError: There is no row of an individual that is asked for, or none at all.
        DatabaseError: The rows do not hold as many frames as the recording has.
    """
    reader = _Reader(table, wanted)
    pairs = reader.list_rows()
    if not pairs:
        raise QueryError(
            f"{dict(wanted.key)} has no trajectories of {', '.join(wanted.body_parts)}."
        )
    known = sorted({individual for individual, _ in pairs}, key=_ranked(order))
    individuals = pick_names(wanted.individuals, known, "individual")
    places = [
        (parts, animals)
        for animals, individual in enumerate(individuals)
        for parts, part in enumerate(wanted.body_parts)
        if (individual, part) in pairs
    ]
    return reader.read(places, individuals)


def _ranked(order: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    ranks = {name: rank for rank, name in enumerate(order)}
    return lambda name: (ranks.get(name, len(ranks)), name)


class _Reader:
    """Reads the rows of one estimation."""

    def __init__(self, table: Any, wanted: Wanted) -> None:
        self._table = table
        self._wanted = wanted
        self._where = " AND ".join(f"`{name}`=%s" for name in wanted.key)

    def list_rows(self) -> set[tuple[str, str]]:
        """List (individual, body part) of the rows there are."""
        places = ", ".join(["%s"] * len(self._wanted.body_parts))
        return set(
            self._query(
                "individual, body_part", f"body_part IN ({places})", self._wanted.body_parts
            )
        )

    def read(self, places: Sequence[tuple[int, int]], individuals: tuple[str, ...]) -> Arrays:
        """Read one row per place (body part, individual) into arrays.

        In memory a trajectory's coordinates follow each other: (individual, part, coord, frame).
        """
        wanted = self._wanted
        shape = (len(individuals), len(wanted.body_parts))
        values: npt.NDArray[Any] | None = None
        tracked = np.zeros(shape[::-1], bool)
        frame_index = None
        for part, animal in places:
            names = (individuals[animal], wanted.body_parts[part])
            columns = self._read_row(names, with_frames=frame_index is None)
            frame_index = columns.pop("frame_index", frame_index)
            width = np.result_type(*columns.values(), np.float32)
            if values is None:
                values = np.empty((*shape, len(columns), wanted.stop - wanted.start), width)
                if len(places) < shape[0] * shape[1]:
                    values[:] = np.nan
            elif width.itemsize > values.dtype.itemsize:
                values = values.astype(width)
            if len(columns) != values.shape[2]:
                raise DatabaseError(f"{dict(wanted.key)} has z for some body parts only.")
            for place, column in enumerate(columns.values()):
                values[animal, part, place] = column
            tracked[part, animal] = True
        if values is None or frame_index is None:
            raise QueryError(f"{dict(wanted.key)} has none of the wanted trajectories.")
        cube = values.transpose(3, 1, 0, 2)
        return Arrays(
            cube[..., :-1], cube[..., -1], frame_index.astype(np.int64), individuals, tracked
        )

    def _read_row(self, names: tuple[str, str], with_frames: bool) -> dict[str, npt.NDArray[Any]]:
        """Read the columns of one row, in the order x, y, z where there is one, likelihood."""
        wanted = self._wanted
        columns = [*COORDS, LIKELIHOOD, *(["frame_index"] if with_frames else [])]
        span = (wanted.start, wanted.stop, wanted.nframes)
        selected = ", ".join(select_range(column, *span) for column in columns)
        ((*blobs,),) = self._query(selected, "individual=%s AND body_part=%s", names)
        found = {}
        for column, blob in zip(columns, blobs, strict=True):
            if blob is not None:
                array = unpack_range(blob, *span)
                found[column] = self._read_whole(column, names) if array is None else array
        return found

    def _read_whole(self, column: str, names: tuple[str, str]) -> npt.NDArray[Any]:
        """Read a column that the server cannot cut, because another client wrote it."""
        wanted = self._wanted
        ((blob,),) = self._query(f"`{column}`", "individual=%s AND body_part=%s", names)
        vector = unpack_vector(blob)
        if len(vector) != wanted.nframes:
            raise DatabaseError(
                f"{column} of '{names[1]}' holds {len(vector)} frames, and the recording has "
                f"{wanted.nframes}. Delete this PoseEstimation and populate it again."
            )
        return vector[wanted.start : wanted.stop]

    def _query(self, columns: str, condition: str, args: Sequence[str]) -> Any:
        return self._table.connection.query(
            f"SELECT {columns} FROM {self._table.full_table_name} "
            f"WHERE {self._where} AND {condition}",
            args=(*self._wanted.key.values(), *args),
        ).fetchall()

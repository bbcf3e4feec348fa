"""Reading a pose out of the database: the wanted body parts, individuals and frames."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DatabaseError, ParameterError, QueryError
from ..trajectories import list_body_parts
from .data import PIXELS, UNKNOWN_UNIT, Pose
from .facts import PoseFacts, PoseTables
from .vectors import Span, VectorReader, count_frames

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
        individuals: Names.
        tracked: bool, shape (n_body_parts, n_individuals): of what there is a row.
    """

    position: npt.NDArray[np.floating[Any]]
    likelihood: npt.NDArray[np.floating[Any]]
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
        nframes = count_frames(tables.position, facts.sql_key)
    start, stop = resolve_frames(frames, nframes)
    wanted = Wanted(facts.sql_key, parts, as_names(individuals, "individual"), start, stop, nframes)
    arrays = read_arrays(tables.position, wanted, facts.config.get("individuals") or ())
    if full_frame and facts.crop is not None:
        arrays.position[..., 0] += facts.crop[0]
        arrays.position[..., 1] += facts.crop[2]
    return Pose(
        position=arrays.position,
        likelihood=arrays.likelihood,
        frame_index=np.arange(start, stop),  # as the table defines it; reading it takes longer
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
        model_body_parts=tuple(list_body_parts(facts.config)),
        colormap=facts.config.get("colormap"),
        tracked=arrays.tracked,
        n_recorded=nframes,
        key=facts.key,
    )


def read_processed(table: Any, key: Mapping[str, Any], raw: Pose) -> Pose:
    """Read a cleaned pose.

    Args:
        table: ``ProcessedPose.BodyPartPosition``.
        key: Primary key of the cleaned pose.
        raw: The pose it was made from, of the wanted body parts, individuals and frames.
    """
    position = np.full(raw.position.transpose(2, 1, 3, 0).shape, np.nan).transpose(3, 1, 0, 2)
    columns = COORDS[: position.shape[-1]]
    for part, animal, vectors in _read_like(raw, table, key, columns):
        for place, vector in enumerate(vectors):
            position[:, part, animal, place] = vector
    return raw.with_arrays(position)


def read_mask(table: Any, key: Mapping[str, Any], raw: Pose) -> npt.NDArray[np.uint8]:
    """Read what was masked or filled in a cleaned pose; arguments as `read_processed`.

    Combinations that the model does not predict are 0.
    """
    mask = np.zeros(raw.likelihood.shape, np.uint8)
    for part, animal, vectors in _read_like(raw, table, key, ("mask",)):
        mask[:, part, animal] = vectors[0]
    return mask


def _read_like(
    raw: Pose, table: Any, key: Mapping[str, Any], columns: Sequence[str]
) -> Iterator[tuple[int, int, list[npt.NDArray[Any]]]]:
    """Read columns of another table that holds the same trajectories as a pose."""
    if raw.n_frames == 0:
        return
    start = int(raw.frame_index[0])
    reader = VectorReader(table, key, Span(start, start + raw.n_frames, raw.n_recorded))
    places = np.argwhere(raw.is_tracked.T)
    tracks = {
        (raw.individuals[animal], raw.body_parts[part]): (int(part), int(animal))
        for animal, part in places
    }
    for track, vectors in reader.read(list(tracks), columns):
        yield *tracks[track], [vector for vector in vectors if vector is not None]


def as_names(names: str | Sequence[str] | None, what: str) -> tuple[str, ...] | None:
    """Take one name for a list of one.

    Raises:
        ParameterError: It is no name, nor a list of names.
    """
    if names is None:
        return None
    try:
        listed: tuple[Any, ...] = (names,) if isinstance(names, str) else tuple(names)
    except TypeError:
        listed = (names,)
    if not all(isinstance(name, str) for name in listed):
        raise ParameterError(f"The {what} is {names!r}; give a name, a list of names, or None.")
    return listed


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
        ParameterError: It is no name, nor a list of names.
    """
    if wanted is None:
        return tuple(known)
    names = tuple(dict.fromkeys(as_names(wanted, what) or ()))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"It has {', '.join(known)}."
            if not any(known):
                hint = f"It has one without a name; leave the {what} out."
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
    span = Span(wanted.start, wanted.stop, wanted.nframes)
    reader = VectorReader(table, wanted.key, span)
    pairs = reader.list_rows()
    known = sorted({individual for individual, _ in pairs}, key=_ranked(order))
    there = [
        individual
        for individual in known
        if any((individual, part) in pairs for part in wanted.body_parts)
    ]
    individuals = tuple(there)
    if wanted.individuals is not None:
        individuals = pick_names(wanted.individuals, known, "individual")
    places = [
        (parts, animals)
        for animals, individual in enumerate(individuals)
        for parts, part in enumerate(wanted.body_parts)
        if (individual, part) in pairs
    ]
    if not places:
        who = ", ".join(individuals) or "The pose"
        raise QueryError(f"{who} has no trajectory of {', '.join(wanted.body_parts)}.")
    return _read_rows(reader, wanted, places, individuals)


def _ranked(order: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    ranks = {name: rank for rank, name in enumerate(order)}
    return lambda name: (ranks.get(name, len(ranks)), name)


def _read_rows(
    reader: VectorReader,
    wanted: Wanted,
    places: Sequence[tuple[int, int]],
    individuals: tuple[str, ...],
) -> Arrays:
    """Read one row per place (body part, individual) into arrays.

    In memory a trajectory's coordinates follow each other: (individual, part, coord, frame).
    """
    shape = (len(individuals), len(wanted.body_parts))
    n_frames = wanted.stop - wanted.start
    values: npt.NDArray[Any] = np.empty((*shape, 0, n_frames), np.float32)
    tracked = np.zeros(shape[::-1], bool)
    tracks = {(individuals[animal], wanted.body_parts[part]): (part, animal)
              for part, animal in places}  # fmt: skip
    rows = reader.read(list(tracks), (*COORDS, LIKELIHOOD))
    for number, (track, row) in enumerate(rows):
        part, animal = tracks[track]
        columns = [column for column in row if column is not None]
        width = np.result_type(np.float32, values.dtype, *columns)
        if number == 0:
            values = _allocate((*shape, len(columns), n_frames), len(places), width)
        elif width != values.dtype:
            with np.errstate(invalid="ignore"):  # of the room that is still empty
                values = values.astype(width)
        if len(columns) != values.shape[2]:
            raise DatabaseError(f"{dict(wanted.key)} has z for some body parts only. Delete it.")
        for place, column in enumerate(columns):
            values[animal, part, place] = column
        tracked[part, animal] = True
    cube = values.transpose(3, 1, 0, 2)
    return Arrays(cube[..., :-1], cube[..., -1], individuals, tracked)


def _allocate(
    shape: tuple[int, ...], n_places: int, dtype: np.dtype[Any]
) -> npt.NDArray[np.floating[Any]]:
    """Make room; filled only where some of it will stay empty."""
    is_full = n_places == shape[0] * shape[1]
    return np.empty(shape, dtype) if is_full else np.full(shape, np.nan, dtype)

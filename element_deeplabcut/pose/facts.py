"""What the database says of a pose beside its arrays, fetched in two statements."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from datajoint.blob import unpack

from .data import PoseFile

DEFAULT_P_CUTOFF = 0.6  # DeepLabCut's own, for a config that names none


@dataclass(frozen=True)
class PoseTables:
    """The tables a pose is put together from.

    Attributes:
        estimation: ``PoseEstimation``.
        position: ``PoseEstimation.BodyPartPosition``.
        model: ``Model``.
        info: ``RecordingInfo``.
        info_file: ``RecordingInfo.File``.
        file: ``VideoRecording.File``.
    """

    estimation: Any
    position: Any
    model: Any
    info: Any
    info_file: Any
    file: Any


@dataclass(frozen=True)
class PoseFacts:
    """Facts of one estimation.

    Attributes:
        key: Primary key of the estimation.
        sql_key: The same as the server has it.
        scorer: DeepLabCut's name for the model.
        config: The model's config.
        crop: Crop that was analyzed, px; None for the whole frame.
        width: Frame width, px; None where the recording's facts were deleted.
        height: Likewise.
        nframes: Likewise.
        files: The recording's files, in their order.
    """

    key: Mapping[str, Any]
    sql_key: Mapping[str, Any]
    scorer: str
    config: Mapping[str, Any]
    crop: tuple[int, int, int, int] | None
    width: int | None
    height: int | None
    nframes: int | None
    files: tuple[PoseFile, ...]

    @property
    def rate(self) -> Fraction | None:
        """Frames per second, the same in every file."""
        return self.files[0].rate if self.files else None

    @property
    def p_cutoff(self) -> float:
        """Likelihood below which the model's config does not trust a point."""
        value = self.config.get("pcutoff")
        return DEFAULT_P_CUTOFF if value is None else float(value)

    def skeleton_of(self, body_parts: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Pairs that the config connects, both of them among these body parts.

        A new config of DeepLabCut connects parts that it does not have.
        """
        pairs = [tuple(str(part) for part in link) for link in self.config.get("skeleton") or ()]
        return tuple(
            (pair[0], pair[1]) for pair in pairs if len(pair) == 2 and set(pair) <= set(body_parts)
        )


def fetch_facts(tables: PoseTables, restricted: Any) -> PoseFacts | None:
    """Fetch the facts of the one estimation that a restricted table leaves.

    Returns:
        None unless it leaves exactly one.
    """
    names = list(tables.estimation.primary_key)
    recording = ", ".join(f"`{name}`" for name in tables.info.primary_key)
    rows = restricted.connection.query(
        f"SELECT {', '.join(f'e.`{name}`' for name in names)}, e.crop, m.scorer, "
        "m.config_template, i.px_width, i.px_height, i.nframes "
        f"FROM ({restricted.make_sql([*names, 'crop'])}) e "
        f"JOIN {tables.model.full_table_name} m USING (`model_name`) "
        f"LEFT JOIN {tables.info.full_table_name} i USING ({recording}) LIMIT 2"
    ).fetchall()
    if len(rows) != 1:
        return None
    values = rows[0][: len(names)]
    crop, scorer, config, width, height, nframes = rows[0][len(names) :]
    sql_key = dict(zip(names, values, strict=True))
    return PoseFacts(
        key={name: _decode(tables.estimation, name, value) for name, value in sql_key.items()},
        sql_key=sql_key,
        scorer=scorer,
        config=unpack(config),
        crop=None if crop is None else _to_crop(*unpack(crop)),
        width=width,
        height=height,
        nframes=nframes,
        files=_fetch_files(tables, {name: sql_key[name] for name in tables.info.primary_key}),
    )


def _fetch_files(tables: PoseTables, recording: Mapping[str, Any]) -> tuple[PoseFile, ...]:
    shared = ", ".join(f"`{name}`" for name in tables.info_file.primary_key)
    where = " AND ".join(f"`{name}`=%s" for name in recording)
    rows = tables.info_file.connection.query(
        "SELECT file_id, file_path, first_frame, nframes, fps_numerator, fps_denominator "
        f"FROM {tables.info_file.full_table_name} JOIN {tables.file.full_table_name} "
        f"USING ({shared}) WHERE {where} ORDER BY first_frame, file_id",
        args=tuple(recording.values()),
    ).fetchall()
    return tuple(
        PoseFile(
            file_id, path, first_frame, nframes, Fraction(count, per) if count and per else None
        )
        for file_id, path, first_frame, nframes, count, per in rows
    )


def _to_crop(x1: int, x2: int, y1: int, y2: int) -> tuple[int, int, int, int]:
    return int(x1), int(x2), int(y1), int(y2)


def _decode(table: Any, name: str, value: Any) -> Any:
    """Give a key column as DataJoint does."""
    return uuid.UUID(bytes=value) if table.heading.attributes[name].uuid else value

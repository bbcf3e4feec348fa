"""What is told of a result: a tree of dataclasses that prints as one page."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from .pages import Block, build_page, to_html, to_markdown, to_text

SAME, PRESENT, CHANGED, MISSING, UNSEEN = "same", "present", "changed", "missing", "unseen"
"""States of a file: hashed again and the same; there, of the same size; another one; gone; not to
be seen from this machine."""


@dataclass(frozen=True)
class FileState:
    """A file or folder that a result was made from or lies in.

    Attributes:
        what: What it is: video, model bundle, run directory, labelled frames, result.
        path: POSIX path, relative to a root or to the processed directory.
        state: ``same`` (hashed again), ``present`` (there, and of the recorded size where one was
            recorded; not hashed), ``changed``, ``missing``, or ``unseen`` (its root directory is
            not on this machine, or it may not or cannot be read).
        sha256: Hash that was recorded, or None.
        size: Bytes that were recorded, or None.
        detail: What there is to say of the state, or ''.
    """

    what: str
    path: str
    state: str
    sha256: str | None = None
    size: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Computation:
    """Where, when and with what something was computed; None is "not recorded".

    Attributes:
        started_at: UTC.
        duration_s: Seconds.
        host: Name of the machine.
        platform: Its operating system.
        device: ``cpu``, ``cuda:0``, ...
        device_name: Name of the GPU, where there was one.
        engine: ``pytorch``, ``tensorflow``, or '' where no network ran.
        versions: Package -> version.
        resumed: Where a training was resumed: epochs done, host, start.
    """

    started_at: datetime.datetime | None
    duration_s: float | None
    host: str | None
    platform: str | None
    device: str | None
    device_name: str | None
    engine: str | None
    versions: Mapping[str, str]
    resumed: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Setting:
    """One parameter.

    Attributes:
        name: Name, or dotted path in an engine config.
        value: Value.
        default: Value it has where nobody says otherwise.
        is_default: Whether it has that value; None where the default is not known.
    """

    name: str
    value: Any
    default: Any = None
    is_default: bool | None = None


@dataclass(frozen=True)
class SettingGroup:
    """Parameters that were set in one place.

    Attributes:
        title: Which place.
        settings: The parameters.
        note: What the defaults are, or why there are no parameters.
    """

    title: str
    settings: tuple[Setting, ...]
    note: str = ""


@dataclass(frozen=True)
class LabelChanges:
    """How the labels differ from those of the training before, in the same project.

    Attributes:
        since: Key of that training.
        added: Frames (images) that it did not have.
        removed: Frames that only it had.
        moved: Frames whose labels were moved, added or removed.
        repictured: Frames whose picture is another one.
    """

    since: Mapping[str, Any]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[str, ...]
    repictured: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.removed or self.moved or self.repictured)


@dataclass(frozen=True)
class Labels:
    """The labelled frames something was trained or evaluated on.

    Attributes:
        hash: Label set's hash, 64 hex digits.
        frames: Labelled-data folder (named like its video) -> number of frames; None if not
            recorded.
        n_train: Frames trained on, or None.
        n_test: Frames tested on, or None.
        changes: Difference from the training before, or None.
        note: Why there is no difference to tell, or ''.
    """

    hash: str | None
    frames: Mapping[str, int | None]
    n_train: int | None = None
    n_test: int | None = None
    changes: LabelChanges | None = None
    note: str = ""


@dataclass(frozen=True)
class Description:
    """The story of one row, and of those it was made from.

    ``str()`` gives a page of plain text, a notebook shows it as a table, `to_markdown` is for
    reports and `to_dict` for programs.

    Attributes:
        table: Name of the table, for instance ``model.PoseEstimation``.
        key: Primary key.
        facts: What it is and what came of it, by name.
        computation: Where, when and with what; None for rows that are not computed.
        settings: Parameters, by where they were set.
        labels: Labels it was trained or evaluated on, or None.
        files: Files it was made from or lies in, and whether they are what they were.
        made_from: Rows it was made from.
        note: Anything else.
    """

    table: str
    key: Mapping[str, Any]
    facts: Mapping[str, Any]
    computation: Computation | None = None
    settings: tuple[SettingGroup, ...] = ()
    labels: Labels | None = None
    files: tuple[FileState, ...] = ()
    made_from: tuple[Description, ...] = field(default=())
    note: str = ""

    def walk(self) -> Iterator[Description]:
        """Go through this row and, once each, through those it was made from."""
        seen: set[str] = set()
        waiting = [self]
        while waiting:
            one = waiting.pop(0)
            name = f"{one.table} {sorted(one.key.items(), key=str)}"
            if name not in seen:
                seen.add(name)
                yield one
                waiting.extend(one.made_from)

    @property
    def all_files(self) -> tuple[FileState, ...]:
        """Every file of the story, once: as the row that comes first in the story knows it."""
        files: dict[tuple[str, str], FileState] = {}
        for one in self.walk():
            for file in one.files:
                files.setdefault((file.what, file.path), file)
        return tuple(files.values())

    @property
    def changed_files(self) -> tuple[FileState, ...]:
        """Files that are gone, or no longer what they were."""
        return tuple(file for file in self.all_files if file.state in (CHANGED, MISSING))

    def to_dict(self) -> dict[str, Any]:
        """The tree as plain values that JSON can hold; hashes are complete here."""
        return _to_plain(dataclasses.asdict(self))

    def to_markdown(self) -> str:
        """The page in Markdown."""
        return to_markdown(self._page)

    def __str__(self) -> str:
        return to_text(self._page)

    def _repr_html_(self) -> str:
        return to_html(self._page)

    @property
    def _page(self) -> list[Block]:
        return build_page(self)


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _to_plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_to_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's
        return _to_plain(value.tolist())
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    return str(value) if isinstance(value, (UUID, bytes)) else value

"""From the plain values of a row to the parts of its story."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ..compute.provenance import list_changes
from .description import Computation, LabelChanges, Labels, Setting, SettingGroup

_VERSIONS = (
    "element_deeplabcut", "deeplabcut", "torch", "tensorflow", "cuda", "numpy", "scipy", "xarray",
    "movement", "av", "python",
)  # fmt: skip
OLD_ROW = "not recorded: this row was made by an earlier version"
Frames = Mapping[str, tuple[str, str]]


def read_computation(run_info: Mapping[str, Any] | None) -> Computation:
    """Take from a ``run_info`` where, when and with what something was computed."""
    info = run_info or {}
    started = info.get("started_at")
    return Computation(
        started_at=read_time(started),
        duration_s=info.get("duration_s"),
        host=info.get("host"),
        platform=info.get("platform"),
        device=info.get("device"),
        device_name=info.get("device_name"),
        engine=info.get("engine"),
        versions={name: str(info[name]) for name in _VERSIONS if info.get(name)},
        resumed=tuple(info.get("resumed") or ()),
    )


def read_time(text: str | None) -> datetime.datetime | None:
    """Read a time as ``run_info`` holds it, UTC."""
    if not text:
        return None
    moment = datetime.datetime.fromisoformat(text)
    return moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)


def compare_with_defaults(
    title: str, params: Mapping[str, Any], defaults: Mapping[str, Any], note: str = ""
) -> SettingGroup:
    """Set parameters beside the values they have by default, those that differ first."""
    settings = [
        Setting(name, value, defaults.get(name), name in defaults and defaults[name] == value)
        for name, value in params.items()
    ]
    return SettingGroup(title, tuple(sorted(settings, key=lambda one: bool(one.is_default))), note)


def list_params(title: str, params: Mapping[str, Any], note: str = "") -> SettingGroup:
    """List parameters whose defaults are told elsewhere."""
    return SettingGroup(title, tuple(Setting(*item) for item in params.items()), note)


def list_config_changes(run_info: Mapping[str, Any]) -> SettingGroup:
    """Say which settings a training changed in its engine config."""
    title = "Engine config, where it differs from DeepLabCut's (or the existing shuffle's)"
    changes = run_info.get("engine_config_changes")
    if changes is None:
        return SettingGroup(title, (), OLD_ROW)
    settings = tuple(Setting(path, new, old, False) for path, (old, new) in changes.items())
    return SettingGroup(title, settings, "" if settings else "nowhere")


def list_differences(
    title: str, params: Mapping[str, Any], earlier: Mapping[str, Any]
) -> SettingGroup:
    """Say how parameters differ from those of an earlier training."""
    changes = list_changes(earlier, params)
    settings = [Setting(path, f"{new!r}, was {old!r}") for path, (old, new) in changes.items()]
    return SettingGroup(title, tuple(settings), "" if settings else "the same")


def read_frames(run_info: Mapping[str, Any]) -> Frames | None:
    """Frames and their hashes, or None where an earlier version recorded none."""
    frames = run_info.get("labelled_frames")
    return None if frames is None else {image: tuple(pair) for image, pair in frames.items()}


def read_labels(
    run_info: Mapping[str, Any], changes: LabelChanges | None = None, note: str = ""
) -> Labels:
    """Take from a ``run_info`` which labels there were."""
    frames = read_frames(run_info)
    folders: Mapping[str, int | None]
    if frames is None:
        folders = dict.fromkeys(run_info.get("labelled_folders") or ())
    else:
        folders = dict(Counter(PurePosixPath(image).parts[-2] for image in frames))
    split = run_info.get("split") or {}
    return Labels(
        hash=run_info.get("labels_hash"),
        frames=folders,
        n_train=len(split["train"]) if "train" in split else None,
        n_test=len(split["test"]) if "test" in split else None,
        changes=changes,
        note=note,
    )


def compare_frames(since: Mapping[str, Any], old: Frames, new: Frames) -> LabelChanges:
    """Say which frames were added, removed, relabelled, or are other pictures."""
    both = sorted(old.keys() & new.keys())
    return LabelChanges(
        since=since,
        added=_sort(new.keys() - old.keys()),
        removed=_sort(old.keys() - new.keys()),
        moved=tuple(image for image in both if old[image][0] != new[image][0]),
        repictured=tuple(image for image in both if old[image][1] != new[image][1]),
    )


def _sort(images: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(images))


def show_crop(crop: Sequence[int] | None) -> str:
    """Write a crop for a person."""
    if crop is None:
        return "none: the whole frame"
    x1, x2, y1, y2 = (int(edge) for edge in crop)
    return f"x {x1} to {x2}, y {y1} to {y2} px; stored x and y count from its corner"

"""What other rows say of a row: its training, its model's config, its parameter set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import model, train
from ..params import check_inference_params
from ..wording import show_key
from .description import SettingGroup
from .reading import compare_with_defaults, list_params

Key = dict[str, Any]


def take(table: Any, key: Mapping[str, Any]) -> Key:
    """Take a table's primary key out of a row that holds more."""
    return {name: key[name] for name in table.primary_key}


def find_training_before(key: Key, info: Mapping[str, Any]) -> Key | None:
    """The training of the same project that started last before this one."""
    if not info.get("started_at"):
        return None
    # Subtracting a dictionary negates the first of its conditions only (DataJoint 0.14.10).
    itself = (train.ModelTraining() & key).proj()
    keys, others = (train.ModelTraining() - itself).fetch("KEY", "run_info")
    found = [
        (other["started_at"], dict(one))
        for one, other in zip(keys, others, strict=True)
        if other.get("project_path") == info.get("project_path")
        and other.get("started_at", "~") < info["started_at"]
    ]
    return max(found, key=lambda item: item[0])[1] if found else None


def find_training_of(row: Mapping[str, Any]) -> Key | None:
    """The training a model is from: as recorded, or the only one that it can be from."""
    if not train.schema.is_activated():
        return None
    registered = row.get("run_info") or {}
    recorded = registered.get("training")
    if recorded:
        infos = (train.ModelTraining() & recorded).fetch("run_info")
        # Who deletes a training and repeats it has another one under the same key.
        is_it = len(infos) == 1 and infos[0].get("started_at", "") < registered["started_at"]
        return dict(recorded) if is_it else None
    if row["paramset_idx"] is None or row.get("run_info"):
        return None
    query = train.ModelTraining() & {"paramset_idx": row["paramset_idx"]}
    facts = ("project_path", "shuffle", "trainingsetindex", "model_prefix")
    found = [
        dict(key)
        for key, info in zip(*query.fetch("KEY", "run_info"), strict=True)
        if all(info.get(name) == row[name] for name in facts)
        and row["snapshot"] in (info.get("snapshots") or ())
    ]
    return found[0] if len(found) == 1 else None


def say_where_from(recorded: Mapping[str, Any] | None, found: Key | None) -> str:
    """Say how sure it is which training a model is from."""
    if recorded and not train.schema.is_activated():
        return f"It is from the training {show_key(recorded)}; schema train is not active here."
    if recorded:
        gone = f"Its training ({show_key(recorded)}) is not in the database any more."
        return "" if found else gone
    if found:
        return "Its training is not recorded; it is the only one here that it can be from."
    return "It was registered from a project; how it was trained is not recorded here."


def describe_inference(task: Mapping[str, Any], info: Mapping[str, Any], key: Key) -> SettingGroup:
    """Set the parameters of a pose estimation beside what the model's config says."""
    params = check_inference_params(task["pose_estimation_params"])
    title = f"Parameters ({task['task_mode']})"
    if task["task_mode"] == "load":
        return list_params(title, params, "" if params else "none")
    config = (model.Model() & key).fetch1("config_template")
    crop = [config.get(edge) for edge in ("x1", "x2", "y1", "y2")]
    defaults = {
        "batch_size": config.get("batch_size"),
        "cropping": crop if config.get("cropping") else False,
        "dynamic": False,
        "labeled_video": False,
    }
    used = {
        "batch_size": info.get("batch_size") or defaults["batch_size"],
        "cropping": params.get("cropping", defaults["cropping"]),
        "dynamic": info.get("dynamic") or False,
        "labeled_video": params.get("labeled_video", False),
    }
    return compare_with_defaults(title, used, defaults, "the defaults are the model's config")


def read_param_set(table: Any, key: Key, defaults: Mapping[str, Any]) -> SettingGroup:
    """Set a parameter set beside the defaults."""
    row = (table & key).fetch1()
    number = row[table.primary_key[0]]
    title = f"Parameters: set {number}, {row['paramset_desc']}"
    return compare_with_defaults(title, row["params"], defaults)

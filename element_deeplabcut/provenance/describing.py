"""Which row has which story: one function per table."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import datajoint as dj

from .. import kinematics, model, report, train
from ..errors import ParameterError
from ..linking import Roots
from ..motion import params as motion
from ..pose import quality
from ..tables import fetch_one
from .description import Description, FileState
from .files import FileChecker
from .lookups import (
    describe_inference,
    find_training_before,
    find_training_of,
    read_param_set,
    say_where_from,
    take,
)
from .reading import (
    OLD_ROW,
    compare_frames,
    list_config_changes,
    list_differences,
    list_params,
    read_computation,
    read_frames,
    read_labels,
    read_time,
    show_crop,
)

Key = dict[str, Any]
_ERRORS = ("train_error", "test_error", "train_error_p", "test_error_p")


def describe(table: Any, key: Any = None, *, check_files: bool = False) -> Description:
    """Tell how one row came to be, and the rows it was made from.

    For `train.ModelTraining`, `model.Model`, `model.ModelEvaluation`, `model.RecordingInfo`,
    `model.PoseEstimation`, `model.LabeledVideo`, `report.PoseQuality`, `kinematics.ProcessedPose`
    and `kinematics.Kinematics`; of any other table with a ``run_info`` what that says, and the
    rows of these tables that it refers to. (The ``describe()`` of a table itself is DataJoint's:
    it gives the table's definition.)

    Args:
        table: Table, or a restriction of one: ``model.PoseEstimation & key``.
        key: Restriction that matches one row; may be left out if ``table`` is restricted so far.
        check_files: Hash the files again, with a progress bar. Otherwise they are looked at only:
            whether they are there, and of the size that was recorded.

    Returns:
        The description: print it, show it in a notebook, or take it apart.

    Raises:
        QueryError: The restriction does not match exactly one row.
        ParameterError: There is no story of such a table's rows.
    """
    query = table() if isinstance(table, type) else table
    if not isinstance(query, dj.Table):
        raise ParameterError(
            "Give a table and a key, for instance describe(model.PoseEstimation, key), or a "
            "restricted table: describe(model.PoseEstimation & key)."
        )
    if key is not None:
        query = query & key
    name = type(query).__name__
    row = fetch_one(query.proj(), name)
    teller = _Teller(FileChecker(_find_roots, check_files))
    return teller.tell(type(query), {column: row[column] for column in query.primary_key})


def _find_roots() -> Roots:
    return (model if model.schema.is_activated() else train).get_roots()


class _Teller:
    """Tells the stories of rows; files are checked once, however often they are named."""

    def __init__(self, files: FileChecker) -> None:
        self._files = files
        self._tellers: dict[Any, Callable[[Key], Description]] = {
            train.ModelTraining: self._tell_training,
            model.Model: self._tell_model,
            model.ModelEvaluation: self._tell_evaluation,
            model.RecordingInfo: self._tell_recording,
            model.PoseEstimation: self._tell_pose,
            model.LabeledVideo: self._tell_video,
            report.PoseQuality: self._tell_quality,
            kinematics.ProcessedPose: self._tell_clean,
            kinematics.Kinematics: self._tell_motion,
        }

    def tell(self, table: Any, key: Key) -> Description:
        """Tell the story of a row by its table and primary key."""
        if table in self._tellers:
            return self._tellers[table](key)
        return self._tell_other(table, key)

    # --- trainings and models -------------------------------------------------------------------

    def _tell_training(self, key: Key) -> Description:
        row = fetch_one(train.ModelTraining() & key, "ModelTraining")
        task = fetch_one(train.TrainingTask() * train.TrainingParamSet() & key, "TrainingTask")
        info, params = row["run_info"], task["params"]
        before = find_training_before(key, info)
        groups = [
            list_params(
                f"Parameters: set {task['paramset_idx']}, {task['paramset_desc']}",
                params,
                "what is not named here is as DeepLabCut, or the shuffle's own config, has it",
            )
        ]
        if before is not None:
            earlier = (train.TrainingParamSet() & before).fetch1("params")
            since = f"training_id={before['training_id']}"
            groups.append(list_differences(f"Parameters since {since}", params, earlier))
        groups.append(list_config_changes(info))
        frames = read_frames(info)
        return Description(
            table="train.ModelTraining",
            key=key,
            facts={
                "project": info.get("project_path"),
                "shuffle": f"{params['shuffle']}, trainingsetindex {params['trainingsetindex']}",
                "network": (info.get("engine_config") or {}).get("net_type"),
                "starting weights": params.get("init_weights", "pretrained"),
                "trained for": f"{row['latest_snapshot']} epochs or iterations",
                "best snapshot": info.get("best_snapshot"),
            },
            computation=read_computation(info),
            settings=tuple(groups),
            labels=self._compare_labels(info, before),
            files=(
                *self._files.check_run(info.get("run_directory"), info.get("disk_bytes")),
                *(self._files.check_labels(info["project_path"], frames) if frames else ()),
            ),
        )

    def _compare_labels(self, info: Mapping[str, Any], before: Key | None) -> Any:
        if before is None:
            return read_labels(info, note="this is the first training of the project")
        earlier = (train.ModelTraining() & before).fetch1("run_info")
        old, new = read_frames(earlier), read_frames(info)
        if old is not None and new is not None:
            return read_labels(info, compare_frames(before, old, new))
        same = earlier.get("labels_hash") == info.get("labels_hash")
        return read_labels(info, note="the same labels" if same else OLD_ROW)

    def _tell_model(self, key: Key) -> Description:
        row = fetch_one(model.Model() & key, "Model")
        info = row.get("run_info")
        training = find_training_of(row)
        config = row["config_template"]
        names = ["pcutoff", "batch_size", "bodyparts", "cropping"]
        names += ["x1", "x2", "y1", "y2"] if config.get("cropping") else []
        return Description(
            table="model.Model",
            key=key,
            facts={
                "description": row["model_description"] or "none",
                "scorer": row["scorer"],
                "engine": row["engine"],
                "project": row["project_path"],
                "shuffle": f"{row['shuffle']}, trainingsetindex {row['trainingsetindex']}, "
                f"iteration {row['iteration']}",
                "snapshot": f"{row['snapshot']} (snapshotindex {row['snapshotindex']})",
                "bundle": row["bundle_hash"],
                "registered": read_time((info or {}).get("started_at")),
                "registered on": (info or {}).get("host"),
            },
            settings=(
                list_params(
                    "Config it was registered with",
                    {name: config[name] for name in names if name in config},
                ),
            ),
            files=(self._files.check_bundle(row["bundle_hash"]),),
            made_from=(self._tell_training(training),) if training else (),
            note=say_where_from((info or {}).get("training"), training),
        )

    def _tell_evaluation(self, key: Key) -> Description:
        row = fetch_one(model.ModelEvaluation() & key, "ModelEvaluation")
        info = row["run_info"]
        project = (model.Model() & key).fetch1("project_path")
        frames = read_frames(info)
        nothing = "none: nothing to average"
        errors = {name: nothing if row[name] is None else f"{row[name]:.3f} px" for name in _ERRORS}
        return Description(
            table="model.ModelEvaluation",
            key=key,
            facts={
                "trained for": f"{row['train_iterations']} epochs or iterations",
                **errors,
                "p_cutoff": float(row["p_cutoff"]),
                "bundle": info.get("bundle_hash"),
            },
            computation=read_computation(info),
            labels=read_labels(info),
            files=(
                *self._files.check_run(info.get("run_directory")),
                *(self._files.check_labels(project, frames) if frames else ()),
            ),
            made_from=(self._tell_model(key),),
        )

    # --- recordings and poses -------------------------------------------------------------------

    def _tell_recording(self, key: Key) -> Description:
        row = fetch_one(model.RecordingInfo() & key, "RecordingInfo")
        info = row.get("run_info")
        recorded = (info or {}).get("videos") or {}
        files = (model.VideoRecording.File() & key).fetch(
            "file_id", "file_path", order_by="file_id"
        )
        states = []
        for number, path in zip(*files, strict=True):
            facts = recorded.get(number) or recorded.get(str(number)) or {}
            states.append(self._files.check_file("video", path, facts.get("size")))
        return Description(
            table="model.RecordingInfo",
            key=key,
            facts={
                "frames": f"{row['nframes']} of {row['px_width']} x {row['px_height']} px",
                "frame rate": "none" if row["fps"] is None else f"{row['fps']:.6g} frames/s",
                "duration": f"{row['recording_duration']:.6g} s",
                "recorded at": row["recording_datetime"] or "the first file does not say",
            },
            computation=read_computation(info),
            files=tuple(states),
        )

    def _tell_pose(self, key: Key) -> Description:
        row = fetch_one(model.PoseEstimation() & key, "PoseEstimation")
        task = fetch_one(model.PoseEstimationTask() & key, "PoseEstimationTask")
        info = row["run_info"]
        positions = model.PoseEstimation.BodyPartPosition() & key
        parts = sorted(set(positions.fetch("body_part")))
        individuals = sorted(set(positions.fetch("individual")) - {""})
        is_loaded = task["task_mode"] == "load"
        return Description(
            table="model.PoseEstimation",
            key=key,
            facts={
                "result": "loaded from results that DeepLabCut wrote elsewhere"
                if is_loaded
                else "computed here",
                "published" if not is_loaded else "DeepLabCut made it": row["pose_estimation_time"],
                "body parts": ", ".join(parts),
                **({"individuals": ", ".join(individuals)} if individuals else {}),
                "scorer": info.get("scorer"),
                "crop": show_crop(row["crop"]),
                **({} if is_loaded else {"bundle": info.get("bundle_hash")}),
            },
            computation=read_computation(info),
            settings=(describe_inference(task, info, key),),
            files=self._list_sources(info) if is_loaded else self._list_videos(info, key),
            made_from=(self._tell_model(take(model.Model, key)), *self._tell_facts(key)),
        )

    def _tell_facts(self, key: Key) -> tuple[Description, ...]:
        """Tell of a pose's recording; its facts can be deleted without the pose."""
        facts = model.RecordingInfo() & take(model.RecordingInfo, key)
        return (self._tell_recording(take(model.RecordingInfo, key)),) if facts else ()

    def _list_videos(self, info: Mapping[str, Any], key: Key) -> tuple[FileState, ...]:
        videos = info.get("videos")
        if videos is None:
            paths = (model.VideoRecording.File() & key).fetch("file_path", order_by="file_id")
            states = [self._files.check_file("video", path) for path in paths]
        else:
            states = [
                self._files.check_file("video", one["path"], int(one["size"]), one["sha256"])
                for _, one in sorted(videos.items(), key=lambda item: int(item[0]))
            ]
        run = self._files.check_run(info.get("run_directory"), info.get("disk_bytes"))
        return (*states, *run)

    def _list_sources(self, info: Mapping[str, Any]) -> tuple[FileState, ...]:
        return tuple(
            self._files.check_file(
                "result", f"{info['folder']}/{one['file']}", one.get("size"), one.get("sha256")
            )
            for one in info.get("sources") or ()
        )

    def _tell_video(self, key: Key) -> Description:
        info = (model.LabeledVideo() & key).fetch1("run_info")
        paths = (model.LabeledVideo.File() & key).fetch("labeled_video_path", order_by="file_id")
        return Description(
            table="model.LabeledVideo",
            key=key,
            facts={"poses": f"hash {info.get('poses_hash', '')[:16] or 'not recorded'}"},
            computation=read_computation(info),
            settings=(list_params("Style", info.get("style") or {}),),
            files=(
                *(self._files.check_file("labeled video", path) for path in paths),
                *self._files.check_run(info.get("run_directory")),
            ),
            made_from=(self._tell_pose(take(model.PoseEstimation, key)),),
        )

    # --- what is made of poses ------------------------------------------------------------------

    def _tell_quality(self, key: Key) -> Description:
        row = fetch_one(report.PoseQuality() & key, "PoseQuality")
        return Description(
            table="report.PoseQuality",
            key=key,
            facts={"verdict": row["verdict"], "reason": row["reason"] or "none needed"},
            computation=read_computation(row["run_info"]),
            settings=(read_param_set(report.QualityParamSet(), key, quality.DEFAULTS),),
            made_from=(self._tell_pose(take(model.PoseEstimation, key)),),
        )

    def _tell_clean(self, key: Key) -> Description:
        row = fetch_one(kinematics.ProcessedPose() & key, "ProcessedPose")
        parts = kinematics.ProcessedPose.BodyPartPosition() & key
        masked, filled = parts.fetch("n_masked", "n_filled")
        return Description(
            table="kinematics.ProcessedPose",
            key=key,
            facts={"points masked": int(masked.sum()), "of these filled": int(filled.sum())},
            computation=read_computation(row["run_info"]),
            settings=(read_param_set(kinematics.KinematicsParamSet(), key, motion.DEFAULTS),),
            made_from=(self._tell_pose(take(model.PoseEstimation, key)),),
        )

    def _tell_motion(self, key: Key) -> Description:
        row = fetch_one(kinematics.Kinematics() & key, "Kinematics")
        scale = "none: pixels only"
        if row["unit"] is not None:
            scale = f"{row['units_per_px']:.6g} {row['unit']} per px"
        return Description(
            table="kinematics.Kinematics",
            key=key,
            facts={"calibration then": scale},
            computation=read_computation(row["run_info"]),
            made_from=(self._tell_clean(key),),
        )

    def _tell_other(self, table: Any, key: Key) -> Description:
        """Tell what a lab's own table says: its plain columns, its run_info, its known parents."""
        heading = table().heading
        plain = [
            name
            for name in heading.secondary_attributes
            if not (heading.attributes[name].is_blob or heading.attributes[name].is_attachment)
        ]
        infos = [name for name in ("run_info",) if name in heading.names]
        if not plain and not infos:
            raise ParameterError(
                f"{table.__name__} has no run_info and no columns beside its key, so there is "
                "nothing to tell. Describe the row it refers to."
            )
        row = fetch_one((table() & key).proj(*plain, *infos), table.__name__)
        info = row.get("run_info")
        # Of a lab's own time nobody knows in which zone it is.
        facts = {
            name: str(row[name]) if isinstance(row[name], datetime.datetime) else row[name]
            for name in plain
        }
        return Description(
            table=table.__name__,
            key=key,
            facts=facts,
            computation=read_computation(info) if isinstance(info, Mapping) else None,
            made_from=tuple(self._tell_parents(table, row)),
        )

    def _tell_parents(self, table: Any, row: Key) -> Iterator[Description]:
        """Tell of the rows that a row of a lab's own table refers to, by whatever names."""
        known = {one.full_table_name: one for one in self._tellers if one.database is not None}
        for name, link in table().parents(foreign_key_info=True):
            key = {theirs: row[own] for own, theirs in link["attr_map"].items()}
            if name in known and None not in key.values():
                yield self.tell(known[name], key)

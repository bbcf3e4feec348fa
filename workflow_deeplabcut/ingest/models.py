"""Models that were trained in a DeepLabCut project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from element_deeplabcut.errors import ElementError, ParameterError
from element_deeplabcut.registration import (
    ModelRecord,
    check_project_model,
    confirm,
    register_project,
)

from .cells import LARGEST_SMALLINT, integer, read_flag, read_settings, read_text
from .desk import Desk, Entry
from .draft import Draft
from .sheet import Column, Layout, Record, Sheet

_NUMBER = "whole number from 0"

MODEL = Layout(
    (
        Column("model_name", read_text, "text, up to 64 characters", "the lab's name for it", True),
        Column(
            "config_relative_path", read_text, "path relative to a root",
            "`config.yaml` of the project that it was trained in", True,
        ),
        Column("shuffle", integer(), _NUMBER, "number of the shuffle", True),
        Column(
            "trainingsetindex", integer(), _NUMBER,
            "index of the training fraction in the project's config", True,
        ),
        Column(
            "paramset_idx", integer(0, LARGEST_SMALLINT), _NUMBER,
            "training parameter set, where it is known",
        ),
        Column(
            "prompt", read_flag, "`True` or `False`",
            "show the model and ask before it is inserted; empty is `False`",
        ),
        Column("model_description", read_text, "text, up to 1000 characters", "what it is for"),
        Column("model_prefix", read_text, "text, up to 32 characters", "DeepLabCut's model prefix"),
        Column(
            "params", read_settings, "dictionary",
            "entries that replace those of the config: `snapshotindex`, `iteration`, `pcutoff`, "
            "`batch_size`, `cropping`, `x1`, `x2`, `y1`, `y2`",
        ),
    )
)  # fmt: skip


@dataclass
class ModelDraft(Draft):
    """Models that are to be copied into the store and inserted.

    Attributes:
        pipeline: Module with the lab's tables.
        records: Lines of the models.
        answers: Names of models that a person was asked about -> whether they want it.
    """

    pipeline: Any = None
    records: list[Record] = field(default_factory=list)
    answers: dict[str, bool] = field(default_factory=dict)
    _prepared: list[tuple[dict[str, Any], ModelRecord]] = field(default_factory=list)

    def prepare(self) -> None:
        """Copy the models into the store (content-addressed, so that a repetition adds nothing)."""
        model = self.pipeline.model
        self._prepared = []
        for record in self.records:
            values = record.values
            name = values["model_name"]
            found = register_project(
                model.get_roots(), values["config_relative_path"], **_request(values)
            )
            row = model.Model.draft_row(
                name, found, values.get("model_description", ""), values.get("paramset_idx")
            )
            if values.get("prompt") and name not in self.answers:
                self.answers[name] = confirm(found.describe(name))
            if self.answers.get(name, True):
                self._prepared.append((row, found))

    def insert(self) -> None:
        """Insert those that were prepared."""
        for row, found in self._prepared:
            self.pipeline.model.Model.insert_draft(row, found)

    @property
    def declined(self) -> tuple[str, ...]:
        """Names of models that a person did not want."""
        return tuple(name for name, is_wanted in self.answers.items() if not is_wanted)

    @property
    def counts(self) -> dict[str, int]:
        """Table -> number of rows."""
        return {"Model": len(self.records) - len(self.declined)} if self.records else {}


def draft_model(sheet: Sheet, desk: Desk) -> ModelDraft:
    """Draft rows of Model."""
    table = desk.pipeline.model.Model()
    desk.check_reference(
        sheet, desk.pipeline.train.TrainingParamSet(),
        (
            (record.line, "paramset_idx", (record.values["paramset_idx"],))
            for record in sheet.records if "paramset_idx" in record.values
        ),
        "Ingest training parameter sets first, or leave it empty.",
    )  # fmt: skip
    rows = {row["model_name"]: row for row in table.fetch(as_dict=True)}
    seen: dict[str, int] = {}
    new, n_known = [], 0
    for record in sheet.records:
        name = record.values["model_name"]
        first = seen.setdefault(name, record.line)
        if first != record.line:
            said = f"'{name}' stands in line {first} too. Give each model its own name."
            sheet.complain(record.line, "model_name", said)
        desk.check_texts(sheet, Entry(record.line, table, dict(record.values)))
        if name in rows:
            _compare(sheet, record, rows[name])
            n_known += 1
        else:
            _find(sheet, desk, record)
            new.append(record)
    return ModelDraft(n_known=n_known, pipeline=desk.pipeline, records=new)


def _request(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "shuffle": values["shuffle"],
        "trainingsetindex": values["trainingsetindex"],
        "model_prefix": values.get("model_prefix", ""),
        "params": values.get("params", {}),
    }


def _find(sheet: Sheet, desk: Desk, record: Record) -> None:
    """Complain if there is no such model."""
    path = record.values["config_relative_path"]
    try:
        check_project_model(desk.pipeline.model.get_roots(), path, **_request(record.values))
    except ParameterError as error:
        sheet.complain(record.line, "params", str(error))
    except ElementError as error:
        sheet.complain(
            record.line, "config_relative_path",
            f"{error} Until the model is there, leave this file out (--skip model, or "
            "skip=['model']).",
        )  # fmt: skip


def _compare(sheet: Sheet, record: Record, row: Mapping[str, Any]) -> None:
    """Complain of what contradicts the model of that name."""
    values = dict(record.values)
    pairs: dict[str, tuple[Any, Any]] = {
        name: (values[name], row[name])
        for name in ("shuffle", "trainingsetindex", "paramset_idx", "model_description",
                     "model_prefix")
        if name in values
    }  # fmt: skip
    path = PurePosixPath(values["config_relative_path"])
    project = path.parent if path.suffix in (".yaml", ".yml") else path
    if not project.is_absolute():
        pairs["config_relative_path"] = (str(project), row["project_path"])
    for name, value in values.get("params", {}).items():
        there = row[name] if name in row else row["config_template"].get(name)
        pairs[f"params ({name})"] = (value, there)
    for column, (here, there) in pairs.items():
        if here != there:
            sheet.complain(
                record.line, column,
                f"is '{here}' here and '{there}' in the database. Correct the file, or register "
                "the model under another name.",
            )  # fmt: skip

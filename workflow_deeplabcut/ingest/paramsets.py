"""Parameter sets of trainings: typed cells over what a project's config says."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from element_deeplabcut.errors import ElementError, ParameterError, SetupError
from element_deeplabcut.params import canonicalize, check_training_params, hash_params, split_config
from element_deeplabcut.readers.project import read_project
from element_deeplabcut.vocabulary import TRAINING

from .cells import LARGEST_SMALLINT, integer, read_text, read_value
from .desk import Desk, Entry
from .draft import Draft
from .problems import suggest
from .sheet import Column, Layout, Record, Sheet

_OWN = ("paramset_idx", "paramset_desc", "config_path")
_NAMES = {
    spelling: name
    for name, parameter in TRAINING.parameters.items()
    for spelling in (name, *parameter.old_names)
}
"""Every spelling of a parameter -> its name."""


def find_parameter(column: str) -> Callable[[str], Any]:
    """Find the reader of a column that is named like a parameter.

    Raises:
        ValueError: There is no such parameter, or it belongs elsewhere.
    """
    if column in TRAINING.refused:
        raise ValueError(f"{TRAINING.refused[column]}.")
    if column not in _NAMES:
        raise ValueError(
            "columns of a training parameter set are paramset_idx, paramset_desc, config_path and "
            f"parameters. {suggest(column, (*_OWN, *_NAMES))}"
        )
    convert = TRAINING.parameters[_NAMES[column]].convert

    def read(text: str) -> Any:
        return convert(canonicalize(read_value(text), column))

    return read


_REQUIRED = {
    "shuffle": "number of the shuffle",
    "trainingsetindex": "index of the training fraction in the project's config",
}

TRAIN_PARAMS = Layout(
    (
        Column(
            "paramset_idx", integer(0, LARGEST_SMALLINT), "whole number from 0",
            "number of the set; empty takes the next free one",
        ),
        Column(
            "paramset_desc", read_text, "text, up to 128 characters", "what it is for", True
        ),
        Column(
            "config_path", read_text, "path relative to a root",
            "a project's `config.yaml`, whose parameters count where the line gives none",
        ),
        *(
            Column(name, find_parameter(name), "whole number from 0", meaning, True)
            for name, meaning in _REQUIRED.items()
        ),
    ),
    further=find_parameter,
)  # fmt: skip


def draft_train_params(sheet: Sheet, desk: Desk) -> Draft:
    """Draft rows of TrainingParamSet."""
    table = desk.pipeline.train.TrainingParamSet()
    columns = ("paramset_idx", "paramset_desc", "param_set_hash")
    known = table.fetch(*columns, as_dict=True)
    drafts = []
    for record in sheet.records:
        params = _merge(record, sheet, desk)
        if params is not None:
            drafts.append(_Drafted(record, params, hash_params(params)))
    _complain_of_repeats(drafts, sheet)
    by_hash = {row["param_set_hash"]: row for row in known}
    by_index = {int(row["paramset_idx"]): row for row in known}
    new = []
    for drafted in drafts:
        desk.check_texts(sheet, Entry(drafted.line, table, dict(drafted.record.values)))
        if drafted.hash in by_hash:
            _compare(drafted, by_hash[drafted.hash], sheet)
        elif drafted.index in by_index:
            _complain_of_other(drafted, table, sheet)
        else:
            new.append(drafted)
    rows = _number(new, {*by_index, *(d.index for d in drafts if d.index is not None)})
    return Draft([(table, row) for row in rows], len(drafts) - len(new))


class _Drafted:
    """A line with its parameters in canonical form."""

    def __init__(self, record: Record, params: dict[str, Any], digest: uuid.UUID) -> None:
        self.record, self.params, self.hash = record, params, digest
        self.line = record.line
        self.index: int | None = record.values.get("paramset_idx")
        self.description: str = record.values["paramset_desc"]


def _merge(record: Record, sheet: Sheet, desk: Desk) -> dict[str, Any] | None:
    """Put a line's parameters over those of its config; None if that gives no valid set."""
    given = {name: value for name, value in record.values.items() if name not in _OWN}
    names = [_NAMES[name] for name in given]
    twice = next((name for name in given if names.count(_NAMES[name]) > 1), None)
    if twice is not None:
        sheet.complain(record.line, twice, f"is another spelling of '{_NAMES[twice]}'. Give one.")
        return None
    config: Mapping[str, Any] = {}
    if "config_path" in record.values:
        try:
            path = desk.pipeline.train.get_roots().locate(record.values["config_path"])
            config = _list_parameters(read_project(path).settings, given)
        except SetupError as error:
            sheet.complain(
                record.line, "config_path",
                f"{error} Or leave it empty, and give the parameters in columns of their own.",
            )  # fmt: skip
            return None
        except ElementError as error:
            sheet.complain(record.line, "config_path", str(error))
            return None
    # What a config says of itself is left to it where the line says it in any spelling.
    inherited = {name: value for name, value in config.items() if _NAMES.get(name) not in names}
    try:
        return check_training_params({**inherited, **given})
    except ParameterError as error:
        column = next((name for name in given if f"'{name}'" in str(error)), "")
        sheet.complain(record.line, column, str(error))
        return None


def _list_parameters(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """List the parameters among a config's entries."""
    engine = {"engine": given["engine"]} if "engine" in given else {}
    parameters, _ = split_config({**config, **engine})
    return {name: value for name, value in parameters.items() if name in _NAMES}


def _complain_of_repeats(drafts: list[_Drafted], sheet: Sheet) -> None:
    lines: dict[Any, int] = {}
    for drafted in drafts:
        first = lines.setdefault(drafted.hash, drafted.line)
        if first != drafted.line:
            said = f"holds the same parameters as line {first}. Remove one of the two."
            sheet.complain(drafted.line, "", said)
        first = lines.setdefault(drafted.index, drafted.line)
        if drafted.index is not None and first != drafted.line:
            said = f"{drafted.index} stands in line {first} too. Give each set its own number."
            sheet.complain(drafted.line, "paramset_idx", said)


def _compare(drafted: _Drafted, row: Mapping[str, Any], sheet: Sheet) -> None:
    index = int(row["paramset_idx"])
    if drafted.index not in (None, index):
        sheet.complain(
            drafted.line, "paramset_idx",
            f"is {drafted.index} here, and {index} in the database for the same parameters. Use "
            "that number.",
        )  # fmt: skip
    if drafted.description != row["paramset_desc"]:
        sheet.complain(
            drafted.line, "paramset_desc",
            f"is '{drafted.description}' here and '{row['paramset_desc']}' in the database. "
            "Correct the file, or the row of TrainingParamSet.",
        )  # fmt: skip


def _complain_of_other(drafted: _Drafted, table: Any, sheet: Sheet) -> None:
    there = (table & {"paramset_idx": drafted.index}).fetch1("params")
    here = drafted.params
    differs = [
        f"{name} is {_show(here, name)} here and {_show(there, name)} there"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
    sheet.complain(
        drafted.line, "paramset_idx",
        f"{drafted.index} holds other parameters in the database: {'; '.join(differs)}. Take "
        "another number, or leave it empty.",
    )  # fmt: skip


def _show(params: Mapping[str, Any], name: str) -> str:
    return str(params[name]) if name in params else "not given"


def _number(new: list[_Drafted], taken: set[int]) -> list[dict[str, Any]]:
    """Give every set a number of its own."""
    following = max(taken, default=-1) + 1
    rows = []
    for drafted in new:
        index = drafted.index
        if index is None:
            index, following = following, following + 1
        rows.append(
            {
                "paramset_idx": index,
                "paramset_desc": drafted.description,
                "param_set_hash": drafted.hash,
                "params": drafted.params,
            }
        )
    return rows

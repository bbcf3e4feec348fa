"""Inserting parameter sets: what the lookup tables of parameters have in common."""

from __future__ import annotations

import logging
import numbers
from collections.abc import Mapping
from typing import Any

from .errors import ParameterError
from .params import hash_params
from .tables import check_lengths

_MAX_INDEX = 2**15 - 1
"""Most that a column of the type smallint holds."""

logger = logging.getLogger(__name__)


def insert_param_set(
    table: Any, index_column: str, description: str, checked: Mapping[str, Any], index: int | None
) -> int:
    """Insert parameters, unless the table holds the same already.

    Args:
        table: Table with the columns ``paramset_desc``, ``param_set_hash`` and ``params``.
        index_column: Its primary key.
        description: What the parameters are for, in words.
        checked: Parameters in their canonical form.
        index: Number to use; None takes the next free one.

    Returns:
        The number of the set: that of an existing one when it holds the same parameters.

    Raises:
        ParameterError: The number is taken by other parameters, or is none that the column holds,
            or another number was asked for parameters that are there already.
    """
    _check_index(index_column, index)
    digest = hash_params(checked)
    known = (table & {"param_set_hash": digest}).fetch(index_column)
    if len(known):
        existing = int(known[0])
        if index not in (None, existing):
            raise ParameterError(
                f"{index_column} {existing} already holds these parameters; use that one."
            )
        logger.warning("%s %d already holds these parameters.", index_column, existing)
        return existing
    if index is None:
        index = int(max(table.fetch(index_column), default=-1)) + 1
    elif table & {index_column: index}:
        raise ParameterError(
            f"{index_column} {index} holds other parameters already. Leave it out to take the next "
            "free number."
        )
    row = {
        index_column: index,
        "paramset_desc": description,
        "param_set_hash": digest,
        "params": dict(checked),
    }
    check_lengths(table, row)
    table.insert1(row)
    return index


def _check_index(name: str, index: Any) -> None:
    is_number = isinstance(index, numbers.Integral) and not isinstance(index, bool)
    if index is not None and not (is_number and 0 <= index <= _MAX_INDEX):
        raise ParameterError(
            f"{name} is {index!r}; give a whole number from 0 to {_MAX_INDEX}, or leave it out to "
            "take the next free one."
        )

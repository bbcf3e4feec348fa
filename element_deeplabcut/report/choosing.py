"""Restrictions that are sure to choose.

DataJoint passes over what names no column of a table: by a mistyped name, or by a table that has no
column in common, every row would be chosen.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import datajoint as dj
import numpy as np
import pandas as pd
from datajoint.errors import DataJointError, QuerySyntaxError, UnknownAttributeError
from datajoint.expression import QueryExpression

from ..errors import QueryError

_CONDITIONS = (str, Mapping, np.void, QueryExpression)


def map_conditions(restriction: Any, change: Callable[[Any], Any]) -> Any:
    """Change each condition of a restriction, however they are nested.

    Args:
        restriction: As DataJoint takes it: a condition, or lists, `dj.AndList` and `dj.Not` of
            such.
        change: Is given a text, a dictionary, a record or a query; or True, False and the like.

    Returns:
        The same restriction of what ``change`` has returned. An iterator has become a list.
    """
    if isinstance(restriction, dj.Not):
        return dj.Not(map_conditions(restriction.restriction, change))
    if isinstance(restriction, dj.AndList):
        return dj.AndList([map_conditions(part, change) for part in restriction])
    if inspect.isclass(restriction) and issubclass(restriction, QueryExpression):
        restriction = restriction()
    if isinstance(restriction, pd.DataFrame):
        restriction = restriction.to_records()
    if isinstance(restriction, Iterable) and not isinstance(restriction, _CONDITIONS):
        return [map_conditions(part, change) for part in restriction]
    return change(restriction)


def fit(table: Any, condition: Any) -> Any:
    """Spell one condition so that it chooses among a table's rows.

    A text and a dictionary must name columns of the table only. Of what was fetched, or is to be,
    the columns of the table's key count: others may have the same name and another meaning.

    Returns:
        The condition, or None if it does not fit the table.
    """
    if isinstance(condition, str):
        return condition if _is_understood(table, condition) else None
    if isinstance(condition, Mapping):
        return condition if _name_columns(condition) <= set(table.heading.names) else None
    if isinstance(condition, np.void):
        names = [name for name in condition.dtype.names or () if name in table.primary_key]
        return condition[names] if names else None
    if isinstance(condition, QueryExpression):
        names = [name for name in table.primary_key if name in condition.heading.names]
        own = condition.primary_key
        return condition.proj(*(name for name in names if name not in own)) if names else None
    return condition


def _name_columns(condition: Mapping[str, Any]) -> set[str]:
    return {name.partition(".")[0] for name in condition}  # what follows is a path in JSON


def _is_understood(table: Any, text: str) -> bool:
    table.heading.names  # noqa: B018 -- asked first, so that an outage is no mistake of the text's
    try:
        query = table & text
    except DataJointError:  # a column that DataJoint itself misses
        return False
    try:
        query.fetch("KEY", limit=1)
    except (UnknownAttributeError, QuerySyntaxError):
        return False
    return True


def explain_unfit(condition: Any, tables: Mapping[str, Any]) -> QueryError:
    """Say of a condition that it fits none of these tables.

    Args:
        condition: As `fit` takes it.
        tables: What a row of it is -> table.
    """
    columns = {what: table.heading.non_blobs for what, table in tables.items()}
    if isinstance(condition, QueryExpression):
        keys = " or ".join(
            f"{what}'s key ({', '.join(table.primary_key)})" for what, table in tables.items()
        )
        query = type(condition).__name__ if isinstance(condition, dj.Table) else "The query"
        return QueryError(
            f"{query} has no column of {keys}, so it cannot choose any. Join it with a table that "
            "has, and give that."
        )
    listing = "; ".join(f"{what} has {', '.join(names)}" for what, names in columns.items())
    given = _show(condition, columns.values())
    return QueryError(
        f"Nothing can be chosen by {given}: {listing}. Correct it, or "
        "give a query on a table that has what you choose by."
    )


def _show(condition: Any, columns: Iterable[Sequence[str]]) -> str:
    if isinstance(condition, str):
        return f"'{condition}'"
    given = condition.dtype.names if isinstance(condition, np.void) else _name_columns(condition)
    known = {name for names in columns for name in names}
    unknown = sorted(set(given) - known)
    return " and ".join(unknown) or f"{' and '.join(sorted(given))} together"

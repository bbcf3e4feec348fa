"""The schema object of ``report``, and the tables that need ``train`` beside them."""

from __future__ import annotations

import contextlib
from typing import Any

import datajoint as dj
import pymysql

from .. import train
from ..errors import SetupError

schema = dj.schema()


class NeedsTrain:
    """Mixin of tables that refer to trainings: without ``train`` they are not declared."""

    database: str | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if self.database is None:
            raise SetupError(_explain_absence(type(self).__name__))
        super().__init__(*args, **kwargs)


def check_train(name: str) -> None:
    """Insist that there are trainings to be asked about.

    Raises:
        SetupError: Schema `train`, or this one, is not active.
    """
    if not (schema.is_activated() and train.schema.is_activated()):
        raise SetupError(_explain_absence(name))


def _explain_absence(name: str) -> str:
    """Say why there is no such table or function of trainings."""
    if not schema.is_activated():
        return "Call report.activate(...) first."
    if not train.schema.is_activated():
        return (
            f"{name} is about trainings, and this pipeline has no schema train: it was not "
            "activated before report. Where trainings are to be in the database, call "
            "train.activate(...), then report.activate(...) again."
        )
    return f"{name} needs train, which was activated later: call report.activate(...) again."


class GoesWithTask:
    """Mixin of tables whose rows are worth nothing without their task and must not hold it back.

    DataJoint declares foreign keys so that a row keeps its parent from being deleted. Here the
    server deletes the row with the task, also by ``delete_quick``.
    """

    def declare(self, context: Any = None) -> None:
        """Declare the table; see ``datajoint.Table.declare``."""
        super().declare(context)  # type: ignore[misc]
        table: Any = self
        rules = table.connection.query(
            "SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS"
            " WHERE CONSTRAINT_SCHEMA=%s AND TABLE_NAME=%s AND DELETE_RULE<>'CASCADE'",
            args=(table.database, table.table_name),
        ).fetchall()
        for (name,) in rules:
            # Another process that declares it at the same moment may have been first.
            with contextlib.suppress(pymysql.err.OperationalError, dj.errors.DataJointError):
                table.connection.query(_cascade(table, name))


def _cascade(table: Any, name: str) -> str:
    """Spell the statement that declares a foreign key anew, with what it refers to."""
    rows = table.connection.query(
        "SELECT COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME"
        " FROM information_schema.KEY_COLUMN_USAGE WHERE CONSTRAINT_SCHEMA=%s AND TABLE_NAME=%s"
        " AND CONSTRAINT_NAME=%s ORDER BY ORDINAL_POSITION",
        args=(table.database, table.table_name, name),
    ).fetchall()
    columns = ", ".join(f"`{row[0]}`" for row in rows)
    referenced = ", ".join(f"`{row[3]}`" for row in rows)
    return (
        f"ALTER TABLE {table.full_table_name} DROP FOREIGN KEY `{name}`, "
        f"ADD CONSTRAINT `{table.table_name}_task` FOREIGN KEY ({columns}) "
        f"REFERENCES `{rows[0][1]}`.`{rows[0][2]}` ({referenced}) "
        "ON UPDATE CASCADE ON DELETE CASCADE"
    )

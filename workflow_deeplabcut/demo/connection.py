"""The demo's own database: tables of a fresh run, and the way back to them afterwards."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from types import ModuleType

import pymysql

from element_deeplabcut.errors import DatabaseError, SetupError

from .. import database
from ..configuration.files import read_in_force
from .folder import DEFAULT_OUTPUT, DemoFolder

PREFIX = "demo_"
SCHEMAS = ("queue", "kinematics", "report", "model", "train", "session", "subject", "lab")
PIPELINE = "workflow_deeplabcut.pipeline"
_OVERRIDES = ("DATABASE_PREFIX", "DLC_ROOT_DATA_DIR", "DLC_PROCESSED_DATA_DIR")
_LOCK_WAIT_S = 20


def connect(output_dir: str | os.PathLike[str] = DEFAULT_OUTPUT) -> None:
    """Use the tables that the demo left, in this process: import the pipeline afterwards.

    Its database is started if it does not run. DataJoint is set to its defaults and to that
    database; settings of the environment and of a ``dj_local_conf.json`` do not count here.

    Args:
        output_dir: The demo's folder.

    Raises:
        PathError: No demo was run in that folder.
        SetupError: This process uses the pipeline with another database already.
    """
    folder = DemoFolder.at(output_dir)
    folder.check_is_demo()
    open_pipeline(folder, database.start(folder.database))


def stop(output_dir: str | os.PathLike[str] = DEFAULT_OUTPUT) -> bool:
    """Stop the database that the demo left running; `connect` starts it again.

    Args:
        output_dir: The demo's folder.

    Returns:
        Whether it was running.

    Raises:
        PathError: No demo was run in that folder.
    """
    folder = DemoFolder.at(output_dir)
    folder.check_is_demo()
    return database.stop(folder.database)


def prepare_process() -> None:
    """Insist that this process can still be given tables of its own, and load DataJoint.

    Raises:
        SetupError: The pipeline is imported already, so its tables belong to some database.
    """
    if PIPELINE in sys.modules:
        raise SetupError(
            "This process has imported workflow_deeplabcut.pipeline already. Run the demo in a "
            "process of its own: python -m workflow_deeplabcut.demo"
        )
    with _quiet():
        import datajoint  # noqa: F401 (now, because it keeps the error stream it finds)


def drop_schemas(server: database.Server) -> None:
    """Drop the schemas that an earlier run of the demo made, and no others.

    Raises:
        DatabaseError: Another program is using them.
    """
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SET lock_wait_timeout = {_LOCK_WAIT_S}, foreign_key_checks = 0")
        try:
            for name in SCHEMAS:
                cursor.execute(f"DROP DATABASE IF EXISTS `{PREFIX}{name}`")
        except pymysql.err.OperationalError as error:
            raise DatabaseError(
                f"The tables of the last run cannot be dropped ({error.args[-1]}). Close programs "
                "that use them, then run the demo again."
            ) from error


def open_pipeline(folder: DemoFolder, server: database.Server) -> ModuleType:
    """Point DataJoint and the pipeline at the demo, and declare the tables that are missing.

    Raises:
        SetupError: This process uses the pipeline with another database already.
    """
    check_configuration()
    with _quiet():
        import datajoint as dj
        from datajoint.settings import default

        _check_pipeline_is_ours(server)
        for name in _OVERRIDES:
            os.environ.pop(name, None)
        dj.config.update(default)
        dj.config["custom"] = {
            "database.prefix": PREFIX,
            "dlc_root_data_dir": [str(folder.data)],
            "dlc_processed_data_dir": str(folder.results),
        }
        server.configure_datajoint()
        return importlib.import_module(PIPELINE)


def check_configuration() -> None:
    """Name a malformed configuration file: importing DataJoint would fail at it without doing so.

    Raises:
        SetupError: There is one.
    """
    if "datajoint" not in sys.modules:
        read_in_force()


def _check_pipeline_is_ours(server: database.Server) -> None:
    known = sys.modules.get(PIPELINE)
    if known is not None and known.model.schema.connection.conn_info["port"] != server.port:
        raise SetupError(
            "This process uses workflow_deeplabcut.pipeline with another database already. Start a "
            "fresh Python to look at the demo."
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop log records below errors: DataJoint and element-lab say much when they are imported."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

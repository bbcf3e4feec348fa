"""Database connections beside DataJoint's, for threads that must not share it."""

from __future__ import annotations

from typing import Any

import datajoint as dj
import pymysql


def connect_plainly(connection: dj.Connection, **options: Any) -> pymysql.connections.Connection:
    """Open a further connection to the same server, outside DataJoint, in autocommit mode.

    Args:
        connection: DataJoint's connection; only its settings are read.
        **options: In place of ten seconds for connecting, reading and writing, and beside them.
    """
    info = {
        name: value
        for name, value in connection.conn_info.items()
        if name not in ("ssl_input", "host_input")
    }
    settings = {"connect_timeout": 10, "read_timeout": 10, "write_timeout": 10, **options}
    return pymysql.connect(**info, autocommit=True, **settings)

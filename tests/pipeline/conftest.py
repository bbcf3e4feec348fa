"""What the pipeline's tests share beside the lab."""

from __future__ import annotations

from typing import Any

import pytest

from ..conftest import Lab
from .scripted import register_model


@pytest.fixture(scope="session")
def scripted(lab: Lab) -> dict[str, Any]:
    """The model that the results of `scripted.load_pose` are said to come from."""
    return register_model(lab)


@pytest.fixture
def set_packet_limit(lab: Lab):
    """Set max_allowed_packet for connections made from now on, and reconnect."""
    connection = lab.pipeline.model.schema.connection
    original = connection.query("SELECT @@GLOBAL.max_allowed_packet").fetchone()[0]

    def change(limit: int) -> None:
        with lab.server.connect() as own, own.cursor() as cursor:
            cursor.execute("SET GLOBAL max_allowed_packet=%s", (limit,))
        connection.close()
        connection.connect()

    yield change
    change(original)

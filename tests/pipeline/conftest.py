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

"""Activating the schemas, and what importing them needs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest

from element_deeplabcut import model, train
from element_deeplabcut.errors import SetupError

from ..conftest import Lab

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("torch", "tensorflow", "deeplabcut", "cv2")


def run_python(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=120, **{"cwd": REPOSITORY, **options},
    )  # fmt: skip


def test_importing_needs_nothing_heavy() -> None:
    result = run_python(
        f"""
        import sys
        import element_deeplabcut.model, element_deeplabcut.train
        print([name for name in {HEAVY} if name in sys.modules])
        """
    )
    assert result.stdout.strip() == "[]", result.stderr


def test_the_schemas_have_the_tables_of_the_interface(lab: Lab) -> None:
    assert set(lab.pipeline.train.schema.list_tables()) == {
        "#training_param_set", "video_set", "video_set__file", "training_task", "__model_training",
    }  # fmt: skip
    assert lab.pipeline.train.ModelTraining.primary_key == [
        "video_set_id", "paramset_idx", "training_id",
    ]  # fmt: skip
    assert lab.pipeline.model.PoseEstimation.BodyPartPosition.primary_key == [
        "subject", "session_datetime", "recording_id", "model_name", "individual", "body_part",
    ]  # fmt: skip


def test_the_parameter_set_is_a_foreign_key_beside_train(lab: Lab) -> None:
    parents = lab.pipeline.model.Model.parents()
    assert "`test_train`.`#training_param_set`" in parents


def test_model_works_without_train(lab: Lab) -> None:
    """A pipeline that leaves training to others; the reference is a plain number then."""
    result = run_python(
        f"""
        import datajoint as dj
        dj.config.update({{"database.host": "127.0.0.1", "database.port": {lab.server.port},
                           "database.user": "{lab.server.user}",
                           "database.password": "{lab.server.password}",
                           "database.use_tls": False}})
        schema = dj.schema("alone_lab")

        @schema
        class Session(dj.Manual):
            definition = "session_id : int"

        @schema
        class Device(dj.Manual):
            definition = "device : varchar(32)"

        def get_dlc_root_data_dir():
            return "{lab.root}"

        from element_deeplabcut import model, train
        model.activate("alone_model", linking_module=__name__)
        print(train.schema.is_activated(), [table for table in model.Model.parents()])
        print(model.Model.heading.attributes["paramset_idx"].nullable)
        """
    )
    assert result.stdout.split("\n")[:2] == ["False []", "True"], result.stderr


def test_a_linking_module_that_lacks_something_is_refused() -> None:
    empty = types.ModuleType("empty")
    with pytest.raises(SetupError, match=r"empty lacks Session, Device, get_dlc_root_data_dir"):
        model.activate("never", linking_module=empty)
    with pytest.raises(SetupError, match=r"train.activate\(\) needs linking_module"):
        train.activate("never")


def test_a_case_blind_database_is_pointed_out(lab: Lab) -> None:
    result = run_python(
        f"""
        import datajoint as dj, logging
        dj.config.update({{"database.host": "127.0.0.1", "database.port": {lab.server.port},
                           "database.user": "{lab.server.user}",
                           "database.password": "{lab.server.password}",
                           "database.use_tls": False}})
        dj.conn().query("CREATE DATABASE blind_train COLLATE utf8mb4_general_ci")

        def get_dlc_root_data_dir():
            return "{lab.root}"

        from element_deeplabcut import train
        train.activate("blind_train", linking_module=__name__)
        """
    )
    assert "differ in case only are taken for one" in result.stderr
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_the_tests_server_wins_over_every_configuration(tmp_path: Path) -> None:
    """A hostile environment and configuration file do not lead the tests to another server."""
    (tmp_path / "dj_local_conf.json").write_text(
        '{"database.host": "198.51.100.1", "database.user": "x", "database.password": "y"}'
    )
    environment = {**os.environ, "DJ_HOST": "198.51.100.1", "DJ_USER": "x", "DJ_PASS": "y"}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c",
         str(REPOSITORY / "pyproject.toml"), "--rootdir", str(REPOSITORY),
         f"{REPOSITORY}/tests/pipeline/test_activation.py", "-k", "schemas_have_the_tables"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert "1 passed" in result.stdout, result.stdout + result.stderr

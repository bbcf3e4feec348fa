"""The demo's data, and a shell in which a user types commands on tables of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from workflow_deeplabcut import database, synthetic
from workflow_deeplabcut.demo import settings

REPOSITORY = Path(__file__).parents[3]
USER_DATA = REPOSITORY / "user_data"


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """A shell of a user.

    Attributes:
        folder: Where it is.
        environment: Its variables.
    """

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, seconds: float = 300) -> Ended:
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def __call__(self, *arguments: str) -> Ended:
        """Run ``workflow-deeplabcut``."""
        return self.run(sys.executable, "-m", "workflow_deeplabcut.cli", *arguments)

    def python(self, code: str) -> str:
        """Run a few lines of Python and return what they print."""
        connect = "import datajoint as dj; dj.config['database.use_tls'] = False\n"
        ended = self.run(sys.executable, "-c", connect + code)
        assert ended.code == 0, ended.err
        return ended.out.strip()


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's videos and its project, as ``make demo`` makes them."""
    data = tmp_path_factory.mktemp("demo") / "data"
    (data / "videos").mkdir(parents=True)
    training = data / settings.TRAINING_VIDEO
    labelled = synthetic.render_video(training, settings.TRAINING_FRAMES, seed=0)
    for files in settings.RECORDINGS.values():
        for file, (n_frames, seed) in files.items():
            synthetic.render_video(data / file, n_frames, seed=seed)
    synthetic.write_project(data, {training: labelled}, task="demo", scorer="truth")
    return data


@pytest.fixture
def open_shell(server: database.Server, demo_data: Path, tmp_path: Path) -> Callable[[str], Shell]:
    """Open a shell whose tables have a prefix of their own."""

    def open_with(prefix: str) -> Shell:
        (tmp_path / "dj_local_conf.json").write_text(
            '{"database.use_tls": false, "loglevel": "WARNING", "custom": {}}'
        )
        left_out = ("DJ_", "DATABASE_PREFIX", "DLC_")
        kept = {name: v for name, v in os.environ.items() if not name.startswith(left_out)}
        return Shell(
            tmp_path,
            {
                **kept,
                "PYTHONPATH": str(REPOSITORY),
                "DATABASE_PREFIX": prefix,
                "DLC_ROOT_DATA_DIR": str(demo_data),
                "DLC_PROCESSED_DATA_DIR": str(tmp_path / "processed"),
                "DJ_HOST": f"{server.host}:{server.port}",
                "DJ_USER": server.user,
                "DJ_PASS": server.password,
            },
        )

    return open_with

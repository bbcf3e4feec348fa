"""The demo, run as a user runs it, and what it refuses."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from element_deeplabcut.errors import EngineError, PathError, SetupError
from workflow_deeplabcut import database
from workflow_deeplabcut.demo import connect, connection, console, run_demo
from workflow_deeplabcut.demo.__main__ import main
from workflow_deeplabcut.demo.folder import MARKER, DemoFolder

REPOSITORY = Path(__file__).parents[2]
DEMO = (sys.executable, "-m", "workflow_deeplabcut.demo")


# --- the demo's folder ----------------------------------------------------------------------------


@pytest.fixture
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of its own; in this one other tests may have imported the pipeline."""
    monkeypatch.delitem(sys.modules, connection.PIPELINE, raising=False)


def list_all(path: Path) -> list[Path]:
    return sorted(path.rglob("*"))


@pytest.mark.usefixtures("fresh_process")
def test_a_folder_of_somebody_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious.mp4").touch()
    before = list_all(tmp_path)

    assert main(["--output", str(tmp_path)]) == 1

    message = capsys.readouterr().err
    assert "holds files that are not the demo's" in message
    assert "--output" in message
    assert len(message.splitlines()) == 1
    assert list_all(tmp_path) == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("keep")
    with pytest.raises(PathError, match="cannot hold the demo"), DemoFolder.at(file).claimed():
        pass
    assert file.read_text() == "keep"


def test_only_what_the_demo_made_is_replaced(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "video.mp4").touch()
    own = DemoFolder.at(tmp_path / "output")
    with own.claimed():
        pass
    for kept in (own.path / "notes.txt", own.path / "database"):
        kept.mkdir()
    own.results.mkdir()
    (own.results / "old").touch()
    own.summary.touch()
    own.data.symlink_to(outside)

    with own.claimed():
        left = {path.name for path in own.path.iterdir()}

    assert left == {MARKER, "notes.txt", "database"}
    assert (outside / "video.mp4").exists()


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    one = DemoFolder.at(tmp_path)
    with (
        one.claimed(),
        pytest.raises(PathError, match="Another demo is running"),
        DemoFolder.at(tmp_path).claimed(),
    ):
        pass
    with one.claimed():
        pass


# --- what is missing ------------------------------------------------------------------------------


def test_an_unknown_engine_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "output"
    assert main(["--engine", "steam", "--output", str(target)]) == 1
    assert "cannot work with the steam engine" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize("arguments", [[], ["--stop"]])
def test_a_malformed_configuration_is_named(tmp_path: Path, arguments: list[str]) -> None:
    """DataJoint reads it when it is imported, though the demo does not go by it."""
    (tmp_path / "dj_local_conf.json").write_text("{bad")
    ended = subprocess.run(
        [sys.executable, "-m", "workflow_deeplabcut.demo", *arguments], cwd=tmp_path, text=True,
        capture_output=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    said = "holds no demo" if arguments else "dj_local_conf.json', line 1, column 2: this is not"
    assert said in ended.stderr


@pytest.mark.usefixtures("fresh_process")
def test_without_deeplabcut_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="pip install"):
        run_demo(tmp_path / "output")
    assert not (tmp_path / "output").exists()


def test_a_process_that_has_a_pipeline_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, connection.PIPELINE, ModuleType(connection.PIPELINE))
    monkeypatch.setattr("workflow_deeplabcut.demo.run.get_engine", lambda name: None)
    with pytest.raises(SetupError, match="process of its own"):
        run_demo(tmp_path / "output")
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("arguments", [[], ["--stop"]])
def test_there_is_nothing_to_connect_to_before_a_run(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(PathError, match="holds no demo"):
        connection.stop(tmp_path) if arguments else connect(tmp_path)
    assert list_all(tmp_path) == []


def test_other_schemas_are_not_dropped(server: database.Server) -> None:
    with server.connect(autocommit=True) as link, link.cursor() as cursor:
        for name in ("demo_train", "demo_queue", "demo_trainer", "another_lab"):
            cursor.execute(f"CREATE DATABASE `{name}`")
        connection.drop_schemas(server)
        cursor.execute("SHOW DATABASES")
        left = {name for (name,) in cursor.fetchall()}
        for name in ("demo_trainer", "another_lab"):
            cursor.execute(f"DROP DATABASE `{name}`")
    assert left >= {"demo_trainer", "another_lab"}
    assert not left & {"demo_train", "demo_queue"}


# --- what is shown --------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_bars_are_shown_in_place_and_everything_is_logged(
    terminal: io.StringIO,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    steps = console.Steps({"work": "do the work"}, tmp_path / "log.txt")
    with steps.step("work") as note:
        late = sys.stderr
        print("\r 50%", end="", file=sys.stderr)
        print("some library's warning", file=sys.stderr)
        note("3 things")

    assert (tmp_path / "log.txt").read_bytes() == b"\r 50%some library's warning\n"
    assert ("50%" in terminal.getvalue()) == terminal.isatty()
    assert "warning" not in terminal.getvalue()
    assert "\n" not in terminal.getvalue()
    assert re.search(r"\d\.\d   3 things$", capsys.readouterr().out.splitlines()[-1])
    print("after the step", file=late)
    assert "after the step" in terminal.getvalue()


# --- the whole demo -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Demo:
    """A finished run.

    Attributes:
        folder: Its folder.
        place: Where it was started, and where its lines are pasted.
        environment: Of its process.
        shown: What it printed.
    """

    folder: DemoFolder
    place: Path
    environment: dict[str, str]
    shown: str

    def command(self) -> list[str]:
        return [*DEMO, "--output", str(self.folder.path)]

    def paste(self, text: str) -> subprocess.CompletedProcess[str]:
        """Paste into a fresh Python, as at its prompt."""
        return subprocess.run(
            [sys.executable, "-q", "-i"], input=text, cwd=self.place, env=self.environment,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    @property
    def queries(self) -> str:
        start = self.shown.index("from workflow_deeplabcut.demo import connect")
        return self.shown[start : self.shown.index("The database goes on running")]

    @property
    def stop_command(self) -> str:
        return self.shown.rstrip().splitlines()[-1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, started where the environment and a local file name another database."""
    place = tmp_path_factory.mktemp("elsewhere")
    foreign = {"database.host": "nowhere.invalid", "fetch_format": "frame",
               "custom": {"database.prefix": "wrong_"}}  # fmt: skip
    (place / "dj_local_conf.json").write_text(json.dumps(foreign))
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {
        "DJ_HOST": "nowhere.invalid",
        "DATABASE_PREFIX": "wrong_",
        "DLC_ROOT_DATA_DIR": "/nowhere",
        "PYTHONPATH": str(REPOSITORY),
    }
    output = DemoFolder.at(tmp_path_factory.mktemp("results") / "the demo's")
    demo = Demo(output, place, environment, "")
    try:
        result = subprocess.run(
            demo.command(), cwd=place, env=environment, capture_output=True, text=True, timeout=900
        )
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
        yield Demo(output, place, environment, result.stdout)
    finally:
        database.stop(output.database)


def read_summary(demo: Demo) -> dict[str, Any]:
    return json.loads(demo.folder.summary.read_text())


@pytest.mark.dlc
def test_the_summary_says_how_well_and_how_long(demo: Demo) -> None:
    summary = read_summary(demo)
    seconds = dict(summary["seconds"])
    total = seconds.pop("total")

    assert summary["engine"] == "pytorch"
    assert 0 < summary["mean_error_px"] < 2
    assert 0 < summary["test_error_px"] < 2
    assert summary["n_frames"] == 280
    assert all(value >= 0 for value in seconds.values())
    assert sum(seconds.values()) == pytest.approx(total, abs=1)
    assert summary["pictures"] == [picture.name for picture in demo.folder.pictures]


@pytest.mark.dlc
def test_it_prints_a_table_and_where_things_are(demo: Demo) -> None:
    steps = [line for line in demo.shown.splitlines() if line[2:5] == "/11"]
    assert [int(line[:2]) for line in steps] == list(range(1, 12))
    assert str(demo.folder.path) in demo.shown
    assert all(picture.name in demo.shown for picture in demo.folder.pictures)
    assert f"{read_summary(demo)['mean_error_px']:.2f}" in demo.shown


@pytest.mark.dlc
@pytest.mark.parametrize("name", ["predicted_over_true", "trajectory", "learning_curve"])
def test_it_draws_pictures(demo: Demo, name: str) -> None:
    with Image.open(getattr(demo.folder, name)) as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 400
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 200
    # Lines and marks in the body parts' colours, not only empty axes.
    assert ((pixels.max(axis=2).astype(int) - pixels.min(axis=2)) > 100).mean() > 0.001


@pytest.mark.dlc
def test_it_checks_before_and_tells_afterwards(demo: Demo) -> None:
    checked = demo.folder.checks.read_text()
    assert checked.count("no problem found") == 2  # the training, then the analyses
    assert "PROBLEM" not in checked
    story = demo.folder.description.read_text()
    assert story.startswith("model.PoseEstimation")
    assert "videos/morning-2.mp4" in story
    assert "60 frames" in story
    assert "CHANGED" not in story
    assert "MISSING" not in story


@pytest.mark.dlc
def test_the_printed_queries_work_when_pasted(demo: Demo) -> None:
    pasted = demo.paste(demo.queries)
    assert "Error" not in pasted.stderr
    assert "Traceback" not in pasted.stderr
    assert "tailbase" in pasted.stdout
    assert "videos/morning-2.mp4" in pasted.stdout
    assert "[160 rows x 3 columns]" in pasted.stdout


@pytest.mark.dlc
def test_it_touches_nothing_else(demo: Demo) -> None:
    assert [path.name for path in demo.place.iterdir()] == ["dj_local_conf.json"]
    assert [path.name for path in demo.folder.path.parent.iterdir()] == [demo.folder.path.name]


@pytest.mark.dlc
def test_it_runs_again_after_being_killed(demo: Demo) -> None:
    """A second run is killed while it trains; a third starts afresh and finishes."""
    first = read_summary(demo)
    (demo.folder.path / "notes.txt").write_text("mine")
    with subprocess.Popen(
        demo.command(), cwd=demo.place, env=demo.environment, stdout=subprocess.PIPE, text=True
    ) as second:
        assert second.stdout is not None
        for line in second.stdout:
            if line.startswith(" 4/11"):
                break
        second.send_signal(signal.SIGKILL)
    assert not demo.folder.summary.exists()

    third = subprocess.run(
        demo.command(), cwd=demo.place, env=demo.environment, capture_output=True, text=True,
        timeout=900,
    )  # fmt: skip

    assert third.returncode == 0, third.stderr
    assert read_summary(demo)["mean_error_px"] < 2
    assert read_summary(demo)["seconds"] != first["seconds"]
    assert (demo.folder.path / "notes.txt").read_text() == "mine"
    assert "[160 rows x 3 columns]" in demo.paste(demo.queries).stdout


@pytest.mark.dlc
def test_the_printed_command_stops_it_and_the_queries_start_it_again(demo: Demo) -> None:
    def stop() -> str:
        return subprocess.run(
            demo.stop_command, shell=True, cwd=demo.place, env=demo.environment,
            check=True, capture_output=True, text=True, timeout=120,
        ).stdout  # fmt: skip

    assert database.status(demo.folder.database) is not None
    assert "has stopped" in stop()
    assert database.status(demo.folder.database) is None
    assert "was not running" in stop()
    assert "[160 rows x 3 columns]" in demo.paste(demo.queries).stdout

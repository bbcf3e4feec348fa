"""Data for those who have none: rendered, or downloaded with git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from element_deeplabcut.errors import PathError, SetupError
from element_deeplabcut.readers.labels import labels_file, read_labels
from element_deeplabcut.readers.project import read_project
from element_deeplabcut.video import read_facts
from workflow_deeplabcut import example_data
from workflow_deeplabcut.example_data import OPENFIELD, download_openfield, render_example


@pytest.mark.slow
def test_the_rendered_example_is_complete_and_made_once(tmp_path: Path) -> None:
    config = render_example(tmp_path / "example")
    project = read_project(config.parent)
    assert len(read_labels(labels_file(project, "training")).images) == 60
    assert project.settings["project_path"] == str(config.parent)
    frames = {
        name: read_facts(config.parents[1] / "videos" / f"{name}.mp4").n_frames
        for name in ("training", "morning-1", "morning-2", "evening")
    }
    assert frames == {"training": 300, "morning-1": 100, "morning-2": 60, "evening": 120}
    before = config.stat().st_mtime_ns
    assert render_example(tmp_path / "example") == config
    assert config.stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["example"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.mp4").touch()
    with pytest.raises(PathError, match="not the example's"):
        render_example(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.mp4"]


@pytest.mark.slow
def test_an_interrupted_rendering_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workflow_deeplabcut import synthetic

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "write_project", stop)
    with pytest.raises(KeyboardInterrupt):
        render_example(tmp_path / "example")
    assert not list(tmp_path.iterdir())


# --- download -------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """A git repository laid out as DeepLabCut's, served from a folder."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "DeepLabCut"
    for file in (f"examples/{OPENFIELD}/config.yaml", "examples/other/large.mp4", "README.md"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(file)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)
    subprocess.run(
        ["git", "-C", str(folder), "config", "uploadpack.allowFilter", "true"], check=True
    )
    return f"file://{folder}"


def test_only_the_project_is_downloaded(tmp_path: Path, repository: str) -> None:
    target = tmp_path / "data"
    config = download_openfield(target, repository)
    assert config == target / OPENFIELD / "config.yaml"
    assert config.read_text() == f"examples/{OPENFIELD}/config.yaml"
    assert [path.name for path in target.iterdir()] == [OPENFIELD]
    shutil.rmtree(tmp_path / "DeepLabCut")  # a second call asks nobody
    assert download_openfield(target, repository) == config


def test_out_of_reach_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"cannot be downloaded .*render_example"):
        download_openfield(tmp_path / "data", "https://127.0.0.1:9/DeepLabCut.git")
    assert not os.listdir(tmp_path / "data")


def test_a_repository_without_the_project_is_a_sentence(
    tmp_path: Path, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_data, "OPENFIELD", "somewhere-else-2030-01-01")
    with pytest.raises(SetupError, match="has no folder examples/somewhere-else"):
        download_openfield(tmp_path / "data", repository)

"""Adding files to a project: whole, or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path, PurePosixPath

import pytest

from element_deeplabcut.errors import ProjectError
from element_deeplabcut.store import publication
from element_deeplabcut.store.publication import STAGE, start_publication

NEW = {PurePosixPath("models/a/train/one.txt"): "one", PurePosixPath("models/a/two.txt"): "two"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "models" / "b").mkdir(parents=True)
    (folder / "models" / "b" / "kept.txt").write_text("kept")
    (folder / "list.yaml").write_text("before")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): file.read_text() if file.is_file() else ""
        for file in sorted(folder.rglob("*"))
    }


def test_files_are_added_beside_those_that_are_there(project: Path) -> None:
    with start_publication(project) as adding:
        adding.add(NEW)
        adding.replace(PurePosixPath("list.yaml"), "after")
    assert contents(project) == {
        "list.yaml": "after",
        "models": "",
        "models/a": "",
        "models/a/train": "",
        "models/a/train/one.txt": "one",
        "models/a/two.txt": "two",
        "models/b": "",
        "models/b/kept.txt": "kept",
    }


def fill(project: Path, error: type[BaseException] | None = None) -> None:
    with start_publication(project) as adding:
        adding.add(NEW)
        adding.replace(PurePosixPath("list.yaml"), "after")
        adding.replace(PurePosixPath("list.yaml"), "after that")
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, ProjectError])
def test_an_error_takes_everything_back(project: Path, error: type[BaseException]) -> None:
    before = contents(project)
    with pytest.raises(error):
        fill(project, error)
    assert contents(project) == before


def test_what_is_there_is_not_overwritten(project: Path) -> None:
    before = contents(project)
    files = {PurePosixPath("extra.txt"): "new", PurePosixPath("models/b/kept.txt"): "other"}
    taken = pytest.raises(ProjectError, match=r"kept\.txt' exists already")
    with taken, start_publication(project) as adding:
        adding.add(files)
    assert contents(project) == before


@pytest.mark.parametrize("name", ["models", "models/b"])
def test_a_link_is_not_followed(project: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / name).rename(tmp_path / "away")
    (project / name).symlink_to(elsewhere)
    with pytest.raises(ProjectError, match="exists already"), start_publication(project) as adding:
        adding.add({PurePosixPath("models/b/new.txt"): "new"})
    assert not list(elsewhere.iterdir())


def test_a_full_disk_takes_everything_back(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(project)

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publication.os, "replace", fail)
    with pytest.raises(ProjectError, match=r"No space left on device\). Nothing in it has changed"):
        fill(project)
    assert contents(project) == before


def test_what_a_killed_one_left_is_removed(project: Path) -> None:
    before = contents(project)
    (project / STAGE).mkdir()
    (project / STAGE / "half").write_text("hal")
    with start_publication(project):
        pass
    assert contents(project) == before


def test_one_waits_for_the_other(project: Path) -> None:
    seen = []

    def publish(number: int) -> None:
        with start_publication(project) as adding:
            seen.append(number)
            adding.add({PurePosixPath(f"{number}.txt"): str(number)})
            text = (project / "list.yaml").read_text()
            adding.replace(PurePosixPath("list.yaml"), f"{text} {number}")

    threads = [threading.Thread(target=publish, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted((project / "list.yaml").read_text().split()[1:]) == [str(n) for n in range(8)]
    assert sorted(seen) == list(range(8))
    assert sorted(os.listdir(project)) == [*(f"{n}.txt" for n in range(8)), "list.yaml", "models"]

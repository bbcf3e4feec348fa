"""Files that cannot be read: nobody knows whether they are what they were, and the rest is told.

A link to the process's own memory stands for a file on storage that fails: it is there, it can be
opened, and reading its first byte is an error of the system (EIO), also for root.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from element_deeplabcut.linking import Roots
from element_deeplabcut.provenance.description import FileState
from element_deeplabcut.provenance.files import FileChecker, Frames
from element_deeplabcut.readers.labels import digest_labels, labels_file, read_labels
from element_deeplabcut.readers.project import read_project
from element_deeplabcut.store.bundles import build_bundle
from element_deeplabcut.store.files import hash_file
from element_deeplabcut.store.runs import RunIdentity, start_run

FAILING = Path("/proc/self/mem")
WHY = "cannot be read (Input/output error)"

pytestmark = pytest.mark.skipif(not FAILING.exists(), reason="needs Linux")


def fail(file: Path) -> None:
    file.unlink()
    file.symlink_to(FAILING)


def said(state: FileState) -> tuple[str, str]:
    return state.state, state.detail


class Checker:
    """Looks each time anew; a story hashes a file once."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots

    def __getattr__(self, name: str) -> Any:
        return getattr(FileChecker(lambda: self.roots, True), name)


@pytest.fixture
def checker(tmp_path: Path) -> Checker:
    (tmp_path / "processed").mkdir()
    # A process's own folder as a further root: what is linked into may be used.
    return Checker(Roots((tmp_path, FAILING.parent), tmp_path / "processed"))


@pytest.fixture
def run(tmp_path: Path, checker: Checker) -> Path:
    identity = RunIdentity("inference", {"recording_id": 1}, {})
    with start_run(tmp_path / "processed", identity) as attempt:
        for name in ("pose.h5", "log.txt"):
            (attempt.directory / name).write_text(name)
        folder = attempt.finish({}).directory
    assert said(checker.check_run(folder.name)[0]) == ("same", "")
    return folder


def test_a_file_of_the_lab(tmp_path: Path, checker: Checker) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    digest = hash_file(tmp_path / "a.mp4")
    assert said(checker.check_file("video", "a.mp4", 0, digest)) == ("same", "")
    assert said(checker.check_file("video", FAILING.name, 0, digest)) == ("unseen", f"it {WHY}")
    fail(tmp_path / "a.mp4")
    assert said(checker.check_file("video", "a.mp4", 0, digest)) == ("unseen", f"it {WHY}")


def test_what_is_no_file_any_more_is_not_waited_for(tmp_path: Path, checker: Checker) -> None:
    """Reading from a pipe would last until somebody writes."""
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in ("folder.mp4", "pipe.mp4"):
        size = (tmp_path / name).stat().st_size
        found = checker.check_file("video", name, size, "0" * 64)
        assert said(found) == ("changed", "it is no file any more")
    assert checker.check_file("video", "gone.mp4").state == "missing"


def test_a_file_of_a_run(run: Path, checker: Checker) -> None:
    fail(run / "pose.h5")
    assert said(checker.check_run(run.name)[0]) == ("unseen", f"pose.h5 {WHY}")
    (run / "log.txt").write_text("other")
    assert said(checker.check_run(run.name)[0]) == (
        "changed", f"log.txt changed; pose.h5 {WHY}",
    )  # fmt: skip
    (run / "log.txt").unlink()
    assert said(checker.check_run(run.name)[0]) == ("changed", f"log.txt gone; pose.h5 {WHY}")


def test_the_manifest_of_a_run(run: Path, checker: Checker) -> None:
    fail(run / "manifest.json")
    assert said(checker.check_run(run.name)[0]) == ("unseen", f"manifest.json {WHY}")
    (run / "manifest.json").unlink()
    assert said(checker.check_run(run.name)[0]) == ("changed", "")


def test_a_file_of_a_model(project_dir: Path, tmp_path: Path, checker: Checker) -> None:
    project, store = read_project(project_dir), tmp_path / "processed"
    bundle = build_bundle(project, store, shuffle=1, trainingsetindex=0)
    assert said(checker.check_bundle(bundle.hash)) == ("same", "")
    (weights,) = bundle.directory.rglob(bundle.facts.snapshot)
    fail(weights)
    name = weights.relative_to(bundle.directory).as_posix()
    assert said(checker.check_bundle(bundle.hash)) == (
        "unseen", f"{name} {WHY}",
    )  # fmt: skip
    fail(bundle.directory / "bundle.json")
    assert said(checker.check_bundle(bundle.hash)) == ("unseen", f"bundle.json {WHY}")


@pytest.fixture
def frames(project_dir: Path, checker: Checker) -> Frames:
    found: dict[str, tuple[str, str]] = {}
    for folder in ("m1", "m2"):
        labels = read_labels(labels_file(read_project(project_dir), folder))
        found |= digest_labels(labels, project_dir).frames
    states = checker.check_labels(project_dir.name, found)
    assert [said(state) for state in states] == [("same", "")] * 2
    return found


def test_a_labelled_picture(project_dir: Path, checker: Checker, frames: Frames) -> None:
    fail(project_dir / "labeled-data" / "m1" / "img02.png")
    one, two = checker.check_labels(project_dir.name, frames)
    assert said(one) == ("unseen", f"1 frames with a picture that {WHY}")
    assert said(two) == ("same", "")
    (project_dir / "labeled-data" / "m1" / "img03.png").unlink()
    (one, _) = checker.check_labels(project_dir.name, frames)
    assert said(one) == (
        "changed", f"1 frames with a picture that {WHY}, 1 frames picture changed or gone",
    )  # fmt: skip


def test_a_table_of_labels(project_dir: Path, checker: Checker, frames: Frames) -> None:
    fail(project_dir / "labeled-data" / "m1" / "CollectedData_ann.h5")
    one, two = checker.check_labels(project_dir.name, frames)
    assert said(one) == ("unseen", f"CollectedData_ann.h5 {WHY}")
    assert said(two) == ("same", "")


def test_the_config_of_a_project(project_dir: Path, checker: Checker, frames: Frames) -> None:
    fail(project_dir / "config.yaml")
    for state in checker.check_labels(project_dir.name, frames):
        assert said(state) == ("unseen", f"config.yaml {WHY}")
    (project_dir / "config.yaml").unlink()
    for state in checker.check_labels(project_dir.name, frames):
        assert state.state == "missing"


def test_a_root_that_is_not_mounted(tmp_path: Path, frames: Frames) -> None:
    """Its folder is there, and empty: nothing of it is gone."""
    (tmp_path / "nas").mkdir()
    checker = Checker(Roots((tmp_path / "nas",), tmp_path / "nas" / "processed"))
    states = [checker.check_file("video", "a.mp4"), *checker.check_labels("project", frames)]
    assert {state.state for state in states} == {"unseen"}
    assert all("is empty on this machine" in state.detail for state in states)

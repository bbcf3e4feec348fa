"""What is wrong with a recording or a name is said in a sentence, and nothing is inserted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from element_deeplabcut.errors import (
    DatabaseError,
    ParameterError,
    PathError,
    QueryError,
    VideoError,
)
from element_deeplabcut.tables import check_distinct_names
from workflow_deeplabcut import synthetic

from ..conftest import Lab

_ids = iter(range(300, 400))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "good.mp4"
    synthetic.render_video(path, 20)
    return path.read_bytes()


def leave(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path, video: None, PathError, "exists below none of the root directories"),
        (lambda path, video: leave(path, b""), VideoError, "is empty"),
        (lambda path, video: leave(path, b"frame,x,y\n" * 99), VideoError, "cannot be opened"),
        (lambda path, video: leave(path, video[: len(video) // 2]), VideoError, "clip"),
        (lambda path, video: path.mkdir(), VideoError, "clip"),
        (lambda path, video: path.symlink_to("/etc/hostname"), PathError, "outside every root"),
        (lambda path, video: path.symlink_to("nowhere"), PathError, "cannot be opened"),
    ],
)
def test_a_file_that_is_no_video(
    lab: Lab,
    video: bytes,
    make: Callable[[Path, bytes], None],
    error: type[Exception],
    message: str,
) -> None:
    number = next(_ids)
    make(lab.root / "raw" / f"clip{number}.mp4", video)
    key = lab.add_recording(number, f"raw/clip{number}.mp4")
    table = lab.pipeline.model.RecordingInfo
    with pytest.raises(error, match=message):
        table.populate(key)
    assert not table & key
    assert not table.File & key


def test_a_recording_without_files(lab: Lab) -> None:
    key = {**lab.session_key, "recording_id": next(_ids)}
    lab.pipeline.model.VideoRecording.insert1({**key, "device": "Camera1"})
    with pytest.raises(QueryError, match=r"has no files; insert VideoRecording\.File first"):
        lab.pipeline.model.RecordingInfo.populate(key)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/absolute/video.mp4", PathError),
        ("../up.mp4", PathError),
        ("a/../../up.mp4", PathError),
        ("C:/video.mp4", PathError),
        ("raw\\video.mp4", PathError),
        (os.fsdecode(b"raw/\xff.mp4"), PathError),
        ("raw/" + "x" * 300 + ".mp4", ParameterError),
    ],
)
def test_paths_that_are_not_inserted(lab: Lab, path: str, error: type[Exception]) -> None:
    table = lab.pipeline.model.VideoRecording
    key = {**lab.session_key, "recording_id": next(_ids)}
    table.insert1({**key, "device": "Camera1"})
    for row in (
        {**key, "file_id": 1, "file_path": path},
        (*key.values(), 1, path),
    ):
        if error is ParameterError and isinstance(row, tuple):
            continue  # DataJoint's own strict mode refuses it
        with pytest.raises(error):
            table.File.insert1(row)
    assert not table.File & key


def test_names_that_differ_in_case_only(lab: Lab) -> None:
    """On a server that tells them apart they are two names; on another they are refused."""
    import datajoint as dj

    body_part = lab.pipeline.model.BodyPart()
    check_distinct_names(body_part, "body_part", ["Paw", "paw"])
    lab.pipeline.model.schema.connection.query(
        "CREATE DATABASE IF NOT EXISTS test_blind COLLATE utf8mb4_general_ci"
    )
    blind = dj.schema("test_blind", context={})

    @blind
    class Part(dj.Lookup):
        definition = "body_part : varchar(32)"

    with pytest.raises(DatabaseError, match="'Paw' and 'paw' differ in case only"):
        check_distinct_names(Part(), "body_part", ["Paw", "nose", "paw"])
    check_distinct_names(Part(), "body_part", ["Paw", "nose"])

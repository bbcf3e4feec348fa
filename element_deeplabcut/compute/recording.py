"""The exact facts of a recording: every frame of every file is decoded once."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ..linking import Roots
from ..progress import show_frames
from ..store.files import make_folder
from ..store.runs import RunIdentity, find_run, start_run
from ..video import RecordingFacts, VideoFacts, combine_files, read_facts
from .provenance import Stopwatch

RECORDINGS = "recordings"


@dataclass(frozen=True)
class RecordingJob:
    """What the database says of a recording.

    Attributes:
        key: Primary key of the recording.
        files: file_id -> path relative to a root, in file_id order.
    """

    key: Mapping[str, Any]
    files: Mapping[int, str]


def run_recording(
    job: RecordingJob, roots: Roots
) -> tuple[RecordingFacts, dict[int, VideoFacts], dict[str, Any]]:
    """Read the facts of a recording, or find them read before.

    Returns:
        The recording's facts, those of each file by file_id, and their provenance.

    Raises:
        VideoError: A file cannot be decoded, or the files do not form one recording.
        PathError: A file is missing or leads out of the roots.
    """
    videos = {number: roots.confine(roots.resolve(path)) for number, path in job.files.items()}
    stamps = _stamp(videos)
    identity = RunIdentity("recording", job.key, {"files": stamps})
    parent = make_folder(roots.processed, RECORDINGS)
    run = find_run(parent, identity)
    if run is None:
        watch = Stopwatch()
        facts = {}
        for number, video in videos.items():
            with show_frames(f"Reading {video.name}") as on_frames:
                facts[number] = read_facts(video, progress=on_frames)
        recording = combine_files(list(facts.values()), [video.name for video in videos.values()])
        result = {str(number): _to_plain(fact) for number, fact in facts.items()}
        result["provenance"] = watch.record(
            engine="", device="cpu", versions={"av": av.__version__}
        )
        with start_run(parent, identity) as attempt:
            run = attempt.finish(result)
    else:
        facts = {number: _from_plain(run.result[str(number)]) for number in videos}
        recording = combine_files(list(facts.values()), [video.name for video in videos.values()])
    run_info = {
        **run.result.get("provenance", {}),
        "videos": {
            number: {"path": job.files[number], "n_frames": fact.n_frames,
                     "size": stamps[str(number)]["size"],
                     "modified_ns": stamps[str(number)]["modified_ns"]}
            for number, fact in facts.items()
        },
        "run_directory": run.directory.relative_to(roots.processed).as_posix(),
    }  # fmt: skip
    return recording, facts, run_info


def _stamp(videos: Mapping[int, Path]) -> dict[str, Any]:
    # Size and time stamp stand for the content: hashing a video takes as long as decoding it.
    stats = {number: video.stat() for number, video in videos.items()}
    return {
        str(number): {"path": str(video), "size": stats[number].st_size,
                      "modified_ns": stats[number].st_mtime_ns}
        for number, video in videos.items()
    }  # fmt: skip


def _to_plain(facts: VideoFacts) -> dict[str, Any]:
    recorded_at = facts.recorded_at.isoformat() if facts.recorded_at else None
    return {**vars(facts), "rate": str(facts.rate), "recorded_at": recorded_at}


def _from_plain(plain: Mapping[str, Any]) -> VideoFacts:
    stamp = plain["recorded_at"]
    recorded_at = datetime.datetime.fromisoformat(stamp) if stamp else None
    return VideoFacts(**{**plain, "rate": Fraction(plain["rate"]), "recorded_at": recorded_at})

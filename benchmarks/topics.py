"""What is measured, each in a process of its own: a fresh memory, a fresh database."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from .rows import Row

TOPICS = {
    "loading": ("loading", "measure"),
    "memory": ("loading", "measure_memory"),
    "reading": ("reading", "measure"),
    "limits": ("limits", "measure"),
    "inference": ("inference", "measure"),
    "imports": ("imports", "measure"),
    "video": ("labeled_video", "measure"),
    "dispatch": ("dispatch", "measure"),
}
"""Name -> module and function, in the order of the table."""

_MARK = "rows: "


def is_there(topic: str) -> bool:
    """Whether the module of a topic is there."""
    return importlib.util.find_spec(f"benchmarks.{TOPICS[topic][0]}") is not None


def run_here(topic: str, options: argparse.Namespace) -> None:
    """Measure a topic in this process, and print its rows for `run_apart`."""
    module, function = TOPICS[topic]
    if topic == "inference":
        options = choose_inference_sizes(options)
    rows = getattr(importlib.import_module(f"benchmarks.{module}"), function)(options)
    print(_MARK + json.dumps([dataclasses.asdict(row) for row in rows]))


def choose_inference_sizes(options: argparse.Namespace) -> argparse.Namespace:
    """Sizes of inference are its own: a frame takes a thousand times what it takes elsewhere."""
    sizes = {"repeats": options.video_repeats, "cores": options.cores}
    if options.quick:
        sizes |= {"frames": 24, "default_frames": 2, "videos": 2, "video_frames": 8, "processes": 1}
    return argparse.Namespace(**sizes)


def run_apart(topic: str, arguments: list[str], cores: int) -> list[Row] | None:
    """Measure a topic in another process with as many threads as cores.

    Returns:
        Its rows; None when it failed, and then it has said why.
    """
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FFMPEG_THREADS"),
        str(cores),
    )
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks", "--topic", topic, *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, **threads, "DATAJOINT_LOG_LEVEL": "error", "DLClight": "True"},
    )
    marked = [line for line in answer.stdout.splitlines() if line.startswith(_MARK)]
    if answer.returncode or not marked:
        print(answer.stdout[-2000:], answer.stderr[-4000:], sep="\n", file=sys.stderr)
        return None
    return [Row(**row) for row in json.loads(marked[-1].removeprefix(_MARK))]

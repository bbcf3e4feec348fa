"""What the demo prints at its end: errors, where things are, what to try next."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from element_deeplabcut.report import Progress

from ..status.screen import show_progress
from .folder import DEFAULT_OUTPUT, DemoFolder

QUERIES = """\
# 1. How far off is each body part, on frames the network was and was not trained on (px)?
errors = model.ModelEvaluation.BodyPart & "model_name='demo model'"
errors.proj("train_error", "test_error")

# 2. Which files make up the recordings, and where does each begin?
files = model.VideoRecording.File * model.RecordingInfo.File
files.fetch(format="frame").reset_index()[["recording_id", "file_path", "first_frame"]]

# 3. Where is the nose in every frame of the recording of two files?
model.PoseEstimation.get_trajectory({"recording_id": 1}, "nose").droplevel("scorer", axis=1)
"""

_DESCRIPTIONS = {
    "predicted_over_true": "predicted over true points on six unseen frames",
    "trajectory": "the tracks of the recording of two files, over the truth",
    "learning_curve": "loss and error while the network learned",
    "speed": "its speed in mm/s, over the truth",
    "labeled_video": "its first file with the poses drawn in",
    "leaderboard": "the network's snapshots by their test error",
    "quality": "a verdict on each body part, with the figures behind it",
    "nwb": "its poses in Neurodata Without Borders",
    "summary": "these numbers",
}


def print_report(
    folder: DemoFolder,
    summary: Mapping[str, Any],
    evaluation: Sequence[Mapping[str, Any]],
    progress: Sequence[Progress],
) -> None:
    """Print the end of a run.

    Args:
        folder: The demo's folder.
        summary: Its summary.
        evaluation: Rows of ``ModelEvaluation.BodyPart``.
        progress: What training and inferences recorded of themselves.
    """
    print()
    _print_errors(summary, evaluation)
    print("\nRecorded while it worked; `workflow-deeplabcut status --watch` shows it live:")
    for work in progress:
        print(f"  {work.table:<16}{work.state:<10}{show_progress(work)}")
    print(f"\nPictures and numbers are in {folder.path}:")
    for name, text in _DESCRIPTIONS.items():
        print(f"  {getattr(folder, name).name:<24} {text}")
    python = _show_program(Path(sys.executable))
    is_default = folder.path == Path(DEFAULT_OUTPUT).resolve()
    print(f"\nThree queries to try next. Start {python} here and paste:\n")
    print("from workflow_deeplabcut.demo import connect")
    print(f"connect({'' if is_default else repr(str(folder.path))})")
    print(f"from workflow_deeplabcut.pipeline import model\n\n{QUERIES}")
    output = "" if is_default else f" --output {shlex.quote(str(folder.path))}"
    print("The database goes on running for them. To stop it:\n")
    print(f"{python} -m workflow_deeplabcut.demo --stop{output}", flush=True)


def _print_errors(summary: Mapping[str, Any], evaluation: Sequence[Mapping[str, Any]]) -> None:
    on_labels = {row["body_part"]: row for row in evaluation}
    print("Mean error (px)   training frames   test frames   unseen recordings")
    for part, unseen in summary["error_px_by_body_part"].items():
        labels = on_labels[part]
        _print_error_row(part, labels["train_error"], labels["test_error"], unseen)
    means = (summary[name] for name in ("train_error_px", "test_error_px", "mean_error_px"))
    _print_error_row("all", *means)


def _print_error_row(name: str, train: float, test: float, unseen: float) -> None:
    print(f"  {name:<16}{train:15.2f}{test:14.2f}{unseen:20.2f}")


def _show_program(program: Path) -> str:
    """Show a program as it is typed in this directory."""
    here = Path.cwd()
    shown = os.path.relpath(program, here) if program.is_relative_to(here) else str(program)
    return shlex.quote(shown)

"""Draw the example pictures of images/: each plot, of the rendered animal.

Usage: ``python scripts/draw_examples.py [FOLDER]``. The positions are the animal's true ones with
noise; the learning curve, the errors and the verdicts are made up after those of a short training.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from element_deeplabcut import plotting
from element_deeplabcut.drawing import draw_labeled_video, resolve_style
from element_deeplabcut.pose import Pose
from element_deeplabcut.readers.learning_curve import LearningCurve
from workflow_deeplabcut import synthetic

N_FRAMES = 300


def make_pose(positions: np.ndarray) -> Pose:
    """Spoil true positions as a network would: noise, and a stretch in which it loses the tail."""
    random = np.random.default_rng(0)
    position = positions[:, :, None] + random.normal(0, 0.6, (*positions.shape[:2], 1, 2))
    likelihood = 1 - random.gamma(1, 0.01, position.shape[:3])
    likelihood[120:165, 3] = random.uniform(0, 0.5, (45, 1))
    position[120:165, 3] += random.normal(0, 12, (45, 1, 2))
    position[[40, 41, 90, 200], 1] += (60, 0)  # mistaken for something else, and sure of it
    return Pose(
        position, likelihood, np.arange(len(positions)), synthetic.BODY_PARTS, rate=Fraction(30),
        width=200, height=200, p_cutoff=0.6, skeleton=synthetic.SKELETON,
        colormap="rainbow",
    )  # fmt: skip


def make_curve() -> LearningCurve:
    """Make up a training of 12 epochs that evaluates every fourth."""
    steps = np.arange(1, 13)
    loss = 0.012 * np.exp(-steps / 2.2) + 0.0004
    tested = np.where(steps % 4 == 0, 1.0, np.nan)
    return LearningCurve(
        steps,
        {
            "losses/train.total_loss": loss,
            "losses/eval.total_loss": 1.3 * loss * tested,
            "metrics/test.rmse": (20 * np.exp(-steps / 3) + 0.8) * tested,
            "metrics/test.rmse_pcutoff": (12 * np.exp(-steps / 3) + 0.6) * tested,
        },
    )


def make_errors() -> list[Mapping[str, object]]:
    """Make up errors per body part, px."""
    errors = (
        (0.7, 0.9, 0.7, 0.8),
        (0.9, 1.2, 0.8, 1.1),
        (0.8, 1.1, 0.8, 1.0),
        (1.6, 3.4, 1.2, 1.9),
    )
    names = ("train_error", "test_error", "train_error_p", "test_error_p")
    return [
        {"body_part": part, **dict(zip(names, values, strict=True))}
        for part, values in zip(synthetic.BODY_PARTS, errors, strict=True)
    ]


def draw_examples(folder: Path) -> list[Path]:
    """Draw all examples into a folder; return the files."""
    with tempfile.TemporaryDirectory() as scratch:
        video, labeled = Path(scratch, "mouse.mp4"), Path(scratch, "labeled.mp4")
        pose = make_pose(synthetic.render_video(video, N_FRAMES, seed=5))
        style = resolve_style(
            {"draw_skeleton": True, "trailpoints": 20, "dotsize": 4, "crf": 12},
            {"skeleton": synthetic.SKELETON, "colormap": pose.colormap, "skeleton_color": "white"},
            synthetic.BODY_PARTS,
        )
        draw_labeled_video(
            video,
            labeled,
            lambda start, stop: (pose.position[start:stop], pose.likelihood[start:stop]),
            style,
            n_frames=N_FRAMES,
            rate=Fraction(30),
        )
        frame = plotting.read_background(labeled, 60)
        background = plotting.read_background(video)
    figures = {
        "trajectory": plotting.plot_trajectory(pose, background=background),
        "timeseries": plotting.plot_timeseries(pose),
        "learning_curve": plotting.plot_learning_curve(make_curve(), snapshot=12),
        "evaluation": plotting.plot_evaluation(make_errors(), p_cutoff=0.6),
        "quality": draw_quality(pose),
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, figure in figures.items():
        # Video frames are noisy, which JPEG takes better than PNG.
        files.append(folder / f"plot_{name}.{'jpg' if name == 'trajectory' else 'png'}")
        figure.savefig(files[-1])
    files.append(folder / "labeled_frame.jpg")
    Image.fromarray(frame).resize((400, 400)).save(files[-1], quality=90)
    return files


def draw_quality(pose: Pose) -> object:
    """Judge the pose by the default thresholds, and draw the verdict."""
    import dataclasses

    from element_deeplabcut.pose.quality import DEFAULTS, judge_pose

    quality = judge_pose(pose, DEFAULTS)
    rows = []
    for part in quality.parts:
        row = dataclasses.asdict(part)
        rows.append({**row, "part_verdict": row.pop("verdict")})
    verdict = {"verdict": quality.verdict, "reason": quality.reason}
    return plotting.plot_quality(rows, verdict=verdict)


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    for written in draw_examples(Path(sys.argv[1]) if len(sys.argv) > 1 else root / "images"):
        print(f"{written} ({written.stat().st_size // 1024} kB)")

"""An artificial animal whose body parts are known exactly, for the demo and the tests.

`render_video` films a mouse-like animal that wanders over a light ground with four coloured marks
on it; `write_project` turns such videos into a labelled DeepLabCut project. Neither needs OpenCV
or DeepLabCut.

Coordinates: x to the right, y down, in pixels, and (0, 0) is the *centre* of the top-left pixel,
so a mark at (10, 20) is symmetric about the pixel in column 10 and row 20. OpenCV's drawing
functions and NumPy's indices mean the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import date as Date  # noqa: N812 (a parameter is called date)
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from PIL import Image, ImageFilter

from element_deeplabcut.errors import ParameterError, ProjectError

if TYPE_CHECKING:
    from av.video.stream import VideoStream

FloatArray = npt.NDArray[np.float64]
Picture = npt.NDArray[np.float32]

BODY_PARTS = ("nose", "leftear", "rightear", "tailbase")
SKELETON = (
    ("nose", "leftear"),
    ("nose", "rightear"),
    ("leftear", "tailbase"),
    ("rightear", "tailbase"),
    ("nose", "tailbase"),
)

MARK_RADIUS = 5.0
"""Radius of the coloured marks (px)."""

MARK_COLOURS = {
    "nose": (230, 30, 30),
    "leftear": (30, 220, 30),
    "rightear": (30, 60, 230),
    "tailbase": (240, 215, 20),
}
"""Saturated and far from each other, so that a tiny network learns them within seconds (RGB)."""

# The marks in the animal's own frame (px): ahead of its centre, and to its left when y points down.
_BODY_FRAME = np.array([(26.0, 0.0), (12.0, -11.0), (12.0, 11.0), (-24.0, 0.0)])
_MARGIN = 38.0
"""Distance that the animal's centre keeps from every border (px)."""

_NOISE = 6.0
"""Standard deviation of the camera noise (grey levels)."""


# ------------------------------------------------------------------------------------------------
# Motion
# ------------------------------------------------------------------------------------------------


def simulate_positions(
    n_frames: int, *, width: int = 200, height: int = 200, fps: Fraction | float = 30, seed: int = 0
) -> FloatArray:
    """Let the animal wander smoothly, without leaving the picture.

    The motion is a function of time: the same seed at twice the rate passes through the same
    positions.

    Args:
        n_frames: Number of frames.
        width: Width of the picture (px).
        height: Height of the picture (px).
        fps: Frames per second.
        seed: Chooses the path.

    Returns:
        Positions (px) with shape (n_frames, body parts, 2), x before y, parts as `BODY_PARTS`.

    Raises:
        ParameterError: The picture is too small for the animal, or a number is not positive.
    """
    _check_scene(n_frames, width, height, fps)
    random = np.random.default_rng(seed)
    frequency = random.uniform(0.12, 0.35, 4)
    phase = random.uniform(0.0, 2 * np.pi, 4)
    time = np.arange(n_frames) / float(fps)
    waves = np.sin(2 * np.pi * frequency * time[:, None] + phase)
    # Two incommensurate waves per axis, x from the first pair and y from the second.
    sway = waves.reshape(n_frames, 2, 2) @ (0.65, 0.35)
    middle = np.array([width - 1, height - 1]) / 2
    centre = middle + (middle - _MARGIN) * sway
    heading = phase[0] + 2 * np.pi * 0.15 * time + 0.8 * np.sin(2 * np.pi * 0.3 * time)
    ahead = np.stack([np.cos(heading), np.sin(heading)], -1)
    right = np.stack([-ahead[:, 1], ahead[:, 0]], -1)
    axes = np.stack([ahead, right], 1)
    return np.asarray(centre[:, None, :] + _BODY_FRAME @ axes)


def _check_scene(n_frames: int, width: int, height: int, fps: Fraction | float) -> None:
    if n_frames < 1 or fps <= 0:
        raise ParameterError(
            f"A video needs at least one frame and a positive rate, not {n_frames} frames at {fps} "
            "per second."
        )
    smallest = int(2 * _MARGIN) + 2
    if min(width, height) < smallest:
        raise ParameterError(
            f"The animal does not fit into {width}x{height} px; make both sides at least "
            f"{smallest} px."
        )


# ------------------------------------------------------------------------------------------------
# Drawing
# ------------------------------------------------------------------------------------------------


def draw_frame(positions: FloatArray, ground: Picture) -> Picture:
    """Draw the animal onto a copy of the ground, without camera noise.

    Args:
        positions: Position of every body part (px), shape (4, 2).
        ground: The picture below the animal, shape (height, width, 3), values 0 to 255.

    Returns:
        The picture, of the same shape.
    """
    picture: Picture = ground.copy()
    _draw_animal(picture, positions)
    for name, position in zip(BODY_PARTS, positions, strict=True):
        x, y = _pixels_around(picture, position, MARK_RADIUS + 1)
        mark = MARK_RADIUS - np.hypot(x - position[0], y - position[1])
        _paint(picture, x, y, mark, MARK_COLOURS[name])
    return picture


def make_ground(width: int, height: int, seed: int = 0) -> Picture:
    """Make a light, softly textured ground, shape (height, width, 3), values 0 to 255."""
    random = np.random.default_rng([seed, 1])
    grain = Image.fromarray(random.integers(0, 256, (height, width), dtype=np.uint8))
    coarse = np.asarray(grain.filter(ImageFilter.GaussianBlur(9)), np.float32)
    fine = np.asarray(grain.filter(ImageFilter.GaussianBlur(2)), np.float32)
    grey = 196 + 2.2 * (coarse - coarse.mean()) + 0.5 * (fine - fine.mean())
    tint = np.array([1.02, 1.0, 0.95], np.float32)
    ground: Picture = np.clip(grey[:, :, None] * tint, 120, 250)
    return ground


def _draw_animal(picture: Picture, positions: FloatArray) -> None:
    nose, tail_base = positions[BODY_PARTS.index("nose")], positions[BODY_PARTS.index("tailbase")]
    forward = (nose - tail_base) / np.linalg.norm(nose - tail_base)
    sideways = np.array([-forward[1], forward[0]])
    chest = (nose + tail_base) / 2
    x, y = _pixels_around(picture, chest, 60)
    ahead = (x - chest[0]) * forward[0] + (y - chest[1]) * forward[1]
    aside = (x - chest[0]) * sideways[0] + (y - chest[1]) * sideways[1]
    # The tail first, because the body covers its root. It bends, hence the shifted middle line.
    behind = np.clip((-ahead - 20) / 28, 0, 1)
    tail = 2.2 - 1.2 * behind - np.abs(aside - 5 * np.sin(np.pi * behind))
    tail = np.where((ahead < -20) & (ahead > -48), tail, -1.0)
    _paint(picture, x, y, tail, (150, 120, 115))
    body = np.maximum(
        _inside_ellipse(ahead + 3, aside, 24, 13), _inside_ellipse(ahead - 15, aside, 13, 8.5)
    )
    # Darker towards the rim, as a round body lit from above.
    shade = np.clip(body / 12, 0, 1)[:, :, None] * 22
    _paint(picture, x, y, body, np.array([84.0, 82.0, 82.0]) + shade)


def _inside_ellipse(
    ahead: FloatArray, aside: FloatArray, half_length: float, half_width: float
) -> FloatArray:
    """Depth below the rim of an ellipse (px), negative outside; exact to first order at the rim."""
    level = np.hypot(ahead / half_length, aside / half_width)
    slope = np.hypot(ahead / half_length**2, aside / half_width**2)
    return np.asarray(level * (1 - level) / np.maximum(slope, 1e-9))


def _pixels_around(
    picture: Picture, centre: FloatArray, reach: float
) -> tuple[FloatArray, FloatArray]:
    """Coordinates of the pixels within ``reach`` of a point, as a row of x and a column of y."""
    height, width = picture.shape[:2]
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, (width, height)).astype(int)
    x = np.arange(low[0], high[0], dtype=np.float64)[None, :]
    y = np.arange(low[1], high[1], dtype=np.float64)[:, None]
    return x, y


def _paint(
    picture: Picture,
    x: FloatArray,
    y: FloatArray,
    depth: FloatArray,
    colour: Sequence[float] | FloatArray,
) -> None:
    """Blend a colour over the pixels at x, y; ``depth`` is their depth inside the shape (px).

    A pixel whose centre is on the rim is half covered, which is what makes edges smooth and the
    centre of the painted shape exact to a small fraction of a pixel.
    """
    if not depth.size:
        return
    part = picture[int(y[0, 0]) : int(y[-1, 0]) + 1, int(x[0, 0]) : int(x[0, -1]) + 1]
    cover = np.clip(depth + 0.5, 0, 1)[:, :, None]
    part += cover * (np.asarray(colour) - part)


# ------------------------------------------------------------------------------------------------
# Video
# ------------------------------------------------------------------------------------------------


def render_video(
    path: str | os.PathLike[str],
    n_frames: int = 300,
    *,
    width: int = 200,
    height: int = 200,
    fps: Fraction | int = Fraction(30),
    seed: int = 0,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    recorded_at: datetime | None = None,
) -> FloatArray:
    """Film the animal.

    The same arguments give the same pictures. The default codec plays in every browser.

    Args:
        path: The video to write; its suffix chooses the container.
        n_frames: Number of frames.
        width: Width of the picture (px), even.
        height: Height of the picture (px), even.
        fps: Frames per second, exact.
        seed: Chooses the path, the ground and the noise.
        codec: FFmpeg's name of the video encoder.
        pixel_format: FFmpeg's name of the pixel format.
        recorded_at: Recording time to write into the file (UTC).

    Returns:
        The positions that were drawn, as `simulate_positions` gives them.

    Raises:
        ParameterError: The picture is too small for the animal or has an odd side, or a number is
            not positive.
    """
    if width % 2 or height % 2:
        raise ParameterError(f"{width}x{height} px cannot be encoded; make both sides even.")
    positions = simulate_positions(n_frames, width=width, height=height, fps=fps, seed=seed)
    with av.open(os.fspath(path), "w", options=_container_options(path)) as container:
        if recorded_at is not None:
            container.metadata["creation_time"] = f"{recorded_at.replace(tzinfo=None).isoformat()}Z"
        stream: Any = container.add_stream(codec, rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        _set_quality(stream)
        for index, picture in enumerate(_film(positions, width, height, seed)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, 1 / Fraction(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return positions


def _film(
    positions: FloatArray, width: int, height: int, seed: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the frames as a camera would record them, noise included."""
    ground = make_ground(width, height, seed)
    random = np.random.default_rng([seed, 2])
    for parts in positions:
        picture = draw_frame(parts, ground)
        picture += _NOISE * random.standard_normal(picture.shape, np.float32)
        yield np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _container_options(path: str | os.PathLike[str]) -> dict[str, str]:
    # The index first, so that a browser can play the file while it loads.
    return {"movflags": "faststart"} if Path(path).suffix in (".mp4", ".mov") else {}


def _set_quality(stream: VideoStream) -> None:
    # One thread, because the number of threads changes the encoder's decisions.
    stream.codec_context.thread_count = 1
    if stream.codec_context.name == "libx264":
        # x264's macroblock tree reads memory it never wrote: one video in five came out different.
        stream.options = {"crf": "12", "preset": "veryfast", "mbtree": "0"}
    else:
        stream.bit_rate = 8_000_000


# ------------------------------------------------------------------------------------------------
# Project
# ------------------------------------------------------------------------------------------------


def write_project(
    parent: Path,
    videos: Mapping[Path, FloatArray],
    *,
    n_labelled: int = 60,
    task: str = "synthetic",
    scorer: str = "tester",
    date: str = "2026-01-01",
    training_fraction: float = 0.8,
    pcutoff: float = 0.4,
    iteration: int = 0,
    copy_videos: bool = True,
) -> Path:
    """Write a labelled single-animal DeepLabCut 3 project, as its users would have made it.

    Args:
        parent: Folder to write the project folder ``<task>-<scorer>-<date>`` into.
        videos: Per video, the positions of the body parts, as `render_video` returns them.
        n_labelled: Number of frames labelled per video, spread evenly over it.
        task: The project's name.
        scorer: Who labelled the frames.
        date: Day of creation, as year-month-day.
        training_fraction: Fraction of the labelled frames to train on.
        pcutoff: Likelihood below which predictions are left out of plots and of some errors.
        iteration: Number of the label set.
        copy_videos: Copy the videos into the project; otherwise link them, as DeepLabCut does
            unless told otherwise.

    Returns:
        The project's config.yaml.

    Raises:
        ParameterError: There is no video, two share a name, one has too few frames, or the date is
            not one.
        ProjectError: The project folder exists already.
    """
    _check_videos(videos, n_labelled)
    short_date = _short_date(date)
    project = Path(parent).absolute() / f"{task}-{scorer}-{date}"
    if project.exists():
        raise ProjectError(f"The project folder '{project}' exists already; remove or rename it.")
    for folder in ("videos", "labeled-data", "training-datasets", "dlc-models"):
        (project / folder).mkdir(parents=True)
    video_sets = {}
    for video, positions in videos.items():
        placed = _place_video(video, project / "videos", copy_videos)
        height, width = _label_video(placed, positions, n_labelled, project, scorer)
        video_sets[str(placed)] = {"crop": f"0, {width}, 0, {height}"}
    config = {
        **_CONFIG,
        "Task": task,
        "scorer": scorer,
        "date": short_date,
        "project_path": str(project),
        "video_sets": video_sets,
        "TrainingFraction": [training_fraction],
        "pcutoff": pcutoff,
        "iteration": iteration,
    }
    path = project / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _check_videos(videos: Mapping[Path, FloatArray], n_labelled: int) -> None:
    if not videos:
        raise ParameterError("A project needs at least one video.")
    stems = sorted(Path(video).stem for video in videos)
    for one, other in pairwise(stems):
        if one == other:
            raise ParameterError(
                f"Two videos are called '{one}', and DeepLabCut keeps labels by that name. Rename "
                "one of them."
            )
    for video, positions in videos.items():
        if not 1 <= n_labelled <= len(positions):
            raise ParameterError(
                f"{n_labelled} frames of '{video}' cannot be labelled: it has {len(positions)}."
            )


def _place_video(video: Path, folder: Path, copy: bool) -> Path:
    placed = folder / Path(video).name
    if copy:
        shutil.copyfile(video, placed)
    else:
        placed.symlink_to(Path(video).absolute())
    return placed


def _label_video(
    video: Path, positions: FloatArray, n_labelled: int, project: Path, scorer: str
) -> tuple[int, int]:
    """Write a video's label folder; return the height and width of its frames."""
    folder = project / "labeled-data" / video.stem
    folder.mkdir()
    digits = len(str(len(positions) - 1))
    frames = np.linspace(0, len(positions) - 1, n_labelled).round().astype(int)
    names = [f"img{frame:0{digits}d}.png" for frame in frames]
    size = (0, 0)
    for name, picture in zip(names, _decode(video, set(frames.tolist())), strict=True):
        Image.fromarray(picture).save(folder / name)
        size = picture.shape[0], picture.shape[1]
    columns = pd.MultiIndex.from_product(
        [[scorer], BODY_PARTS, ["x", "y"]], names=["scorer", "bodyparts", "coords"]
    )
    index = pd.MultiIndex.from_product([["labeled-data"], [video.stem], names])
    labels = pd.DataFrame(positions[frames].reshape(n_labelled, -1), index, columns)
    labels.to_csv(folder / f"CollectedData_{scorer}.csv")
    labels.to_hdf(folder / f"CollectedData_{scorer}.h5", key="df_with_missing", mode="w")
    return size


def _decode(video: Path, wanted: set[int]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the wanted frames of a video in order, as labelling sees them: after compression."""
    with av.open(os.fspath(video)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                yield frame.to_ndarray(format="rgb24")


def _short_date(date: str) -> str:
    """Spell a date as DeepLabCut does in config.yaml and in folder names: Jan1."""
    # Not strftime("%b"), which obeys the machine's language.
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    try:
        day = Date.fromisoformat(date)
    except ValueError as error:
        raise ParameterError(f"'{date}' is no date; write it as 2026-01-31.") from error
    return f"{months[day.month - 1]}{day.day}"


# The keys, their order and their defaults are those of DeepLabCut 3.0.2's create_new_project.
_CONFIG: dict[str, Any] = {
    "config_version": 0,
    "Task": None,
    "scorer": None,
    "date": None,
    "multianimalproject": False,
    "identity": None,
    "project_path": None,
    "pose_config_path": None,
    "engine": "pytorch",
    "video_sets": None,
    "bodyparts": list(BODY_PARTS),
    "individuals": ["individual_1"],
    "uniquebodyparts": [],
    "multianimalbodyparts": [],
    "start": 0.0,
    "stop": 1.0,
    "numframes2pick": 20,
    "skeleton": [list(pair) for pair in SKELETON],
    "skeleton_color": "black",
    "pcutoff": None,
    "dotsize": 4,
    "alphavalue": 0.7,
    "colormap": "rainbow",
    "TrainingFraction": None,
    "iteration": None,
    "default_net_type": "resnet_50",
    "default_augmenter": "default",
    "default_track_method": None,
    "snapshotindex": -1,
    "detector_snapshotindex": -1,
    "batch_size": 8,
    "detector_batch_size": 1,
    "cropping": False,
    "x1": 0,
    "x2": 640,
    "y1": 277,
    "y2": 624,
    "corner2move2": [50, 50],
    "move2corner": True,
    "SuperAnimalConversionTables": None,
    "resnet": None,
    "croppedtraining": None,
}

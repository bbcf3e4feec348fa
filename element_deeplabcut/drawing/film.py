"""A labeled video: frame by frame from the decoder, through the overlay, to the encoder.

Every decoded frame becomes one frame of the labeled video, at times that are exact multiples of
its frame rate. Memory does not grow with the length of the video.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from ..errors import VideoError
from ..linking import show_path
from ..video import open_video
from .canvas import BLACK, Canvas
from .frames import PIXEL_FORMAT, is_bt709, prepare_frame
from .overlay import Overlay, find_visible
from .style import DrawingStyle

CHUNK = 4096
"""Frames whose points are read at a time."""

PROGRESS_EVERY = 25
"""Frames between two calls of a progress callback."""

_ENCODER = {"preset": "ultrafast", "x264-params": "deblock=0,0:chroma-qp-offset=-4"}
"""x264's fastest preset, with the deblocking it drops: cheap, and files are an eighth smaller.
Colour is kept more exactly than it would be, or dots leave a tint where they were, which looks like
a longer trail; files are an eighth larger for it."""

_KEYFRAME_EVERY_S = 2
"""Seconds between pictures a player can jump to."""

FloatArray = npt.NDArray[np.floating[Any]]
ReadPoints = Callable[[int, int], tuple[FloatArray, FloatArray]]
"""First frame and the one after the last, within the file -> position and likelihood."""


def draw_labeled_video(
    video: str | os.PathLike[str],
    target: str | os.PathLike[str],
    read_points: ReadPoints,
    style: DrawingStyle,
    *,
    n_frames: int,
    rate: Fraction,
    progress: Callable[[int], None] | None = None,
    threads: int = 0,
) -> None:
    """Draw poses into a copy of a video that plays in every browser (H.264, yuv420p, MP4).

    Args:
        video: The video.
        target: File to write, which must not exist; its name ends in ``.mp4``.
        read_points: Gives the points of a range of frames: position, floating point, shape
            (n, body parts, individuals, 2), px of the whole displayed frame; and likelihood, shape
            (n, body parts, individuals).
        style: What to draw, and how; its body parts and individuals are those of the points.
        n_frames: Frames the video has.
        rate: Frames per second of the video, exact.
        progress: Called with the number of frames drawn, every `PROGRESS_EVERY` frames and at the
            end.
        threads: Threads of the decoder and of the encoder; 0 for what suits the machine.

    Raises:
        VideoError: The video cannot be decoded, or has another number of frames.
    """
    points = _read_in_chunks(read_points, style, n_frames)
    file = Path(os.fsdecode(video))
    rate = style.rate_of(rate)
    done = 0
    with open_video(file) as (container, stream):
        stream.codec_context.thread_count = threads
        writer: _Writer | None = None
        try:
            for index, frame in enumerate(_decode(container, stream, file)):
                if index == n_frames:
                    raise _wrong_length(file, f"more than {n_frames}", n_frames)
                prepared = prepare_frame(frame)
                if writer is None:
                    overlay = Overlay(style, is_bt709=is_bt709(prepared))
                    writer = _Writer(Path(target), prepared, frame, rate, style.crf, threads)
                canvas = Canvas.of(prepared)
                if style.keypoints_only:
                    canvas.fill(BLACK)
                overlay.draw(canvas, *next(points))
                writer.write(prepared, index)
                done = index + 1
                if progress is not None and done % PROGRESS_EVERY == 0:
                    progress(done)
            if done != n_frames or writer is None:
                raise _wrong_length(file, str(done), n_frames)
            writer.finish()
        finally:
            if writer is not None:
                writer.close()
    if progress is not None:
        progress(done)


def _read_in_chunks(
    read_points: ReadPoints, style: DrawingStyle, n_frames: int
) -> Iterator[tuple[FloatArray, npt.NDArray[np.bool_], int]]:
    """Yield, per frame, the points of a few frames and which of those it is."""
    for start in range(0, n_frames, CHUNK):
        # The trail of a chunk's first frames lies in the chunk before.
        first = max(start - style.trailpoints, 0)
        stop = min(start + CHUNK, n_frames)
        position, likelihood = read_points(first, stop)
        visible = find_visible(position, likelihood, style.p_cutoff)
        for frame in range(start, stop):
            yield position, visible, frame - first


def _decode(container: Any, stream: Any, file: Path) -> Iterable[av.VideoFrame]:
    try:
        yield from container.decode(stream)
    except av.FFmpegError as error:
        raise VideoError(
            f"'{show_path(file)}' cannot be decoded any more ({error.strerror}): it changed since "
            "it was registered. Copy it again, then delete and populate its RecordingInfo."
        ) from error


def _wrong_length(file: Path, found: str, expected: int) -> VideoError:
    return VideoError(
        f"'{show_path(file)}' has {found} frames, and {expected} when it was registered. Copy it "
        "again, then delete and populate its RecordingInfo."
    )


class _Writer:
    """Encodes frames into an MP4 file whose index comes first, so that it plays while it loads."""

    def __init__(
        self,
        target: Path,
        prepared: av.VideoFrame,
        original: av.VideoFrame,
        rate: Fraction,
        crf: int,
        threads: int,
    ) -> None:
        self._rate = rate
        options = {"movflags": "+faststart"}
        self._container = av.open(os.path.abspath(target), "w", options=options)
        stream: Any = self._container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = prepared.width, prepared.height, PIXEL_FORMAT
        stream.options = {**_ENCODER, "crf": str(crf)}
        codec = stream.codec_context
        codec.thread_count = threads
        codec.gop_size = max(1, round(_KEYFRAME_EVERY_S * rate))
        codec.color_range = 1  # limited
        for name in ("colorspace", "color_primaries", "color_trc"):
            setattr(codec, name, getattr(prepared, name))
        self._stream = stream

    def write(self, frame: av.VideoFrame, index: int) -> None:
        frame.pts, frame.time_base = index, 1 / self._rate
        frame.pict_type = 0  # the original's choice of key frames is not ours
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))

    def close(self) -> None:
        self._container.close()

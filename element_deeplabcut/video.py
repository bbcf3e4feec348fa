"""Frame-exact facts of video files, and how several files form one recording.

Numbers in container headers are hints: Matroska states no frame count, a file cut short states too
many frames, and rates are rounded. Pose estimation yields one row per *decoded* frame, so every
frame is decoded here and counted, and the rate is taken from the frames' presentation time stamps.

What the facts mean:

- Frames are those that OpenCV, DeepLabCut's reader, returns from the file's first video stream.
  Frames that a decoder patches up after an error inside a picture count, as they do there; a
  packet that cannot be decoded at all is an error, because readers disagree on what follows it.
- Width and height are those of the picture as displayed: OpenCV obeys the rotation that phones
  and some cameras write into the file, so a predicted x can reach the *displayed* width.
- The rate is constant: frame ``i`` of a recording is shown ``i / rate`` seconds after its first.
  A file whose frames are not evenly spaced is refused, because a frame number would not be a time.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt

from .errors import VideoError
from .linking import show_path

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

PROGRESS_EVERY = 1000
"""Frames between two calls of a progress callback."""

EARLIEST_PLAUSIBLE_YEAR = 1990
"""Creation times before this are a clock that was never set (1904, 1970 and 1980 are zeros)."""

FEW_FRAMES = 5
"""Fewer frames than this cannot show that a coarse time base rounds their time stamps."""

NTSC_TOLERANCE = 5e-7
"""Relative error up to which a declared rate is the NTSC rate that a container rounded."""

_NO_STAMP = -(2**63)


@dataclass(frozen=True)
class VideoFacts:
    """What is known of one video file once all of it is decoded.

    Attributes:
        n_frames: Number of frames that can be decoded.
        rate: Frames per second, exact (29.97 is 30000/1001).
        width: Width of the displayed picture (px).
        height: Height of the displayed picture (px).
        recorded_at: Creation time in the file's metadata (UTC, without time zone), if it has a
            plausible one.
    """

    n_frames: int
    rate: Fraction
    width: int
    height: int
    recorded_at: datetime | None = None

    @property
    def duration(self) -> float:
        """Duration from the first frame to the end of the last (s)."""
        return float(self.n_frames / self.rate)


@dataclass(frozen=True)
class VideoEnds:
    """What the first and the last frame of a video file tell.

    Attributes:
        width: Width of the displayed picture (px).
        height: Height of the displayed picture (px).
        n_frames: Frames by the time between the two, or None where the file has no time stamps.
        n_bytes: Size of the file.
    """

    width: int
    height: int
    n_frames: int | None
    n_bytes: int


@dataclass(frozen=True)
class RecordingFacts:
    """What is known of a recording that one or more video files form, in their order.

    Attributes:
        n_frames: Number of frames of all files together.
        rate: Frames per second, the same in every file.
        width: Width of the displayed picture (px).
        height: Height of the displayed picture (px).
        first_frames: Per file, the index within the recording of its first frame.
        recorded_at: Creation time of the first file (UTC, without time zone), if known.
    """

    n_frames: int
    rate: Fraction
    width: int
    height: int
    first_frames: tuple[int, ...]
    recorded_at: datetime | None = None

    @property
    def duration(self) -> float:
        """Duration of all files, put end to end (s)."""
        return float(self.n_frames / self.rate)


def read_facts(
    path: str | os.PathLike[str], *, progress: Callable[[int], None] | None = None
) -> VideoFacts:
    """Decode a video file from end to end and say what it holds.

    Args:
        path: The file. Its name need not be valid UTF-8.
        progress: Called with the number of frames decoded so far, every `PROGRESS_EVERY` frames
            and once at the end.

    Returns:
        The facts; see the head of this module for their exact meaning.

    Raises:
        VideoError: The file is missing, is no video, is damaged or cut short, changes its frame
            size, or has no constant frame rate.
    """
    file = Path(os.fsdecode(path))
    with open_video(file) as (container, stream):
        decoded = _decode_all(container, stream, file, progress)
        return VideoFacts(
            n_frames=decoded.n_frames,
            rate=_read_rate(decoded.stamps, stream, file),
            width=decoded.width,
            height=decoded.height,
            recorded_at=_read_creation_time(container, stream),
        )


def read_ends(path: str | os.PathLike[str]) -> VideoEnds:
    """Decode the first and the last frame of a video file, which takes a moment only.

    Raises:
        VideoError: The file is missing or is no video, or one of the two cannot be decoded.
    """
    file = Path(os.fsdecode(path))
    with open_video(file) as (container, stream):
        try:
            first = next(container.decode(stream), None)
            if first is None:
                raise _no_frame(file)
            last = _decode_last(container, stream) or first
        except av.FFmpegError as error:
            raise VideoError(
                f"The first or the last frames of '{show_path(file)}' cannot be decoded "
                f"({error.strerror}): it is damaged, or was cut short. Copy it again from where it "
                "was recorded."
            ) from error
        width, height = _displayed_size(first)
        rate = stream.guessed_rate or stream.average_rate
        n_frames = None
        # AVI stores when to decode, not when to show.
        has_stamps = container.format.name != "avi" and None not in (first.time, last.time)
        if rate and has_stamps:
            n_frames = round((last.time - first.time) * rate) + 1
    return VideoEnds(width, height, n_frames, file.stat().st_size)


def _decode_last(container: InputContainer, stream: VideoStream) -> av.VideoFrame | None:
    if not container.duration:
        return None
    container.seek(max(0, container.duration - 1))  # to the key frame before it
    last = None
    for frame in container.decode(stream):
        if last is None or (frame.pts or 0) >= (last.pts or 0):
            last = frame
    return last


def combine_files(facts: Sequence[VideoFacts], names: Sequence[str]) -> RecordingFacts:
    """Treat several video files as one recording.

    Args:
        facts: The files' facts, in the order in which the files were recorded.
        names: The files' names, for error messages.

    Returns:
        The recording's facts.

    Raises:
        VideoError: There is no file, or the files differ in frame size or rate.
    """
    if not facts:
        raise VideoError("The recording has no video file. Register at least one file with it.")
    first = facts[0]
    for other, name in zip(facts, names, strict=True):
        if (other.width, other.height) != (first.width, first.height):
            raise _mixed_files(
                names[0], f"{first.width}x{first.height} px", name, f"{other.width}x{other.height}"
            )
        if other.rate != first.rate:
            raise _mixed_files(names[0], f"{first.rate} frames per second", name, f"{other.rate}")
    ends = list(accumulate(file.n_frames for file in facts))
    return RecordingFacts(
        n_frames=ends[-1],
        rate=first.rate,
        width=first.width,
        height=first.height,
        first_frames=(0, *ends[:-1]),
        recorded_at=first.recorded_at,
    )


def _mixed_files(first_name: str, first_is: str, name: str, other_is: str) -> VideoError:
    return VideoError(
        f"The files of the recording do not match: '{show_path(first_name)}' has {first_is}, "
        f"'{show_path(name)}' has {other_is}. Register them as separate recordings."
    )


# ------------------------------------------------------------------------------------------------
# Opening
# ------------------------------------------------------------------------------------------------


@contextmanager
def open_video(path: str | os.PathLike[str]) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file for decoding, and close it again.

    Yields:
        The container, and its first video stream.

    Raises:
        VideoError: The file is missing, or is no video.
    """
    file = Path(os.fsdecode(path))
    _check_is_file(file)
    with _open(file) as container:
        yield container, _first_video_stream(container, file)


def _check_is_file(file: Path) -> None:
    shown = show_path(file)
    if not file.exists():
        raise VideoError(f"The video '{shown}' does not exist. Check its path and that the storage "
                         "is mounted on this machine.")  # fmt: skip
    if not file.is_file():
        raise VideoError(f"'{shown}' is not a file. Name a video file.")
    if not os.access(file, os.R_OK):
        raise VideoError(f"The video '{shown}' may not be read by this user. Change its mode.")
    if file.stat().st_size == 0:
        raise VideoError(f"The video '{shown}' is empty. Copy it again from where it was recorded.")


def _open(file: Path) -> InputContainer:
    # An absolute path, because FFmpeg takes "session:1.mp4" for a protocol called "session".
    name = os.path.abspath(file)
    try:
        # "replace", because camera software writes titles and comments in any encoding.
        return av.open(name, metadata_errors="replace")
    except av.FFmpegError as error:
        raise VideoError(
            f"'{show_path(file)}' cannot be opened as a video ({error.strerror}). It is no video "
            "file, or its recording or copying was interrupted before the index was written; copy "
            "it again from where it was recorded."
        ) from error


def _first_video_stream(container: InputContainer, file: Path) -> VideoStream:
    if not container.streams.video:
        raise VideoError(
            f"'{show_path(file)}' holds no video stream (only sound or data). Register the file "
            "that holds the pictures."
        )
    stream = container.streams.video[0]
    # The default decodes one frame at a time; with AUTO all cores work on several frames.
    stream.thread_type = "AUTO"
    return stream


# ------------------------------------------------------------------------------------------------
# Decoding
# ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Decoded:
    """What is kept of the frames: how many, their size (px), and time stamps that show the rate."""

    n_frames: int
    width: int
    height: int
    stamps: npt.NDArray[np.int64]


def _decode_all(
    container: InputContainer,
    stream: VideoStream,
    file: Path,
    progress: Callable[[int], None] | None,
) -> _Decoded:
    """Decode every frame without converting a pixel."""
    # AVI stores when to decode, not when to show: a frame's stamp would be inferred, and wrongly so
    # at the end of a video with reordered frames.
    stamps_of_packets = container.format.name == "avi"
    stamps = array("q")
    n_frames = 0
    size: tuple[int, int] | None = None
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise _damaged(file, n_frames, "a packet is cut short")
            if stamps_of_packets and packet.size:
                stamps.append(_NO_STAMP if packet.dts is None else packet.dts)
            for frame in packet.decode():
                size = size or _displayed_size(frame)
                if size != _displayed_size(frame):
                    raise _size_changed(file, n_frames)
                if not stamps_of_packets:
                    stamps.append(_NO_STAMP if frame.pts is None else frame.pts)
                n_frames += 1
                if progress is not None and n_frames % PROGRESS_EVERY == 0:
                    progress(n_frames)
    except av.FFmpegError as error:
        raise _damaged(file, n_frames, str(error.strerror)) from error
    if size is None:
        raise _no_frame(file)
    if n_frames < len(stamps):
        raise _frames_missing(file, len(stamps) - n_frames, len(stamps))
    if progress is not None:
        progress(n_frames)
    return _Decoded(n_frames, *size, np.frombuffer(stamps, np.int64))


def _displayed_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Width and height after the rotation that OpenCV applies: quarter turns, nothing else."""
    if frame.rotation % 180 == 90:
        return frame.height, frame.width
    return frame.width, frame.height


def _no_frame(file: Path) -> VideoError:
    return VideoError(
        f"'{show_path(file)}' holds no frame that can be decoded. Copy it again from where it was "
        "recorded, or leave it out."
    )


def _damaged(file: Path, n_decoded: int, reason: str) -> VideoError:
    shown = show_path(file)
    return VideoError(
        f"'{shown}' is damaged after frame {n_decoded} ({reason}), so its frames cannot be "
        "numbered reliably. Copy it again from where it was recorded; if the original is damaged "
        f"too, keep what can be decoded with: ffmpeg -i '{shown}' -c:v libx264 -crf 17 repaired.mp4"
    )


def _frames_missing(file: Path, n_missing: int, n_packets: int) -> VideoError:
    shown = show_path(file)
    return VideoError(
        f"'{shown}' has gaps: {n_missing} of its {n_packets} packets hold no picture, so a frame's "
        "number does not give its time. Fill the gaps with repeated frames and register the new "
        f"file: ffmpeg -i '{shown}' -fps_mode cfr -c:v libx264 -crf 17 filled.mp4"
    )


def _size_changed(file: Path, n_decoded: int) -> VideoError:
    return VideoError(
        f"'{show_path(file)}' changes its frame size at frame {n_decoded}. Split it there and "
        "register the parts as separate recordings."
    )


# ------------------------------------------------------------------------------------------------
# Rate
# ------------------------------------------------------------------------------------------------


def _read_rate(stamps: npt.NDArray[np.int64], stream: VideoStream, file: Path) -> Fraction:
    time_base = stream.time_base or Fraction(1)
    # The guess comes first: it is a usual rate where the average only divides by the duration.
    declared = [_undo_rounding(rate) for rate in (stream.guessed_rate, stream.average_rate) if rate]
    known = stamps[stamps != _NO_STAMP]
    if len(stamps) == 1 and declared:
        return declared[0]
    if len(known) < 2:
        raise _no_rate(file)
    rate = _constant_rate(stamps, time_base, declared)
    if rate is None:
        raise _uneven(np.diff(known) * float(time_base), file)
    return rate


def _constant_rate(
    stamps: npt.NDArray[np.int64], time_base: Fraction, declared: Sequence[Fraction]
) -> Fraction | None:
    """Find the rate at which evenly spaced frames carry these time stamps.

    Equal steps state the rate exactly. Steps that differ come from a time base too coarse for the
    rate (30 per second in Matroska's milliseconds: 33, 33, 34); then a rate that the file declares
    is right if no frame is off its grid by more than the rounding.

    Args:
        stamps: Per frame, its time in units of the time base, or `_NO_STAMP`.
        time_base: Unit of the stamps (s).
        declared: Rates the file declares, the most trusted first (frames/s).

    Returns:
        Frames per second, or None if no constant rate fits.
    """
    index = np.flatnonzero(stamps != _NO_STAMP)
    since_first = stamps[index] - stamps[index[0]]
    frames_since = index - index[0]
    if not np.all(np.diff(since_first) > 0):
        return None
    exact = Fraction(int(frames_since[-1]), int(since_first[-1])) / time_base
    fitting = [
        rate
        for rate in declared
        if np.ptp(since_first - frames_since * float(1 / (rate * time_base))) <= 1 + 1e-6
    ]
    # Exact integer arithmetic: stamp / frame == span / frames, multiplied out.
    if np.all(since_first * int(frames_since[-1]) == frames_since * int(since_first[-1])):
        fitting = [*fitting, exact] if len(stamps) < FEW_FRAMES else [exact]
    return fitting[0] if fitting else None


def _undo_rounding(rate: Fraction) -> Fraction:
    """Undo a container's rounding of an NTSC rate (Matroska's 59.94 reads 19001/317)."""
    ntsc = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
    return ntsc if abs(rate - ntsc) < NTSC_TOLERANCE * rate else rate


def _no_rate(file: Path) -> VideoError:
    shown = show_path(file)
    return VideoError(
        f"The frames of '{shown}' carry no time stamps (it may be a raw stream), so its frame rate "
        "is unknown. Wrap it in a container, naming the rate it was recorded at: "
        f"ffmpeg -framerate RATE -i '{shown}' -c copy wrapped.mp4"
    )


def _uneven(steps: npt.NDArray[np.float64], file: Path) -> VideoError:
    """Refuse a variable frame rate, given the times between successive frames (s)."""
    shown = show_path(file)
    usual = float(np.median(steps))
    odd = int(np.argmax(np.abs(steps - usual)))
    suggested = max(1, round(1 / usual)) if usual > 0 else 30
    return VideoError(
        f"'{shown}' has a variable frame rate: the time from one frame to the next lies between "
        f"{1000 * steps.min():.3f} and {1000 * steps.max():.3f} ms (most unusual after frame "
        f"{odd}), so a frame's number does not give its time. Re-encode it at a constant rate and "
        f"register the new file: ffmpeg -i '{shown}' -vf fps={suggested} -c:v libx264 -crf 17 "
        "constant.mp4"
    )


# ------------------------------------------------------------------------------------------------
# Recording time
# ------------------------------------------------------------------------------------------------


def _read_creation_time(container: InputContainer, stream: VideoStream) -> datetime | None:
    """Read the creation time from the container, or from the stream where only that has one."""
    for metadata in (container.metadata, stream.metadata):
        moment = _parse_utc(metadata.get("creation_time", ""))
        if moment is not None and moment.year >= EARLIEST_PLAUSIBLE_YEAR:
            return moment
    return None


def _parse_utc(text: str) -> datetime | None:
    try:
        # Python 3.10 does not know the "Z" that FFmpeg writes.
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(timezone.utc).replace(tzinfo=None)

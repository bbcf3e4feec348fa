"""Tables of recordings: which video files there are, and their exact facts."""

from __future__ import annotations

from typing import Any

import datajoint as dj

from ..blobs import BLOB
from ..compute.recording import RecordingJob, run_recording
from ..errors import QueryError
from ..tables import DistinctJobs, RelativePaths
from .activation import get_roots, schema


@schema
class VideoRecording(dj.Manual):
    """Recording of a session by one camera, in one or more video files.

    Attributes:
        Session (foreign key): Session it was made in.
        recording_id (int): Number within the session.
        Device (foreign key): Camera.
    """

    definition = """
    # Recording of a session by one camera
    -> Session
    recording_id : int
    ---
    -> Device
    """

    class File(RelativePaths, dj.Part):
        """Video file of a recording. Files follow each other in the order of ``file_id``.

        Attributes:
            VideoRecording (foreign key): Recording it belongs to.
            file_id (int): Place in the recording.
            file_path (varchar(255)): POSIX path relative to a root directory.
        """

        definition = """
        # Video file of a recording, in the order of file_id
        -> master
        file_id   : int
        ---
        file_path : varchar(255)  # relative to a root directory
        """


@schema
class RecordingInfo(DistinctJobs, dj.Imported):
    """Exact facts of a recording; every frame has been decoded.

    Attributes:
        VideoRecording (foreign key): Recording.
        px_height (smallint): Height of a displayed frame, px.
        px_width (smallint): Width of a displayed frame, px.
        nframes (int): Decoded frames of all files together.
        fps (double, nullable): Frames per second; `File` has it as an exact ratio.
        recording_datetime (datetime, nullable): Creation time in the first file's metadata, UTC.
        recording_duration (float): Seconds, all files end to end.
        run_info (longblob, nullable): Provenance, and the size of each file when it was read; null
            in rows of earlier versions.
    """

    definition = f"""
    # Exact facts of a recording
    -> VideoRecording
    ---
    px_height               : smallint  # px
    px_width                : smallint  # px
    nframes                 : int       # decoded frames, all files
    fps=null                : double    # frames per second
    recording_datetime=null : datetime  # from the first file's metadata, UTC
    recording_duration      : float     # s
    run_info=null           : {BLOB}  # how it came to be
    """

    class File(dj.Part):
        """Exact facts of one file.

        Attributes:
            RecordingInfo (foreign key): Recording.
            VideoRecording.File (foreign key): File.
            nframes (int): Decoded frames.
            first_frame (int): Number of its first frame within the recording.
            fps_numerator (int unsigned): Frame rate, with the denominator (29.97: 30000 / 1001).
            fps_denominator (int unsigned): See fps_numerator.
        """

        definition = """
        # Exact facts of one file of a recording
        -> master
        -> VideoRecording.File
        ---
        nframes         : int           # decoded frames
        first_frame     : int           # its first frame's number within the recording
        fps_numerator   : int unsigned  # frame rate as a ratio, frames
        fps_denominator : int unsigned  # per this many seconds
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the files' paths."""
        ids, paths = (VideoRecording.File & key).fetch("file_id", "file_path", order_by="file_id")
        if not len(ids):
            raise QueryError(f"The recording {key} has no files; insert VideoRecording.File first.")
        return ({int(number): path for number, path in zip(ids, paths, strict=True)},)

    def make_compute(self, key: dict[str, Any], files: dict[int, str]) -> tuple[Any, ...]:
        """Decode every frame."""
        return run_recording(RecordingJob(key, files), get_roots())

    def make_insert(
        self, key: dict[str, Any], recording: Any, files: dict[int, Any], run_info: dict[str, Any]
    ) -> None:
        """Record the facts."""
        self.insert1(
            {
                **key,
                "px_height": recording.height,
                "px_width": recording.width,
                "nframes": recording.n_frames,
                "fps": float(recording.rate),
                "recording_datetime": recording.recorded_at,
                "recording_duration": recording.duration,
                "run_info": run_info,
            },
            ignore_extra_fields=True,  # tables declared by an earlier version have no run_info
        )
        self.File.insert(
            {
                **key,
                "file_id": number,
                "nframes": facts.n_frames,
                "first_frame": first_frame,
                "fps_numerator": facts.rate.numerator,
                "fps_denominator": facts.rate.denominator,
            }
            for (number, facts), first_frame in zip(
                files.items(), recording.first_frames, strict=True
            )
        )

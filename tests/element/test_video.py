from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import VideoError
from element_deeplabcut.video import VideoFacts, _constant_rate, combine_files, read_facts

NTSC = Fraction(30000, 1001)


def encode(
    path: Path,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: Fraction = NTSC,
    n_frames: int = 40,
    width: int = 64,
    height: int = 48,
    stamps: Sequence[int] | None = None,
    rotation: int | None = None,
    metadata: dict[str, str] | None = None,
    metadata_encoding: str = "utf-8",
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode a moving texture; `stamps` are presentation times in units of one frame at `rate`."""
    texture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with av.open(
        os.fspath(path),
        "w",
        metadata_encoding=metadata_encoding,
        options=container_options or {},
    ) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        if codec in ("libx264", "mpeg4"):
            # Two reordered frames between others, whatever the encoder thinks of it.
            stream.options = {"bf": "2", "b_strategy": "0", "g": "12"}
        if rotation is not None:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a rotation")
            stream.set_display_rotation(rotation)
        for stamp in range(n_frames) if stamps is None else stamps:
            frame = av.VideoFrame.from_ndarray(np.roll(texture, stamp, axis=1), format="rgb24")
            frame.pts, frame.time_base = stamp, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def encode_sound(path: Path) -> Path:
    with av.open(os.fspath(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        for index in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 44100, 1024 * index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def replace_content(packet: av.Packet, content: bytes) -> av.Packet:
    other = av.Packet(content)
    other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
    return other


def read_with_opencv(path: Path) -> tuple[int, int, int]:
    """Number of frames, width and height as OpenCV meets them when it reads to the end."""
    cv2 = pytest.importorskip("cv2")
    capture = cv2.VideoCapture(os.fspath(path))
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # OpenCV 5 does so by itself, 4.11 does not
    sizes = []
    while True:
        got_one, picture = capture.read()
        if not got_one:
            break
        sizes.append(picture.shape[:2])
    (height, width) = sizes[0]
    return len(sizes), width, height


# ---- what a file holds -----------------------------------------------------------------------


RATES = [Fraction(25), NTSC, Fraction(30), Fraction(60000, 1001), Fraction(1000)]
KINDS = [
    ("h264.mp4", "libx264", "yuv420p"),
    ("mpeg4.mp4", "mpeg4", "yuv420p"),
    ("mjpeg.avi", "mjpeg", "yuvj420p"),
    ("mpeg4.avi", "mpeg4", "yuv420p"),
    ("h264.mkv", "libx264", "yuv420p"),
    ("h264.mov", "libx264", "yuv420p"),
]


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize(("name", "codec", "pixel_format"), KINDS, ids=lambda kind: kind)
def test_facts_are_exact_and_agree_with_opencv(tmp_path, name, codec, pixel_format, rate):
    video = encode(tmp_path / name, codec=codec, pixel_format=pixel_format, rate=rate)
    facts = read_facts(video)
    assert (facts.n_frames, facts.width, facts.height) == (40, 64, 48)
    assert (facts.n_frames, facts.width, facts.height) == read_with_opencv(video)
    assert facts.rate == rate
    assert facts.duration == pytest.approx(40 / float(rate), rel=1e-12)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_the_videos_of_these_tests_reorder_frames(tmp_path, codec):
    video = encode(tmp_path / "video.mp4", codec=codec)
    with av.open(os.fspath(video)) as container:
        kinds = {PictureType(frame.pict_type) for frame in container.decode(video=0)}
    assert kinds == {PictureType.I, PictureType.P, PictureType.B}


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_size_is_that_of_the_displayed_picture(tmp_path, rotation, suffix):
    video = encode(tmp_path / f"video.{suffix}", rotation=rotation, n_frames=3)
    facts = read_facts(video)
    assert (facts.n_frames, facts.width, facts.height) == read_with_opencv(video)
    assert (facts.width, facts.height) == ((48, 64) if rotation in (90, 270) else (64, 48))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_time_stamps_need_not_start_at_zero(tmp_path, suffix):
    video = encode(tmp_path / f"video.{suffix}", stamps=range(100, 130))
    facts = read_facts(video)
    assert (facts.n_frames, facts.rate) == (30, NTSC)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_time_lapse_has_less_than_one_frame_per_second(tmp_path, suffix):
    video = encode(tmp_path / f"video.{suffix}", codec="mpeg4", rate=Fraction(1, 10), n_frames=9)
    facts = read_facts(video)
    assert (facts.n_frames, facts.rate, facts.duration) == (9, Fraction(1, 10), 90.0)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("n_frames", [1, 2, 3, 4])
def test_a_clip_of_a_few_frames_has_its_declared_rate(tmp_path, n_frames, suffix):
    video = encode(tmp_path / f"video.{suffix}", codec="mpeg4", n_frames=n_frames)
    facts = read_facts(video)
    assert (facts.n_frames, facts.rate) == (n_frames, NTSC)


def test_a_name_that_is_not_utf8_is_read(tmp_path):
    video = encode(tmp_path / os.fsdecode(b"na\xefve.mp4"), n_frames=3)
    assert read_facts(video).n_frames == 3
    video.write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"na\\xefve\.mp4"):
        read_facts(video)


def test_a_name_with_a_colon_is_no_protocol(tmp_path, monkeypatch):
    encode(tmp_path / "plain.mp4", n_frames=3).rename(tmp_path / "session:1.mp4")
    monkeypatch.chdir(tmp_path)
    assert read_facts("session:1.mp4").n_frames == 3


def test_metadata_in_another_encoding_is_no_obstacle(tmp_path):
    video = encode(
        tmp_path / "video.avi",
        codec="mpeg4",
        n_frames=3,
        metadata={"title": "Mäuse"},
        metadata_encoding="latin-1",
    )
    assert read_facts(video).n_frames == 3


def test_progress_is_reported_regularly_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("element_deeplabcut.video.PROGRESS_EVERY", 16)
    calls: list[int] = []
    read_facts(encode(tmp_path / "video.mp4"), progress=calls.append)
    assert calls == [16, 32, 40]


# ---- when it was recorded --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T12:30:15.000000Z", datetime(2024, 2, 29, 12, 30, 15)),
        ("2024-02-29T12:30:15+02:00", datetime(2024, 2, 29, 10, 30, 15)),
        ("1904-01-01T00:00:00.000000Z", None),
        ("1970-01-01T00:00:00.000000Z", None),
        ("yesterday", None),
    ],
)
def test_recorded_at_is_utc_and_plausible(tmp_path, text, expected):
    # Matroska keeps any text; mp4 (below) keeps seconds since 1904.
    video = encode(tmp_path / "video.mkv", n_frames=2, metadata={"creation_time": text})
    assert read_facts(video).recorded_at == expected


def test_recorded_at_is_read_from_mp4(tmp_path):
    stated = {"creation_time": "2024-02-29T12:30:15.000000Z"}
    video = encode(tmp_path / "video.mp4", n_frames=2, metadata=stated)
    assert read_facts(video).recorded_at == datetime(2024, 2, 29, 12, 30, 15)


def test_recorded_at_is_none_where_the_file_says_nothing(tmp_path):
    assert read_facts(encode(tmp_path / "video.mp4", n_frames=2)).recorded_at is None


# ---- what is refused -------------------------------------------------------------------------


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(VideoError, match=r"nowhere\.mp4' does not exist"):
        read_facts(tmp_path / "nowhere.mp4")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(VideoError, match="is not a file"):
        read_facts(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"frame,x,y\n" * 99, "cannot be opened as a video")],
)
def test_a_file_that_is_no_video_is_refused(tmp_path, content, message):
    video = tmp_path / "video.mp4"
    video.write_bytes(content)
    with pytest.raises(VideoError, match=message):
        read_facts(video)


def test_a_recording_interrupted_before_its_index_is_refused(tmp_path):
    video = encode(tmp_path / "video.mp4")
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with pytest.raises(VideoError, match="interrupted before the index was written"):
        read_facts(video)


def test_a_copy_cut_short_is_refused(tmp_path):
    video = encode(tmp_path / "video.mp4", container_options={"movflags": "faststart"})
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"damaged after frame \d+ .*ffmpeg -i"):
        read_facts(video)


def test_a_packet_that_cannot_be_decoded_is_refused(tmp_path):
    video = encode(tmp_path / "video.mp4")
    content = bytearray(video.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = bytes(third)
    video.write_bytes(content)
    n_opencv, _, _ = read_with_opencv(video)
    with pytest.raises(VideoError, match=rf"damaged after frame {n_opencv} .*ffmpeg -i"):
        read_facts(video)


NOT_CODED = b"\0\0\1\xb6\x50\xdf"
"""An MPEG-4 picture at 25 frames per second that says "nothing changed": decoders return none."""


@pytest.mark.parametrize(
    ("suffix", "message"), [("avi", "1 of its 40 packets"), ("mp4", "variable frame rate")]
)
def test_a_packet_without_a_picture_is_refused(tmp_path, suffix, message):
    complete = encode(tmp_path / f"complete.{suffix}", codec="mpeg4", rate=Fraction(25))
    video = tmp_path / f"video.{suffix}"
    with av.open(os.fspath(complete)) as source, av.open(os.fspath(video), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        packets[21] = replace_content(packets[21], NOT_CODED)
        for packet in packets:
            packet.stream = stream
            target.mux(packet)
    assert read_with_opencv(video)[0] == 39
    with pytest.raises(VideoError, match=message):
        read_facts(video)


def test_sound_alone_is_refused(tmp_path):
    with pytest.raises(VideoError, match="no video stream"):
        read_facts(encode_sound(tmp_path / "sound.mp4"))


def test_a_video_without_frames_is_refused(tmp_path):
    video = encode(tmp_path / "video.mkv", codec="mjpeg", pixel_format="yuvj420p", n_frames=1)
    content = video.read_bytes()
    # Cut before the JPEG, so that the headers promise a stream and no packet follows.
    video.write_bytes(content[: content.index(b"\xff\xd8\xff")])
    with pytest.raises(VideoError, match=r"no frame that can be decoded|damaged after frame 0"):
        read_facts(video)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    "stamps",
    [[0, 1, 2, 4, 6, 7, 9, 10, 11, 13], [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]],
    ids=["varying", "one frame dropped"],
)
def test_a_variable_frame_rate_is_refused(tmp_path, stamps, suffix):
    video = encode(tmp_path / f"video.{suffix}", rate=Fraction(30), stamps=stamps)
    with pytest.raises(VideoError, match=r"variable frame rate: .* ffmpeg -i .* -vf fps=\d+ "):
        read_facts(video)


def test_a_raw_stream_is_refused_because_its_rate_would_be_a_guess(tmp_path):
    with pytest.raises(VideoError, match=r"no time stamps .* ffmpeg -framerate RATE"):
        read_facts(encode(tmp_path / "video.h264"))


def test_a_change_of_the_frame_size_is_refused(tmp_path):
    small = encode(tmp_path / "small.mkv", codec="mjpeg", pixel_format="yuvj420p", n_frames=7)
    large = encode(
        tmp_path / "large.mkv", codec="mjpeg", pixel_format="yuvj420p", n_frames=7, width=128
    )
    video = tmp_path / "video.mkv"
    with (
        av.open(os.fspath(small)) as first,
        av.open(os.fspath(large)) as second,
        av.open(os.fspath(video), "w") as joined,
    ):
        stream = joined.add_stream_from_template(first.streams.video[0])
        packets = [packet for part in (first, second) for packet in part.demux(video=0)]
        for index, packet in enumerate(packet for packet in packets if packet.size):
            packet.pts = packet.dts = index * 33
            packet.stream = stream
            joined.mux(packet)
    with pytest.raises(VideoError, match="changes its frame size at frame 7"):
        read_facts(video)


# ---- rates -----------------------------------------------------------------------------------


@given(
    step=st.integers(1, 10**6),
    ticks_per_second=st.integers(1, 10**6),
    n_frames=st.integers(5, 200),
    start=st.integers(-(10**9), 10**9),
    declared=st.lists(st.fractions(Fraction(1, 10), 1000), max_size=2),
)
def test_equal_steps_state_the_rate_whatever_is_declared(
    step, ticks_per_second, n_frames, start, declared
):
    stamps = start + step * np.arange(n_frames)
    rate = _constant_rate(stamps, Fraction(1, ticks_per_second), declared)
    assert rate == Fraction(ticks_per_second, step)


@given(
    rate=st.fractions(1, 400, max_denominator=1001),
    n_frames=st.integers(2, 400),
    start=st.fractions(0, 10, max_denominator=1000),
)
def test_rounded_steps_confirm_the_declared_rate(rate, n_frames, start):
    stamps = np.array([round(1000 * (start + index / rate)) for index in range(n_frames)])
    found = _constant_rate(stamps, Fraction(1, 1000), [rate])
    assert found is not None
    # Equal steps are believed over the declaration, within what rounding leaves open.
    assert abs(1 / found - 1 / rate) * (n_frames - 1) <= Fraction(1, 1000)


@given(n_frames=st.integers(5, 50), data=st.data())
def test_a_step_that_is_off_by_more_than_the_rounding_fits_no_rate(n_frames, data):
    odd = data.draw(st.integers(1, n_frames - 2))
    stamps = 512 * np.arange(n_frames)
    stamps[odd:] += 3
    assert _constant_rate(stamps, Fraction(1, 15360), [Fraction(30)]) is None


def test_time_stamps_that_run_backwards_fit_no_rate():
    stamps = np.array([0, 2, 1, 3, 4, 5])
    assert _constant_rate(stamps, Fraction(1, 30), [Fraction(30)]) is None


# ---- recordings ------------------------------------------------------------------------------


def facts_of(n_frames: int, **changed: object) -> VideoFacts:
    return VideoFacts(**{"n_frames": n_frames, "rate": NTSC, "width": 64, "height": 48, **changed})


@given(counts=st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_files_are_numbered_through_in_their_order(counts):
    names = [f"part{index}.mp4" for index in range(len(counts))]
    recording = combine_files([facts_of(count) for count in counts], names)
    assert recording.n_frames == sum(counts)
    assert recording.first_frames == tuple(sum(counts[:index]) for index in range(len(counts)))
    assert recording.duration == pytest.approx(sum(counts) / float(NTSC))


def test_a_recording_begins_when_its_first_file_does():
    begin, later = datetime(2024, 1, 1, 12), datetime(2024, 1, 1, 13)
    files = [facts_of(3, recorded_at=begin), facts_of(3, recorded_at=later)]
    assert combine_files(files, ["a.mp4", "b.mp4"]).recorded_at == begin


@pytest.mark.parametrize("changed", [{"width": 128}, {"height": 96}, {"rate": Fraction(30)}])
def test_files_that_differ_are_refused_by_name(changed):
    files = [facts_of(3), facts_of(3), facts_of(3, **changed)]
    with pytest.raises(VideoError, match=r"'odd\.mp4' has"):
        combine_files(files, ["a.mp4", "b.mp4", "odd.mp4"])


def test_a_recording_without_files_is_refused():
    with pytest.raises(VideoError, match="no video file"):
        combine_files([], [])

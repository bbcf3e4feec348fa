"""Drawing labeled videos from plain arrays: every dot and frame is found again after decoding."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from element_deeplabcut.colors import name_colors
from element_deeplabcut.compute.inference import RecordingFile
from element_deeplabcut.compute.labeling import LabelingJob, check_pose, run_labeling
from element_deeplabcut.drawing import draw_labeled_video, resolve_style
from element_deeplabcut.drawing.canvas import Canvas, Disc, Ink, Stamps, draw_lines, to_yuv
from element_deeplabcut.drawing.overlay import find_visible
from element_deeplabcut.errors import ParameterError, QueryError, ResultError, VideoError
from element_deeplabcut.linking import Roots
from element_deeplabcut.params import check_inference_params
from element_deeplabcut.pose import Pose
from element_deeplabcut.video import read_facts
from workflow_deeplabcut import synthetic

from ...labeled_dots import find_dots

PARTS = ("a", "b", "c")
VISIBLE = {"dotsize": 5, "alphavalue": 1, "crf": 5, "keypoints_only": True, "colormap": "rainbow"}
COLORS = name_colors(PARTS, "rainbow")
NTSC = Fraction(30000, 1001)


def spread_points(n_frames: int, width: int, height: int) -> np.ndarray:
    """Positions of three points that never meet, shape (n_frames, 3, 1, 2)."""
    random = np.random.default_rng(0)
    lanes = (np.arange(3) + 0.5) * height / 3
    x = random.uniform(8, width - 8, (n_frames, 3))
    y = lanes + random.uniform(-1, 1, (n_frames, 3)) * (height / 6 - 10)
    return np.stack([x, y], axis=-1)[:, :, None]


def film(
    path: Path, n_frames: int, width: int, height: int, rate: Fraction = NTSC, **how: Any
) -> Path:
    """Film a gradient from black at the top left, in any codec, format and rotation."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    picture = np.stack([columns % 256, rows % 256, (columns + rows) % 256], -1).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(how.get("codec", "libx264"), rate=rate)
        stream.width, stream.height = width, height
        stream.pix_fmt = how.get("pixel_format", "yuv420p")
        stream.options = how.get("options", {"bf": "2", "g": "6"})
        if "rotation" in how:
            stream.set_display_rotation(how["rotation"])
        for index in range(n_frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def draw(video: Path, position: np.ndarray, settings: dict[str, Any], **how: Any) -> Path:
    """Draw positions of PARTS into a video, all with likelihood 1 unless told otherwise."""
    target = video.with_name(f"{video.stem}-labeled.mp4")
    likelihood = how.pop("likelihood", np.ones(position.shape[:3]))
    individuals = how.pop("individuals", ("",))
    style = resolve_style(settings, how.pop("config", {}), PARTS, individuals)
    facts = read_facts(video)
    how = {"n_frames": facts.n_frames, "rate": facts.rate, **how}
    draw_labeled_video(video, target, lambda a, b: (position[a:b], likelihood[a:b]), style, **how)
    return target


def errors_of(frames: list[np.ndarray], position: np.ndarray) -> np.ndarray:
    """Distance of every dot from where it belongs, px, shape (n_frames, 3)."""
    found = np.array([list(find_dots(frame, COLORS).values()) for frame in frames])
    return np.hypot(*np.moveaxis(found - position[:, :, 0], -1, 0))


# --- every frame, at its time, with its dots ------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        ("mp4", {}),
        ("mp4", {"rotation": 90}),
        ("mp4", {"rotation": 180}),
        ("mp4", {"rotation": 270}),
        ("mp4", {"width": 101, "height": 151, "pixel_format": "yuv444p"}),
        ("mkv", {"width": 101, "height": 151, "codec": "ffv1", "pixel_format": "gray"}),
        ("mkv", {"codec": "ffv1", "pixel_format": "bgr0"}),
        ("avi", {"codec": "mjpeg", "pixel_format": "yuvj420p", "options": {}}),
        ("avi", {"codec": "mpeg4", "rate": Fraction(25), "width": 110}),
    ],
)
def test_dots_are_where_the_poses_are(tmp_path: Path, suffix: str, how: dict[str, Any]) -> None:
    """Whatever the codec, format, rotation and size of the original."""
    how = {"n_frames": 8, "width": 120, "height": 160, **how}
    video = film(tmp_path / f"video.{suffix}", **how)
    facts = read_facts(video)
    position = spread_points(8, facts.width, facts.height)
    labeled = draw(video, position, VISIBLE)
    drawn = read_facts(labeled)
    assert (drawn.n_frames, drawn.rate) == (8, facts.rate)
    even = (facts.width + facts.width % 2, facts.height + facts.height % 2)
    assert (drawn.width, drawn.height) == even
    assert errors_of(decode(labeled), position).max() < 0.2


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_the_picture_is_turned_as_deeplabcut_sees_it(tmp_path: Path, rotation: int) -> None:
    cv2 = pytest.importorskip("cv2")
    video = film(tmp_path / "video.mp4", 3, 120, 80, rotation=rotation)
    position = np.full((3, 3, 1, 2), np.nan)
    picture = decode(draw(video, position, {"crf": 1}))[1].astype(int)
    capture = cv2.VideoCapture(str(video))
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # OpenCV 5 does so by itself, 4.11 does not
    capture.read()
    expected = capture.read()[1][:, :, ::-1].astype(int)
    assert picture.shape == expected.shape
    assert np.abs(picture - expected).mean() < 6


def test_a_side_of_odd_length_repeats_its_last_pixels(tmp_path: Path) -> None:
    video = film(tmp_path / "video.mkv", 2, 101, 77, codec="ffv1", pixel_format="bgr0", options={})
    picture = decode(draw(video, np.full((2, 3, 1, 2), np.nan), {"crf": 1}))[0].astype(int)
    assert picture.shape == (78, 102, 3)
    assert np.abs(picture[:77, :101] - decode(video)[0]).mean() < 6
    assert np.abs(picture[:, 101] - picture[:, 100]).mean() < 6
    assert np.abs(picture[77] - picture[76]).mean() < 6


def test_it_plays_in_a_browser(tmp_path: Path) -> None:
    labeled = draw(film(tmp_path / "v.mp4", 5, 64, 96), spread_points(5, 64, 96), {})
    with av.open(str(labeled)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert container.format.name.startswith("mov,mp4")
    content = labeled.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # the index first


def test_the_frame_rate_may_differ(tmp_path: Path) -> None:
    """Slow motion: the same frames, at another pace."""
    video = film(tmp_path / "v.mp4", 20, 64, 96, rate=Fraction(120))
    labeled = draw(video, spread_points(20, 64, 96), {**VISIBLE, "frame_rate": 29.97})
    assert read_facts(labeled).rate == Fraction(2997, 100)
    assert read_facts(labeled).n_frames == 20


def test_the_original_is_left_alone_between_the_dots(tmp_path: Path) -> None:
    """Drawing into a frame that others are predicted from would smear over them."""
    truth = synthetic.render_video(tmp_path / "v.mp4", 30, width=160, height=120)
    position = np.full((30, 3, 1, 2), np.nan)
    position[::2, 0, 0] = truth[::2, 0]
    labeled = decode(draw(tmp_path / "v.mp4", position, {"crf": 5, "dotsize": 6}))
    original = decode(tmp_path / "v.mp4")
    columns, rows = np.meshgrid(np.arange(160), np.arange(120))
    for index, (x, y) in enumerate(truth[:, 0]):
        far = np.hypot(columns - x, rows - y) > 10
        near = np.hypot(columns - x, rows - y) < 4
        change = np.abs(labeled[index].astype(int) - original[index]).mean(axis=2)
        assert change[far].mean() < 4
        assert (change[near].mean() > 30) == (index % 2 == 0)


# --- what is drawn --------------------------------------------------------------------------------


def test_points_of_low_likelihood_are_not_drawn(tmp_path: Path) -> None:
    position = spread_points(4, 100, 120)
    likelihood = np.ones((4, 3, 1))
    likelihood[0, 0], likelihood[1, 0] = 0.59, 0.6
    position[2, 1] = np.nan
    labeled = decode(
        draw(film(tmp_path / "v.mp4", 4, 100, 120), position, VISIBLE, likelihood=likelihood,
             config={"pcutoff": 0.6})
    )  # fmt: skip
    found = np.array([list(find_dots(frame, COLORS).values()) for frame in labeled])
    missing = np.isnan(found[..., 0])
    assert missing[0, 0]
    assert missing[2, 1]
    assert missing.sum() == 2


def test_results_without_likelihood_are_drawn() -> None:
    position = np.array([[1.0, 2], [np.nan, 2], [np.inf, 1]])
    assert find_visible(position, np.full(3, np.nan), 0.6).tolist() == [True, False, False]


def test_individuals_have_their_colours(tmp_path: Path) -> None:
    position = np.concatenate([spread_points(3, 100, 150), np.full((3, 3, 1, 2), np.nan)], axis=2)
    position[:, 2, 1] = position[:, 2, 0]
    position[:, 2, 0] = np.nan
    settings = {**VISIBLE, "color_by": "individual"}
    video = film(tmp_path / "v.mp4", 3, 100, 150)
    labeled = decode(draw(video, position, settings, individuals=("tim", "tom")))
    colors = name_colors(("tim", "tom"), "rainbow")
    for index, frame in enumerate(labeled):
        dots = find_dots(frame, {"tom": colors["tom"]})
        assert np.hypot(*(dots["tom"] - position[index, 2, 1])) < 0.2
        x, y = position[index, 0, 0].round().astype(int)
        assert np.abs(frame[y, x].astype(int) - colors["tim"]).max() < 12


def test_a_subset_keeps_its_colours() -> None:
    style = resolve_style({"displayedbodyparts": ["c", "a"]}, {"colormap": "rainbow"}, PARTS)
    assert style.body_parts == ("c", "a")
    assert style.colors == ((COLORS["c"],), (COLORS["a"],))


def test_a_trail_reaches_back_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dots of the frames before, smaller and paler, also where points come in chunks."""
    monkeypatch.setattr("element_deeplabcut.drawing.film.CHUNK", 4)
    position = np.full((6, 3, 1, 2), np.nan)
    position[:, 0, 0] = [(10 + 20 * index, 40) for index in range(6)]
    settings = {**VISIBLE, "trailpoints": 3}
    frames = decode(draw(film(tmp_path / "v.mp4", 6, 140, 80), position, settings))
    seen = frames[5][40, 10:130:20].astype(int).sum(axis=1)
    assert seen[0] < 30
    assert seen[1] < 30
    assert 40 < seen[2] < seen[3] < seen[4] < seen[5]


def test_the_skeleton_links_visible_points(tmp_path: Path) -> None:
    position = np.full((2, 3, 1, 2), np.nan)
    position[0, :, 0] = [(20, 20), (100, 60), (20, 100)]
    position[1, :2, 0] = [(20, 20), (100, 60)]
    settings = {**VISIBLE, "draw_skeleton": True, "skeleton_color": "white"}
    config = {"skeleton": [["a", "b"], ["b", "c"], ["b", "unknown"]]}
    video = film(tmp_path / "v.mp4", 2, 120, 120)
    both, one = decode(draw(video, position, settings, config=config))
    assert both[40, 60].min() > 150  # half way from a to b
    assert both[80, 60].min() > 150  # half way from b to c
    assert one[40, 60].min() > 150
    assert one[80, 60].max() < 30
    assert both[36, 60].max() < 40  # the line is thin


# --- stamps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [(20, 20), (20.3, 19.9), (0.4, 39.2), (-3, 20), (41.5, -2)])
@pytest.mark.parametrize("radius", [0.5, 3, 7.5])
def test_a_disc_covers_its_area(place: tuple[float, float], radius: float) -> None:
    """Coverage by area, computed from a picture drawn 16 times as large."""
    canvas = Canvas(*(np.zeros(size, np.uint8) for size in ((40, 40), (20, 20), (20, 20))))
    Disc(Stamps(radius, 1), (255, 255, 255)).draw(canvas, *place)
    fine = (np.arange(40 * 16) + 0.5) / 16 - 0.5
    inside = np.hypot(fine[None] - place[0], fine[:, None] - place[1]) <= radius
    expected = inside.reshape(40, 16, 40, 16).mean(axis=(1, 3))
    assert np.abs(canvas.luma / 255 - expected).max() < 0.25
    assert abs((canvas.luma / 255).sum() - expected.sum()) < 0.03 * expected.sum() + 0.5
    coarse = expected.reshape(20, 2, 20, 2).mean(axis=(1, 3))
    assert np.abs(canvas.blue / 255 - coarse).max() < 0.25


@pytest.mark.parametrize("far", [1e6, -1e6, 47, -47])
def test_what_is_outside_is_not_drawn(far: float) -> None:
    canvas = Canvas(*(np.zeros(size, np.uint8) for size in ((40, 40), (20, 20), (20, 20))))
    Disc(Stamps(5, 1), (255, 255, 255)).draw(canvas, far, 20)
    Disc(Stamps(5, 1), (255, 255, 255)).draw(canvas, 20, far)
    draw_lines(canvas, [(far, 0, far, 40)], 2, Ink((255, 255, 255)))
    assert not canvas.luma.any()


@pytest.mark.parametrize("end", [(35, 22), (22, 35), (3, 20), (20, 3), (20, 20), (500, -300)])
def test_a_line_is_where_its_ends_are(end: tuple[float, float]) -> None:
    canvas = Canvas(*(np.zeros(size, np.uint8) for size in ((40, 40), (20, 20), (20, 20))))
    draw_lines(canvas, [(20, 20, *end)], 2, Ink((255, 255, 255)))
    columns, rows = np.meshgrid(np.arange(40), np.arange(40))
    along = np.array(end, float) - 20
    length = max(np.hypot(*along), 1e-9)
    share = np.clip(((columns - 20) * along[0] + (rows - 20) * along[1]) / length**2, 0, 1)
    distance = np.hypot(columns - 20 - share * along[0], rows - 20 - share * along[1])
    assert canvas.luma[distance > 2.2].max() == 0
    middle = (distance < 0.4) & (share > 0.1) & (share < 0.9)
    assert canvas.luma[middle].min(initial=255) > 200


@pytest.mark.parametrize("is_bt709", [False, True])
def test_colours_are_converted_as_players_do(is_bt709: bool) -> None:
    for color in ((255, 0, 0), (30, 200, 90), (255, 255, 255), (0, 0, 0)):
        frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), color, np.uint8), format="rgb24")
        space = "ITU709" if is_bt709 else "ITU601"
        planes = frame.reformat(format="yuv420p", dst_colorspace=space).to_ndarray()
        expected = planes[4, 4], planes[17, 4], planes[21, 4]
        assert np.abs(np.subtract(to_yuv(color, is_bt709=is_bt709), expected, dtype=int)).max() <= 2


# --- colours --------------------------------------------------------------------------------------


@pytest.mark.parametrize("colormap", ["rainbow", "viridis", "jet"])
@pytest.mark.parametrize("count", [1, 2, 4, 25])
def test_colours_are_deeplabcuts(colormap: str, count: int) -> None:
    """As its create_labeled_video takes them from matplotlib."""
    from matplotlib.cm import ScalarMappable

    wanted = ScalarMappable(cmap=colormap).to_rgba(np.linspace(0, 1, count))[:, :3] * 255
    names = [str(number) for number in range(count)]
    assert np.abs(np.array(list(name_colors(names, colormap).values())) - wanted).max() < 3


def test_the_default_colours_differ_for_the_colour_blind() -> None:
    assert len(set(name_colors([str(n) for n in range(40)]).values())) == 40
    assert list(name_colors(["a", "b"]).values()) == [(0, 114, 178), (230, 159, 0)]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_frames", [5, 9])
def test_a_video_of_another_length_is_refused(tmp_path: Path, n_frames: int) -> None:
    video = film(tmp_path / "v.mp4", 7, 64, 96)
    with pytest.raises(VideoError, match=f"and {n_frames} when it was registered"):
        draw(video, spread_points(9, 64, 96), {}, n_frames=n_frames)


def test_a_skeleton_is_asked_for_and_not_there() -> None:
    with pytest.raises(ParameterError, match="has no skeleton"):
        resolve_style({"draw_skeleton": True}, {}, PARTS)
    with pytest.raises(QueryError, match=r"no individual 'timm'. Did you mean 'tim'"):
        resolve_style({"displayedindividuals": ["timm"]}, {}, PARTS, ("tim", "tom"))


def test_a_three_dimensional_pose_is_refused() -> None:
    pose = Pose(np.zeros((1, 1, 1, 3)), np.ones((1, 1, 1)), np.arange(1), ("a",), unit="unknown")
    with pytest.raises(ResultError, match="three-dimensional"):
        check_pose(pose)


def test_settings_are_canonical() -> None:
    """Two spellings of the same wish are the same; the defaults are an empty wish."""
    assert check_inference_params({"labeled_video": True}) == {"labeled_video": {}}
    assert check_inference_params({"labeled_video": False}) == {}
    given = {"outputframerate": 25, "body_parts": "all", "trailpoints": np.int64(3)}
    checked = check_inference_params({"labeled_video": given})
    assert checked == {"labeled_video": {"frame_rate": 25.0, "trailpoints": 3}}
    assert check_inference_params(checked) == checked


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., tuple[LabelingJob, Roots, np.ndarray]]:
    def make(n_frames: int = 30, **settings: Any) -> tuple[LabelingJob, Roots, np.ndarray]:
        (tmp_path / "data").mkdir(exist_ok=True)
        film(tmp_path / "data" / "v.mp4", n_frames, 64, 96)
        style = resolve_style(settings, {}, PARTS)
        files = (RecordingFile(1, "v.mp4", n_frames, 0),)
        job = LabelingJob({"recording_id": 1}, files, NTSC, "hash", style)
        roots = Roots((tmp_path / "data",), tmp_path / "processed")
        return job, roots, spread_points(n_frames, 64, 96)

    return make


def test_a_finished_video_is_found_again(make_job: Any) -> None:
    job, roots, position = make_job()
    read = lambda a, b: (position[a:b], np.ones((b - a, 3, 1)))  # noqa: E731
    first = run_labeling(job, roots, read)

    def never(start: int, stop: int) -> Any:
        raise AssertionError("drawn again")

    assert run_labeling(job, roots, never) == first
    assert first.run_info["style"]["dotsize"] == 12
    other, _, _ = make_job(dotsize=3)
    assert run_labeling(other, roots, read).paths != first.paths


def test_an_interrupted_drawing_leaves_nothing(make_job: Any) -> None:
    job, roots, position = make_job(600)

    def interrupt(start: int, stop: int) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_labeling(job, roots, interrupt)
    left = [path for path in (roots.processed / "videos").rglob("*") if path.is_file()]
    assert not left
    assert run_labeling(job, roots, lambda a, b: (position[a:b], np.ones((b - a, 3, 1)))).paths


@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    def peak(n_frames: int) -> int:
        video = film(tmp_path / f"{n_frames}.mp4", n_frames, 64, 96)
        position = spread_points(n_frames, 64, 96)
        tracemalloc.start()
        draw(video, position, {})
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(50)  # stamps and imports
    assert peak(9000) < peak(4500) * 1.2


def test_a_dumped_frame_looks_right(tmp_path: Path) -> None:
    """For a person to look at, where LABELED_FRAMES names a folder."""
    truth = synthetic.render_video(tmp_path / "v.mp4", 40, seed=5)
    parts = synthetic.BODY_PARTS
    settings = {"dotsize": 5, "trailpoints": 20, "draw_skeleton": True, "colormap": "rainbow"}
    style = resolve_style(settings, {"skeleton": synthetic.SKELETON}, parts)
    target = tmp_path / "labeled.mp4"
    draw_labeled_video(
        tmp_path / "v.mp4",
        target,
        lambda a, b: (truth[a:b, :, None], np.ones((b - a, 4, 1))),
        style,
        n_frames=40,
        rate=Fraction(30),
    )
    picture = decode(target)[35]
    if os.environ.get("LABELED_FRAMES"):
        Image.fromarray(picture).resize((800, 800)).save(f"{os.environ['LABELED_FRAMES']}/f.png")
    colors = name_colors(parts, "rainbow")
    for name, (x, y) in zip(parts, truth[35].round().astype(int), strict=True):
        seen = picture[y, x].astype(int)
        nearest = min(colors, key=lambda part: np.abs(seen - colors[part]).sum())
        assert nearest == name

"""Figures hold the numbers they are given, in the right place, and touch no global state."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from element_deeplabcut import plotting
from element_deeplabcut.colors import darken_for_white, name_colors, to_hex
from element_deeplabcut.errors import ParameterError, QueryError, ResultError, SetupError
from element_deeplabcut.plotting.timeseries import thin_out
from element_deeplabcut.pose import Pose
from element_deeplabcut.pose.data import PoseFile
from element_deeplabcut.readers.learning_curve import LearningCurve
from workflow_deeplabcut import synthetic

N_FRAMES = 60


def make_pose(n_parts: int = 4, individuals: tuple[str, ...] = ("",), **fields: Any) -> Pose:
    """Parts on parallel lines, 2 px further right in each frame; part 1 is lost for ten frames."""
    frames, parts, animals = np.meshgrid(
        np.arange(N_FRAMES), np.arange(n_parts), np.arange(len(individuals)), indexing="ij"
    )
    position = np.stack([10 + 2.0 * frames, 20 + 5.0 * parts + 100 * animals], axis=-1)
    likelihood = np.full(position.shape[:3], 0.9)
    likelihood[20:30, 1] = 0.2
    names = tuple(f"part{number}" for number in range(n_parts))
    fields = {"rate": Fraction(30), "width": 200, "height": 300, "colormap": "rainbow", **fields}
    return Pose(position, likelihood, np.arange(N_FRAMES), names, individuals, **fields)


def render(figure: Figure) -> np.ndarray:
    """Draw a figure at its default size, RGBA."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def texts_of(figure: Figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


def assert_readable(figure: Figure) -> None:
    """Nothing is cut off, names do not cover each other, and legends do not cover axes."""
    render(figure)
    box = figure.get_tightbbox()
    assert box.x0 > -0.01
    assert box.y0 > -0.01
    assert box.x1 < figure.get_figwidth() + 0.01
    assert box.y1 < figure.get_figheight() + 0.01
    axes = [ax for ax in figure.axes if ax.get_visible()]
    for ax in axes:
        low, high = sorted(ax.get_ylim())
        names = [
            label.get_window_extent()
            for place, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=False)
            if label.get_visible() and low <= place <= high
        ]
        for one, other in pairwise(names):
            assert not one.overlaps(other)
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(ax.get_window_extent()) for ax in axes)


def colors_of(pose: Pose) -> dict[str, str]:
    colors = name_colors(pose.body_parts, "rainbow")
    return {name: to_hex(darken_for_white(color)) for name, color in colors.items()}


# --- trajectory -----------------------------------------------------------------------------------


def test_a_trajectory_is_in_image_coordinates() -> None:
    pose = make_pose()
    figure = plotting.plot_trajectory(pose)
    (ax,) = figure.axes
    assert ax.get_aspect() == 1
    assert ax.get_ylim() == (299.5, -0.5)  # y down
    assert ax.get_xlim() == (-0.5, 199.5)
    line = ax.lines[0]
    assert np.array_equal(line.get_xdata(), pose.position[:, 0, 0, 0])
    assert np.array_equal(line.get_ydata(), pose.position[:, 0, 0, 1])
    assert line.get_color() == colors_of(pose)["part0"]
    lost = np.isnan(ax.lines[2].get_xdata())
    assert lost.tolist() == [20 <= frame < 30 for frame in range(N_FRAMES)]
    assert "x (px)" in texts_of(figure)
    assert_readable(figure)


def test_colours_do_not_depend_on_what_is_shown() -> None:
    pose = make_pose(model_body_parts=("part0", "part1", "part2", "part3"))
    some = plotting.plot_trajectory(pose, body_parts=["part3"]).axes[0].lines[0]
    assert some.get_color() == colors_of(pose)["part3"]
    other = plotting.plot_trajectory(pose, body_parts="part3", colormap="viridis").axes[0].lines[0]
    assert other.get_color() != some.get_color()


def test_a_path_does_not_lead_from_one_file_to_the_next() -> None:
    files = (PoseFile(1, "a", 0, 40, Fraction(30)), PoseFile(2, "b", 40, 20, Fraction(30)))
    pose = make_pose(files=files)
    x = plotting.plot_trajectory(pose).axes[0].lines[0].get_xdata()
    assert np.isnan(x[40])
    assert len(x) == N_FRAMES + 1
    lines = plotting.plot_timeseries(pose, body_parts="part0").axes[0].lines
    assert [len(line.get_xdata()) for line in lines[:2]] == [40, 20]


@pytest.mark.parametrize(
    ("n_parts", "animals"),
    [(1, 1), (4, 1), (4, 3)]
    + [pytest.param(*many, marks=pytest.mark.slow) for many in [(24, 1), (30, 2)]],
)
@pytest.mark.parametrize("plot", [plotting.plot_trajectory, plotting.plot_timeseries])
def test_many_body_parts_stay_readable(plot: Any, n_parts: int, animals: int) -> None:
    pose = make_pose(max(n_parts, 2), ("tim", "tom", "pim")[:animals] if animals > 1 else ("",))
    figure = plot(pose, body_parts=pose.body_parts[:n_parts])
    assert_readable(figure)
    for name in pose.body_parts[:n_parts]:
        assert any(name in text for text in texts_of(figure))
    assert figure.get_figwidth() < 20


def test_a_background_is_a_frame_of_the_video(tmp_path: Path) -> None:
    truth = synthetic.render_video(tmp_path / "v.mp4", 5, width=160, height=120)
    background = plotting.read_background(tmp_path / "v.mp4", 4)
    assert background.shape == (120, 160, 3)
    x, y = truth[4, 0].round().astype(int)
    assert background[y, x].argmax() == 0  # the nose is red
    figure = plotting.plot_trajectory(make_pose(), background=background)
    (ax,) = figure.axes
    assert len(ax.images) == 1
    assert ax.get_ylim() == (119.5, -0.5)
    with pytest.raises(ParameterError, match="no frame 5"):
        plotting.read_background(tmp_path / "v.mp4", 5)


# --- time series ----------------------------------------------------------------------------------


def test_a_time_series_is_in_seconds_with_gaps() -> None:
    pose = make_pose()
    figure = plotting.plot_timeseries(pose, body_parts=["part1"], p_cutoff=0.5)
    x, y, likelihood = figure.axes
    assert np.allclose(x.lines[0].get_xdata(), np.arange(N_FRAMES) / 30)
    assert np.isnan(x.lines[0].get_ydata()).sum() == 10
    assert np.isnan(y.lines[0].get_ydata()).sum() == 10
    assert np.array_equal(likelihood.lines[0].get_ydata(), pose.likelihood[:, 1, 0])
    assert likelihood.lines[1].get_ydata() == [0.5, 0.5]
    assert {"x (px)", "y (px)", "likelihood", "time (s)", "p-cutoff 0.5"} <= set(texts_of(figure))
    assert y.yaxis_inverted()


def test_without_rate_or_likelihood() -> None:
    pose = make_pose(rate=None)
    pose = pose.with_arrays(pose.position, np.full(pose.likelihood.shape, np.nan))
    figure = plotting.plot_timeseries(pose)
    assert {"frame", "these results have no likelihood"} <= set(texts_of(figure))
    assert not np.isnan(figure.axes[0].lines[0].get_ydata()).any()
    render(plotting.plot_timeseries(make_pose(20, rate=None)))


def test_a_long_series_keeps_its_extremes() -> None:
    values = np.zeros(1_000_003)
    values[123_456], values[777_777] = 5, -5
    values[400_000:500_000] = np.nan
    time, thinned = thin_out(np.arange(len(values)), values)
    assert len(time) <= 4000
    assert (np.nanmax(thinned), np.nanmin(thinned)) == (5, -5)
    assert (np.diff(time) >= 0).all()
    assert time[thinned == 5] == 123_456
    assert np.isnan(thinned[(time > 401_000) & (time < 499_000)]).all()
    short = np.arange(10.0)
    assert all(part is short for part in thin_out(short, short))


def test_one_frame_and_nothing_found() -> None:
    one = Pose(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1)), np.arange(1), ("a",), rate=Fraction(30))
    never = make_pose(20)
    never = never.with_arrays(np.full(never.position.shape, np.nan))
    for pose in (one, never):
        for plot in (plotting.plot_trajectory, plotting.plot_timeseries):
            render(plot(pose))


def test_what_stands_still_is_seen() -> None:
    """Corners of an arena, say: a path that leads nowhere."""
    pose = make_pose(2)
    pose.position[:, 0] = 7.0
    still, moving = plotting.plot_trajectory(pose).axes[0].lines[1::2]
    assert (still.get_xdata().tolist(), still.get_ydata().tolist()) == ([7], [7])
    assert not len(moving.get_xdata())


def test_points_between_gaps_are_seen() -> None:
    """A line of one point shows nothing."""
    pose = make_pose(2, rate=None)
    pose.position[[1, 3]] = np.nan  # frames 0 and 2 stand alone
    line, dots = plotting.plot_timeseries(pose, body_parts="part0").axes[0].lines
    assert np.isnan(line.get_ydata()[[1, 3]]).all()
    assert dots.get_xdata().tolist() == [0, 2]
    assert np.array_equal(dots.get_ydata(), pose.position[[0, 2], 0, 0, 0])
    one = Pose(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1)), np.arange(1), ("a",), rate=Fraction(30))
    assert plotting.plot_timeseries(one).axes[2].get_xlim() == (-0.5, 0.5)


@pytest.mark.parametrize("plot", [plotting.plot_trajectory, plotting.plot_timeseries])
def test_bad_input_is_a_sentence(plot: Any) -> None:
    with pytest.raises(QueryError, match=r"no body part 'prt1'. Did you mean 'part1'"):
        plot(make_pose(), body_parts="prt1")
    with pytest.raises(ParameterError, match="p_cutoff is 2"):
        plot(make_pose(), p_cutoff=2)
    with pytest.raises(ParameterError, match=r"p_cutoff is '0\.6'"):
        plot(make_pose(), p_cutoff="0.6")
    with pytest.raises(ParameterError, match="Give the pose itself, not its key"):
        plot({"recording_id": 1})
    with pytest.raises(ParameterError, match="no colormap 'rainbw'"):
        plot(make_pose(), colormap="rainbw")
    empty = Pose(np.ones((0, 1, 1, 2)), np.ones((0, 1, 1)), np.arange(0), ("a",))
    with pytest.raises(ResultError, match="no frames"):
        plot(empty)


# --- trainings, evaluations, verdicts -------------------------------------------------------------


def test_a_learning_curve_of_each_engine() -> None:
    steps = np.arange(1, 9)
    tested = np.where(steps % 4 == 0, 2.0, np.nan)
    torch = LearningCurve(
        steps, {"losses/train.total_loss": 1.0 / steps, "metrics/test.rmse": tested}
    )
    loss, error = plotting.plot_learning_curve(torch, snapshot=8).axes
    assert loss.get_yscale() == "log"
    assert np.array_equal(loss.lines[0].get_ydata(), 1.0 / steps)
    assert error.lines[0].get_xdata().tolist() == [4, 8]
    assert (loss.get_xlabel(), error.get_ylabel()) == ("epoch", "mean distance to the labels (px)")

    columns = {"losses/train.total_loss": 1.0 / steps, "learning_rate": np.full(8, 0.005)}
    tensorflow = plotting.plot_learning_curve(LearningCurve(1000 * steps, columns))
    assert tensorflow.axes[0].get_xlabel() == "iteration"
    assert tensorflow.axes[1].get_ylabel() == "learning rate (no unit)"
    assert_readable(tensorflow)

    with pytest.raises(ResultError, match="holds no loss"):
        plotting.plot_learning_curve(LearningCurve(np.array([], int), {}))


def errors(n_parts: int) -> list[dict[str, Any]]:
    return [
        {
            "body_part": f"part{number}",
            "train_error": 1.0 + number,
            "test_error": None if number == 1 else 2.0 + number,
            "train_error_p": 0.5 + number,
            "test_error_p": None,
        }
        for number in range(n_parts)
    ]


@pytest.mark.parametrize("n_parts", [1, 4, 25])
def test_an_evaluation_has_a_bar_per_error(n_parts: int) -> None:
    overall = {"train_error": 3.0, "test_error": 4.0, "train_error_p": 2.0, "p_cutoff": 0.6}
    figure = plotting.plot_evaluation(errors(n_parts), overall=overall)
    (ax,) = figure.axes
    train, test = ([bar.get_width() for bar in bars] for bars in ax.containers)
    assert train == [*(1.0 + number for number in range(n_parts)), 3.0]
    assert np.isnan(test[1]) if n_parts > 1 else test == [2.0, 4.0]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [*(f"part{number}" for number in range(n_parts)), "all body parts"]
    assert ax.get_xlabel() == "mean distance to the labels (px)"
    assert "likelihood above p-cutoff 0.6" in texts_of(figure)
    assert_readable(figure)
    with pytest.raises(ResultError, match="Populate ModelEvaluation"):
        plotting.plot_evaluation([])


@pytest.mark.parametrize("n_parts", [1, 4, 25])
def test_a_verdict_is_in_colour_and_words(n_parts: int) -> None:
    verdicts = ("PASS", "WARN", "FAIL")
    rows = [
        {
            "individual": "", "body_part": f"part{number}", "share_above_cutoff": 0.25,
            "longest_gap_frames": 7, "longest_gap": None, "jump_rate": 0.0,
            "out_of_frame_share": 0.5, "limb_outlier_share": None,
            "part_verdict": verdicts[number % 3],
        }
        for number in range(n_parts)
    ]  # fmt: skip
    verdict = {"verdict": "FAIL", "reason": "part2 is lost " * 30}
    figure = plotting.plot_quality(rows, verdict=verdict)
    shown = texts_of(figure)
    assert {"25 %", "7 frames", "0 %", "50 %", "not known"} <= set(shown)
    assert any(text.startswith("FAIL  part2 is lost") for text in shown)
    assert_readable(figure)
    with pytest.raises(ResultError, match="Populate PoseQuality"):
        plotting.plot_quality([])


# --- manners --------------------------------------------------------------------------------------


def test_nothing_global_is_touched_and_imports_are_light() -> None:
    script = (
        "import sys, element_deeplabcut.plotting as plotting, element_deeplabcut.drawing\n"
        "import matplotlib; before = dict(matplotlib.rcParams)\n"
        "from tests.element.plotting.test_plots import make_pose, render\n"
        "import matplotlib.pyplot as plt\n"
        "render(plotting.plot_timeseries(make_pose()))\n"
        "assert plt.get_fignums() == [] and dict(matplotlib.rcParams) == before\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.style"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SetupError, match=r"element-deeplabcut\[analysis\]"):
        plotting.plot_trajectory(make_pose())
    assert name_colors(("a", "b"), "rainbow")  # a labeled video does not need it


def test_a_notebook_shows_figures() -> None:
    """As IPython displays what stands on the last line of a cell; pyplot draws nothing."""
    code = (
        "from IPython.core.formatters import DisplayFormatter\n"
        "from tests.element.plotting.test_plots import make_pose\n"
        "from element_deeplabcut import plotting\n"
        "figure = plotting.plot_trajectory(make_pose())\n"
        "shown, _ = DisplayFormatter().format(figure)\n"
        "print(shown['image/png'][1:4])\n"
    )
    root = Path(__file__).parents[3]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert result.stdout == "b'PNG'\n", result.stderr

"""Benchmarks run, compare what both sides left, and write what they measured. Nothing is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import write_results
from benchmarks.rows import Row
from benchmarks.scaling import SIZES, describe
from benchmarks.tables import list_rows, update_docs
from benchmarks.timing import insist, run_race

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.mark.slow
def test_every_topic_without_deeplabcut_runs_and_writes_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    topics = ("loading", "memory", "reading", "limits", "imports", "dispatch")
    run("benchmarks", "--quick", "--only", *topics, "--json", str(file))
    rows = json.loads(file.read_text())
    assert {"load 20 x 2000, wall", "load 20 x 2000, cpu", "load 20 x 20000, extra memory",
            "trajectory back, 20 x 2000", "trajectory back, 20 x 20000",
            "1000 frames of one part out of 20000", "longest recording at 16 MB",
            "import element_deeplabcut", "import workflow_deeplabcut.cli",
            "next job of 1000", "trivial jobs"} <= rows.keys()  # fmt: skip
    for row in rows.values():
        assert 0 < row["low"] <= row["ratio"] <= row["high"]
        assert row["goal"] > 0
    assert rows["longest recording at 16 MB"]["ratio"] <= 1  # no matter of time


@pytest.mark.dlc
def test_labeled_videos_of_both_sides_are_compared(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    run("benchmarks", "--quick", "--only", "video", "--json", str(file))
    assert json.loads(file.read_text()).keys() == {"labeled video", "labeled video, skeleton"}


@pytest.mark.slow
def test_every_axis_grows() -> None:
    printed = run("benchmarks.scaling", "--quick", "--no-docs")
    assert printed.count("| why |") == len(SIZES)
    for work in ("load a result", "trajectory back", "queue one more", "trivial jobs per second"):
        assert f"| {work}" in printed


# --- the machinery --------------------------------------------------------------------------------


def test_the_two_sides_take_turns_and_a_first_round_does_not_count() -> None:
    order = []
    race = run_race(
        lambda n: order.append(f"ours {n}"),
        lambda n: order.append(f"theirs {n}"),
        lambda ours, theirs: None,
        repeats=2,
    )
    assert order == ["ours 0", "theirs 0", "theirs 1", "ours 1", "ours 2", "theirs 2"]
    assert len(race.divide("wall")) == len(race.divide("cpu")) == 2


def test_unequal_results_have_no_time() -> None:
    with pytest.raises(RuntimeError, match="Numbers differ; no time is printed"):
        run_race(
            lambda n: n, lambda n: n + 1, lambda a, b: insist(a == b, "Numbers differ"), repeats=1
        )


def test_a_row_is_the_median_with_its_spread() -> None:
    row = Row.of("work", [3.0, 1.0, 2.0], goal=2)
    assert (row.low, row.ratio, row.high) == (1, 2, 3)
    assert row.is_met
    assert not Row.of("work", [2.1], goal=2).is_met
    assert list_rows([row])[-1] == "| work | 1.00 / **2.00** / 3.00 | 2 | yes |  |"


def test_results_of_other_topics_stay(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    write_results(file, [Row.of("one", [1], 2)], replace=False)
    write_results(file, [Row.of("two", [0.12345], 2, "note")], replace=False)
    assert json.loads(file.read_text()) == {
        "one": {"ratio": 1, "goal": 2, "low": 1, "high": 1, "note": ""},
        "two": {"ratio": 0.1235, "goal": 2, "low": 0.1235, "high": 0.1235, "note": "note"},
    }
    write_results(file, [Row.of("three", [1], 2)], replace=True)
    assert json.loads(file.read_text()).keys() == {"three"}


def test_a_table_replaces_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "speed.md"
    file.write_text("a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n")
    for _ in range(2):
        update_docs("x", ["new", "lines"], file)
    assert file.read_text() == "a\n<!-- begin: x -->\n\nnew\nlines\n\n<!-- end: x -->\nb\n"
    with pytest.raises(ValueError, match="no '<!-- begin: y -->'"):
        update_docs("y", [], file)


def test_docs_have_a_place_for_both_tables(tmp_path: Path) -> None:
    copy = tmp_path / "speed.md"
    copy.write_text((ROOT / "docs" / "speed.md").read_text())
    for name in ("goals", "scaling"):
        update_docs(name, ["here"], copy)
    assert copy.read_text().count("here") >= 2


@pytest.mark.parametrize(
    ("before", "after", "shape"),
    [
        (1.0, 1.1, "constant"),
        (2.0, 6.0, "less than linear"),
        (1.0, 10.0, "linear"),
        (1.0, 100.0, "worse than linear"),
    ],
)
def test_a_shape_is_named_by_its_exponent(before: float, after: float, shape: str) -> None:
    assert describe([(10, {"work": before}), (100, {"work": after})], "work") == shape

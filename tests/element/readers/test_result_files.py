"""Choosing the result of one video among many files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import ResultError
from element_deeplabcut.readers.result_files import ResultFiles, Wanted, choose_result

TF = "DLC_resnet50_openfieldOct30shuffle1_1000"
LEGACY = "DeepCut_resnet50_openfieldOct30shuffle1_1000"


def choose(names: list[str], wanted: Wanted, cameras: dict[str, str] | None = None) -> ResultFiles:
    return choose_result(names, wanted, "results", lambda name: cameras or {})


def test_h5_before_csv_and_notes_of_either_name() -> None:
    names = [f"a{TF}.csv", f"a{TF}.h5", f"a{TF}includingmetadata.pickle"]
    assert choose(names, Wanted("a", TF)) == ResultFiles(
        f"a{TF}.h5", f"a{TF}includingmetadata.pickle", TF
    )
    assert choose(names[:1], Wanted("a", TF)).pose == f"a{TF}.csv"


@pytest.mark.parametrize("other", [
    f"ab{TF}.h5", f"a{TF}0.h5", f"a{TF}_filtered.h5", f"a{TF}_skeleton.h5", f"a{TF}_el.h5",
    f"aDLC_x{TF}.h5", f"A{TF}.h5", f"a{TF}.h5.bak", f"a{TF}_full.pickle",
])  # fmt: skip
def test_the_whole_name_must_fit(other: str) -> None:
    with pytest.raises(ResultError, match="holds no result"):
        choose([other], Wanted("a", TF))


def test_the_legacy_scorer_is_the_one_the_table_must_bear() -> None:
    """Only the beginning differed; a task may hold DLC itself."""
    scorer = TF.replace("openfield", "DLCtest")
    wanted = Wanted("a", scorer)
    assert wanted.scorers[1] == LEGACY.replace("openfield", "DLCtest")
    assert choose([f"a{wanted.scorers[1]}.h5"], wanted).scorer == wanted.scorers[1]


@pytest.mark.parametrize(("present", "filtered", "hint"), [
    (f"a{TF}_filtered.h5", False, "ask for it with {'filtered': True}"),
    (f"a{TF}.h5", True, "leave out filtered"),
])  # fmt: skip
def test_the_other_kind_is_hinted_at(present: str, filtered: bool, hint: str) -> None:
    with pytest.raises(ResultError, match=hint):
        choose([present], Wanted("a", TF, filtered=filtered))


def test_detections_that_were_never_tracked_are_hinted_at() -> None:
    with pytest.raises(ResultError, match="tracking"):
        choose([f"a{TF}_full.pickle"], Wanted("a", TF, multi_animal=True))


def test_two_trackers_are_ambiguous_unless_the_config_prefers_one() -> None:
    names = [f"a{TF}_el.h5", f"a{TF}_bx.h5", f"a{TF}.h5"]
    with pytest.raises(ResultError, match="Several results"):
        choose(names, Wanted("a", TF, multi_animal=True))
    assert choose(names, Wanted("a", TF, True, "box")).tracker == "_bx"
    assert choose(names[2:], Wanted("a", TF, True, "box")).tracker == ""


@pytest.mark.parametrize(("stem", "pose"), [
    ("trial1_camera-1", "trial1_DLC_3D.h5"), ("camera-1_trial1", "trial1_DLC_3D.h5"),
    ("day2_camera-1_trial1", "day2_trial1_DLC_3D.h5"),
])  # fmt: skip
def test_triangulations_are_named_without_the_camera(stem: str, pose: str) -> None:
    names = [pose, pose.replace(".h5", "_meta.pickle"), "other_DLC_3D.h5"]
    found = choose(names, Wanted(stem, TF), {"camera-1": TF, "camera-2": "DLC_x"})
    assert (found.pose, found.scorer, found.three_d) == (pose, "DLC_3D", True)
    with pytest.raises(ResultError):
        choose(names, Wanted(stem, TF), {"camera-1": "DLC_x"})


@given(st.sets(st.text("aDLC_10", min_size=1, max_size=12), min_size=1, max_size=12))
def test_no_stem_gets_the_result_of_another(stems: set[str]) -> None:
    scorers = ("DLC_1", "DLC_10", "DLC_1_DLC_1")
    owner: dict[str, set[tuple[str, str]]] = {}
    for stem in stems:
        for scorer in scorers:
            owner.setdefault(f"{stem}{scorer}.h5", set()).add((stem, scorer))
    for stem in stems:
        for scorer in scorers:
            found = choose(list(owner), Wanted(stem, scorer))
            assert (stem, found.scorer) in owner[found.pose]

from __future__ import annotations

import copy
import fractions
import importlib
import inspect
import random
import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import ParameterError
from element_deeplabcut.params import (
    INFERENCE,
    TRAINING,
    canonicalize,
    check_engine_honours,
    check_inference_params,
    check_training_params,
    engine_arguments,
    hash_params,
    split_config,
)
from element_deeplabcut.readers.yaml_files import read_yaml
from element_deeplabcut.vocabulary import FORBIDDEN_UPDATES

LEAST = {"shuffle": 1, "trainingsetindex": 0}


# ---- hashing ---------------------------------------------------------------------------------


def test_values_that_look_alike_have_different_hashes():
    look_alikes = [
        1,
        1.0,
        True,
        "1",
        "1.0",
        "True",
        "true",
        [1],
        {"1": 1},
        None,
        "null",
        "",
        [],
        {},
    ]
    hashes = {hash_params({"x": value}) for value in look_alikes}
    assert len(hashes) == len(look_alikes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"ab": "c"}, {"a": "bc"}),
        ({"a": "b", "c": "d"}, {"a": "b,c:d"}),
        ({"a": {"b": 1}}, {"a": 1, "b": 1}),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": 1, "c": 1}}),
        ({"a": [1, [2]]}, {"a": [[1], 2]}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": None}, {}),
        ({"a": '"'}, {"a": '\\"'}),
    ],
)
def test_different_structures_have_different_hashes(one, other):
    assert hash_params(one) != hash_params(other)


def test_the_hash_is_a_uuid_that_does_not_depend_on_key_order():
    one = {"shuffle": 1, "nested": {"a": 1, "b": [1, {"x": 0, "y": 1}]}}
    other = {"nested": {"b": [1, {"y": 1, "x": 0}], "a": 1}, "shuffle": 1}
    assert isinstance(hash_params(one), uuid.UUID)
    assert hash_params(one) == hash_params(other)


def test_the_hash_stays_what_it_was():
    # Rows of older versions hold this value: SHA-256 of {"shuffle":1,"trainingsetindex":0}.
    assert str(hash_params(LEAST)) == "35cead9b-8468-bf96-b09c-58a84e8c4b3b"


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.sampled_from([0.0, -0.0, 1.0, 2.0, 0.5])
    | st.sampled_from(["", "0", "1", "1.0", "a", "b", "ab", "true", "null", "é", '"', "\\"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "ab", "1", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)


def typed(value):
    """A form in which two values are equal if their types and contents are."""
    if isinstance(value, dict):
        return ("dict", tuple(sorted((key, typed(item)) for key, item in value.items())))
    if isinstance(value, list):
        return ("list", tuple(typed(item) for item in value))
    return (type(value).__name__, repr(value))


@given(st.dictionaries(st.sampled_from("ab"), PLAIN), st.dictionaries(st.sampled_from("ab"), PLAIN))
def test_hashes_are_equal_exactly_when_canonical_forms_are(one, other):
    same = typed(canonicalize(one)) == typed(canonicalize(other))
    assert (hash_params(one) == hash_params(other)) == same


@given(PLAIN, st.randoms(use_true_random=False))
def test_key_order_and_tuples_change_no_hash(value, order):
    assert hash_params({"x": disguise(value, order)}) == hash_params({"x": value})


def disguise(value, order: random.Random):
    if isinstance(value, dict):
        items = [(key, disguise(item, order)) for key, item in value.items()]
        order.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return tuple(disguise(item, order) for item in value)
    return np.array(value)[()] if isinstance(value, (bool, float)) else value


# ---- canonical form --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.array(2), 2),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([True, False]), [True, False]),
        ((1, (2, 3)), [1, [2, 3]]),
        (fractions.Fraction(1, 4), 0.25),
        ({"a": (np.int8(1),)}, {"a": [1]}),
    ],
)
def test_values_become_plain(value, expected):
    assert typed(canonicalize(value)) == typed(expected)


@given(PLAIN)
def test_plain_values_stay_what_they_are(value):
    assert typed(canonicalize(value)) == typed(value)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (np.float32("-inf"), "finite"),
        (np.array([1.0, np.nan]), "finite"),
        ({"a": {"b": float("nan")}}, r"value\.a\.b"),
        ({1: "a"}, "keys must be texts"),
        ({"a": {None: 1}}, "keys must be texts"),
        ({1, 2}, "set"),
        (b"bytes", "bytes"),
        (object(), "object"),
        (1 + 2j, "complex"),
        (np.datetime64("2026-01-01"), "date"),
    ],
)
def test_values_without_a_plain_form_are_refused(value, sentence):
    with pytest.raises(ParameterError, match=sentence):
        canonicalize(value)


# ---- training parameters ---------------------------------------------------------------------


def test_the_callers_dictionary_is_never_changed():
    given_params = {
        "shuffle": np.int64(1),
        "trainingset_index": 0,
        "displayiters": 10.0,
        "pytorch_cfg_updates": {"data": {"affine": (0.9, 1.1)}, "x": np.array([1, 2])},
    }
    before = copy.deepcopy(given_params)
    checked = check_training_params(given_params)
    checked["pytorch_cfg_updates"]["data"]["affine"].append("changed")
    checked["pytorch_cfg_updates"]["x"].append("changed")
    assert list(given_params) == list(before)
    np.testing.assert_equal(given_params, before)
    assert type(given_params["pytorch_cfg_updates"]["data"]["affine"]) is tuple


@pytest.mark.parametrize("name", ["shuffle", "trainingsetindex"])
def test_required_names(name):
    params = {key: value for key, value in LEAST.items() if key != name}
    with pytest.raises(ParameterError, match=f"lack '{name}'"):
        check_training_params(params)


def test_all_missing_names_are_said_at_once():
    with pytest.raises(ParameterError, match="'shuffle' and 'trainingsetindex'"):
        check_training_params({})


@pytest.mark.parametrize(
    ("given_name", "near"),
    [("epoch", "epochs"), ("batchsizes", "batch_size"), ("nettype", "net_type"),
     ("shufle", "shuffle"), ("Epochs", "epochs")],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest_known_one(given_name, near):
    with pytest.raises(ParameterError, match=f"'{given_name}'.*Did you mean '{near}'"):
        check_training_params({**LEAST, given_name: 1})


@pytest.mark.parametrize("name", ["zzz", 7, None])
def test_a_name_like_no_other_is_refused_with_the_list(name):
    with pytest.raises(ParameterError, match=r"Known names: augmenter_type, .*trainingsetindex"):
        check_training_params({**LEAST, name: 1})


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("displayiters", "display_iters", 100),
        ("maxiters", "max_iters", 200),
        ("saveiters", "save_iters", 50),
        ("Shuffle", "shuffle", 1),
        ("trainingset_index", "trainingsetindex", 0),
        ("default_net_type", "net_type", "resnet_50"),
        ("default_augmenter", "augmenter_type", "albumentations"),
    ],
)
def test_old_spellings_mean_the_same(old, new, value):
    base = {key: item for key, item in LEAST.items() if key != new}
    checked = check_training_params({**base, old: value})
    assert checked == {**LEAST, new: value}
    assert hash_params(checked) == hash_params(check_training_params({**LEAST, new: value}))


def test_two_spellings_may_agree_but_not_contradict():
    assert (
        check_training_params({**LEAST, "displayiters": 5, "display_iters": 5})["display_iters"]
        == 5
    )
    for names in (("displayiters", "display_iters"), ("display_iters", "displayiters")):
        with pytest.raises(ParameterError, match="one parameter with two values"):
            check_training_params({**LEAST, names[0]: 5, names[1]: 6})


@pytest.mark.parametrize("name", ["device", "gputouse"])
def test_the_device_is_no_parameter(name):
    for check, base in ((check_training_params, LEAST), (check_inference_params, {})):
        with pytest.raises(ParameterError, match=rf"'{name}'.*populate\(make_kwargs"):
            check({**base, name: 0})


@pytest.mark.parametrize("name", sorted(TRAINING.refused))
def test_every_refused_training_name_says_where_it_belongs(name):
    with pytest.raises(ParameterError) as caught:
        check_training_params({**LEAST, name: "x"})
    assert TRAINING.refused[name] in str(caught.value)


@pytest.mark.parametrize(
    ("engine", "name", "value"),
    [("pytorch", "max_iters", 10), ("pytorch", "save_iters", 10), ("tensorflow", "epochs", 10),
     ("tensorflow", "batch_size", 8), ("tensorflow", "pytorch_cfg_updates", {"a": 1})],
)  # fmt: skip
def test_a_parameter_that_the_engine_cannot_honour_is_refused_by_name(engine, name, value):
    checked = check_training_params({**LEAST, name: value})  # no engine yet: nothing to refuse
    with pytest.raises(ParameterError, match=f"{engine} engine cannot honour {name}"):
        check_engine_honours(checked, engine)
    with pytest.raises(ParameterError, match=f"{engine} engine cannot honour {name}"):
        check_training_params({**LEAST, "engine": engine, name: value})


def test_the_engine_is_one_that_exists():
    assert check_training_params({**LEAST, "engine": "PyTorch"})["engine"] == "pytorch"
    with pytest.raises(ParameterError, match="one of pytorch, tensorflow"):
        check_training_params({**LEAST, "engine": "jax"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shuffle", "1"),
        ("shuffle", True),
        ("shuffle", -1),
        ("shuffle", 1.5),
        ("shuffle", None),
        ("shuffle", [1]),
        ("trainingsetindex", -1),
        ("epochs", 0),
        ("epochs", float("nan")),
        ("batch_size", 2.5),
        ("seed", 2**32),
        ("load_head_weights", 1),
        ("net_type", ""),
        ("net_type", 50),
        ("init_weights", " "),
        ("pytorch_cfg_updates", "a=1"),
        ("pytorch_cfg_updates", {1: 2}),
        ("pytorch_cfg_updates", {"a": float("inf")}),
    ],
)
def test_values_of_the_wrong_kind_are_refused_by_name(name, value):
    with pytest.raises(ParameterError, match=name):
        check_training_params({**LEAST, name: value})


def test_whole_numbers_are_stored_as_integers():
    checked = check_training_params({**LEAST, "epochs": 12.0, "batch_size": np.int32(4)})
    assert (checked["epochs"], type(checked["epochs"])) == (12, int)
    assert (checked["batch_size"], type(checked["batch_size"])) == (4, int)


def test_parameters_that_are_no_dictionary_are_refused():
    for wrong in ([("shuffle", 1)], "shuffle", 5, None):
        with pytest.raises(ParameterError, match="dictionary"):
            check_training_params(wrong)


@pytest.mark.parametrize(
    ("given_weights", "stored"),
    [("Random", "random"), ("PRETRAINED", "pretrained"), ("Models/Snap-1.pt", "Models/Snap-1.pt")],
)
def test_starting_weights(given_weights, stored):
    assert check_training_params({**LEAST, "init_weights": given_weights})["init_weights"] == stored


@pytest.mark.parametrize("path", sorted(FORBIDDEN_UPDATES["pytorch_cfg_updates"]))
@pytest.mark.parametrize("form", ["dotted", "nested", "mixed", "below"])
def test_updates_of_the_engine_config_that_reach_too_far_are_refused(path, form):
    *parents, last = path.split(".")
    if form == "below":
        updates = {f"{path}.snapshot_path": "x"}
    elif form == "dotted":
        updates = {path: False}
    elif form == "nested":
        updates = {last: False}
        for parent in reversed(parents):
            updates = {parent: updates}
    else:
        updates = {".".join(parents) or last: {last: False} if parents else {"x": 1}}
    with pytest.raises(ParameterError, match="pytorch_cfg_updates may not set"):
        check_training_params({**LEAST, "pytorch_cfg_updates": updates})


def test_other_updates_of_the_engine_config_are_kept():
    updates = {"runner.device_count": 1, "metadata_note": "x", "model.backbone": {"device": "x"}}
    checked = check_training_params({**LEAST, "pytorch_cfg_updates": updates})
    assert checked["pytorch_cfg_updates"] == updates


# ---- a whole config.yaml ---------------------------------------------------------------------

CONFIG = {
    "Task": "open",
    "scorer": "ann",
    "date": "Jan1",
    "project_path": "/data/open",
    "video_sets": {},
    "bodyparts": ["nose"],
    "TrainingFraction": [0.8],
    "batch_size": 8,  # of analyses
    "snapshotindex": -1,
    "default_net_type": "resnet_50",
    "default_augmenter": "default",
    "cropping": False,
    "identity": None,
}


def test_a_whole_config_with_parameters_in_it_is_set_apart():
    parameters, described = split_config({**CONFIG, **LEAST, "epochs": 5})
    assert parameters == {**LEAST, "epochs": 5, "default_net_type": "resnet_50"}
    assert described == {name: CONFIG[name] for name in CONFIG if name != "default_net_type"}
    assert check_training_params({**CONFIG, **LEAST, "epochs": 5}) == {
        **LEAST, "epochs": 5, "net_type": "resnet_50"
    }  # fmt: skip


def test_parameters_alone_are_no_config():
    given_params = {**LEAST, "batch_size": 4}
    assert split_config(given_params) == (given_params, {})


def test_a_config_does_not_hide_unknown_or_missing_names():
    with pytest.raises(ParameterError, match="lack 'shuffle'"):
        check_training_params(CONFIG)
    with pytest.raises(ParameterError, match=r"'epoch'.*Did you mean 'epochs'"):
        check_training_params({**CONFIG, **LEAST, "epoch": 5})


def test_a_whole_config_is_left_unchanged():
    given_params = {**CONFIG, **LEAST}
    before = copy.deepcopy(given_params)
    check_training_params(given_params)
    assert given_params == before


# ---- pose estimation parameters --------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, {}, {"analyze_videos": {}}])
def test_no_parameters_are_fine(nothing):
    assert check_inference_params(nothing) == {}


def test_flat_and_nested_forms_mean_the_same():
    flat = {"batchsize": 4, "cropping": (0, 10, 0, 20)}
    assert check_inference_params(flat) == {"batch_size": 4, "cropping": [0, 10, 0, 20]}
    assert check_inference_params({"analyze_videos": flat}) == check_inference_params(flat)


def test_a_mixture_of_flat_and_nested_is_refused():
    with pytest.raises(ParameterError, match="batch_size beside 'analyze_videos'"):
        check_inference_params({"analyze_videos": {}, "batch_size": 4})


@pytest.mark.parametrize("wrong", [[1, 2], "cropping", {"analyze_videos": None}, 5])
def test_pose_estimation_parameters_that_are_no_dictionary_are_refused(wrong):
    with pytest.raises(ParameterError):
        check_inference_params(wrong)


@pytest.mark.parametrize("crop", [[0, 100, 0, 50], (0, 100, 0, 50), np.array([0, 100, 0, 50])])
def test_a_crop_is_stored_as_four_integers(crop):
    assert typed(check_inference_params({"cropping": crop})["cropping"]) == typed([0, 100, 0, 50])


@pytest.mark.parametrize(
    "crop",
    [
        True,
        100,
        "0, 100, 0, 50",
        [0, 100, 0],
        [0, 100, 0, 50, 1],
        [100, 0, 0, 50],
        [0, 100, 50, 50],
        [-1, 100, 0, 50],
        [0, 100.5, 0, 50],
        [0, "100", 0, 50],
        [False, True, 0, 50],
    ],
)
def test_an_impossible_crop_is_refused(crop):
    with pytest.raises(ParameterError, match=r"cropping.*\[x1, x2, y1, y2\]"):
        check_inference_params({"cropping": crop})


def test_dynamic_cropping_is_stored_in_plain_types():
    checked = check_inference_params({"dynamic": (True, 1, np.int64(10))})
    assert typed(checked["dynamic"]) == typed([True, 1.0, 10])


@pytest.mark.parametrize(
    "dynamic",
    [True, [True], [True, 0.5], [1, 0.5, 10], [True, 1.5, 10], [True, -0.1, 10],
     [True, True, 10], [True, "0.5", 10], [True, 0.5, -1], [True, 0.5, 1.5]],
)  # fmt: skip
def test_impossible_dynamic_cropping_is_refused(dynamic):
    with pytest.raises(ParameterError, match="dynamic"):
        check_inference_params({"dynamic": dynamic})


@pytest.mark.parametrize("name", sorted(INFERENCE.refused))
def test_every_refused_inference_name_says_where_it_belongs(name):
    with pytest.raises(ParameterError) as caught:
        check_inference_params({name: "x"})
    assert INFERENCE.refused[name] in str(caught.value)


# ---- the engines' own names ------------------------------------------------------------------


def test_arguments_of_an_engine_leave_out_what_this_package_does_itself():
    checked = check_training_params(
        {**LEAST, "engine": "pytorch", "init_weights": "random", "seed": 1, "epochs": 3}
    )
    assert engine_arguments(checked, "pytorch", TRAINING) == {**LEAST, "epochs": 3}


@pytest.mark.parametrize("vocabulary", [TRAINING, INFERENCE], ids=lambda v: v.what)
def test_no_spelling_means_two_parameters(vocabulary):
    spellings = [
        name for key, item in vocabulary.parameters.items() for name in (key, *item.old_names)
    ]
    assert len(spellings) == len(set(spellings))
    assert not set(spellings) & set(vocabulary.refused)


SET_IN_POSE_CFG = {"batch_size", "pose_cfg_updates"}
"""Arguments that the TensorFlow engine takes from its settings file, not from its function."""


@pytest.mark.dlc
@pytest.mark.parametrize(
    ("vocabulary", "engine", "module", "function"),
    [
        (TRAINING, "pytorch", "pose_estimation_pytorch.apis", "train_network"),
        (INFERENCE, "pytorch", "pose_estimation_pytorch.apis", "analyze_videos"),
        (TRAINING, "tensorflow", "pose_estimation_tensorflow.training", "train_network"),
        (INFERENCE, "tensorflow", "pose_estimation_tensorflow.predict_videos", "analyze_videos"),
    ],
)
def test_every_argument_exists_in_deeplabcut(vocabulary, engine, module, function):
    real = inspect.signature(getattr(importlib.import_module(f"deeplabcut.{module}"), function))
    named = {name for name, item in real.parameters.items() if item.kind is not item.VAR_KEYWORD}
    ours = {item.arguments.get(engine) for item in vocabulary.parameters.values()} - {None, ""}
    assert ours
    if engine == "tensorflow" and vocabulary is TRAINING:
        ours -= SET_IN_POSE_CFG
    assert ours <= named


@pytest.mark.dlc
def test_the_entries_of_pose_cfg_that_may_not_be_changed_exist():
    import deeplabcut
    from deeplabcut.pose_estimation_tensorflow.default_config import cfg

    template = Path(deeplabcut.__file__).parent / "pose_cfg.yaml"
    known = {*cfg, *read_yaml(template), "engine"}
    assert {*FORBIDDEN_UPDATES["pose_cfg_updates"], "batch_size"} <= known

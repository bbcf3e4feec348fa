"""Jobs of one model are taken together, and no other waits for long."""

from __future__ import annotations

import itertools
import random
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from workflow_deeplabcut.worker.affinity import IN_A_ROW, Affinity


def keys(models):
    return deque({"recording_id": i, "model_name": name} for i, name in enumerate(models))


def take_all(batch):
    affinity, taken = Affinity(), []
    while batch:
        key = affinity.pop(batch)
        affinity.remember(key)
        taken.append(key)
    return taken


def test_interleaved_models_are_taken_one_after_the_other():
    names = [key["model_name"] for key in take_all(keys("abcabcabc"))]
    assert "".join(names) == "aaabbbccc"


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_every_key_is_taken_once(models):
    taken = take_all(keys(models))
    assert sorted(key["recording_id"] for key in taken) == list(range(len(models)))


def test_an_endless_supply_of_one_model_does_not_starve_another():
    affinity, batch = Affinity(), keys("ba")
    affinity.remember({"model_name": "a"})
    for turn in range(IN_A_ROW + 1):
        key = affinity.pop(batch)
        affinity.remember(key)
        if key["model_name"] == "b":
            break
        batch.append({"recording_id": 100 + turn, "model_name": "a"})
    assert key["model_name"] == "b"
    assert turn == IN_A_ROW


def test_shuffled_batches_of_an_endless_supply_starve_nobody():
    """A long queue: each job takes so long that a batch is read anew, and each one is shuffled."""
    chance, affinity = random.Random(5), Affinity()
    affinity.remember({"model_name": "a"})
    taken = []
    for _ in range(400):
        names = list("a" * 30 + "b" * 20)
        chance.shuffle(names)
        key = affinity.pop(keys(names))
        affinity.remember(key)
        taken.append(key["model_name"])
    assert taken.count("b") > 100
    switches = sum(one != other for one, other in itertools.pairwise(taken))
    assert switches <= 400 // IN_A_ROW


def test_keys_without_a_model_are_taken_in_turn():
    batch = deque({"task": number} for number in range(5))
    assert [key["task"] for key in take_all(batch)] == [0, 1, 2, 3, 4]

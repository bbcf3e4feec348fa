"""Reading ahead in a thread changes when things happen, and nothing else."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.engines.reading_ahead import read_ahead
from element_deeplabcut.errors import Stopped
from element_deeplabcut.interruption import check_interruption, interruptible


@given(st.lists(st.one_of(st.none(), st.integers(), st.just([]))))
def test_everything_arrives_once_and_in_order(items):
    with read_ahead(iter(items)) as ahead:
        assert list(ahead) == items


def test_what_fails_in_the_thread_is_raised_after_what_was_read():
    def source():
        yield 1
        raise ValueError("damaged")

    with read_ahead(source()) as ahead:
        assert next(ahead) == 1
        with pytest.raises(ValueError, match="damaged"):
            next(ahead)


def test_the_thread_ends_with_the_block():
    def source():
        while True:
            yield 0

    before = threading.active_count()
    with read_ahead(source()) as ahead:
        next(ahead)
    assert threading.active_count() == before


def test_little_is_read_ahead():
    n_read = []

    def source():
        for number in range(1000):
            n_read.append(number)
            yield number

    with read_ahead(source()) as ahead:
        next(ahead)
        time.sleep(0.2)
        assert len(n_read) <= 4


def test_work_is_interrupted_in_the_thread_too():
    def stop():
        raise Stopped("The worker has to end.")

    def source():
        check_interruption()
        yield 1

    with interruptible(stop), read_ahead(source()) as ahead, pytest.raises(Stopped):
        next(ahead)

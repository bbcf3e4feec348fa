"""Engines in forked processes, as of `populate(processes=2)`; see also test_fast_inference."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest

from element_deeplabcut.engines import tensorflow as engine
from element_deeplabcut.errors import EngineError


def compute() -> None:
    with engine._fresh_graph("cpu"):
        import tensorflow as tf

        with tf.compat.v1.Session() as session:
            values = tf.random.normal((200, 200))
            session.run(tf.matmul(values, values))


def compute_and_tell(said: Any) -> None:
    try:
        compute()
    except EngineError as error:
        said.put(str(error))
    else:
        said.put("")


def compute_in_fork() -> str:
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    child = context.Process(target=compute_and_tell, args=(said,))
    child.start()
    child.join(30)
    if child.is_alive():
        child.kill()
        pytest.fail("the child waits for threads that are not there")
    return str(said.get())


def run_twice(said: Any) -> None:
    """A process of its own: others of this test run may have computed, or want to fork."""
    said.put(compute_in_fork())
    compute()
    said.put(compute_in_fork())


@pytest.mark.dlc
@pytest.mark.slow
def test_tensorflow_refuses_a_fork_of_a_process_that_has_computed() -> None:
    context = multiprocessing.get_context("spawn")
    said = context.SimpleQueue()
    process = context.Process(target=run_twice, args=(said,))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert said.get() == ""
    assert "restart the notebook's kernel" in said.get()

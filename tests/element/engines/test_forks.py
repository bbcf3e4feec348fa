"""Engines in forked processes, as of `populate(processes=2)`; see also test_fast_inference."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest

from element_deeplabcut.engines import tensorflow as engine
from element_deeplabcut.engines.forks import settle_threads
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
    child = context.Process(target=compute_and_tell, args=(said,), daemon=True)
    child.start()
    child.join(120)
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
    process.join(400)
    if process.is_alive():
        process.kill()
    assert process.exitcode == 0
    assert said.get() == ""
    assert "restart the notebook's kernel" in said.get()


@pytest.mark.dlc
def test_torch_keeps_to_the_threads_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever numba, or whoever else, has told OpenMP in this process."""
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        for limit, n_threads in (("", 3), ("nonsense", 3), ("2,4", 2), ("1", 1)):
            monkeypatch.setenv("OMP_NUM_THREADS", limit)
            settle_threads()
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)

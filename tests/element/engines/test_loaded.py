"""Which models stay loaded, and which do not come back."""

from __future__ import annotations

import os
import threading

import pytest

from element_deeplabcut.engines.loaded import LoadedModels


@pytest.fixture
def models():
    return LoadedModels(at_most=2)


def use(models, key):
    """Do one job; the names of what was loaded for it."""
    loaded = []

    def load():
        loaded.append(key)
        return object()

    with models.lend(key, load):
        pass
    return loaded


def test_a_model_is_loaded_once(models):
    assert use(models, "a") == ["a"]
    assert use(models, "a") == []


def test_the_least_recently_used_makes_way(models):
    for key in ("a", "b", "a", "c"):
        use(models, key)
    assert len(models) == 2
    assert use(models, "a") == []
    assert use(models, "b") == ["b"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_comes_back_from_a_job_that_failed(models, error):
    use(models, "a")
    with pytest.raises(error), models.lend("a", object):
        raise error
    assert "a" not in models


def test_a_model_that_cannot_be_loaded_leaves_nothing(models):
    def fail():
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such"), models.lend("a", fail):
        pass
    assert len(models) == 0


def test_two_threads_never_share_one(models):
    use(models, "a")
    seen = []
    together = threading.Barrier(2, timeout=20)

    def work():
        with models.lend("a", object) as model:
            together.wait()
            seen.append(id(model))
            together.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 2
    assert len(models) == 1


def test_what_is_lent_out_while_all_are_released_does_not_come_back(models):
    with models.lend("a", object):
        models.release()
    assert len(models) == 0


def test_a_forked_process_has_none_of_its_parents(models, monkeypatch):
    from element_deeplabcut.engines import loaded

    use(loaded.MODELS, "test of a fork")
    try:
        pid = os.fork()
        if pid == 0:
            os._exit(len(loaded.MODELS))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert "test of a fork" in loaded.MODELS
    finally:
        loaded.MODELS.release()

from __future__ import annotations

import logging
import os
import random
import sys

import numpy as np
import pytest

from element_deeplabcut.engines.containment import contained


def misbehave(elsewhere):
    """Do to this process what DeepLabCut does to it."""
    root = logging.getLogger()
    logging.basicConfig(force=True, level=logging.DEBUG)
    root.addHandler(logging.NullHandler())
    root.setLevel(logging.CRITICAL)
    os.chdir(elsewhere)
    os.environ["ELEMENT_TEST_KEPT"] = "changed"
    os.environ["ELEMENT_TEST_NEW"] = "new"
    del os.environ["ELEMENT_TEST_REMOVED"]
    random.seed(42)
    np.random.seed(42)


@pytest.fixture
def caller(monkeypatch, tmp_path):
    """A caller with logging, environment and directory of his own."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("ELEMENT_TEST_KEPT", "kept")
    monkeypatch.setenv("ELEMENT_TEST_REMOVED", "still there")
    monkeypatch.delenv("ELEMENT_TEST_NEW", raising=False)
    root = logging.getLogger()
    handler = logging.FileHandler(tmp_path / "caller.log")
    root.addHandler(handler)
    level = root.level
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    handler.close()


@pytest.mark.parametrize("fails", [False, True], ids=["in peace", "with an exception"])
def test_everything_is_as_it_was_before(caller, tmp_path, fails):
    random.seed(1)
    np.random.seed(1)
    expected = random.Random(1).random(), np.random.RandomState(1).rand()
    root = logging.getLogger()
    before = (root.handlers[:], root.level, os.getcwd(), dict(os.environ), sys.stdout, sys.stderr)
    try:
        with contained(tmp_path / "engine.log"):
            misbehave(tmp_path)
            if fails:
                raise KeyError("DeepLabCut failed")
    except KeyError:
        assert fails
    after = (root.handlers[:], root.level, os.getcwd(), dict(os.environ), sys.stdout, sys.stderr)
    assert after == before
    assert (random.random(), np.random.rand()) == expected


def test_an_exception_passes_through(tmp_path):
    with pytest.raises(KeyError, match="DeepLabCut failed"), contained(tmp_path / "engine.log"):
        raise KeyError("DeepLabCut failed")


def test_the_callers_handlers_are_neither_used_nor_closed(caller, tmp_path):
    with contained(tmp_path / "engine.log"):
        logging.getLogger("deeplabcut").error("inside")
        logging.basicConfig(force=True)  # closes every handler it finds
    assert caller.stream is not None
    assert not caller.stream.closed
    logging.getLogger("caller").error("afterwards")
    assert (tmp_path / "caller.log").read_text() == "afterwards\n"


def test_prints_and_records_go_to_the_log_file(tmp_path, capfd):
    log = tmp_path / "engine.log"
    log.write_text("before\n")
    with contained(log):
        print("to stdout, mäuse")
        print("to stderr", file=sys.stderr)
        logging.getLogger("deeplabcut").error("a record")
    assert log.read_text(encoding="utf-8").splitlines() == [
        "before", "to stdout, mäuse", "to stderr", "a record"
    ]  # fmt: skip
    assert capfd.readouterr() == ("", "")


def test_without_a_log_file_prints_are_dropped(capfd):
    with contained():
        print("a page of text")
        print("another", file=sys.stderr)
    assert capfd.readouterr() == ("", "")


def test_the_block_runs_without_a_screen(monkeypatch, tmp_path):
    monkeypatch.delenv("DLClight", raising=False)
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    with contained(tmp_path / "engine.log"):
        assert os.environ["DLClight"] == "True"  # noqa: SIM112
        assert os.environ["MPLBACKEND"] == "Agg"
    assert "DLClight" not in os.environ
    assert os.environ["MPLBACKEND"] == "TkAgg"


def test_a_library_that_set_up_its_logging_inside_can_log_afterwards(tmp_path, capsys):
    """Importing DeepLabCut inside gives huggingface_hub and torch handlers on sys.stderr."""
    logger = logging.getLogger("element_test.third_party")
    logger.propagate = False
    try:
        with contained(tmp_path / "engine.log"):
            logger.addHandler(logging.StreamHandler())
        logger.warning("later")
        assert "Logging error" not in capsys.readouterr().err
    finally:
        logger.handlers.clear()


@pytest.mark.dlc
def test_torchs_random_numbers_are_as_they_were(tmp_path):
    import torch

    torch.manual_seed(1)
    expected = torch.rand(1).item()
    torch.manual_seed(1)
    with contained(tmp_path / "engine.log"):
        torch.manual_seed(42)
    assert torch.rand(1).item() == expected

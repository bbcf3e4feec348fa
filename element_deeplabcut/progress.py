"""Progress of long work: bars for people, and observers for everything else.

Bars are shown on the terminal, in notebooks and in the logs of containers. An observer hears of
the same steps: schema ``report`` records them so that others see what runs where. Whoever computes
for a row announces it, and knows nothing of who listens::

    with announced("training", key):
        run_training(job, roots)

The work comes first: an observer that fails is dropped with one warning, and whatever takes time
is its own business, in a thread of its own.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from tqdm.auto import tqdm

from .engines.base import TrainingProgress
from .errors import Interrupted
from .interruption import check_interruption
from .surroundings import is_in_notebook

logger = logging.getLogger(__name__)

TRAINING, INFERENCE = "training", "inference"
"""Kinds of work that are announced."""

_MOMENT_S = 1
_LOG_INTERVAL_S = 30
"""Seconds between lines where the output is a log file, so that a day of work stays readable."""


class Observation(Protocol):
    """What an observer does for one piece of work; each call must return at once."""

    def begin(self, engine: str, device: str, done: int, total: int | None) -> None:
        """The computation begins, with so many steps done before by an earlier attempt."""

    def update(self, done: int, total: int | None, metrics: Mapping[str, float]) -> None:
        """So many epochs, iterations or frames are done; metrics are those measured just now."""

    def end(self, outcome: str, sentence: str) -> None:
        """It ended: ``finished``, ``stopped`` or ``failed``, and why.

        Without a `begin` before, the result was found finished, or the work could not begin.
        """


Observer = Callable[[str, Mapping[str, Any]], "Observation | None"]
"""Is told of the kind and key of each piece of work, and returns what watches it, or None."""

_observers: list[Observer] = []
_watching: ContextVar[_Watching | None] = ContextVar("watching", default=None)


def add_observer(observer: Observer) -> None:
    """Let an observer hear of all work that is announced in this process, and in its forks."""
    if observer not in _observers:
        _observers.append(observer)


@contextmanager
def announced(kind: str, key: Mapping[str, Any]) -> Iterator[None]:
    """Tell observers of the work inside the block.

    Args:
        kind: `TRAINING` or `INFERENCE`.
        key: Primary key of the task it is for.
    """
    watching = _Watching(kind, key)
    token = _watching.set(watching)
    outcome, sentence = "finished", ""
    try:
        yield
    except BaseException as error:
        was_stopped = isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit))
        outcome = "stopped" if was_stopped else "failed"
        sentence = f"{type(error).__name__}: {error}".rstrip(": ")
        raise
    finally:
        _watching.reset(token)
        watching.tell("end", outcome, sentence)


def announce_failure(table: Any, key: Mapping[str, Any], sentence: str) -> None:
    """Tell observers of work that failed when nobody was left to say so: who did it was killed.

    Args:
        table: Computed table; only one that says in ``announced_as`` as what kind its makes are
            announced has observers.
        key: Primary key of the task.
        sentence: What to say.
    """
    kind = getattr(table, "announced_as", None)
    if kind is not None:
        _Watching(kind, key).tell("end", "failed", sentence)


class _Watching:
    """The observations of one piece of work."""

    def __init__(self, kind: str, key: Mapping[str, Any]) -> None:
        self._what = kind
        self._observations: list[Observation] = []
        for observer in _observers:
            try:
                observation = observer(kind, key)
            except Exception as error:
                self._warn(error)
            else:
                self._observations += [] if observation is None else [observation]

    def tell(self, method: str, *args: Any) -> None:
        for observation in tuple(self._observations):
            try:
                getattr(observation, method)(*args)
            except Exception as error:
                self._observations.remove(observation)
                self._warn(error)

    def _warn(self, error: Exception) -> None:
        logger.warning(
            "The progress of this %s is not recorded any more (%s: %s); the work goes on.",
            self._what, type(error).__name__, error,
        )  # fmt: skip


def _find_tell() -> Callable[..., None]:
    """How to tell those who watch the work at hand; engines may report from threads of theirs."""
    watching = _watching.get()
    return (lambda *args: None) if watching is None else watching.tell


@contextmanager
def show_training(
    description: str, engine: str = "pytorch", done: int = 0, device: str = ""
) -> Iterator[Callable[[TrainingProgress], None]]:
    """Show epoch (iteration), loss and time left of a training of which some is done already.

    After each epoch, or report of iterations, the training can be interrupted.
    """
    unit = "epoch" if engine == "pytorch" else "it"
    tell = _find_tell()
    tell("begin", engine, device, done, None)
    with tqdm(desc=description, unit=unit, initial=done, mininterval=_interval()) as bar:

        def update(progress: TrainingProgress) -> None:
            bar.total = progress.total
            losses = [value for name, value in progress.metrics.items() if "train.total" in name]
            if losses:
                bar.set_postfix_str(f"loss {losses[0]:.5f}", refresh=False)
            bar.update(progress.epoch - bar.n)
            tell("update", progress.epoch, progress.total, progress.metrics)
            check_interruption()

        yield update
        bar.refresh()


@contextmanager
def show_frames(
    description: str, total: int | None = None, engine: str = "", device: str = ""
) -> Iterator[Callable[[int], None]]:
    """Show frames done, and time left where it is known; the work can be interrupted."""
    tell = _find_tell()
    tell("begin", engine, device, 0, total)
    with tqdm(desc=description, total=total, unit="frame", mininterval=_interval()) as bar:

        def update(done: int) -> None:
            bar.update(done - bar.n)
            tell("update", done, total, {})
            check_interruption()

        yield update


@contextmanager
def show_bytes(description: str, total: int) -> Iterator[Callable[[int], object]]:
    """Show how much of a file is read, if that takes longer than a moment."""
    with tqdm(
        desc=description, total=total, unit="B", unit_scale=True, leave=False, delay=_MOMENT_S,
        mininterval=_interval(),
    ) as bar:  # fmt: skip
        yield bar.update


@contextmanager
def show_tasks(description: str, total: int) -> Iterator[Callable[[int], object]]:
    """Show how many tasks are done, if that takes longer than a moment."""
    with tqdm(
        desc=description, total=total, unit="task", leave=False, delay=_MOMENT_S,
        mininterval=_interval(),
    ) as bar:  # fmt: skip
        yield bar.update


def _interval() -> float:
    return 0.3 if sys.stderr.isatty() or is_in_notebook() else _LOG_INTERVAL_S

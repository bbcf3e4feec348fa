"""Progress bars for long work, on the terminal, in notebooks and in the logs of containers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

from .engines.base import TrainingProgress
from .interruption import check_interruption

_MOMENT_S = 1
_LOG_INTERVAL_S = 30
"""Seconds between lines where the output is a log file, so that a day of work stays readable."""


@contextmanager
def show_training(
    description: str, engine: str = "pytorch", done: int = 0
) -> Iterator[Callable[[TrainingProgress], None]]:
    """Show epoch (iteration), loss and time left of a training of which some is done already.

    After each epoch, or report of iterations, the training can be interrupted.
    """
    unit = "epoch" if engine == "pytorch" else "it"
    with tqdm(desc=description, unit=unit, initial=done, mininterval=_interval()) as bar:

        def update(progress: TrainingProgress) -> None:
            bar.total = progress.total
            losses = [value for name, value in progress.metrics.items() if "train.total" in name]
            if losses:
                bar.set_postfix_str(f"loss {losses[0]:.5f}", refresh=False)
            bar.update(progress.epoch - bar.n)
            check_interruption()

        yield update
        bar.refresh()


@contextmanager
def show_frames(description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show frames done, and time left where it is known; the work can be interrupted."""
    with tqdm(desc=description, total=total, unit="frame", mininterval=_interval()) as bar:

        def update(done: int) -> None:
            bar.update(done - bar.n)
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
    return 0.3 if sys.stderr.isatty() or "ipykernel" in sys.modules else _LOG_INTERVAL_S

"""How a training went: losses and errors over epochs or iterations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ResultError
from ..readers.learning_curve import LEARNING_RATE, LOSS, LearningCurve
from .figures import TEST_COLOR, TRAIN_COLOR, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TEST_LOSS = "losses/eval.total_loss"
_ERRORS = {
    "metrics/test.rmse": ("test frames", "-"),
    "metrics/test.rmse_pcutoff": ("test frames, above p-cutoff", "--"),
}
_FEW = 40  # measurements that get a mark each


def plot_learning_curve(curve: LearningCurve, *, snapshot: int | None = None) -> Figure:
    """Draw the losses of a training and, where it was measured, the error on test frames.

    Args:
        curve: As `readers.learning_curve.read_learning_curve` returns it, of either engine.
        snapshot: Epoch or iteration of the snapshot that became the model, to mark it.

    Returns:
        The figure: loss on a logarithmic axis, and test error (PyTorch) or learning rate
        (TensorFlow) beside it, where there is one.

    Raises:
        ResultError: The curve is empty.
        SetupError: matplotlib is not installed.
    """
    if not len(curve.steps) or not _is_measured(curve, LOSS):
        raise ResultError("The learning curve holds no loss; the training ended before its first.")
    has_errors = any(_is_measured(curve, name) for name in _ERRORS)
    has_rates = not has_errors and _is_measured(curve, LEARNING_RATE)
    # Only TensorFlow writes the learning rate into its curve, and counts iterations.
    unit = "iteration" if LEARNING_RATE in curve.columns else "epoch"
    panels = 1 + (has_errors or has_rates)
    with new_figure(5.2 * panels + 0.4, 4) as figure:
        axes = figure.subplots(1, panels, squeeze=False).ravel()
        _draw(axes[0], curve, LOSS, "training frames", color=TRAIN_COLOR)
        _draw(axes[0], curve, _TEST_LOSS, "test frames", color=TEST_COLOR)
        axes[0].set_yscale("log")
        axes[0].set(title="loss", ylabel="total loss (no unit)")
        if has_errors:
            for name, (label, dashes) in _ERRORS.items():
                _draw(axes[1], curve, name, label, color=TEST_COLOR, ls=dashes)
            axes[1].set(title="error on test frames", ylabel="mean distance to the labels (px)")
            axes[1].set_ylim(bottom=0)
        elif has_rates:
            _draw(axes[1], curve, LEARNING_RATE, "", color="black", drawstyle="steps-post")
            axes[1].set(title="learning rate", ylabel="learning rate (no unit)")
            axes[1].set_ylim(bottom=0)
        for ax in axes:
            ax.set_xlabel(unit)
            _limit(ax, curve)
            if snapshot is not None:
                label = f"snapshot of {unit} {snapshot}"
                ax.axvline(snapshot, color="black", lw=0.9, ls=":", label=label)
            if len([h for h in ax.get_legend_handles_labels()[1] if h]) > 0:
                ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2, fontsize=9)
        return figure


def _is_measured(curve: LearningCurve, column: str) -> bool:
    return column in curve.columns and bool((~np.isnan(curve.columns[column])).any())


def _draw(ax: Axes, curve: LearningCurve, column: str, label: str, **style: Any) -> None:
    """Draw a column where it was measured: test frames are looked at in some epochs only."""
    if not _is_measured(curve, column):
        return
    values = curve.columns[column]
    measured = ~np.isnan(values)
    marks: dict[str, Any] = {"marker": "o", "ms": 4} if measured.sum() <= _FEW else {}
    ax.plot(curve.steps[measured], values[measured], label=label or None, lw=1.4, **marks, **style)


def _limit(ax: Axes, curve: LearningCurve) -> None:
    last = int(curve.steps.max())
    ax.set_xlim(0, last * 1.02 + 0.5)
    if last <= 20:
        from matplotlib.ticker import MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(integer=True))

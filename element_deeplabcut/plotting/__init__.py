"""Pictures of poses, trainings and verdicts: matplotlib figures, returned and never shown.

Each function takes what a query returns (a `Pose`, a `LearningCurve`, rows as dictionaries) and
returns a `matplotlib.figure.Figure` that pyplot knows nothing of: a notebook shows it when it is
the last line of a cell, ``figure.savefig("picture.png")`` writes it, and nothing stays behind.
Body parts have the colours they have in labeled videos (light ones darkened for a white ground).

matplotlib is imported when a figure is drawn; it comes with the extra ``analysis``.
"""

from .evaluation import plot_evaluation
from .leaderboard import plot_leaderboard
from .learning import plot_learning_curve
from .quality import plot_quality
from .timeseries import plot_timeseries
from .trajectory import plot_trajectory, read_background

__all__ = [
    "plot_evaluation",
    "plot_leaderboard",
    "plot_learning_curve",
    "plot_quality",
    "plot_timeseries",
    "plot_trajectory",
    "read_background",
]

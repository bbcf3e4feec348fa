"""Schema ``report``: what runs, how far it is, and what the results are worth.

Activate it beside ``model``, after ``train`` if that is used::

    report.activate("lab_report", linking_module=__name__)

================== ================================================================================
`TrainingProgress` where a training stands, written while it runs
`InferenceProgress` where an inference stands, likewise
`Snapshot`         the snapshots that trainings kept, with losses and metrics
`best_model`       the snapshot with the lowest test error over the body parts that matter
`leaderboard`      trainings by their test error, over shuffles, parameters and engines
`PoseQuality`      a verdict on each pose estimation
================== ================================================================================
"""

from .activation import activate
from .base import schema
from .progress import InferenceProgress, Progress, TrainingProgress, list_progress
from .quality import PoseQuality, QualityParamSet
from .ranking import BestModel, best_model, leaderboard
from .snapshots import Snapshot
from .throughput import Throughput, measure_throughput

__all__ = [
    "BestModel",
    "InferenceProgress",
    "PoseQuality",
    "Progress",
    "QualityParamSet",
    "Snapshot",
    "Throughput",
    "TrainingProgress",
    "activate",
    "best_model",
    "leaderboard",
    "list_progress",
    "measure_throughput",
    "schema",
]

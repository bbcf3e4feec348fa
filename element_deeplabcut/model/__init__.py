"""Schema ``model``: recordings, trained models, and the poses they predict.

Activate it beside the lab's own tables, after ``train`` if that is used::

    model.activate("lab_model", linking_module=__name__)

The linking module provides the tables ``Session`` and ``Device``, ``get_dlc_root_data_dir()`` and,
if it likes, ``get_dlc_processed_data_dir()``. None of DeepLabCut, torch and TensorFlow is needed
to import this, to register, to queue, or to fetch.
"""

from .activation import activate, get_roots, schema
from .models import BodyPart, Model, ModelEvaluation
from .poses import PoseEstimation, PoseEstimationTask
from .recordings import RecordingInfo, VideoRecording
from .videos import LabeledVideo

__all__ = [
    "BodyPart",
    "LabeledVideo",
    "Model",
    "ModelEvaluation",
    "PoseEstimation",
    "PoseEstimationTask",
    "RecordingInfo",
    "VideoRecording",
    "activate",
    "get_roots",
    "schema",
]

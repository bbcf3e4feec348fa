"""A shorter pipeline: `model` without `train`, for a lab that trains its networks elsewhere.

::

    from workflow_deeplabcut.pipeline_model_only import model

    model.Model.insert_new_model("reaching", "project/config.yaml", shuffle=1, trainingsetindex=0)

``paramset_idx`` of a model is a plain number here, and a foreign key beside `train`. So use one
pipeline per database prefix, and one per process. ``kinematics`` and ``report`` join as they do in
`workflow_deeplabcut.pipeline`; workers take ``--pipeline workflow_deeplabcut.pipeline_model_only``.
"""

from __future__ import annotations

from .lab_tables import Device, Session, Subject, lab, prefix, session, subject

# isort: split
from element_deeplabcut import model

from .paths import get_dlc_processed_data_dir, get_dlc_root_data_dir

__all__ = [
    "Device",
    "Session",
    "Subject",
    "get_dlc_processed_data_dir",
    "get_dlc_root_data_dir",
    "lab",
    "model",
    "session",
    "subject",
]

model.activate(prefix + "model", linking_module=__name__)

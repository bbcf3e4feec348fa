"""The pipeline: lab, subject, session, Device and our four schemas, activated and linked.

Import what you need; importing declares the tables on the configured database server::

    from workflow_deeplabcut.pipeline import lab, subject, session, train, model

Where training is managed elsewhere, see `workflow_deeplabcut.pipeline_model_only`.
"""

from __future__ import annotations

from .lab_tables import (  # first: it sees to the database, which all others need
    Device,
    Lab,
    Location,
    Project,
    Protocol,
    Session,
    Source,
    Subject,
    User,
    lab,
    prefix,
    session,
    subject,
)

# isort: split
from element_deeplabcut import kinematics, model, report, train

from .paths import get_dlc_processed_data_dir, get_dlc_root_data_dir

__all__ = [
    "Device",
    "Lab",
    "Location",
    "Project",
    "Protocol",
    "Session",
    "Source",
    "Subject",
    "User",
    "get_dlc_processed_data_dir",
    "get_dlc_root_data_dir",
    "kinematics",
    "lab",
    "model",
    "report",
    "session",
    "subject",
    "train",
]

train.activate(prefix + "train", linking_module=__name__)
model.activate(prefix + "model", linking_module=__name__)
kinematics.activate(prefix + "kinematics", linking_module=__name__)
report.activate(prefix + "report", linking_module=__name__)

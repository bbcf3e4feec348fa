"""The pipeline: lab, subject, session, Device and our four schemas, activated and linked.

Import what you need; importing declares the tables on the configured database server::

    from workflow_deeplabcut.pipeline import lab, subject, session, train, model
"""

from __future__ import annotations

import datajoint as dj
from element_animal import subject
from element_lab import lab
from element_lab.lab import Lab, Location, Project, Protocol, Source, User
from element_session import session_with_datetime as session
from element_session.session_with_datetime import Session

from element_deeplabcut import kinematics, model, report, train

from .paths import get_database_prefix, get_dlc_processed_data_dir, get_dlc_root_data_dir

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

_prefix = get_database_prefix()

lab.activate(_prefix + "lab")
subject.activate(_prefix + "subject", linking_module=__name__)

Subject = subject.Subject
Experimenter = lab.User

session.activate(_prefix + "session", linking_module=__name__)


@lab.schema
class Device(dj.Lookup):
    """Camera or other recording device.

    Attributes:
        device (varchar(32)): Name.
        modality (varchar(64)): What it records.
        description (varchar(256)): Description.
    """

    definition = """
    # Camera or other recording device
    device         : varchar(32)
    ---
    modality=''    : varchar(64)   # what it records
    description='' : varchar(256)
    """
    contents = (
        ("Camera1", "Pose estimation", "Camera above the animal"),
        ("Camera2", "Pose estimation", "Camera beside the animal"),
    )


train.activate(_prefix + "train", linking_module=__name__)
model.activate(_prefix + "model", linking_module=__name__)
kinematics.activate(_prefix + "kinematics", linking_module=__name__)
report.activate(_prefix + "report", linking_module=__name__)

"""What every pipeline here is built on: lab, subject, session and Device, activated and linked.

Importing this declares their tables on the configured database server.
"""

from __future__ import annotations

from .configuration.login import connect
from .configuration.logs import hide_notices

hide_notices()
connect()  # before element-lab would, whose errors name neither the server nor what to do

import datajoint as dj  # noqa: E402
from element_animal import subject  # noqa: E402
from element_lab import lab  # noqa: E402
from element_lab.lab import Lab, Location, Project, Protocol, Source, User  # noqa: E402
from element_session import session_with_datetime as session  # noqa: E402
from element_session.session_with_datetime import Session  # noqa: E402

from .paths import get_database_prefix  # noqa: E402

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
    "lab",
    "prefix",
    "session",
    "subject",
]

prefix = get_database_prefix()

lab.activate(prefix + "lab")
subject.activate(prefix + "subject", linking_module=__name__)

Subject = subject.Subject
Experimenter = lab.User

session.activate(prefix + "session", linking_module=__name__)


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

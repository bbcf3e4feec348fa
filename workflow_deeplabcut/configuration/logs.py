"""What DataJoint and the Elements log that is no concern of whoever uses this workflow."""

from __future__ import annotations

import logging


def hide_notices() -> None:
    """Drop what element-lab says of its own tables whenever they are declared."""
    logging.getLogger("datajoint").addFilter(_concerns_users)


def _concerns_users(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("lab.Project and related tables")

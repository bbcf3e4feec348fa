"""What must hold of the installation before anything else is imported."""

from __future__ import annotations

import importlib.metadata

OLDEST_DATAJOINT = (0, 14, 10)
FIRST_DATAJOINT_REFUSED = (2,)


class UnsupportedDataJointError(ImportError):
    """The installed DataJoint is one this package cannot work with."""


def check_datajoint(version: str | None = None) -> None:
    """Refuse a DataJoint this package cannot work with, before it fails in some odd way.

    DataJoint 2 removed ``dj.schema``, which the Elements for animals and sessions call when they
    are imported, and gave ``longblob`` another meaning.

    Raises:
        UnsupportedDataJointError: It is too old or too new; the message says what to install.
    """
    version = version or importlib.metadata.version("datajoint")
    parts = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if not OLDEST_DATAJOINT <= parts < FIRST_DATAJOINT_REFUSED:
        raise UnsupportedDataJointError(
            f"element-deeplabcut works with DataJoint 0.14.10 up to, not including, 2.0; version "
            f"{version} is installed. Install a suitable one with: "
            "pip install 'datajoint>=0.14.10,<2'"
        )

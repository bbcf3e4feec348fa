"""The embedded database as a configuration like any other: its login, in the file DataJoint reads.

It is recorded where somebody asked for it (``db start``, ``configure --embedded``), in the folder
where that was, and read by programs started in that folder. Anywhere else nothing is configured,
and nothing fills a private database by accident.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..database import Server
from .files import EMBEDDED, find_file, local_file, merge, read_file, write_file

_LOGIN = ("database.host", "database.user")
_VARIABLES = ("DJ_HOST", "DJ_USER", "DJ_PASS")


def make_settings(server: Server) -> dict[str, Any]:
    """Make the entries of a configuration file that lead to a server."""
    return {
        "database.host": server.host,
        "database.port": server.port,
        "database.user": server.user,
        "database.password": server.password,
        "database.use_tls": False,  # nothing leaves the machine
        "custom": {EMBEDDED: str(server.data_dir)},
    }


def record_server(server: Server) -> tuple[Path | None, str]:
    """Make a server the configured one of this folder, unless another is configured.

    Returns:
        The configuration file that leads to the server, or None, and a sentence about it.

    Raises:
        SetupError: The file that is there is malformed.
        PathError: The folder cannot be written.
    """
    for name in _VARIABLES:
        if os.environ.get(name):
            return None, (
                f"It is not used: {name} in the environment names another database. Unset it to "
                "use this one."
            )
    file = find_file()
    settings = read_file(file) if file is not None else {}
    wanted = make_settings(server)
    if any(settings.get(name) for name in _LOGIN) and not _is_recorded(settings, server):
        return None, (
            f"It is not used: '{file}' names another database. `workflow-deeplabcut configure "
            f"--embedded --data-dir '{server.data_dir}'` makes this one the configured one."
        )
    merged = merge(settings, wanted)
    target = file if file is not None and _is_recorded(settings, server) else local_file()
    if merged != settings or target != file:
        write_file(target, merged)
    hint = "Say where your videos are with `workflow-deeplabcut configure --root DIR`."
    has_roots = merged["custom"].get("dlc_root_data_dir") or os.environ.get("DLC_ROOT_DATA_DIR")
    return target, f"Programs started in this folder use it, by '{target}'." + (
        "" if has_roots else f" {hint}"
    )


def _is_recorded(settings: dict[str, Any], server: Server) -> bool:
    return settings.get("custom", {}).get(EMBEDDED) == str(server.data_dir)

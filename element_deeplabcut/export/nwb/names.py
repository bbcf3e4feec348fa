"""Names of objects in an NWB file, which are parts of paths in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FORBIDDEN = re.compile(r"[/\\:\x00-\x1f]")  # slashes part paths; nwbinspector flags the colon
_NAMELESS = "unnamed"


def name_objects(names: Iterable[str]) -> dict[str, str]:
    """Give each name the object name that is nearest to it.

    A name that NWB can hold stays as it is. In others, what a path cannot hold becomes an
    underscore, and a number at the end keeps apart what looks the same then.

    Args:
        names: Distinct names.

    Returns:
        Name -> object name, in the order given; the object names are distinct.
    """
    names = list(names)
    taken = {name for name in names if clean_name(name) == name}
    found = {}
    for name in names:
        found[name] = name if name in taken else pick_free(clean_name(name), taken)
        taken.add(found[name])
    return found


def clean_name(name: str) -> str:
    """Replace what an object's name cannot hold."""
    text = _FORBIDDEN.sub("_", name)
    if not text.strip():
        return _NAMELESS
    return "_" * len(text) if set(text) == {"."} else text  # "." and ".." are steps of a path


def pick_free(name: str, taken: Iterable[str]) -> str:
    """Number a name if it is taken."""
    taken = set(taken)
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free

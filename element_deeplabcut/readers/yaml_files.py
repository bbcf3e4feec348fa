"""YAML as DeepLabCut writes and reads it: version 1.2, plain types, files rewritten in place.

DeepLabCut uses ruamel, which follows YAML 1.2; PyYAML follows 1.1, where an unquoted ``NO`` is
false, ``1:30`` is ninety, ``1e-05`` is a text, and ``010`` is eight. A scorer called NO is rare,
but her labels are in ``CollectedData_NO.h5`` all the same, so the rules of 1.2 hold here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from ..errors import ProjectError

_SETTLED_AFTER_S = 0.5
_PAUSE_S = 0.05
_PATIENCE_S = 5.0


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Loads plain types by the rules of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers
                if tag.rpartition(":")[2] not in ("bool", "int", "float")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }  # fmt: skip


for _tag, _pattern, _firsts in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_firsts)
    )


def read_yaml(file: Path, *, is_ours: bool = False) -> dict[str, Any]:
    """Read a YAML mapping of plain types.

    DeepLabCut rewrites its files in place and in pieces, so a reader can meet an empty file, or one
    cut anywhere, while another process works. A file that was written a moment ago is therefore
    only believed when it stays as it is.

    Args:
        file: The file.
        is_ours: Nobody else writes it (it lies in a folder of this package's own), so that what is
            there is whole and need not be waited for.

    Raises:
        ProjectError: The file is missing, or no mapping of plain types, or does not come to rest
            within a few seconds.
    """
    started = looked_at = time.monotonic()
    first_seen: dict[str, float] = {}
    watched_s = 0.0
    while True:
        text, age_s = _read_text(file)
        content = _parse(text)
        now = time.monotonic()
        waited_s = now - started
        # While this process is paused nobody watches the file, so a look makes up for little time.
        watched_s += min(now - looked_at, 2 * _PAUSE_S)
        looked_at = now
        known_for_s = watched_s - first_seen.setdefault(text, watched_s)
        is_settled = is_ours or age_s > _SETTLED_AFTER_S or _is_whole(text, first_seen, known_for_s)
        if isinstance(content, dict) and is_settled:
            return content
        if is_ours or age_s > _SETTLED_AFTER_S or waited_s > _PATIENCE_S:
            problem = content if isinstance(content, str) else "is being rewritten all the time"
            raise ProjectError(f"'{file}' {problem}. Restore it, or save it again with DeepLabCut.")
        time.sleep(_PAUSE_S)


def _is_whole(text: str, seen: Mapping[str, float], known_for_s: float) -> bool:
    """Whether a file that is being written has this text when it is whole.

    If that is all there was for a while, it is. Where the file changes all the time, a text that
    was cut off comes back, too; but sooner or later the whole one is seen, which begins with it.
    """
    if len(seen) == 1:
        return known_for_s > _SETTLED_AFTER_S / 2
    is_cut = any(other != text and other.startswith(text) for other in seen)
    return not is_cut and known_for_s > 2 * _SETTLED_AFTER_S


def _read_text(file: Path) -> tuple[str, float]:
    """Read a file as it is now, and how long ago it was written, in s."""
    try:
        age_s = time.time() - file.stat().st_mtime
        return file.read_bytes().decode("utf-8", "replace"), age_s
    except OSError as error:
        raise ProjectError(
            f"'{file}' does not exist or cannot be read ({error.strerror}). Give the path of a "
            "DeepLabCut project's config.yaml."
        ) from error


def _parse(text: str) -> dict[str, Any] | str:
    """Parse a text: its content, or what is wrong with it."""
    try:
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        return f"cannot be read as plain YAML ({' '.join(str(error).split())})"
    if isinstance(content, dict):
        return content
    return "is empty" if content is None else "is not a mapping"


def parse_flow(text: str) -> Any:
    """Parse a value that stands in one line, such as ``{epochs: 5, engine: pytorch}``.

    Raises:
        ValueError: It is not plain YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"not plain YAML ({' '.join(str(error).split())})") from error


def write_yaml(file: Path, content: Mapping[str, Any]) -> None:
    """Write a YAML mapping into a new file, in the order given."""
    with file.open("x", encoding="utf-8") as stream:
        yaml.safe_dump(dict(content), stream, sort_keys=False, allow_unicode=True)


def replace_yaml(file: Path, content: Mapping[str, Any]) -> None:
    """Write a file anew; whoever reads it meanwhile sees the old one or the new one."""
    fresh = file.with_name(f"{file.name}.new")
    write_yaml(fresh, content)
    fresh.replace(file)

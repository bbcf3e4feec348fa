"""DataJoint's configuration files: which one counts, reading, comparing and replacing them.

Nothing here imports DataJoint, which reads the file in force when it is imported and fails without
naming it when it is malformed.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from element_deeplabcut.errors import PathError, SetupError

LOCAL_NAME = "dj_local_conf.json"
GLOBAL_NAME = ".datajoint_config.json"

EMBEDDED = "database.embedded"
"""Entry of ``custom``: directory of the embedded database whose login the file holds."""

SECRET = "(hidden)"
_UNSET = object()

_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "database.host": (str, "a text"),
    "database.user": ((str, type(None)), "a text"),
    "database.password": ((str, type(None)), "a text"),
    "database.port": (int, "a number such as 3306"),
    "database.use_tls": ((bool, dict, type(None)), "true, false or null"),
    "custom": (dict, 'an object such as {"dlc_root_data_dir": ["/data"]}'),
}


def local_file() -> Path:
    """Name the file of the working directory."""
    return Path.cwd() / LOCAL_NAME


def global_file() -> Path:
    """Name the file of the user."""
    return Path(os.path.expanduser("~")) / GLOBAL_NAME


def find_file() -> Path | None:
    """Find the file that DataJoint reads when it is imported here and now."""
    return next((file for file in (local_file(), global_file()) if file.exists()), None)


def read_in_force() -> dict[str, Any]:
    """Read the file that counts here and now; empty where there is none.

    Raises:
        SetupError: It is malformed.
    """
    file = find_file()
    return read_file(file) if file is not None else {}


def read_file(file: Path) -> dict[str, Any]:
    """Read a configuration file.

    Raises:
        SetupError: It cannot be read, is no JSON object, or an entry has the wrong type. The
            message names file and line.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise SetupError(f"The settings in '{file}' cannot be read ({error}).") from error
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise SetupError(
            f"'{file}', line {error.lineno}, column {error.colno}: this is not JSON "
            f"({error.msg}). Mend that line, or move the file away and run "
            "`workflow-deeplabcut configure`."
        ) from error
    if not isinstance(content, dict):
        raise SetupError(
            f"'{file}', line 1: the settings must be an object, "
            '{"database.host": ..., ...}. Mend it, or move the file away.'
        )
    for name, (kind, wanted) in _KINDS.items():
        value = content.get(name, _UNSET)
        is_wrong = not isinstance(value, kind) or (kind is int and isinstance(value, bool))
        if value is not _UNSET and is_wrong:
            raise SetupError(
                f"'{file}', line {_find_line(text, name)}: \"{name}\" must be {wanted}, and is "
                f"{_show(name, value)}."
            )
    return content


def _find_line(text: str, name: str) -> int:
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if f'"{name}"' in line), 1)


def write_file(file: Path, settings: Mapping[str, Any]) -> None:
    """Replace a configuration file in one step, readable by its owner only from the first moment.

    A link is followed, so that what it points to is replaced.

    Raises:
        PathError: The folder cannot be written.
    """
    target = Path(os.path.realpath(file))
    text = json.dumps(settings, indent=4, ensure_ascii=False) + "\n"
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:  # mkstemp makes it 0600
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, target)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError as error:
        raise PathError(
            f"'{file}' cannot be written ({error.strerror}). Run this in a folder that you may "
            "write to, or use --global."
        ) from error


def is_open_to_others(file: Path) -> bool:
    """Whether anybody but its owner may read or write a file that is there."""
    try:
        return bool(stat.S_IMODE(file.stat().st_mode) & 0o077)
    except FileNotFoundError:
        return False


def merge(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Put entries into settings; all others, those within ``custom`` included, are kept.

    Args:
        settings: Content of a file.
        given: Entries to set; of ``custom``, entries whose value is None are removed.
    """
    custom = {**settings.get("custom", {}), **given.get("custom", {})}
    merged = {**settings, **given}
    if custom:
        merged["custom"] = {name: value for name, value in custom.items() if value is not None}
    return merged


def list_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """List entries that differ, as text before and after; passwords are not shown."""
    old, new = _flatten(before), _flatten(after)
    changes = {}
    for name in dict.fromkeys([*old, *new]):
        if old.get(name, _UNSET) != new.get(name, _UNSET):
            changes[name] = (_show(name, old.get(name, _UNSET)), _show(name, new.get(name, _UNSET)))
    return changes


def hide_secrets(value: Any, name: str = "") -> Any:
    """Copy settings without what must not be shown: passwords and keys, however deep."""
    if isinstance(value, Mapping):
        return {key: hide_secrets(entry, key) for key, entry in value.items()}
    if isinstance(value, list):
        return [hide_secrets(entry, name) for entry in value]
    is_secret = any(word in name.lower() for word in ("pass", "secret", "token"))
    return SECRET if is_secret and value not in (None, "") else value


def _flatten(settings: Mapping[str, Any]) -> dict[str, Any]:
    custom = {f"custom: {name}": value for name, value in settings.get("custom", {}).items()}
    return {**{name: value for name, value in settings.items() if name != "custom"}, **custom}


def _show(name: str, value: Any) -> str:
    if value is _UNSET:
        return "(not set)"
    return json.dumps(hide_secrets(value, name), ensure_ascii=False).replace(f'"{SECRET}"', SECRET)

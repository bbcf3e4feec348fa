"""Settings on their way into a configuration file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from element_deeplabcut.errors import DatabaseError

from .. import database
from .embedded import make_settings
from .files import EMBEDDED, merge
from .login import say_embedded_is_down

LOGIN = ("database.host", "database.port", "database.user", "database.password",
         "database.use_tls")  # fmt: skip


@dataclass
class Site:
    """Settings on their way into a file.

    Attributes:
        file: File to write.
        before: What it holds now.
        settings: What it is to hold.
        notes: Sentences for the user.
    """

    file: Path
    before: dict[str, Any]
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    @property
    def custom(self) -> Mapping[str, Any]:
        """This workflow's own entries."""
        return self.settings.get("custom", {})

    @property
    def roots(self) -> list[Path]:
        """Root directories, or none yet."""
        value = self.custom.get("dlc_root_data_dir") or []
        return [Path(root) for root in ([value] if isinstance(value, str) else value)]

    @property
    def processed(self) -> Path | None:
        """Directory for results, if one is named."""
        value = self.custom.get("dlc_processed_data_dir") or self.custom.get("dlc_output_dir")
        return Path(value) if value else None

    def set(self, **entries: Any) -> None:
        """Set entries of ``custom``; None removes one."""
        self.settings = merge(self.settings, {"custom": entries})

    def leave_embedded(self) -> None:
        """Drop the login of the embedded database, of which nothing fits another server."""
        if EMBEDDED in self.custom:
            self.settings = {n: value for n, value in self.settings.items() if n not in LOGIN}
            self.set(**{EMBEDDED: None})

    def use_embedded(self, data_dir: Path | None) -> None:
        """Start the embedded database, and take its login."""
        self.settings = merge(self.settings, make_settings(database.start(data_dir)))
        if os.environ.get("DJ_HOST"):
            self.notes.append("DJ_HOST is set, and comes before the file: unset it.")

    def follow_embedded(self) -> None:
        """Take the present port of the embedded database, where it is the configured one.

        It is not started unasked.

        Raises:
            DatabaseError: It does not run.
        """
        if EMBEDDED not in self.custom:
            return
        folder = Path(self.custom[EMBEDDED])
        server = database.status(folder)
        if server is None:
            raise DatabaseError(say_embedded_is_down(folder))
        self.settings = merge(self.settings, make_settings(server))

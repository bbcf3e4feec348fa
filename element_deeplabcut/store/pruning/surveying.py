"""Looking at everything that this package may have made in a processed directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .clock import DAY, read_clock
from .needs import References
from .places import list_folders
from .verdicts import Candidate, judge


@dataclass(frozen=True)
class Survey:
    """What lies in a processed directory.

    Attributes:
        candidates: Folders that nothing needs.
        kept: Path of every other folder that was looked at -> why it stays.
    """

    candidates: tuple[Candidate, ...]
    kept: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes of all candidates."""
        return sum(candidate.size for candidate in self.candidates)


def survey(
    processed: Path,
    references: References,
    min_age: float = DAY,
    on_progress: Callable[[str], None] = lambda path: None,
) -> Survey:
    """Look at everything that this package may have made in a processed directory.

    Args:
        processed: The processed directory; one that does not exist holds nothing.
        references: What rows need.
        min_age: Seconds; less than a day counts as a day.
        on_progress: Called with each path before it is looked at.

    Raises:
        PathError: No file can be created in it to ask the storage for its time.
    """
    candidates, kept = [], {}
    if processed.is_dir():
        now = read_clock(processed)
        for folder in list_folders(processed, references):
            on_progress(str(folder))
            verdict = judge(processed, folder, references, now, min_age)
            if isinstance(verdict, Candidate):
                candidates.append(verdict)
            else:
                kept[str(folder)] = verdict
    return Survey(tuple(candidates), kept)

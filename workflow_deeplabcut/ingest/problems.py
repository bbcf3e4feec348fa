"""What is wrong with a file, all of it at once, each with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from element_deeplabcut.errors import ParameterError
from element_deeplabcut.wording import show_count

SHOWN_AT_MOST = 20
"""Problems that a message lists; a thousand lines of the same mistake help nobody."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: Name of the file, as the user gave it.
        line: Line in it, from 1; 0 where it is the file as a whole.
        column: Name of the column; '' where it is the line as a whole.
        said: What is wrong and what was expected: a sentence that goes on after the place.
    """

    file: str
    line: int
    column: str
    said: str

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f", line {self.line}"
        if self.column:
            place += f", column {self.column}"
        return f"{place}: {self.said}"


class IngestError(ParameterError):
    """Files cannot be ingested; nothing was written.

    Attributes:
        problems: What is wrong, in the order of the files' lines.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Say what is wrong.

        Args:
            problems: At least one.
        """
        self.problems: Sequence[Problem] = list(problems)
        lines = [str(problem) for problem in self.problems[:SHOWN_AT_MOST]]
        if len(self.problems) > SHOWN_AT_MOST:
            lines.append(f"and {len(self.problems) - SHOWN_AT_MOST} more of them")
        what = show_count(len(self.problems), "problem")
        super().__init__("\n  ".join([f"Nothing was ingested, because of {what}:", *lines]))


def suggest(name: str, known: Iterable[str], *, what: str = "Known") -> str:
    """Say which known name was probably meant, or which ones there are."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    if not names:
        return ""
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return f"{what}: {shown}."

"""DeepLabCut's failures, told in sentences."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..errors import EngineError
from ..store.views import ProjectView


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn DeepLabCut's exceptions into one that says what was being done."""
    try:
        yield
    except EngineError:
        raise
    except (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RuntimeError,
            TypeError, ValueError) as error:  # fmt: skip
        detail = " ".join(str(error).split())[:500]
        raise EngineError(
            f"DeepLabCut could not {what}: {type(error).__name__}: {detail}"
        ) from error


def last_messages(view: ProjectView, lines: int = 5) -> str:
    """Quote the end of the log, which goes away with a failed run."""
    text = view.log_file.read_text(encoding="utf-8", errors="replace")
    return " | ".join(text.split("\n")[-lines - 1 :]).strip(" |")

"""What the demo shows while it works: a table of steps that grows, and nothing else.

Progress bars are shown in place and wiped when their step ends, where somebody is watching. What
libraries write to the error stream goes to a log file.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

TITLE_WIDTH = 46


class Steps:
    """Prints numbered steps as they happen.

    Attributes:
        seconds: What every finished step took (s), in their order.
    """

    def __init__(self, titles: Mapping[str, str], log_file: Path) -> None:
        self.seconds: dict[str, float] = {}
        self._titles = dict(titles)
        self._log_file = log_file
        self._started = time.perf_counter()
        print(f"{'':7}{'step':<{TITLE_WIDTH}} seconds")

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a step; the function it yields takes a few words on what came of it."""
        number = list(self._titles).index(name) + 1
        head = f"{number:>2}/{len(self._titles)}  {self._titles[name]:<{TITLE_WIDTH}}"
        notes: list[str] = []
        started = time.perf_counter()
        print(head, end="", flush=True)
        try:
            with self._log_file.open("a", encoding="utf-8") as log:
                stream = _ErrorStream(sys.stderr, log)
                with contextlib.redirect_stderr(stream):
                    yield notes.append
                stream.wipe()
        except BaseException:
            print(flush=True)  # the message that follows has a line of its own
            raise
        self.seconds[name] = time.perf_counter() - started
        again = f"\r{head}" if stream.shown else ""
        print(f"{again} {self.seconds[name]:7.1f}   {', '.join(notes)}".rstrip(" "), flush=True)

    def finish(self) -> float:
        """Print the last line of the table and return the total (s)."""
        total = time.perf_counter() - self._started
        print(f"{'':7}{'total':<{TITLE_WIDTH}} {total:7.1f}", flush=True)
        return total


class _ErrorStream(io.TextIOBase):
    """Writes to a log, and shows what looks like a progress bar on the terminal behind it."""

    def __init__(self, terminal: TextIO, log: TextIO) -> None:
        self._terminal = terminal
        self._log = log
        self.shown = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the terminal's: it decides what a bar is drawn with."""
        return self._terminal.encoding

    def isatty(self) -> bool:
        return self._terminal.isatty()

    def fileno(self) -> int:
        return self._terminal.fileno()

    def write(self, text: str) -> int:
        if self._log.closed:  # a library that was imported meanwhile may hold on to this stream
            return self._terminal.write(text)
        self._log.write(text)
        if text.startswith("\r") and self.isatty():
            self._terminal.write(text)
            self._terminal.flush()
            self.shown = True
        return len(text)

    def flush(self) -> None:
        (self._terminal if self._log.closed else self._log).flush()

    def wipe(self) -> None:
        """Clear the line that bars were shown on."""
        if self.shown:
            width = shutil.get_terminal_size().columns - 1
            self._terminal.write("\r" + " " * width + "\r")
            self._terminal.flush()

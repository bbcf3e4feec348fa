"""The status as text, and on a terminal that is redrawn."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

from element_deeplabcut.report import Progress, Throughput
from element_deeplabcut.wording import show_key

from ..commands.jobs import show_time
from ..worker.listing import Job
from .gathering import Running, Status

_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_CLEAR_ALL = "\x1b[2J"

_STATES = {
    "silent": "no sign of life for {age}",
    "expired": "its worker shows no life; the next one takes it over",
    "dead": "its process or its connection has ended, and nothing shows life; free it with: "
    "workflow-deeplabcut jobs clear --state dead",
    "reserved": "reserved by a notebook",
}


def draw(status: Status) -> list[str]:
    """Write a status in lines."""
    return [
        f"status at {status.at:%Y-%m-%d %H:%M:%S} UTC",
        "",
        *_draw_queues(status),
        "",
        *_draw_running(status.running),
        "",
        *_draw_throughput(status),
        "",
        *_draw_errors(status),
    ]


def _draw_queues(status: Status) -> list[str]:
    shown = [
        (queue.table, queue.waiting, queue.retrying, queue.taken, queue.failed, queue.recorded)
        for queue in status.queues
    ]
    head = ("queue", "waiting", "retrying", "taken", "failed", "done")
    width = max(len(name) for name, *_ in (*shown, head))
    rows = [f"{head[0]:<{width}}" + "".join(f"{name:>12}" for name in head[1:])]
    rows += [f"{name:<{width}}" + "".join(f"{n:>12,}" for n in counts) for name, *counts in shown]
    ignored = sum(queue.ignored for queue in status.queues)
    return [*rows, f"({ignored:,} jobs are set to be ignored)"] if ignored else rows


def _draw_running(running: Sequence[Running]) -> list[str]:
    if not running:
        return ["running: nothing"]
    lines = [f"running ({sum(job.state == 'running' for job in running)})"]
    for job in running:
        lines.append(f"  {_show_job(job)}")
        where = f"on {job.host} (process {job.pid})"
        if job.progress is not None:
            where += f", {job.progress.device}"
        age = "" if job.age is None else f", for {show_time(job.age)}"
        tries = f", try {job.attempts}" if (job.attempts or 0) > 1 else ""
        lines.append(f"    {where}{age}{tries}")
        said = [] if job.state == "running" else [_explain(job)]
        if job.progress is not None:
            said.append(show_progress(job.progress))
        lines += [f"    {text}" for text in said]
    return lines


def _explain(job: Running) -> str:
    age = job.progress.age if job.progress is not None else job.age or 0
    return _STATES.get(job.state, job.state).format(age=show_time(age))


def show_progress(progress: Progress) -> str:
    """Say in one line how far a training or an inference is."""
    total = "" if progress.total is None else f" of {progress.total:,}"
    parts = [f"{progress.done:,}{total} {progress.unit}"]
    if progress.total:
        parts[0] += f" ({100 * progress.done / progress.total:.0f} %)"
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3g}")
    if progress.learning_rate is not None:
        parts.append(f"learning rate {progress.learning_rate:.3g}")
    if progress.per_s is not None:
        parts.append(f"{progress.per_s:,.1f} frames/s")
    if progress.seconds_left is not None:
        parts.append(f"{show_time(progress.seconds_left)} left")
    return ", ".join(parts)


def _show_job(job: Running | Job) -> str:
    return f"{job.table} {show_key(job.key)}"


def _draw_throughput(status: Status) -> list[str]:
    if not status.throughput:
        return [f"finished in the last {status.hours:g} h: nothing"]
    lines = [f"finished in the last {status.hours:g} h"]
    return lines + [f"  {_show_throughput(found)}" for found in status.throughput]


def _show_throughput(found: Throughput) -> str:
    where = f"on {found.host}, {found.device}"
    if found.frames_per_s is None:
        what = "training" if found.n_finished == 1 else "trainings"
        return (
            f"{found.n_finished:,} {what} {where}: {show_time(found.mean_s)} each, "
            f"{found.per_hour:,.3g} in an hour of computing"
        )
    what = "recording" if found.n_finished == 1 else "recordings"
    return (
        f"{found.n_finished:,} {what} {where}: {found.n_frames:,} frames, "
        f"{found.frames_per_s:,.1f} frames/s"
    )


def _draw_errors(status: Status) -> list[str]:
    if not status.n_errors:
        return ["errors: none"]
    shown = f", the newest {len(status.errors)}" if len(status.errors) < status.n_errors else ""
    lines = [f"errors ({status.n_errors:,}{shown})"]
    for job in status.errors:
        lines += [f"  {_show_job(job)}", f"    {_show_error(job)}"]
    return [*lines, "  For the stacks: workflow-deeplabcut jobs show --state error"]


def _show_error(job: Job) -> str:
    ago = "" if job.age is None else f", {show_time(job.age)} ago"
    return f"{' '.join(job.message.split())} (on {job.host}{ago})"


class Screen:
    """Shows one status after another: in place on a terminal, else one below the other."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._is_terminal = self._stream.isatty()
        self._is_first = True

    def show(self, lines: Sequence[str]) -> None:
        """Show lines in place of those before."""
        if self._is_terminal:
            size = shutil.get_terminal_size()
            fitting = [line[: size.columns - 1] for line in lines[: size.lines - 1]]
            if len(lines) >= size.lines:
                fitting[-1] = f"... {len(lines) - len(fitting) + 1} more lines"
            start = _CLEAR_ALL + _HOME if self._is_first else _HOME
            text = start + "".join(f"{line}{_CLEAR_LINE}\n" for line in fitting) + _CLEAR_BELOW
        else:
            text = ("" if self._is_first else "\n") + "".join(f"{line}\n" for line in lines)
        self._is_first = False
        self._stream.write(text)
        self._stream.flush()

"""``workflow-deeplabcut worker``: work on what is queued until told to end."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from .keys import add_restriction, read_key

_EXAMPLES = """examples:
  workflow-deeplabcut worker
  workflow-deeplabcut worker --hours 23.5 --device cuda:0        # in a Slurm job of 24 hours
  workflow-deeplabcut worker --table PoseEstimation --restrict subject=mouse1 --stop-when-idle
  workflow-deeplabcut worker --pipeline my_lab.pipeline --table my_lab.behaviour.Arena

It ends on SIGTERM and SIGINT: the job in hand has --grace seconds to finish and goes back to the
queue otherwise. Give containers a stop_grace_period above that (Compose gives 10 s)."""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "worker",
        help="train, infer and evaluate what is queued, until told to end",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to do")
    what.add_argument(
        "--pipeline",
        metavar="MODULE",
        help="module that activates the schemas (default: this workflow's)",
    )
    what.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="TABLE",
        help="computed table, may be repeated (default: all of the pipeline)",
    )
    add_restriction(what, "only jobs whose key has this value, where a table has that attribute")
    what.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="ENGINE",
        help="engine to offer, may be repeated (default: those that are installed)",
    )
    what.add_argument("--device", help="where to compute: cpu, cuda:1, ... (default: the best)")
    end = parser.add_argument_group("when to end")
    end.add_argument("--hours", type=float, help="begin no job after so many hours")
    end.add_argument("--stop-when-idle", action="store_true", help="end when nothing is queued")
    end.add_argument("--max-jobs", type=int, help="end after so many jobs")
    end.add_argument(
        "--grace",
        type=float,
        default=8,
        metavar="S",
        help="time to finish the job in hand (default: 8 s)",
    )
    end.add_argument(
        "--code-if-stopped",
        type=int,
        default=0,
        metavar="CODE",
        help="exit code when it ends on a signal or because its hours are over, so that a script "
        "knows whether to start it again (default: 0)",
    )
    how = parser.add_argument_group("how to go about it")
    how.add_argument(
        "--poll",
        type=float,
        default=5,
        metavar="S",
        help="how often to look for jobs when there are none (default: 5 s)",
    )
    how.add_argument(
        "--lease",
        type=float,
        default=60,
        metavar="S",
        help="after so long without a sign of life others take over (default: 60 s)",
    )
    how.add_argument(
        "--attempts",
        type=int,
        default=5,
        help="how often a job is tried when storage, memory or database fail in "
        "passing (default: 5)",
    )
    how.add_argument(
        "--retry-delay",
        type=float,
        default=30,
        metavar="S",
        help="wait before the second try; it doubles each time (default: 30 s)",
    )
    parser.set_defaults(command=run)  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Run a worker until it ends; 0, or what the user wants to see when it was told to end."""
    with _ending_at_once(options.code_if_stopped):
        worker, stop = _start(options)
        if worker is not None:
            with stop.listening():
                worker.run()
    return int(options.code_if_stopped) if stop.requested else 0


def _start(options: argparse.Namespace) -> tuple[Any, Any]:
    """Build the worker, None when it has to end before it began, and what asks it to end."""
    from ..worker.options import WorkerOptions
    from ..worker.retry import RetryPolicy
    from ..worker.signals import StopRequest
    from ..worker.tables import PIPELINE

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    settings = WorkerOptions(
        restrictions=[read_key(options.restrict)] if options.restrict else [],
        engines=options.engine or None,
        device=options.device,
        hours=options.hours,
        stop_when_idle=options.stop_when_idle,
        max_jobs=options.max_jobs,
        poll_interval=options.poll,
        grace=options.grace,
        lease=options.lease,
        retry=RetryPolicy(options.attempts, options.retry_delay),
        pipeline=options.pipeline or PIPELINE,
    )
    stop = StopRequest(settings.grace, settings.hours)
    if not _wait_for_database(stop):
        return None, stop
    from ..worker.loop import Worker
    from ..worker.tables import list_tables

    try:
        return Worker(list_tables(settings.pipeline, options.table), settings, stop), stop
    except Exception as error:
        if not _is_passing(error):
            raise
        # Schemas that are half activated cannot be activated again; a new process can do it.
        logging.warning("the start was cut short (%s); starting anew", error)
        time.sleep(1)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


@contextlib.contextmanager
def _ending_at_once(code: int) -> Iterator[None]:
    """End by a signal while there is no job in hand, whatever is being imported just then.

    An exception would not do: some packages try to import others, and go on whatever was raised.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: Any) -> None:
        os.write(2, f"{signal.Signals(number).name}: ending before the first job\n".encode())
        os._exit(code)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_passing(error: BaseException) -> bool:
    """Whether a start may succeed the next time: the database went, or others start as well."""
    import pymysql

    from ..worker.retry import is_transient

    exists = (1007, 1050)  # database, table: another worker created it in the same moment
    is_race = isinstance(error, pymysql.err.Error) and error.args[:1] in [(n,) for n in exists]
    return is_race or is_transient(error)


def _wait_for_database(stop: Any) -> bool:
    """Wait until the server answers, which may start later than its workers."""
    from ..configuration.login import use_configured_database

    use_configured_database()
    import datajoint as dj
    import pymysql

    from ..worker.server import is_away

    was_away = False
    while not stop.requested:
        try:
            dj.conn()
            return True
        except (pymysql.err.Error, dj.DataJointError) as error:
            if not is_away(error):
                raise
            if not was_away:
                logging.warning("the database does not answer (%s); waiting for it", error)
            was_away = True
            stop.pause(2)
    return False

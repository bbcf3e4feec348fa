"""Renews the lease of the job in hand, in a thread and on a connection of its own.

The thread lives and dies with its process: one that is killed, or paused by SIGSTOP, renews
nothing. While the database is away nothing is renewed and nothing is lost: only the server's word
that the lease has another token means that somebody else took the job.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any

from element_deeplabcut.connections import connect_plainly

from ..heart import Heart
from .lease import HeldLease, LeaseStore
from .tables import show_job

logger = logging.getLogger(__name__)

BEATS_PER_LEASE = 4
"""Three may be missed before others may take the job."""


class Heartbeat:
    """Keeps one lease at a time alive, and tells this machine that the worker lives."""

    def __init__(self, leases: LeaseStore, heart: Heart) -> None:
        self._leases, self._heart = leases, heart
        self._lease: HeldLease | None = None
        self._ended = threading.Event()
        self._connection: Any = None
        self._was_away = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._heart.beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=1)
        self._heart.stop()

    def hold(self, lease: HeldLease | None) -> None:
        """Renew this lease from now on; None renews nothing."""
        self._lease = lease
        self._heart.turn_to("" if lease is None else show_job(lease.table, lease.key))

    def _run(self) -> None:
        while not self._ended.wait(self._leases.seconds / BEATS_PER_LEASE):
            self._heart.beat()
            lease = self._lease
            if lease is None or lease.lost:
                continue
            try:
                renewed = self._renew(lease)
            except Exception as error:  # a thread that ended would take the lease with it
                logger.debug("lease not renewed: %s", error)
                self._disconnect()
                continue
            self._heart.renewed_at = time.monotonic()
            # A job that has just been recorded has no lease either: that is not a loss.
            if not renewed and lease is self._lease:
                lease.lost = True
                self._heart.renewed_at = None  # nor will it be: others have the job
        self._disconnect()

    def _renew(self, lease: HeldLease) -> bool:
        if self._connection is None:
            self._connect()
        with self._connection.cursor() as cursor:
            return bool(cursor.execute(*self._leases.renewal(lease)))

    def _connect(self) -> None:
        server = self._leases.server
        try:
            self._connection = connect_plainly(server.connection)
        except Exception:
            self._was_away = True
            raise
        if self._was_away:
            self._was_away, server.returned_at = False, time.monotonic()

    def _disconnect(self) -> None:
        with contextlib.suppress(Exception):
            self._connection.close()
        self._connection = None

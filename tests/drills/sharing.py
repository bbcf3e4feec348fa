"""Workers that share: one project, one server, and no common clock."""

from __future__ import annotations

import datetime
import os
import random
import time

from element_deeplabcut.store.files import fingerprint

from .record import Record
from .signals import storm
from .site import Site
from .workers import Prepare

_SKEWS_S = (-86_400, -3_600, 3_600, 86_400)


def share_project(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """two workers train on one project, with signals; the project stays as it was"""
    before = fingerprint(site.project)
    site.add_trainings(n)
    storm(site, record, n, chance, (site.pipeline.train.ModelTraining,), size=2)
    if fingerprint(site.project) != before:
        record.found.partial.add("the user's project was changed")


def skew_clocks(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """four workers whose clocks differ by an hour and by a day, in other time zones; signals"""
    clocks = [shift_clock(seconds) for seconds in _SKEWS_S]
    storm(site, record, n, chance, site.tables, prepare=clocks)
    record.facts["clocks"] = len(clocks)


def shift_clock(seconds: float) -> Prepare:
    """Give a forked worker a wrong clock: Python's, which is all that a worker may ask."""

    def prepare() -> None:
        real_time, real_datetime = time.time, datetime.datetime
        shift = datetime.timedelta(seconds=seconds)

        class Shifted(real_datetime):  # type: ignore[misc, valid-type]
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
                return real_datetime.now(tz) + shift

            @classmethod
            def utcnow(cls) -> datetime.datetime:
                return real_datetime.utcnow() + shift

        time.time = lambda: real_time() + seconds
        datetime.datetime = Shifted  # type: ignore[misc]
        os.environ["TZ"] = f"DRILL{int(seconds / 3600) % 12:+d}"
        time.tzset()

    return prepare

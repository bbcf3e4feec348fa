"""SIGTERM and SIGINT: finish or hand back within the grace time, release the lease, exit 0."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from workflow_deeplabcut.worker.signals import StopRequest

from .conftest import FAST, Site, until

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@SIGNALS
def test_a_short_job_is_finished(site: Site, number: int) -> None:
    site.add("sleep 2", "")  # long enough that the signal comes meanwhile
    worker = site.start(site.Parts, grace=10)
    until(site.calls)
    worker.send(number)
    assert worker.wait() == 0
    assert list(site.Parts.fetch("b")) == [0]
    site.assert_nothing_left()


@SIGNALS
@pytest.mark.parametrize("script", ["work 30", "sleep 30"])
@pytest.mark.parametrize("name", ["Parts", "Plain"])
def test_a_long_job_is_handed_back(site: Site, number: int, script: str, name: str) -> None:
    """Whether it looks if it should stop ("work"), or never does ("sleep")."""
    table = getattr(site, name)
    site.add(script)
    worker = site.start(table, grace=0.3)
    until(site.calls)
    began = time.monotonic()
    worker.send(number)
    assert worker.wait(15) == 0
    assert 0.25 < time.monotonic() - began < 15  # it would take 30 s
    assert not table()
    assert not site.jobs
    assert not site.leases
    assert "handed back" in worker.log.read_text()


def test_a_second_signal_interrupts_at_once(site: Site) -> None:
    site.add("sleep 30")
    worker = site.start(site.Plain, grace=60)
    until(site.calls)
    worker.send(signal.SIGTERM)
    until(lambda: "SIGTERM: ending" in worker.log.read_text())
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    site.assert_nothing_left()


def test_an_idle_worker_ends_at_once(site: Site) -> None:
    worker = site.start(site.Plain, poll_interval=60)
    until(lambda: "begins" in worker.log.read_text())
    time.sleep(0.3)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_hours_interrupt_a_job_after_the_grace_time(site: Site) -> None:
    site.add("sleep 30")
    worker = site.start(site.Plain, hours=0.5 / 3600, grace=0.3)
    assert worker.wait() == 0
    site.assert_nothing_left()


def test_somebody_else_may_ask_a_worker_to_end(site: Site) -> None:
    site.add("work 30")
    stop = StopRequest(grace=0.2)

    def ask() -> None:
        until(site.calls)
        stop.request()

    somebody = threading.Thread(target=ask)
    somebody.start()
    summary = site.run(site.Parts, stop=stop)
    somebody.join()
    assert summary.handed_back == 1


def test_handlers_are_as_they_were(site: Site) -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    site.run(site.Parts, **FAST)
    assert [signal.getsignal(number) for number in numbers] == before

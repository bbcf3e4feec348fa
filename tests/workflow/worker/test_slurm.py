"""deploy/slurm/workers.sbatch, as a user submits it, on a real Slurm."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import datajoint as dj
import pytest

from element_deeplabcut.readers.learning_curve import LOSS, read_learning_curve
from element_deeplabcut.readers.snapshots import list_snapshots

from ...conftest import TINY_NETWORK, TRAINING_PARAMS, Lab
from .conftest import Site
from .slurm import Slurm, find_missing, running
from .test_command import PIPELINE, REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(find_missing()),
        reason=f"Slurm is not installed ({', '.join(find_missing())}); see make check-slurm",
    ),
]

SCRIPT = REPOSITORY / "deploy" / "slurm" / "workers.sbatch"
ONE = ("--array=0", "--time=01:00:00")
QUICK = ("--poll", "0.2")


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with running() as started:
        yield started


def write_environment(slurm: Slurm, **more: str) -> None:
    """What a user has where sbatch is called: the database's login, and worker.env."""
    program = slurm.folder / "bin" / "workflow-deeplabcut"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m workflow_deeplabcut.cli "$@"\n')
    program.chmod(0o755)
    (slurm.folder / "my_pipeline.py").write_text(PIPELINE)
    settings = {name: dj.config[name] for name in dj.config if name.startswith("database.")}
    (slurm.folder / "dj_local_conf.json").write_text(json.dumps(settings))
    more["PYTHONPATH"] = f"{REPOSITORY}{os.pathsep}{slurm.folder}"
    lines = [f"export {name}='{value}'" for name, value in more.items()]
    lines.append(f'export PATH="{program.parent}:$PATH"')
    (slurm.folder / "worker.env").write_text("\n".join(lines))


def read_log(slurm: Slurm, job: str, task: int = 0) -> str:
    file = slurm.folder / f"deeplabcut-{job}_{task}.log"
    return file.read_text() if file.exists() else ""


@pytest.mark.dlc
def test_a_preempted_training_goes_on(lab: Lab, slurm: Slurm) -> None:
    """Somebody with priority takes the whole node; afterwards the task is back, and finishes it."""
    updates = {**TINY_NETWORK, "runner.eval_interval": 1}
    # Enough that it still trains when Slurm makes way: that takes some seconds, and the worker may
    # finish an epoch or two meanwhile, on a fast machine several.
    epochs = 32
    params = {**TRAINING_PARAMS, "epochs": epochs, "save_epochs": 1, "pytorch_cfg_updates": updates}
    key = lab.add_training(1050, params)
    write_environment(
        slurm, DATABASE_PREFIX="test_", DLC_ROOT_DATA_DIR=str(lab.root),
        DLC_PROCESSED_DATA_DIR=str(lab.processed), DLClight="True", HF_HUB_OFFLINE="1",
    )  # fmt: skip
    table = lab.pipeline.train.ModelTraining
    # The two signals of a preemption may reach the worker as one; then it has this long.
    grace = ("--grace", "1")
    arguments = ("--table", "ModelTraining", "--restrict", "training_id=1050", *grace)
    job = slurm.submit(*ONE, str(SCRIPT), *arguments, *QUICK)

    def find_epochs() -> int:
        folders = [path.parent for path in lab.processed.rglob("snapshot-00*.pt")
                   if "1050" in str(path) and ".attempts" in str(path)]  # fmt: skip
        return max((s.epochs for folder in folders for s in list_snapshots(folder)), default=0)

    slurm.until(lambda: find_epochs() >= 3, 400)
    other = slurm.submit("-p", "high", "-c", "8", "-o", "other.log", "--wrap", "sleep 1")
    assert slurm.wait(other)["JobState"] == "COMPLETED"
    assert not table & key
    end = slurm.wait(f"{job}_0", seconds=480)

    assert (end["JobState"], end["Restarts"]) == ("COMPLETED", "1"), slurm.read_logs()
    log = read_log(slurm, job)
    assert log.count("handed back ModelTraining") == log.count("done ModelTraining") == 1, log
    assert "told to end; requeueing" not in log  # Slurm has done that
    # A single complete curve, in one row, that was stopped once.
    row = (table & key).fetch1()
    (stop,) = row["run_info"]["resumed"]
    assert 3 <= stop["epochs"] < row["latest_snapshot"] == epochs
    (file,) = (lab.processed / row["run_info"]["run_directory"]).rglob("learning_stats.csv")
    curve = read_learning_curve(file)
    assert curve.steps.tolist() == list(range(1, epochs + 1))
    assert all(value == value for value in curve.columns[LOSS])
    assert not lab.pipeline.train.schema.jobs & "status='reserved'"


def test_a_worker_that_is_told_to_end_is_requeued(site: Site, slurm: Slurm) -> None:
    """What Slurm sends to the batch script before the time limit."""
    site.add("work 600")
    write_environment(slurm, SCRIPTED_LOG=str(site.calls_file), DATABASE_PREFIX="test_")
    job = slurm.submit(*ONE, str(SCRIPT), "--pipeline", "my_pipeline", "--table", "Parts",
                       "--grace", "1", *QUICK)  # fmt: skip
    slurm.until(site.calls, 120)
    slurm.run("scancel", "--batch", "--signal=TERM", f"{job}_0")
    slurm.until(lambda: "told to end; requeueing" in read_log(slurm, job), 30)
    assert "handed back Parts a=1 b=0" in read_log(slurm, job)
    slurm.until(lambda: len(site.calls()) == 2, 120)  # it is back, and has taken the job again
    assert slurm.show(f"{job}_0")["Restarts"] == "1"
    assert "start 2," in read_log(slurm, job)
    assert "GPU 0" in read_log(slurm, job)
    assert re.search(r"0\.9\d+ hours left", read_log(slurm, job))
    assert list(site.leases.fetch("attempts")) == [1]  # what was handed back was not tried

    # And who cancels it has the last word.
    slurm.run("scancel", job)
    assert slurm.wait(f"{job}_0")["JobState"] == "CANCELLED"
    slurm.until(lambda: not site.jobs, 30)
    assert slurm.show(f"{job}_0")["JobState"] == "CANCELLED"
    assert read_log(slurm, job).count("told to end; requeueing") == 1


def test_the_time_limit_requeues(site: Site, slurm: Slurm) -> None:
    """A worker's hours end before Slurm's; nothing is killed, and nothing times out."""
    site.add("work 600")
    write_environment(slurm, SCRIPTED_LOG=str(site.calls_file), DATABASE_PREFIX="test_")
    job = slurm.submit("--array=0", "--time=00:01:00", "--signal=B:TERM@10", str(SCRIPT),
                       "--pipeline", "my_pipeline", "--table", "Parts",
                       "--grace", "1", *QUICK)  # fmt: skip
    slurm.until(lambda: len(site.calls()) == 2, 200)
    assert "handed back Parts a=1 b=0" in read_log(slurm, job)
    assert slurm.show(f"{job}_0")["Restarts"] == "1"
    slurm.run("scancel", job)
    slurm.wait(f"{job}_0")


def test_workers_end_when_nothing_is_left(site: Site, slurm: Slurm) -> None:
    site.add("", "", "bad", "")
    write_environment(slurm, SCRIPTED_LOG=str(site.calls_file), DATABASE_PREFIX="test_")
    job = slurm.submit("--array=0-1", "--time=01:00:00", str(SCRIPT), "--pipeline", "my_pipeline",
                       "--table", "Parts", *QUICK)  # fmt: skip
    ends = [slurm.wait(f"{job}_{task}", seconds=180) for task in (0, 1)]
    assert [(end["JobState"], end["ExitCode"], end["Restarts"]) for end in ends] == [
        ("COMPLETED", "0:0", "0")
    ] * 2
    assert len(site.Parts()) == 3


def test_a_mistake_is_not_repeated(slurm: Slurm, site: Site) -> None:
    write_environment(slurm, DATABASE_PREFIX="test_")
    job = slurm.submit(*ONE, str(SCRIPT), "--pipeline", "no_such_module")
    end = slurm.wait(f"{job}_0", seconds=120)
    assert (end["JobState"], end["ExitCode"], end["Restarts"]) == ("FAILED", "1:0", "0")
    assert "There is no module 'no_such_module'" in read_log(slurm, job)


def test_the_script_says_what_it_must() -> None:
    assert subprocess.run(["bash", "-n", str(SCRIPT)]).returncode == 0
    options = re.findall(r"^#SBATCH (--[\w-]+)(?:=(\S+))?$", SCRIPT.read_text(), re.MULTILINE)
    said = dict(options)
    assert "--requeue" in said
    assert said["--signal"] == "B:TERM@120"
    assert int(re.findall(r"^GRACE=(\d+)", SCRIPT.read_text(), re.MULTILINE)[0]) < 30

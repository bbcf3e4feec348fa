"""Every line of the Dockerfile, carried out without Docker, and what the images then do.

    make check-docker            # needs root, debootstrap and the network; minutes and gigabytes

CHECK_DOCKER=/a/folder keeps what was built there, for the next time.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_deeplabcut.cli import make_parser

from ..conftest import TENSORFLOW_PARAMS, TRAINING_PARAMS, Lab
from .building import Builder, Container, Image, Mount, enter
from .dockerfile import Context
from .test_files import REPOSITORY, STAGES, read_compose

_WANTED = os.environ.get("CHECK_DOCKER", "")
_MISSING = (
    "it takes minutes and gigabytes; make check-docker does it" if not _WANTED
    else "it needs root" if os.geteuid() != 0
    else "debootstrap is not installed" if not shutil.which("debootstrap")
    else ""
)  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

SOMEBODY = "4321:4321"
"""A user of the host whom the image does not know."""


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """What builds the images, from a base that debootstrap makes."""
    is_kept = "/" in _WANTED
    work = Path(_WANTED) if is_kept else tmp_path_factory.mktemp("images")
    work.mkdir(exist_ok=True)
    base = work / "debian"
    if not base.exists():
        subprocess.run(
            ["debootstrap", "--variant=minbase", "bookworm", base], check=True, capture_output=True
        )
        for file in Path("/usr/local/share/ca-certificates").glob("*.crt"):
            shutil.copy(file, base / "usr/local/share/ca-certificates")  # of the host's network
        (base / "etc/hosts").touch()
    yield Builder(STAGES, {"debian:bookworm-slim": base}, Context(REPOSITORY), work)
    if not is_kept:
        shutil.rmtree(work)


@pytest.fixture(scope="module")
def shared(lab: Lab) -> Lab:
    """The lab, with results that belong to somebody."""
    lab.processed.mkdir(exist_ok=True)
    for folder in (lab.processed, *lab.processed.rglob("*")):
        os.chown(folder, 4321, 4321)
    for folder in lab.root.parents:
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)  # pytest's folders are for root alone
    return lab


def mount_data(lab: Lab, cache: Path) -> list[Mount]:
    """What the Compose file mounts."""
    cache.mkdir(exist_ok=True, mode=0o777)
    cache.chmod(0o777)
    return [
        Mount(lab.root, "/data", read_only=True), Mount(lab.processed, "/processed"),
        Mount(cache, "/cache"), Mount(None, "/tmp"), Mount(None, "/home/dlc"),
    ]  # fmt: skip


def list_environment(lab: Lab, service: str, **more: str) -> dict[str, str]:
    """What the Compose file sets, for the database of the tests."""
    said = read_compose()["services"][service]["environment"]
    settings = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(v)) for name, v in said.items()}
    return {
        **settings,
        "DJ_HOST": lab.server.host, "DJ_PORT": str(lab.server.port),
        "DJ_USER": lab.server.user, "DJ_PASS": lab.server.password,
        "DATABASE_PREFIX": "test_", **more,
    }  # fmt: skip


def until(condition: Callable[[], Any], log: Path, seconds: float) -> None:
    """Wait until something is so; where it does not come to be, show the container's log."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(1)


def list_packages(image: Image) -> dict[str, str]:
    """What is installed in an image: name -> version."""
    listing = (
        "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    )
    ended = subprocess.run(
        enter(image, ["python", "-c", listing]), check=True, capture_output=True, text=True
    )
    lines = [line.split() for line in ended.stdout.splitlines()]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in lines}


@pytest.mark.parametrize(
    ("target", "has", "lacks"),
    [
        ("notebook", {"jupyterlab", "movement", "pynwb"}, {"torch", "tensorflow", "deeplabcut"}),
        ("pytorch", {"torch", "deeplabcut", "movement"}, {"tensorflow", "jupyterlab", "pytest"}),
        ("tensorflow", {"torch", "tensorflow", "deeplabcut"}, {"jupyterlab", "pytest"}),
    ],
)
def test_an_image_has_what_it_needs_as_it_was_tested(
    builder: Builder, target: str, has: set[str], lacks: set[str]
) -> None:
    found = list_packages(builder.build(target))
    assert has <= set(found)
    assert not (lacks | {"opencv-python"}) & set(found)
    pins = (REPOSITORY / "requirements.txt").read_text()
    pinned: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", pins, re.MULTILINE):
        pinned.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(version)
    del found["element-deeplabcut"]
    assert {name: v for name, v in found.items() if v not in pinned.get(name, ())} == {}


@pytest.mark.dlc
@pytest.mark.parametrize(
    ("target", "number", "params"),
    [
        ("pytorch", 1051, {**TRAINING_PARAMS, "epochs": 2}),
        ("tensorflow", 1052, {**TENSORFLOW_PARAMS, "max_iters": 20, "save_iters": 10}),
    ],
)
def test_a_worker_trains(
    builder: Builder, shared: Lab, tmp_path: Path, target: str, number: int, params: dict[str, Any]
) -> None:
    """As somebody, on raw data and in a system that cannot be written, as the first process."""
    image = builder.build(target)
    key = shared.add_training(number, params)
    log = tmp_path / "worker.log"
    (*words,) = read_compose()["services"]["worker"]["command"]
    chosen = ["--table", "ModelTraining", "--restrict", f"training_id={number}", "--poll", "0.5"]
    make_parser().parse_args([*words, *chosen])
    worker = Container(
        image, [*words, *chosen], log, user=SOMEBODY, read_only=True,
        env=list_environment(shared, "worker"), mounts=mount_data(shared, tmp_path / "cache"),
    )  # fmt: skip
    try:
        until(worker.is_well, log, 120)
        table = shared.pipeline.train.ModelTraining
        until(lambda: table & key, log, 600)
        said = worker.execute(image.health).stdout
        assert "is well" in said, log.read_text()
        assert worker.stop(60) == 0, log.read_text()  # as the Compose file does
    finally:
        worker.kill()
    assert "Traceback" not in log.read_text()
    folder = shared.processed / (table & key).fetch1("run_info")["run_directory"]
    assert folder.stat().st_uid == 4321


def test_a_notebook_server_lets_nobody_in_without_the_token(
    builder: Builder, shared: Lab, tmp_path: Path
) -> None:
    image, token, log = builder.build("notebook"), secrets.token_hex(16), tmp_path / "notebook.log"
    server = Container(
        image, [], log, user=SOMEBODY, read_only=True,
        env=list_environment(shared, "notebook", JUPYTER_TOKEN=token),
        mounts=[*mount_data(shared, tmp_path / "cache"), Mount(None, "/home/dlc/notebooks")],
    )  # fmt: skip
    try:
        until(server.is_well, log, 120)
        address = "http://127.0.0.1:8888/api/contents"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(address)
        with urllib.request.urlopen(f"{address}?token={token}") as answer:
            assert answer.status == 200
        program = "from workflow_deeplabcut.pipeline import train; train.TrainingTask().fetch()"
        found = server.execute(["python", "-c", program])
        assert found.returncode == 0, found.stderr
        assert server.stop(30) == 0, log.read_text()
    finally:
        server.kill()


def test_a_notebook_server_without_a_token_does_not_start(builder: Builder, tmp_path: Path) -> None:
    log = tmp_path / "notebook.log"
    assert Container(builder.build("notebook"), [], log, env={"JUPYTER_TOKEN": ""}).wait(30) != 0
    assert "Set JUPYTER_TOKEN" in log.read_text()


def test_a_worker_that_has_not_begun_is_not_well(builder: Builder, tmp_path: Path) -> None:
    """Its database is not there yet: it waits, says so, and ends on a signal."""
    log = tmp_path / "worker.log"
    settings = {"DJ_HOST": "127.0.0.1:1", "DJ_USER": "lab", "DJ_PASS": "x"}
    worker = Container(builder.build("pytorch"), [], log, env=settings, user=SOMEBODY)
    try:
        until(lambda: "waiting for it" in log.read_text(), log, 60)
        assert not worker.is_well()
        assert worker.stop(10) == 0
    finally:
        worker.kill()

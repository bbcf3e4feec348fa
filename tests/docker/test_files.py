"""The Compose file, the Dockerfile and what belongs to them, as far as no Docker is needed."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_deeplabcut import cli
from workflow_deeplabcut.database.process import options as embedded_options

from .dockerfile import Context, read_dockerfile

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "docker"
COMPOSE = FOLDER / "compose.yaml"
OVERRIDES = (FOLDER / "compose.gpu.yaml",)
STAGES = read_dockerfile(FOLDER / "Dockerfile")

OF_OTHERS = {
    "HF_HUB_OFFLINE": "huggingface_hub",
    "JUPYTER_TOKEN": "jupyter_server",
    "OMP_NUM_THREADS": "OpenMP",
}
"""Variables that no code of ours reads, and who does."""


def read_compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


def list_variables(text: str) -> dict[str, str]:
    """Variables that a Compose file asks for, with what stands if one is missing."""
    return dict(re.findall(r"\$\{(\w+)(:?[?-][^}]*)?\}", text))


def parse(words: list[str]) -> argparse.Namespace:
    return cli.make_parser().parse_args(words)


def to_seconds(said: str) -> float:
    return float(said.removesuffix("s"))


@pytest.mark.parametrize("file", [COMPOSE, *OVERRIDES], ids=lambda file: file.name)
def test_compose_files_are_of_the_schema(file: Path) -> None:
    from check_jsonschema import main

    with pytest.raises(SystemExit) as ended:
        main(["--builtin-schema", "vendor.compose-spec", str(file)], standalone_mode=True)
    assert ended.value.code in (0, None)


def test_an_override_changes_what_is_there() -> None:
    services = read_compose()["services"]
    for file in OVERRIDES:
        assert set(yaml.safe_load(file.read_text())["services"]) <= set(services)


# --- what is copied -------------------------------------------------------------------------------


def test_everything_that_is_copied_is_there() -> None:
    context = Context(REPOSITORY)
    copied = [
        (stage.name, instruction)
        for stage in STAGES.values()
        for instruction in stage.instructions
        if instruction.name == "COPY"
    ]
    assert len(copied) >= 10
    for _, instruction in copied:
        if "from" in instruction.flags:
            assert instruction.flags["from"] in STAGES
        else:
            assert all(context.list(source) for source in instruction.words[:-1]), instruction


def test_stages_begin_with_stages_before_them() -> None:
    for number, stage in enumerate(STAGES.values()):
        assert stage.base == "debian:bookworm-slim" or stage.base in list(STAGES)[:number]
    assert list(STAGES)[-1] == "pytorch"


@pytest.mark.parametrize(
    "path",
    ["docker/.env", "dj_local_conf.json", ".git/config", "tests/conftest.py", ".venv/bin/python",
     "element_deeplabcut/__pycache__/train.cpython-311.pyc", "notebooks/dj_local_conf.json",
     "demo_output/summary.json"],
)  # fmt: skip
def test_nothing_else_comes_near_an_image(path: str) -> None:
    assert not Context(REPOSITORY).holds(path)


def test_all_code_is_part_of_the_context() -> None:
    context = Context(REPOSITORY)
    for package in ("element_deeplabcut", "workflow_deeplabcut"):
        files = [str(f.relative_to(REPOSITORY)) for f in (REPOSITORY / package).rglob("*.py")]
        assert context.list(package) == sorted(files)


# --- settings -------------------------------------------------------------------------------------


def test_every_variable_of_a_container_is_read_by_somebody() -> None:
    import datajoint

    sources = [*(REPOSITORY / "workflow_deeplabcut").rglob("*.py")]
    sources += [*(REPOSITORY / "element_deeplabcut").rglob("*.py")]
    sources.append(Path(datajoint.__file__).with_name("settings.py"))
    code = "\n".join(file.read_text() for file in sources)
    for service in ("worker", "notebook"):
        for name in read_compose()["services"][service]["environment"]:
            assert name in OF_OTHERS or f'"{name}"' in code, name


def test_secrets_come_from_outside_and_are_never_empty() -> None:
    services = read_compose()["services"]
    for service, name in (("database", "MARIADB_PASSWORD"), ("worker", "DJ_PASS"),
                          ("notebook", "DJ_PASS"), ("notebook", "JUPYTER_TOKEN")):  # fmt: skip
        # With the colon, an empty one is refused as well.
        assert re.fullmatch(r"\$\{\w+:\?Set \w+ .+\.\}", services[service]["environment"][name])
    assert "MARIADB_ROOT_PASSWORD" not in services["database"]["environment"]
    everything = COMPOSE.read_text()
    needed = {name for name, rest in list_variables(everything).items() if rest.startswith(":?")}
    assert needed == {"DJ_PASS", "JUPYTER_TOKEN", "DLC_DATA", "DLC_PROCESSED"}


def test_the_example_names_every_variable_and_no_secret() -> None:
    example = (FOLDER / ".env.example").read_text()
    named = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE))
    wanted: dict[str, str] = {}
    for file in (COMPOSE, *OVERRIDES):
        wanted |= list_variables(file.read_text())
    assert set(named) == set(wanted)
    for name, rest in wanted.items():
        if rest.startswith(":?"):
            assert named[name] == ""
        elif name not in ("DJ_HOST", "DJ_USE_TLS", "NOTEBOOKS"):  # examples of other values
            assert named[name] == rest.removeprefix(":-"), name


def test_the_settings_file_is_not_committed() -> None:
    said = subprocess.run(["git", "check-ignore", "-q", "docker/.env"], cwd=REPOSITORY)
    if said.returncode == 128:
        pytest.skip("this is no git checkout")
    assert said.returncode == 0


def test_data_is_where_the_workflow_looks_for_it() -> None:
    worker = read_compose()["services"]["worker"]
    mounts = {v["target"]: v for v in worker["volumes"] if isinstance(v, dict)}
    assert mounts[worker["environment"]["DLC_ROOT_DATA_DIR"]]["read_only"] is True
    assert "read_only" not in mounts[worker["environment"]["DLC_PROCESSED_DATA_DIR"]]
    cache = next(v for v in worker["volumes"] if isinstance(v, str)).partition(":")[2]
    env = dict(
        word.split("=", 1)
        for instruction in STAGES["system"].instructions
        if instruction.name == "ENV"
        for word in instruction.words
    )
    for name in ("HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        assert env[name].startswith(cache)


# --- commands -------------------------------------------------------------------------------------


def test_commands_are_those_of_the_command_line() -> None:
    instructions = {i.name: i for i in STAGES["worker"].instructions}
    assert instructions["ENTRYPOINT"].command == ["workflow-deeplabcut"]
    parse(instructions["CMD"].command)
    worker = read_compose()["services"]["worker"]
    parse(worker["command"])
    _, program, *words = worker["healthcheck"]["test"]
    assert program == "workflow-deeplabcut"
    parse(words)


def test_a_worker_has_time_to_hand_its_job_back() -> None:
    worker = read_compose()["services"]["worker"]
    needed = parse(worker["command"]).grace + 5 + 5  # to reach a database, and to end
    assert to_seconds(worker["stop_grace_period"]) >= needed


@pytest.mark.parametrize("service", ["worker", "notebook"])
def test_image_and_compose_check_health_alike(service: str) -> None:
    said = read_compose()["services"][service]["healthcheck"]
    (check,) = [i for i in STAGES[service].instructions if i.name == "HEALTHCHECK"]
    flags = {name.replace("-", "_"): value for name, value in check.flags.items()}
    assert flags == {name: str(value) for name, value in said.items() if name != "test"}
    assert yaml.safe_load(check.value.removeprefix("CMD ")) == said["test"][1:]


def test_every_service_says_whether_it_is_well() -> None:
    services = read_compose()["services"]
    assert all("healthcheck" in service for service in services.values())
    for name in ("worker", "notebook"):
        assert services[name]["depends_on"]["database"]["condition"] == "service_healthy"


def test_nothing_of_ours_runs_as_root() -> None:
    for name in ("worker", "notebook"):
        assert [i.value for i in STAGES[name].instructions if i.name == "USER"] == ["1000:1000"]
        assert read_compose()["services"][name]["user"] == "${DLC_UID:-1000}:${DLC_GID:-1000}"
        assert read_compose()["services"][name]["read_only"] is True


@pytest.mark.parametrize("token", [None, ""])
def test_a_notebook_server_without_a_token_does_not_start(token: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "JUPYTER_TOKEN"}
    if token is not None:
        environment["JUPYTER_TOKEN"] = token
    ended = subprocess.run(
        ["sh", FOLDER / "start-notebook"], env=environment, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert "Set JUPYTER_TOKEN to a long random word" in ended.stderr


def test_the_database_is_set_up_as_the_embedded_one() -> None:
    said = dict(
        word.removeprefix("--").partition("=")[::2]
        for word in read_compose()["services"]["database"]["command"]
    )
    ours = dict(
        word.removeprefix("--").removeprefix("loose-").partition("=")[::2]
        for word in embedded_options(Path("/data"))
    )
    assert {name: ours.get(name) for name in said} == said

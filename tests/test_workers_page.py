"""docs/workers.md: its commands are commands, and what it names is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from workflow_deeplabcut.cli import make_parser

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "workers.md").read_text()
EXAMPLE = (ROOT / "docker" / ".env.example").read_text()


def list_commands() -> Iterator[list[str]]:
    """Every line of the page's shell blocks, and what it names in passing, as words."""
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            if words := shlex.split(line, comments=True):
                yield words
    for line in re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE):
        yield shlex.split(line)
    for quoted in re.findall(r"`(workflow-deeplabcut [^`]+)`", PAGE):
        yield shlex.split(quoted)


COMMANDS = list(list_commands())


def list_of(program: str) -> list[list[str]]:
    return [words for words in COMMANDS if words[0] == program]


@pytest.mark.parametrize("words", list_of("workflow-deeplabcut"), ids=" ".join)
def test_our_commands_are_those_of_the_command_line(words: list[str]) -> None:
    make_parser().parse_args(words[1:])


def test_commands_in_containers_are_those_of_the_command_line() -> None:
    found = [words for words in list_of("docker") if "exec" in words]
    for words in found:
        make_parser().parse_args(words[words.index("workflow-deeplabcut") + 1 :])
    assert found


def test_compose_files_and_services_are_there() -> None:
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    for words in list_of("docker"):
        assert words[1] == "compose"
        files = [words[n + 1] for n, word in enumerate(words) if word == "-f"]
        assert files
        assert all((ROOT / file).is_file() for file in files)
        named = [word for word in words[2:] if re.fullmatch(r"worker|notebook|database", word)]
        assert set(named) <= set(services)


def test_slurm_scripts_are_there_and_hand_on_what_a_worker_knows() -> None:
    for words in list_of("sbatch"):
        (at,) = [n for n, word in enumerate(words) if word.endswith(".sbatch")]
        assert (ROOT / words[at].removeprefix("~/element-deeplabcut/")).is_file()
        make_parser().parse_args(["worker", *words[at + 1 :]])


def test_files_that_are_copied_are_there() -> None:
    for words in list_of("cp"):
        assert (ROOT / words[1].removeprefix("~/element-deeplabcut/")).is_file()


def test_the_unit_starts_a_worker_that_has_time_to_end() -> None:
    unit = (ROOT / "deploy" / "systemd" / "deeplabcut-worker@.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    program, *words = settings["ExecStart"].split()
    assert program.endswith("/workflow-deeplabcut")
    grace = make_parser().parse_args(words).grace
    assert float(settings["TimeoutStopSec"]) >= grace + 10
    assert settings["KillMode"] == "mixed"


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE):
        assert ((ROOT / "docs" / target).resolve()).exists(), target


@pytest.mark.parametrize("name", ["WORKERS", "TARGET", "DLC_UID", "DLC_GID", "DLC_DATA"])
def test_settings_of_compose_are_those_of_the_example(name: str) -> None:
    assert f"`{name}" in PAGE
    assert re.search(rf"^#?{name}=", EXAMPLE, re.MULTILINE)


def test_the_second_gpu_is_a_service_of_the_schema(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "compose.second-gpu.yaml"
    file.write_text(block)
    schema = ["--builtin-schema", "vendor.compose-spec"]
    command = [sys.executable, "-m", "check_jsonschema", *schema, str(file)]
    subprocess.run(command, check=True, capture_output=True)
    (service,) = yaml.safe_load(block)["services"].values()
    assert (ROOT / "docker" / service["extends"]["file"]).is_file()


def test_numbers_of_the_script_are_those_of_the_page() -> None:
    script = (ROOT / "deploy" / "slurm" / "workers.sbatch").read_text()
    (grace,) = re.findall(r"^GRACE=(\d+)", script, re.MULTILINE)
    assert f"`GRACE` is {grace}" in PAGE
    for option in ("--signal=B:TERM@120", "--requeue"):
        assert f"#SBATCH {option}\n" in script
        assert f"`{option}`" in PAGE


def test_weights_are_those_that_deeplabcut_asks_for() -> None:
    """By its own configurations: which of timm's networks a net_type is."""
    timm = pytest.importorskip("timm")
    from importlib.util import find_spec

    found = find_spec("deeplabcut")
    if found is None or found.origin is None:
        pytest.skip("DeepLabCut is not installed")
    backbones = Path(found.origin).parent / "pose_estimation_pytorch" / "config" / "backbones"
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \|$", PAGE, re.MULTILINE)
    assert len(rows) == 5
    for net_type, repository in rows:
        config = yaml.safe_load((backbones / f"{net_type}.yaml").read_text())
        name = config["model"]["backbone"]["model_name"]
        assert timm.models.get_pretrained_cfg(name).hf_hub_id == repository

"""A worker on a node without internet: pretrained weights that were put into the cache before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import datajoint as dj
import pytest

from ...conftest import TRAINING_PARAMS, Lab

pytestmark = [pytest.mark.dlc, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[3]


def fill_cache(home: Path) -> None:
    """Lay down weights as `hf download` does; random ones of the tests' own network."""
    import timm
    from safetensors.torch import save_file
    from timm.models import get_pretrained_cfg

    name = get_pretrained_cfg("test_resnet").hf_hub_id
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abcd")
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    network = timm.create_model("test_resnet", pretrained=False)
    save_file(network.state_dict(), snapshot / "model.safetensors")


@pytest.mark.parametrize(("is_filled", "code"), [(True, "done"), (False, "failed")])
def test_weights_are_found_where_the_docs_put_them(
    lab: Lab, tmp_path: Path, is_filled: bool, code: str
) -> None:
    home = tmp_path / "huggingface"
    if is_filled:
        fill_cache(home)
    number = 1053 if is_filled else 1054
    lab.add_training(number, {**TRAINING_PARAMS, "init_weights": "pretrained", "epochs": 1})
    settings = {name: dj.config[name] for name in dj.config if name.startswith("database.")}
    (tmp_path / "dj_local_conf.json").write_text(json.dumps(settings))
    ended = subprocess.run(
        [sys.executable, "-m", "workflow_deeplabcut.cli", "worker", "--stop-when-idle",
         "--table", "ModelTraining", "--restrict", f"training_id={number}"],
        env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1",
             "PYTHONPATH": str(REPOSITORY)},
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert f"{code} ModelTraining" in ended.stderr
    table = lab.pipeline.train.ModelTraining & {"training_id": number}
    assert len(table) == int(is_filled)
    if not is_filled:
        assert "The pretrained weights are neither on this machine nor" in ended.stderr
    lab.pipeline.train.schema.jobs.delete()

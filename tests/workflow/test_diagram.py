"""The diagrams of images/ show what the code declares, and the second pipeline works by itself."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from element_deeplabcut.errors import ParameterError, QueryError
from workflow_deeplabcut import cli, database
from workflow_deeplabcut.diagram import Graph, Link, Node, draw_graph, read_fingerprint

from ..conftest import Lab

REPOSITORY = Path(__file__).parents[2]
IMAGES = REPOSITORY / "images"
needs_graphviz = pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed")


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location(
        "draw_diagrams", REPOSITORY / "scripts" / "draw_diagrams.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def graphs(script: Any, server: database.Server) -> dict[str, Graph]:
    return script.read_setups(server)


@pytest.mark.slow
def test_the_pictures_are_up_to_date(script: Any, graphs: dict[str, Graph]) -> None:
    assert script.list_stale(graphs) == [], "run: python scripts/draw_diagrams.py"


def test_a_picture_of_another_graph_is_stale(
    script: Any, graphs: dict[str, Graph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(IMAGES, tmp_path / "images")
    monkeypatch.setattr(script, "IMAGES", tmp_path / "images")
    (tmp_path / "images" / "diagram_model_only.svg").unlink()
    name = "diagram_train_and_model.svg"
    graph = graphs[name]
    last = graph.links[-1]
    changed = Graph(graph.nodes, (*graph.links[:-1], Link(last.parent, last.child, "outside key")))
    assert changed != graph
    assert script.list_stale({**graphs, name: changed}) == [name, "diagram_model_only.svg"]


def test_the_set_ups_differ_in_train_only(graphs: dict[str, Graph]) -> None:
    both, alone = graphs["diagram_train_and_model.svg"], graphs["diagram_model_only.svg"]
    assert set(alone.nodes) == {node for node in both.nodes if node.schema != "train"}
    assert set(both.links) - set(alone.links) == {
        Link("train.TrainingParamSet", "model.Model", "outside key"),
        Link("train.TrainingParamSet", "train.TrainingTask", "part of key"),
        Link("train.VideoSet", "train.TrainingTask", "part of key"),
        Link("train.VideoSet", "train.VideoSet.File", "part of key"),
        Link("train.TrainingTask", "train.ModelTraining", "whole key"),
    }
    tiers = {node.label: node.tier for node in both.nodes}
    assert tiers["model.RecordingInfo"] == "imported"
    assert tiers["train.TrainingParamSet"] == "lookup"
    assert tiers["model.PoseEstimation.BodyPartPosition"] == "part"
    assert {node.label for node in alone.nodes if node.schema != "model"} == {
        "lab.Device", "session.Session", "subject.Subject",
    }  # fmt: skip


@pytest.mark.parametrize("name", [path.name for path in sorted(IMAGES.glob("diagram_*.svg"))])
def test_a_picture_says_all_and_no_more(name: str, graphs: dict[str, Graph]) -> None:
    text = (IMAGES / name).read_text(encoding="utf-8")
    words = {element.text for element in ElementTree.fromstring(text).iter()}
    assert {node.name for node in graphs[name].nodes} <= words
    assert {"Manual: entered by people", "Computed: by populate()"} <= words
    assert not re.search(r"/(home|tmp|work|root|Users)\b|20\d\d-\d\d|graphviz version", text)
    ground = ElementTree.fromstring(text).find(".//{*}polygon")
    assert ground is not None
    assert ground.get("fill") == "white"  # on a dark page, too


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def folder(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_graphviz
def test_a_neighbourhood_is_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["diagram", "--table", "PoseEstimation", "--above", "1", "--below", "1"]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == "diagram.svg\n"
    text = Path("diagram.svg").read_text()
    drawn = set(re.findall(r"<title>((?:model|report|kinematics|train)\.[\w.]+)</title>", text))
    assert {"model.PoseEstimationTask", "model.PoseEstimation", "model.LabeledVideo"} <= drawn
    assert not {"model.Model", "model.LabeledVideo.File", "train.ModelTraining"} & drawn
    assert cli.main(arguments) == 1
    assert "'diagram.svg' exists. Add --overwrite" in capsys.readouterr().err
    assert cli.main([*arguments, "--overwrite"]) == 0
    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".dot", b"digraph")):
        assert cli.main([*arguments, "--output", f"d{suffix}"]) == 0
        assert Path(f"d{suffix}").read_bytes().startswith(magic)


def test_tables_and_links_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diagram", "--schema", "train", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [node["name"] for node in printed["nodes"] if node["tier"] == "computed"] == [
        "ModelTraining"
    ]
    assert printed["file"] is None
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--schema", "trian"], "There is no schema 'trian'. Choose from"),
        (["--table", "Pose"], "There is no table 'Pose'. Choose from"),
        (["--output", "d.jpg"], "'d.jpg' must end in one of .svg, .png, .pdf, .dot"),
        (["--output", "nowhere/d.svg"], "The folder 'nowhere' does not exist"),
        (["--above", "-1"], "numbers of steps"),
        (["--pipeline", "no_such_module"], "There is no module 'no_such_module'"),
    ],
)
def test_a_mistake_gets_a_sentence(
    folder: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["diagram", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_without_graphviz_it_says_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    assert cli.main(["diagram"]) == 1
    assert "apt-get install graphviz" in capsys.readouterr().err


# --- graphs ---------------------------------------------------------------------------------------


def chain() -> Graph:
    nodes = tuple(Node("s", name, "manual", True) for name in "ABCD")
    links = (("A", "B"), ("B", "C"), ("C", "D"))
    return Graph(nodes, tuple(Link(f"s.{a}", f"s.{b}", "part of key") for a, b in links))


def test_steps_go_up_and_down_and_not_back() -> None:
    def names(**steps: int) -> str:
        return "".join(node.name for node in chain().select(tables=["B"], **steps).nodes)

    assert names() == "B"
    assert names(above=1) == "AB"
    assert names(below=1) == "BC"
    assert names(above=9, below=9) == "ABCD"
    with pytest.raises(QueryError, match="no table 'E'"):
        chain().select(tables=["E"])


@needs_graphviz
def test_a_picture_knows_its_graph(tmp_path: Path) -> None:
    draw_graph(chain(), tmp_path / "a.svg", title="<A> & B")
    assert read_fingerprint(tmp_path / "a.svg") == chain().fingerprint
    ElementTree.fromstring((tmp_path / "a.svg").read_text())
    other = Graph(chain().nodes[::-1], chain().links)
    assert other.fingerprint != chain().fingerprint
    with pytest.raises(ParameterError, match="no tables"):
        draw_graph(Graph((), ()), tmp_path / "b.svg")


# --- the second pipeline --------------------------------------------------------------------------

MODEL_ONLY = """
import datajoint as dj
from workflow_deeplabcut.pipeline_model_only import model, session, subject

subject.Subject.insert1({"subject": "mouse", "sex": "F", "subject_birth_date": "2026-01-01",
                         "subject_description": ""})
day = {"subject": "mouse", "session_datetime": "2026-02-01 10:00:00"}
session.Session.insert1(day)
model.VideoRecording.insert1({**day, "recording_id": 1120, "device": "Camera1"})
model.VideoRecording.File.insert1({**day, "recording_id": 1120, "file_id": 1,
                                   "file_path": "raw/new.mp4"})
model.RecordingInfo.populate()
print(model.RecordingInfo.fetch1("nframes"), model.Model.parents())
from element_deeplabcut import train
print(train.schema.is_activated(), sorted(n for n in dj.list_schemas() if "alone2" in n))
"""


@pytest.mark.slow
def test_model_alone_on_a_fresh_prefix(lab: Lab, tmp_path: Path) -> None:
    """Configured by the environment alone."""
    ended = subprocess.run(
        [sys.executable, "-c", MODEL_ONLY], cwd=tmp_path, capture_output=True, text=True,
        timeout=240, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "DJ_HOST": lab.server.host,
             "DJ_PORT": str(lab.server.port), "DJ_USER": lab.server.user,
             "DJ_PASS": lab.server.password, "DJ_USE_TLS": "false",
             "DATABASE_PREFIX": "alone2_", "DLC_ROOT_DATA_DIR": str(lab.root)},
    )  # fmt: skip
    assert ended.stdout.splitlines() == [
        "100 []",
        "False ['alone2_lab', 'alone2_model', 'alone2_session', 'alone2_subject']",
    ], ended.stderr

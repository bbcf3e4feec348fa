"""Draw the diagrams of images/ from the code, or check that they show what the code declares.

Usage: ``python scripts/draw_diagrams.py [--check]``. Each pipeline is declared by a process of its
own, on a private database that is gone afterwards. Graphviz lays the same graph out differently in
each version, so ``--check`` compares the graph that a picture says it shows, not its bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_deeplabcut import database
from workflow_deeplabcut.diagram import Graph, Link, Node, draw_graph, read_fingerprint

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "images"


@dataclass(frozen=True)
class SetUp:
    """What one picture shows.

    Attributes:
        pipeline: Module that declares it.
        schemas: Schemas to show, and two steps of what they refer to.
        title: Caption.
    """

    pipeline: str
    schemas: tuple[str, ...]
    title: str


SETUPS: Mapping[str, SetUp] = {
    "diagram_train_and_model.svg": SetUp(
        "workflow_deeplabcut.pipeline",
        ("train", "model"),
        "Training and inference: the schemas train and model in workflow_deeplabcut.pipeline",
    ),
    "diagram_model_only.svg": SetUp(
        "workflow_deeplabcut.pipeline_model_only",
        ("model",),
        "Inference only: the schema model in workflow_deeplabcut.pipeline_model_only",
    ),
    "diagram_pipeline.svg": SetUp(
        "workflow_deeplabcut.pipeline",
        ("train", "model", "kinematics", "report"),
        "All schemas of Element DeepLabCut in workflow_deeplabcut.pipeline",
    ),
}


def read_pipeline(module: str, server: database.Server, prefix: str) -> Graph:
    """Declare a pipeline in a process of its own, and read its tables and links."""
    login = {
        "DJ_HOST": server.host,
        "DJ_PORT": str(server.port),
        "DJ_USER": server.user,
        "DJ_PASS": server.password,
        "DJ_USE_TLS": "false",
        "DATABASE_PREFIX": prefix,
        "DJ_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "workflow_deeplabcut", "diagram", "--pipeline", module]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:  # no dj_local_conf.json counts there
        printed = subprocess.run(
            [*command, "--json"],
            env={**os.environ, **login, "HOME": folder, "PYTHONPATH": path},
            cwd=folder,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    read = json.loads(printed)
    return Graph(
        tuple(Node(**node) for node in read["nodes"]), tuple(Link(**link) for link in read["links"])
    )


def read_setups(server: database.Server) -> dict[str, Graph]:
    """Read what each picture is to show, on a server that has none of it yet."""
    modules = dict.fromkeys(setup.pipeline for setup in SETUPS.values())
    graphs = {
        module: read_pipeline(module, server, f"drawn{number}_")
        for number, module in enumerate(modules)
    }
    return {
        name: graphs[setup.pipeline].select(setup.schemas, above=2)
        for name, setup in SETUPS.items()
    }


def list_stale(graphs: Mapping[str, Graph]) -> list[str]:
    """List the pictures that are missing or show another graph."""
    return [
        name
        for name, graph in graphs.items()
        if not (IMAGES / name).is_file() or read_fingerprint(IMAGES / name) != graph.fingerprint
    ]


def main() -> int:
    """Draw or check; exit code 1 when pictures are out of date."""
    with tempfile.TemporaryDirectory() as folder, database.running(Path(folder)) as server:
        graphs = read_setups(server)
    if "--check" not in sys.argv[1:]:
        for name, graph in graphs.items():
            draw_graph(graph, IMAGES / name, title=SETUPS[name].title)
            print(f"images/{name}")
        return 0
    stale = list_stale(graphs)
    for name in stale:
        print(f"images/{name} is out of date: run python scripts/draw_diagrams.py")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())

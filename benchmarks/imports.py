"""How long imports take, each in a fresh process, beside ``import datajoint``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from .rows import Row
from .timing import insist

GOAL = 1.3
BASE = "datajoint"
MODULES = (
    "element_deeplabcut",
    "element_deeplabcut.train",
    "element_deeplabcut.model",
    "workflow_deeplabcut.cli",
)
HEAVY = ("deeplabcut", "torch", "tensorflow", "matplotlib", "scipy", "xarray", "movement")

_CODE = """
import importlib, json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
importlib.import_module(sys.argv[1])
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"wall": wall, "cpu": cpu, "modules": sorted(sys.modules)}))
"""


def measure(options: argparse.Namespace) -> list[Row]:
    """Import each module in turn, round by round; the first round fills the disk's cache."""
    rounds = []
    for _ in range(2 * options.repeats + 1):
        rounds.append({module: import_once(module) for module in (BASE, *MODULES)})
    rows = []
    for module in MODULES:
        brought = set(rounds[0][module]["modules"]) - set(rounds[0][BASE]["modules"])
        heavy = sorted(brought & set(HEAVY))
        insist(not heavy, f"`import {module}` brings in {', '.join(heavy)}")
        ratios = [each[module]["wall"] / each[BASE]["wall"] for each in rounds[1:]]
        rows.append(Row.of(f"import {module}", ratios, GOAL, "of import datajoint"))
    return rows


def import_once(module: str) -> dict:
    """Import a module in a process of its own; what it took (s), and what came with it."""
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CODE, module],
        check=True,
        capture_output=True,
        cwd=Path(__file__).parents[1],
    )
    return json.loads(answer.stdout.splitlines()[-1])

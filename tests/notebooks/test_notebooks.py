"""The notebooks run from the first to the last as for a new user, and are their scripts."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def load_runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "run_notebooks", ROOT / "scripts/run_notebooks.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    for module in ("jupytext", "nbclient", "ipykernel"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed; it comes with the extra notebooks")
    return load_runner()


def test_each_notebook_has_its_script(runner: ModuleType) -> None:
    names = [script.stem for script in runner.list_scripts()]
    assert names == [notebook.stem for notebook in NOTEBOOKS]
    assert [name[:2] for name in names] == ["00", "01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_and_script_are_in_step(runner: ModuleType, path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    script = runner.read_script(path.parent / runner.SCRIPTS / f"{path.stem}.py")
    said = [(cell.cell_type, cell.source) for cell in stored.cells]
    assert said == [(cell.cell_type, cell.source) for cell in script.cells], (
        "run: python scripts/run_notebooks.py"
    )
    assert stored.metadata.jupytext.formats == "ipynb,py_scripts//py:percent"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_whole_small_and_of_no_machine(runner: ModuleType, path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in code]
    assert counts == list(range(1, len(code) + 1))
    kinds = [output.output_type for cell in code for output in cell.outputs]
    assert "error" not in kinds
    assert path.stat().st_size < 300_000
    assert not runner.find_private(stored, ["/tmp/", "/home/", "/root/", "/work/"])


def test_pictures_are_stored() -> None:
    """In each notebook that has something to show."""
    for name, least in (("00", 1), ("02", 3), ("03", 3), ("05", 4)):
        (path,) = (path for path in NOTEBOOKS if path.stem.startswith(name))
        cells = nbformat.read(path, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        pictures = [o for o in outputs if any(k.startswith("image/") for k in o.get("data", {}))]
        assert len(pictures) >= least, name


# --- running --------------------------------------------------------------------------------------


class Session:
    """Runs the notebooks on demand, each after those before it."""

    def __init__(self, runner: ModuleType, checkout: Path, environment: dict[str, str]) -> None:
        self._running: Iterator[tuple[str, Any]] = runner.run_notebooks(checkout, environment)
        self._done: dict[str, Any] = {}

    def run(self, name: str) -> Any:
        while name not in self._done:
            done, notebook = next(self._running)
            self._done[done] = notebook
        return self._done[name]


@pytest.fixture(scope="module")
def session(runner: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A checkout, a home folder with nothing configured, a private database."""
    folder = tmp_path_factory.mktemp("notebooks")
    checkout, home = folder / "checkout", folder / "home"
    home.mkdir()
    runner.copy_checkout(checkout)
    environment = runner.make_environment(home)
    yield Session(runner, checkout, environment)
    runner.stop_database(environment)


@pytest.mark.dlc
@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_it_runs_from_top_to_bottom(session: Session, name: str) -> None:
    """And comes to what is stored, as far as that cannot differ from run to run."""
    notebook = session.run(name)
    stored = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    for cell, known in zip(notebook.cells, stored.cells, strict=True):
        kinds = {kind for out in cell.get("outputs", []) for kind in out.get("data", {})}
        expected = {kind for out in known.get("outputs", []) for kind in out.get("data", {})}
        assert expected - {"image/jpeg"} <= kinds, cell.source


@pytest.mark.dlc
def test_the_example_is_gone_at_the_end(session: Session) -> None:
    notebook = session.run("06-Drop_Optional")
    said = "".join(
        out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", [])
    )
    dropped = re.findall(r"dropped example_(\w+)", said)
    assert set(dropped) == {
        "queue", "kinematics", "report", "model", "train", "session", "subject", "lab",
    }  # fmt: skip

"""Run the notebooks from the first to the last, and store what they print and draw.

    python scripts/run_notebooks.py           # notebooks/*.ipynb, from notebooks/py_scripts/*.py

The scripts are what people edit; a notebook is its script and the outputs. All run in a copy of
the checkout's notebooks, with a home folder and a database of their own, as those of a new user
would: nothing configured on this machine is read or touched.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FOLDER, SCRIPTS = "notebooks", "py_scripts"
COPIED = (FOLDER, "user_data")
TIMEOUT_S = 600
LARGE_PICTURE = 100_000
"""Characters of base64."""
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
    "jupytext": {"formats": f"ipynb,{SCRIPTS}//py:percent"},
}


def list_scripts() -> list[Path]:
    """List the notebooks' scripts in the order they build on each other."""
    return sorted((ROOT / FOLDER / SCRIPTS).glob("*.py"))


def read_script(script: Path) -> nbformat.NotebookNode:
    """Turn a script into a notebook without outputs."""
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # else a random one, and every run a change
        cell.metadata.clear()
    return notebook


def copy_checkout(folder: Path) -> None:
    """Copy what the notebooks need of this checkout."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)


def make_environment(home: Path) -> dict[str, str]:
    """Make the environment of a user with nothing configured, and a home of their own."""
    foreign = ("DJ_", "DLC_", "DATABASE_PREFIX", "MPLBACKEND")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "HOME": str(home),
        "DLC_DATABASE_DIR": str(home / "database"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
    }


def run_notebooks(
    checkout: Path, environment: dict[str, str]
) -> Iterator[tuple[str, nbformat.NotebookNode]]:
    """Run all notebooks one after another, each in a kernel of its own.

    Args:
        checkout: Folder that `copy_checkout` filled.
        environment: Environment of the kernels.

    Yields:
        Name and executed notebook.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raised.
    """
    for script in list_scripts():
        notebook = read_script(script)
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT_S,
            record_timing=False,
            resources={"metadata": {"path": str(checkout / FOLDER)}},
        )
        client.execute(env=environment)
        yield script.stem, notebook


def tidy(notebook: nbformat.NotebookNode, scratch: str) -> None:
    """Leave out of stored outputs what differs from run to run, is there twice, or is large.

    Progress bars go, and the second of two forms of one picture; pictures with the grain of video
    frames become JPEG. The folder of this run is written as the user's home.
    """
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        outputs = join_texts([out for out in outputs if out.get("name") != "stderr"])
        cell["outputs"] = outputs
        if cell.cell_type != "code":
            del cell["outputs"]
        for output in outputs:
            if "text" in output:
                output["text"] = output["text"].replace(f"{scratch}/home", "~")
                output["text"] = output["text"].replace(scratch, "~")
            data = output.get("data", {})
            pictures = [kind for kind in data if kind.startswith("image/")]
            if "image/jpeg" in data:
                data.pop("image/png", None)
            if pictures:
                data.pop("text/plain", None)
            if len(data.get("image/png", "")) > LARGE_PICTURE:
                data["image/jpeg"] = to_jpeg(data.pop("image/png"))


def join_texts(outputs: list[Any]) -> list[Any]:
    """Join what was printed in several goes: where it was cut is chance."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1]["text"] += output["text"]
        else:
            joined.append(output)
    return joined


def to_jpeg(png: str) -> str:
    """Encode a picture anew; both are in base64."""
    target = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        picture.convert("RGB").save(target, "JPEG", quality=85, optimize=True)
    return base64.b64encode(target.getvalue()).decode()


def find_private(notebook: nbformat.NotebookNode, names: list[str]) -> list[str]:
    """List the texts of outputs that hold one of some names, such as folders of this machine."""
    texts = [text for cell in notebook.cells for text in _list_texts(cell.get("outputs", []))]
    return [text for text in texts if any(name in text for name in names)]


def _list_texts(outputs: list[Any]) -> Iterator[str]:
    for output in outputs:
        yield str(output.get("text", ""))
        for kind, content in output.get("data", {}).items():
            if not kind.startswith("image/"):
                yield str(content)


def stop_database(environment: dict[str, str]) -> None:
    """Stop the database that the notebooks started, if they did."""
    from workflow_deeplabcut import database

    database.stop(Path(environment["DLC_DATABASE_DIR"]))


def main() -> int:
    """Run all and write the notebooks; exit code 1 where one shows this machine's folders."""
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory(prefix="notebooks-") as scratch:
        checkout, home = Path(scratch, "element-deeplabcut"), Path(scratch, "home")
        home.mkdir()
        copy_checkout(checkout)
        environment = make_environment(home)
        private = [scratch, str(ROOT), str(Path.home()), os.uname().nodename]
        try:
            for name, notebook in run_notebooks(checkout, environment):
                tidy(notebook, scratch)
                found = find_private(notebook, private)
                if found:
                    print(f"{name} shows folders or the name of this machine: {found[0][:300]}")
                    return 1
                nbformat.write(notebook, ROOT / FOLDER / f"{name}.ipynb")
                print(f"{FOLDER}/{name}.ipynb")
        finally:
            stop_database(environment)
    return 0


if __name__ == "__main__":
    sys.exit(main())

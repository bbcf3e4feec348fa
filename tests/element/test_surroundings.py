"""Where the code runs."""

from __future__ import annotations

import subprocess
import sys

import nbformat
from nbclient import NotebookClient

QUESTION = "from element_deeplabcut.surroundings import is_in_notebook; print(is_in_notebook())"


def test_a_notebook_is_one() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(QUESTION)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    assert notebook.cells[0].outputs[0].text == "True\n"


def test_a_script_is_none_though_a_library_imports_the_kernels_module() -> None:
    code = f"import ipykernel, IPython; {QUESTION}"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"

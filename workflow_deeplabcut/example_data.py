"""Data to try the workflow on: a rendered animal, or the mouse that DeepLabCut's authors publish.

Both come as a root directory for the pipeline: videos, and a labelled DeepLabCut project.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from element_deeplabcut.errors import PathError, SetupError

__all__ = ["OPENFIELD", "REPOSITORY", "download_openfield", "render_example"]

REPOSITORY = "https://github.com/DeepLabCut/DeepLabCut.git"
OPENFIELD = "openfield-Pranav-2018-10-30"
"""A mouse in an open field: 116 labelled frames and a video, about 30 MB."""

_TIMEOUT_S = 600


def render_example(folder: str | os.PathLike[str]) -> Path:
    """Render the demo's videos and write its labelled project, or find them rendered before.

    Args:
        folder: Root directory to make.

    Returns:
        The project's ``config.yaml``.

    Raises:
        PathError: The folder holds something else.
    """
    from .demo import film, settings

    root = Path(folder).absolute()
    pattern = f"{settings.PROJECT_TASK}-{settings.PROJECT_SCORER}-*/config.yaml"
    found = sorted(root.glob(pattern))
    if found:
        return found[0]
    if root.exists() and any(root.iterdir()):
        raise PathError(
            f"'{root}' holds files that are not the example's. Name a folder that is new or empty."
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    # In a folder beside it first: what is interrupted must not pass for finished.
    scratch = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        project = film.write_project(scratch, film.render_film(scratch))
        config = project / "config.yaml"
        # The project knows where it lies, and that is about to change.
        text = config.read_text(encoding="utf-8").replace(str(scratch), str(root))
        config.write_text(text, encoding="utf-8")
        scratch.chmod(0o755)
        if root.exists():
            root.rmdir()
        scratch.rename(root)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return root / project.name / "config.yaml"


def download_openfield(folder: str | os.PathLike[str], repository: str = REPOSITORY) -> Path:
    """Download DeepLabCut's public open field project, or find it downloaded before.

    Git fetches only this folder of DeepLabCut's repository.

    Args:
        folder: Root directory to put it into.
        repository: Where DeepLabCut's repository is, for instance a mirror.

    Returns:
        The project's ``config.yaml``.

    Raises:
        SetupError: git is not installed, or the repository cannot be reached.
    """
    root = Path(folder).absolute()
    config = root / OPENFIELD / "config.yaml"
    if config.is_file():
        return config
    if shutil.which("git") is None:
        raise SetupError("git is not installed, and the download needs it. Install git.")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as scratch:
        clone = ("clone", "--quiet", "--depth=1", "--filter=blob:none", "--sparse")
        _git(*clone, "--", repository, scratch, repository=repository)
        inside = f"examples/{OPENFIELD}"
        _git("-C", scratch, "sparse-checkout", "set", inside, repository=repository)
        project = Path(scratch, inside)
        if not (project / "config.yaml").is_file():
            raise SetupError(
                f"{repository} has no folder {inside} any more. Copy the project from elsewhere "
                f"to '{config.parent}'."
            )
        project.rename(config.parent)
    return config


def _git(*arguments: str, repository: str) -> None:
    # Never ask: in a notebook nobody could answer.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        subprocess.run(
            ["git", *arguments], env=environment, check=True, capture_output=True, text=True,
            timeout=_TIMEOUT_S,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(error.stderr or "it took too long").strip().splitlines()
        raise SetupError(
            f"{repository} cannot be downloaded ({said[-1] if said else error}). Without a network "
            "take the rendered example: render_example(folder)."
        ) from error

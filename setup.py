"""Packaging of Element DeepLabCut: one distribution with the library and the workflow."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def read_version() -> str:
    """Read the version as text: importing the package would need its dependencies."""
    text = (HERE / "element_deeplabcut" / "version.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if match is None:
        raise RuntimeError('element_deeplabcut/version.py has no line __version__ = "..."')
    return match.group(1)


def read_readme() -> str:
    """Give the README's text, or nothing in a tree that has none."""
    readme = HERE / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


# What registering, queueing, fetching and plotting need. No DeepLabCut, torch or TensorFlow.
BASE = [
    # 0.14.10 has tripartite make (make_fetch, make_compute, make_insert). 2.x removed
    # `dj.schema`, which the Elements below use, and gave a bare `longblob` another meaning.
    "datajoint>=0.14.10,<2",
    # DeepLabCut's own floor. 1.26 has to stay possible: its TensorFlow engine needs numpy<2.
    "numpy>=1.22.4,<3",
    # DeepLabCut's own bounds. With pandas 3 (string columns) its files no longer round-trip.
    "pandas>=2.2,<3",
    "pyyaml>=6",
    # pandas reads and writes DeepLabCut's .h5 files through it. DeepLabCut's floor.
    "tables>=3.9",
    # Results of strangers are read through it, because PyTables unpickles what it finds.
    "h5py>=3.8",
    # Frames tell their rotation from 14.1 on, which OpenCV obeys and PyAV does not.
    "av>=14.1",
    # Frames of the synthetic project; DataJoint brings it anyway, through matplotlib.
    "pillow>=9",
    "tqdm>=4.60",
    # The releases this was built with; older ones were not tried.
    "element-lab>=0.3.0",
    "element-animal>=0.1.8",
    "element-session>=0.1.6",
]

DEEPLABCUT = "deeplabcut{extra}>=3.0.2,<4"  # 3.0.2 is what was measured; 4 may change any file
FILTERPY = "filterpy<2"  # filterpy 2.0.0 silently breaks DeepLabCut's multi-animal trackers

EXTRAS = {
    # The PyTorch engine.
    "dlc": [DEEPLABCUT.format(extra=""), FILTERPY],
    # The PyTorch and the TensorFlow engine; this one brings numpy 1.26.
    "dlc-tf": [DEEPLABCUT.format(extra="[tf]"), FILTERPY],
    # ndx-pose 0.4 itself asks for pynwb 4.
    "nwb": ["pynwb>=4", "ndx-pose>=0.4"],
    # movement 0.0.23 is the last one for Python 3.10.
    "analysis": ["matplotlib>=3.8", "scipy>=1.11", "xarray>=2023.1", "movement>=0.0.23"],
    # ipykernel runs them in any front end; nbclient and jupytext execute and pair them.
    "notebooks": ["nbclient>=0.8", "ipykernel>=6", "jupytext>=1.15", "jupyterlab>=4"],
    "docs": ["mkdocs<2", "mkdocs-material>=9.5", "mkdocstrings[python]>=0.26"],
    "tests": [
        "pytest>=8",
        "pytest-timeout>=2.2",
        "hypothesis>=6.100",
        "nwbinspector>=0.6",
        "check-jsonschema>=0.29",  # brings the schema of Compose files
        "ruff>=0.6",
        "mypy>=1.10",
        "types-PyYAML>=6",
        "setuptools>=64",  # scripts/setup.sh builds the project with it, without an isolated build
    ],
}

setup(
    name="element-deeplabcut",
    version=read_version(),
    description="DeepLabCut training, inference and evaluation as DataJoint pipeline tables",
    long_description=read_readme(),
    long_description_content_type="text/markdown",
    author="Element DeepLabCut contributors",
    license="MIT",
    packages=find_packages(
        include=[
            "element_deeplabcut",
            "element_deeplabcut.*",
            "workflow_deeplabcut",
            "workflow_deeplabcut.*",
        ]
    ),
    # DeepLabCut needs 3.10; TensorFlow as DeepLabCut takes it (below 2.18) ends at 3.12.
    python_requires=">=3.10,<3.13",
    install_requires=BASE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["workflow-deeplabcut = workflow_deeplabcut.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Bio-Informatics",
    ],
)

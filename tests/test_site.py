"""The site builds without a network or a warning, what it shows runs, what it names is there."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from workflow_deeplabcut import cli

from .conftest import TRAINING_PARAMS, Lab, Trained

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def list_blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


# --- the site -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed; it comes with the extra docs")
    target = tmp_path_factory.mktemp("site")
    no_network = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT, env={**os.environ, **no_network}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return target


def test_it_builds_strictly_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)"', html)
        loaded += re.findall(r'<link[^>]*rel="(?:stylesheet|preconnect)"[^>]*href="([^"]+)"', html)
        assert not [target for target in loaded if "//" in target], page


def test_pictures_are_there(site: Path) -> None:
    shown = 0
    for page in site.rglob("*.html"):
        for source in re.findall(r'<img[^>]*src="([^"]+)"', page.read_text(encoding="utf-8")):
            assert (page.parent / source).resolve().stat().st_size > 500, (page, source)
            shown += 1
    assert shown > 8


def test_tables_show_their_columns_with_types(site: Path) -> None:
    html = (site / "reference" / "model" / "index.html").read_text(encoding="utf-8")
    words = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "bundle_hash varchar(64) Name of the bundle in the model store" in words
    assert "train_error double, nullable Over training frames, px." in words


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    made = {"reference/command-line.md"}
    made |= {f"notebooks/{file.stem}.md" for file in (ROOT / "notebooks").glob("*.ipynb")}
    written = {page.relative_to(DOCS).as_posix() for page in PAGES}
    assert not (written | made) - named


# --- the reference --------------------------------------------------------------------------------

PUBLIC = (
    "element_deeplabcut.train",
    "element_deeplabcut.kinematics",
    "element_deeplabcut.engines",
    "element_deeplabcut.housekeeping",
    "element_deeplabcut.params",
    "element_deeplabcut.linking",
    "element_deeplabcut.errors",
    "element_deeplabcut.tables",
    "workflow_deeplabcut.pipeline",
    "workflow_deeplabcut.paths",
    "workflow_deeplabcut.bulk",
    "workflow_deeplabcut.process",
)
PACKAGES = (
    "workflow_deeplabcut.ingest",
    "element_deeplabcut.model",
    "element_deeplabcut.report",
    "element_deeplabcut.plotting",
    "element_deeplabcut.pose",
    "element_deeplabcut.export.nwb",
    "workflow_deeplabcut.worker",
    "workflow_deeplabcut.database",
    "workflow_deeplabcut.demo",
)


def list_documented() -> set[str]:
    pages = (DOCS / "reference").glob("*.md")
    return {
        name
        for page in pages
        for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }


def test_public_modules_are_in_the_reference() -> None:
    assert not set(PUBLIC) - list_documented()


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_offers_is_in_the_reference(lab: Lab, package: str) -> None:
    """By the module in which it is defined."""
    module = importlib.import_module(package)
    documented = list_documented()
    for name in module.__all__:
        thing = getattr(module, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        home = thing.__module__
        assert home in documented or package in documented, f"{package}.{name} of {home}"


def test_what_the_reference_names_exists(lab: Lab) -> None:
    for name in list_documented():
        importlib.import_module(name)


# --- commands -------------------------------------------------------------------------------------


def list_commands() -> list[tuple[str, str]]:
    """Lines that call our command, in fenced and indented blocks: page, command."""
    found = []
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "README.md"]:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^(?: {4}|\$ )?(workflow-deeplabcut .*)$", text, re.MULTILINE):
            found.append((page.name, line))
    return found


@pytest.mark.parametrize(("page", "line"), list_commands())
def test_commands_parse(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line, comments=True)[1:]
    try:
        cli.make_parser().parse_args(words)
        code = 0
    except SystemExit as end:  # of --help, or of a mistake
        code = int(end.code or 0)
    assert code == 0, f"{page}: {line}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_targets_of_make_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^| {4}|`)make ([a-z-]+)", page.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


# --- code -----------------------------------------------------------------------------------------

RUN_BELOW = {
    "check.md",
    "provenance.md",
    "ingest.md",  # by tests/workflow/ingest/test_readme.py
    "tutorial.md",
    "how-to/own-pipeline.md",
    "how-to/existing-results.md",
    "how-to/moving-a-project.md",
    "how-to/tensorflow.md",
    "how-to/no-internet.md",
    "how-to/reading-poses.md",
}


WITH_TESTS_OF_THEIR_OWN = {
    "speed.md",
    "speed-inference.md",
    "status.md",
    "workers.md",
}


def test_all_pages_with_code_are_run() -> None:
    pages = {page.relative_to(DOCS).as_posix() for page in PAGES if list_blocks(page, "python")}
    assert pages - WITH_TESTS_OF_THEIR_OWN == RUN_BELOW


def read_code(page: str, replacements: dict[str, str]) -> str:
    code = "\n".join(list_blocks(DOCS / page, "python"))
    for old, new in replacements.items():
        assert old in code, old
        code = code.replace(old, new)
    return code


def run_code(code: str, **names: Any) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "docs_page", **names}
    exec(compile(code, "docs page", "exec"), namespace)
    return namespace


@pytest.mark.dlc
def test_the_tutorial_leads_to_a_good_pose(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the tiny network in place of 200 epochs of a large one."""
    monkeypatch.chdir(tmp_path)
    page = run_code(
        read_code(
            "tutorial.md",
            {
                "reaching-Ada-2026-01-01": lab.config.parent.name,
                '{"shuffle": 1, "trainingsetindex": 0, "epochs": 200}': repr(TRAINING_PARAMS),
                '"training_id": 1': '"training_id": 1200',
                '"recording_id": 1': '"recording_id": 1201',
                '"reaching"': '"of the tutorial"',
                "videos/today.mp4": lab.new_video,
            },
        )
    )
    predicted = lab.pipeline.model.PoseEstimation.get_pose(page["task_key"])
    distance = np.linalg.norm(predicted.position[:, :, 0] - lab.truth, axis=-1)
    assert distance.mean() < 2
    assert page["evaluation"]["test_error"] < 2
    assert page["verdict"] == "PASS", page["reason"]
    assert (tmp_path / "poses.png").stat().st_size > 1000


@pytest.mark.dlc
def test_a_pipeline_of_ones_own(lab: Lab, tmp_path: Path) -> None:
    """In a process of its own, because the library's schemas are activated once."""
    root, results = tmp_path / "data", tmp_path / "results"
    (root / "videos").mkdir(parents=True)
    results.mkdir()
    (root / "reaching-Ada-2026-01-01").symlink_to(lab.config.parent)
    (root / "videos" / "today.mp4").symlink_to(lab.root / lab.new_video)
    code = read_code(
        "how-to/own-pipeline.md",
        {
            '"/data"': repr([str(root), str(lab.root)]),
            '"/results"': repr(str(results)),
            '{"shuffle": 1, "trainingsetindex": 0, "epochs": 200}': repr(TRAINING_PARAMS),
            '"mylab': '"docslab',
        },
    )
    connect = "import datajoint as dj; dj.config['database.use_tls'] = False\n"
    environment = {
        **os.environ,
        "DJ_HOST": f"{lab.server.host}:{lab.server.port}",
        "DJ_USER": lab.server.user,
        "DJ_PASS": lab.server.password,
    }
    shown = "print(poses.shape, NoseHeight.fetch1('median_y'))"
    file = tmp_path / "pipeline.py"  # DataJoint reads the source of computed tables
    file.write_text(f"{connect}{code}\n{shown}\n")
    result = subprocess.run(
        [sys.executable, str(file)], env=environment, cwd=tmp_path, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert result.stdout.startswith("(100, 12) "), result.stderr
    median = float(result.stdout.split()[-1])
    assert abs(median - np.median(lab.truth[:, 0, 1])) < 3


def test_parameters_of_the_pages_are_valid(lab: Lab) -> None:
    """TensorFlow's and the offline weights': both insert parameters and no more."""
    train = lab.pipeline.train
    run_code(read_code("how-to/tensorflow.md", {}).split("model.PoseEstimation.populate")[0])
    run_code(read_code("how-to/no-internet.md", {}))
    found = train.TrainingParamSet & "paramset_desc in ('as in 2019', 'from last year''s network')"
    assert len(found) == 2
    found.delete(safemode=False)


@pytest.mark.dlc
def test_a_check_and_a_description(
    lab: Lab, trained: Trained, estimated: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train, model = lab.pipeline.train, lab.pipeline.model
    name = trained.model_key["model_name"]
    names = {"train": train, "model": model}
    replacements = {"\"model_name='reaching'\"": "analyzed", "cuda:0": "cpu"}
    given = {"key": trained.training_key, "analyzed": estimated}
    page = run_code(read_code("check.md", replacements), **given, **names)
    assert page["report"]
    assert "problem" not in capsys.readouterr().out
    run_code(read_code("provenance.md", {'"reaching"': f'"{name}"'}), key=estimated, **names)
    assert name in capsys.readouterr().out


@pytest.mark.dlc
def test_restricted_to_engines(estimated: dict[str, Any]) -> None:
    """Nothing is left to do, and the restriction is one that populate takes."""
    restriction = "restrict_to_engines(model.PoseEstimation)"
    code = read_code("how-to/tensorflow.md", {restriction: f"{restriction}, key"})
    from_here = code[code.index("from workflow_deeplabcut.pipeline import model") :]
    run_code(from_here, key=estimated)


def test_links_leave_no_root(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run_code(read_code("how-to/moving-a-project.md", {"videos/today.mp4": lab.new_video}))
    assert "'../elsewhere/secret.mp4'" in capsys.readouterr().out


@pytest.mark.dlc
def test_existing_results_are_taken_over(
    lab: Lab, trained: Trained, estimated: dict[str, Any]
) -> None:
    """A model published to its project, and the result files of an analysis, come back in."""
    model, train = lab.pipeline.model, lab.pipeline.train
    train.ModelTraining.publish_to_project(trained.training_key)
    run = (model.PoseEstimation & estimated).fetch1("run_info")["run_directory"]
    results = next((lab.processed / run).rglob("*.h5")).parent
    try:
        page = run_code(
            read_code(
                "how-to/existing-results.md",
                {
                    '"recording_id": 7': '"recording_id": 1200',
                    "videos/today.mp4": lab.new_video,
                    "reaching-Ada-2026-01-01": lab.config.parent.name,
                    "folder/of/results": str(results),
                    '{"training_id": 1}': repr(trained.training_key),
                },
            )
        )
        taken = model.PoseEstimation.get_trajectory(page["key"])
        made = model.PoseEstimation.get_trajectory(estimated)
        assert (taken.to_numpy() == made.to_numpy()).all()
    finally:
        (model.VideoRecording & {"recording_id": 1200}).delete(safemode=False)
        (model.Model & {"model_name": "reaching 2024"}).delete(safemode=False)


@pytest.mark.dlc
def test_poses_are_read_elsewhere(
    lab: Lab, estimated: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = lab.pipeline.model
    page = run_code(
        read_code(
            "how-to/reading-poses.md",
            {
                '"model_name": "reaching"': f'"model_name": "{estimated["model_name"]}"',
                "'reaching'": f"'{estimated['model_name']}'",
                "mylab_model": model.schema.database,
            },
        ),
        login={
            "host": lab.server.host, "port": lab.server.port, "user": lab.server.user,
            "password": lab.server.password, "ssl_disabled": True,
        },
    )  # fmt: skip
    nose = model.PoseEstimation.get_pose(estimated, "nose", full_frame=False)
    x = nose.position[:, 0, 0, 0]
    assert (page["x"] == x).all()
    assert page["n_frames"] == len(x)
    assert (page["x_of_frames_10_to_14"] == x[10:15]).all()
    assert page["pose"].position.shape == (100, 4, 1, 2)
    assert page["speed"].shape[0] == 50
    for file in ("poses.csv", "poses.h5", "mouse1.nwb"):
        assert (tmp_path / file).stat().st_size > 0


# --- citation -------------------------------------------------------------------------------------


def test_the_citation_is_valid_and_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema",
         "vendor.citation-file-format", "CITATION.cff"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    from element_deeplabcut import __version__

    assert citation["version"] == __version__
    dois = {entry.get("doi") for entry in citation["references"]}
    assert {
        "10.1038/s41593-018-0209-y",
        "10.1038/s41596-019-0176-0",
        "10.1101/031658",
        "10.1101/2021.03.30.437358",
    } <= dois


# --- what the site is made of ---------------------------------------------------------------------


def load_hooks() -> Any:
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "scripts" / "site_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "written", "shown"),
    [
        ("a.md", "[setup](../setup.py)", "setup"),
        ("a.md", "![x](../images/plot_quality.png)", "![x](images/plot_quality.png)"),
        ("how-to/a.md", "![x](../../images/plot_quality.png)", "![x](../images/plot_quality.png)"),
        ("how-to/a.md", "[concepts](../concepts.md)", "[concepts](../concepts.md)"),
        ("a.md", "[missing](../no/such/file)", "[missing](../no/such/file)"),
    ],
)
def test_links_into_the_repository(page: str, written: str, shown: str) -> None:
    """Files outside docs/ are named, pictures shown; what is missing stays a broken link."""
    file = SimpleNamespace(src_uri=page)
    assert load_hooks().on_page_markdown(written, page=SimpleNamespace(file=file)) == shown

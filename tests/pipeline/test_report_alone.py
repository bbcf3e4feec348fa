"""Schema report beside model alone, where trainings are managed elsewhere."""

from __future__ import annotations

from ..conftest import Lab
from .test_activation import run_python

LAB = """
import datajoint as dj
dj.config.update({{"database.host": "127.0.0.1", "database.port": {port},
                   "database.user": "{user}", "database.password": "{password}",
                   "database.use_tls": False}})
schema = dj.schema("{name}_lab")

@schema
class Session(dj.Manual):
    definition = "session_id : int"

@schema
class Device(dj.Manual):
    definition = "device : varchar(32)"

def get_dlc_root_data_dir():
    return "{root}"

from element_deeplabcut import model, report, train
from element_deeplabcut.errors import SetupError

def ask(question):
    try:
        question()
    except SetupError as error:
        print(error)
"""


def run_lab(lab: Lab, name: str, code: str) -> list[str]:
    server = lab.server
    begin = LAB.format(
        port=server.port, user=server.user, password=server.password, root=lab.root, name=name
    )
    result = run_python(f"{begin}\n{code}")
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_report_works_without_train(lab: Lab) -> None:
    said = run_lab(
        lab,
        "lonely",
        """
ask(lambda: report.Snapshot())
ask(lambda: report.TrainingProgress & "epoch=1")
model.activate("lonely_model", linking_module=__name__)
report.activate("lonely_report")
print(sorted(report.schema.list_tables()))
print(len(report.InferenceProgress()), report.list_progress(), report.measure_throughput())
ask(lambda: report.Snapshot())
ask(lambda: report.TrainingProgress.fetch())
ask(lambda: report.best_model())
ask(lambda: report.leaderboard())
train.activate("lonely_train", linking_module=__name__)
ask(lambda: report.Snapshot())
report.activate("lonely_report")
print(sorted(report.schema.list_tables()), len(report.Snapshot()))
""",
    )
    assert said[:2] == ["Call report.activate(...) first."] * 2
    assert said[2] == (
        "['#quality_param_set', '__pose_quality', '__pose_quality__body_part', "
        "'inference_progress']"
    )
    assert said[3] == "0 [] []"
    for sentence, name in zip(said[4:8], ["Snapshot", "TrainingProgress", "best_model",
                                          "leaderboard"], strict=True):  # fmt: skip
        assert sentence.startswith(f"{name} is about trainings, and this pipeline has no schema")
        assert "train.activate(...), then report.activate(...) again" in sentence
    assert said[8].startswith("Snapshot needs train, which was activated later")
    assert "'__snapshot'" in said[9]
    assert "'training_progress'" in said[9]
    assert said[9].endswith(" 0")


def test_importing_report_is_light() -> None:
    heavy = ("torch", "tensorflow", "deeplabcut", "cv2", "scipy", "xarray")
    result = run_python(
        f"""
        import sys
        import element_deeplabcut.report
        print([name for name in {heavy} if name in sys.modules])
        """
    )
    assert result.stdout.strip() == "[]", result.stderr

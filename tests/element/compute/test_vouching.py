"""Crops as DeepLabCut really cuts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from element_deeplabcut.compute.vouching import truncate_crop
from element_deeplabcut.readers.snapshots import Snapshot, pytorch_scorer, tensorflow_scorer
from workflow_deeplabcut import synthetic


def test_a_pixel_is_lost_where_the_fraction_truncates() -> None:
    assert truncate_crop([29, 180, 57, 190], 200, 200) == [28, 180, 56, 190]
    assert truncate_crop([0, 640, 0, 480], 640, 480) == [0, 640, 0, 480]


@pytest.mark.dlc
def test_crops_are_those_of_deeplabcuts_reader(tmp_path: Path) -> None:
    from deeplabcut.utils.auxfun_videos import VideoReader

    synthetic.render_video(tmp_path / "a.mp4", 2, width=180, height=120)
    reader = VideoReader(str(tmp_path / "a.mp4"))
    for x in range(179):
        crop = [x, 180, x * 2 // 3, 120]
        reader.set_bbox(*crop)
        assert list(reader.get_bbox()) == truncate_crop(crop, 180, 120)


@pytest.mark.dlc
@pytest.mark.parametrize("config", [
    {"net_type": "resnet_50"}, {"net_type": "resnet_152", "multi_stage": True},
    {"net_type": "mobilenet_v2_1.0"}, {"net_type": "mobilenet_v2_0.35"},
    {"net_type": "mobilenet_v2_0.75"}, {"net_type": "efficientnet-b3"},
])  # fmt: skip
def test_tensorflow_scorers_are_deeplabcuts(config: dict[str, object], tmp_path: Path) -> None:
    import yaml
    from deeplabcut.core.engine import Engine
    from deeplabcut.utils.auxiliaryfunctions import get_scorer_name

    train = tmp_path / "dlc-models" / "iteration-0" / "tAug1-trainset95shuffle2" / "train"
    train.mkdir(parents=True)
    (train / "pose_cfg.yaml").write_text(yaml.safe_dump(config))
    (train / "snapshot-700.index").touch()
    project = {"Task": "t", "date": "Aug1", "project_path": str(tmp_path), "iteration": 0,
               "TrainingFraction": [0.95], "snapshotindex": -1}  # fmt: skip
    theirs, _ = get_scorer_name(project, 2, 0.95, engine=Engine.TF)
    assert tensorflow_scorer(config, "t", "Aug1", 2, 700) == theirs


@pytest.mark.dlc
def test_detectors_are_part_of_a_scorer() -> None:
    from deeplabcut.pose_estimation_pytorch.apis.utils import get_scorer_uid
    from deeplabcut.pose_estimation_pytorch.data.snapshots import Snapshot as Theirs

    names = ("snapshot-best-010.pt", "snapshot-detector-050.pt")
    uid = get_scorer_uid(*(Theirs.from_path(Path(name)) for name in names))
    pose, detector = Snapshot(True, 10, Path(names[0])), Snapshot(False, 50, Path(names[1]))
    ours = pytorch_scorer("top_down_hrnet_w32", "t", "Aug1", 1, pose, detector)
    assert ours == f"DLC_TopDownHrnetW32_tAug1shuffle1_{uid}"

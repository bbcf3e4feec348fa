"""What the demo films, registers and trains: its names and numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

GOOD_ERROR_PX = {"pytorch": 2.0, "tensorflow": 6.0}
"""Mean distance to the truth below which the demo has shown what it should (px)."""

PROJECT_TASK, PROJECT_SCORER = "demo", "truth"

TRAINING_VIDEO = "videos/training.mp4"
TRAINING_FRAMES = 300
TRAINING_SEED = 0

RECORDINGS: dict[int, dict[str, tuple[int, int]]] = {
    1: {"videos/morning-1.mp4": (100, 77), "videos/morning-2.mp4": (60, 78)},
    2: {"videos/evening.mp4": (120, 79)},
}
"""Unseen recordings: number -> files in their order -> (frames, seed of the animal's path)."""

RECORDED_AT = datetime(2026, 2, 1, 10)
CAMERA = "Camera1"
SUBJECT: dict[str, Any] = {
    "subject": "mouse1",
    "sex": "F",
    "subject_birth_date": "2026-01-01",
    "subject_description": "rendered animal",
}
SESSION: dict[str, Any] = {"subject": SUBJECT["subject"], "session_datetime": RECORDED_AT}

CALIBRATION: dict[str, Any] = {"unit": "mm", "units_per_px": 0.8}
"""As if the ground were 160 mm wide."""

MODEL_NAME = "demo model"

TINY_NETWORK: dict[str, Any] = {
    "model.backbone.model_name": "test_resnet",
    "model.backbone_output_channels": 96,
    "model.heads.bodypart.heatmap_config.channels": [96, 4],
    "model.heads.bodypart.locref_config.channels": [96, 8],
    "data.train.crop_sampling.width": 200,
    "data.train.crop_sampling.height": 200,
    "data.train.affine.scaling": [0.9, 1.1],
    "data.train.affine.rotation": 90,
    "data.train.motion_blur": False,
    "runner.optimizer.params.lr": 2e-3,
    "runner.scheduler.params.milestones": [8, 10],
    "runner.scheduler.params.lr_list": [[4e-4], [8e-5]],
    "runner.eval_interval": 2,
    # The best snapshot is the nearest one. DeepLabCut's own choice, test.mAP, is soon at its top.
    "runner.key_metric": "test.rmse",
    "runner.key_metric_asc": False,
}
"""A network of 0.4 million parameters: it learns this one animal in seconds, from random weights.

Real animals want a pretrained network, which is what a training without these settings gets.
"""

PYTORCH_PARAMS: dict[str, Any] = {
    "shuffle": 1,
    "trainingsetindex": 0,
    "engine": "pytorch",
    "net_type": "resnet_50",
    "init_weights": "random",
    "epochs": 12,
    "batch_size": 2,
    "save_epochs": 6,
    "display_iters": 1000,
    "pytorch_cfg_updates": TINY_NETWORK,
}

SMALL_MOBILENET: dict[str, Any] = {
    "optimizer": "adam",
    "multi_step": [[0.002, 360], [0.0005, 510], [0.0001, 600]],
    "global_scale": 1.0,
    "rotation": 90,
    "scale_jitter_lo": 0.9,
    "scale_jitter_up": 1.1,
    "cropratio": 0.0,
    "apply_prob": 0.3,
}
"""What lets a MobileNet of 0.4 million parameters learn this animal in about a minute."""

TENSORFLOW_PARAMS: dict[str, Any] = {
    "shuffle": 1,
    "trainingsetindex": 0,
    "engine": "tensorflow",
    "net_type": "mobilenet_v2_0.35",
    "augmenter_type": "imgaug",
    "init_weights": "random",
    "max_iters": 600,
    "save_iters": 300,
    "display_iters": 20,
    "batch_size": 4,
    "pose_cfg_updates": SMALL_MOBILENET,
}

TRAINING_PARAMS = {"pytorch": PYTORCH_PARAMS, "tensorflow": TENSORFLOW_PARAMS}
"""Engine -> what it trains the demo's network with."""

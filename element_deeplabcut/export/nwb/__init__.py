"""Poses as NWB files, written with pynwb and ndx-pose.

For a file of poses and nothing else::

    export_pose_nwb(key, "mouse1.nwb", timezone="Europe/London")

For a file that a lab, or other Elements, build: `add_pose_to_nwb`; without a database:
`build_pose_estimation` and `build_skeleton`. All of it needs the extra ``nwb``.
"""

from .exporting import add_pose_to_nwb, export_pose_nwb
from .objects import build_pose_estimation, build_skeleton

__all__ = ["add_pose_to_nwb", "build_pose_estimation", "build_skeleton", "export_pose_nwb"]

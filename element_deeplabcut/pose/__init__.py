"""One pose, whatever one wants to do with it: typed arrays, and views of them for other tools."""

from .data import Pose, PoseFile

__all__ = ["Pose", "PoseFile"]

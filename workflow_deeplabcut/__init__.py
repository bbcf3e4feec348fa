"""A complete pipeline for markerless pose estimation, built on Element DeepLabCut."""

"""Readers of the files DeepLabCut writes, each returning typed values. None imports DeepLabCut."""

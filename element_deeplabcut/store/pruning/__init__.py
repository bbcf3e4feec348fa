"""Housekeeping: which folders of the processed directory nothing needs any more.

Only what this package made and recognizes is ever judged: a run by its manifest, a bundle by its
facts, an attempt by the pattern of its name, each in the folder where this package puts it, and
none of them when it holds a file that was not published with it. Everything else is left alone.
Links are neither followed nor taken for folders.

Needed is what a row names, what a row is still to be made from (the task is there and its result is
not, so the next ``populate`` finds the run), and whatever is young. Age counts from the newest
modification of anything inside, by the clock of the storage: an attempt that a living worker writes
is young, and so is a run or bundle that was just found again.

A folder is removed by renaming it into ``.trash`` beside it and deleting it there. So a half
deleted one never has the name of a result, and a worker that looks for it after the rename finds
nothing and computes again. One that claims it just before makes it young; then it is put back, and
the worker waits for that (see `files.claim`).

What rows need is known of one pipeline only. Where several databases share a processed directory,
what belongs to the others looks unneeded here: give each its own, or do not prune.
"""

from .clock import DAY, PATIENCE, check_days, read_clock
from .needs import Key, References, RowKeys, make_key
from .places import BUNDLES, POSES, VIDEOS
from .removal import remove
from .surveying import Survey, survey
from .verdicts import (
    FOREIGN,
    NAMED,
    NOT_JUDGED,
    PENDING,
    SET_ASIDE,
    STAYS,
    YOUNG,
    Candidate,
    judge,
)

__all__ = [
    "BUNDLES",
    "DAY",
    "FOREIGN",
    "NAMED",
    "NOT_JUDGED",
    "PATIENCE",
    "PENDING",
    "POSES",
    "SET_ASIDE",
    "STAYS",
    "VIDEOS",
    "YOUNG",
    "Candidate",
    "Key",
    "References",
    "RowKeys",
    "Survey",
    "check_days",
    "judge",
    "make_key",
    "read_clock",
    "remove",
    "survey",
]

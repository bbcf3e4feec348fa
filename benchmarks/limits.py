"""The longest recording that a server with its default settings takes, 16 MB a statement."""

from __future__ import annotations

import argparse

import numpy as np

from element_deeplabcut.blobs import check_fits
from element_deeplabcut.errors import DatabaseError

from .lab import RATE, open_lab
from .loading import queue_result
from .rows import Row
from .timing import insist

DEFAULT_PACKET_BYTES = 16 << 20
GOAL_HOURS = 5


def measure(options: argparse.Namespace) -> list[Row]:
    """Load the longest recording there can be, and see a longer one refused beforehand.

    Every array travels in statements of its own, so what holds for one body part holds for 20. The
    numbers are such that they need all of double precision, which takes twice the room of what
    DeepLabCut 3 writes. With ``--quick`` the server takes less, and what it takes is scaled.
    """
    limit = DEFAULT_PACKET_BYTES // (64 if options.quick else 1)
    with open_lab() as lab:
        with lab.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SET GLOBAL max_allowed_packet={limit}")
        held = lab.model.schema.connection
        held.close()
        held.connect()
        longest = find_longest(held)
        values = np.random.default_rng(0).random((longest, 3))
        key = queue_result(lab, values, 1)
        lab.model.PoseEstimation.populate(key)
        loaded = lab.model.PoseEstimation.get_trajectory(key).to_numpy()
        insist(np.array_equal(loaded, values), "The longest recording is not what was loaded")
        longer = {**lab.add_recording(2, longest + 1), "model_name": key["model_name"]}
        lab.model.PoseEstimationTask.generate(longer, task_mode="load")  # of files that are not
        try:
            lab.model.PoseEstimation.populate(longer)
            insist(False, "A longer recording was not refused")
        except DatabaseError as error:
            insist("Raise max_allowed_packet" in str(error), "Nothing says what to do")
    hours = longest / RATE / 3600 * (DEFAULT_PACKET_BYTES / limit)
    note = f"5 h by {hours:.2f} h at 100 fps; one frame more is refused before computing"
    return [Row.of("longest recording at 16 MB", [GOAL_HOURS / hours], 1, note)]


def find_longest(connection: object) -> int:
    """Most frames that `check_fits` lets pass."""
    low, high = 0, 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        try:
            check_fits(connection, middle)
            low = middle
        except DatabaseError:
            high = middle
    return low

"""Takes jobs of one model together: a worker keeps the model of its last job loaded.

Among keys that were read anyway, those of the model used last come first, so nothing is asked of
the database for it. Keys of other models wait for that a little, never for long: after some jobs
out of turn, the next one is taken in turn, and its model is then the one that is preferred.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

IN_A_ROW = 20
"""Jobs that may be taken out of turn before one is taken in turn."""

MODEL = "model_name"
"""Attribute of a key that names what is kept loaded; keys without it are taken in turn."""


class Affinity:
    """What one worker did last in one table, and what it therefore does next."""

    def __init__(self) -> None:
        self._model: Any = None
        self._n_out_of_turn = 0

    def remember(self, key: Mapping[str, Any]) -> None:
        """Note a job that was taken."""
        self._model = key.get(MODEL)

    def pop(self, keys: deque[dict[str, Any]]) -> dict[str, Any]:
        """Take the next key out of a batch that is not empty."""
        if self._model is None or keys[0].get(MODEL) == self._model:
            # Nobody was passed over, but those who were before have not had their turn either: in
            # long queues batches are shuffled, and the first key is this model's by chance.
            return keys.popleft()
        if self._n_out_of_turn < IN_A_ROW:
            for index, key in enumerate(keys):
                if key.get(MODEL) == self._model:
                    self._n_out_of_turn += 1
                    del keys[index]
                    return key
        self._n_out_of_turn = 0
        return keys.popleft()

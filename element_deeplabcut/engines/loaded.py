"""Models that stay loaded between the jobs of one process.

Loading a network and preparing it costs as much as a hundred frames. What is loaded is kept under
everything its numbers depend on (the hash of its bundle, the device, the settings), so a model that
changed on disk is another model. The one used least recently makes way.

A model is lent to one job at a time and comes back only if the job ended well: after an exception a
runner of DeepLabCut's holds frames of the video that failed, and gives them out as the next one's.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

AT_MOST = 2
"""Models kept, for instance those of a comparison. A network of the usual size takes 200 MB."""


class LoadedModels:
    """A few loaded models, by what their numbers depend on."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self._at_most = at_most
        self._models: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._inherited: list[Any] = []
        self._generation = 0

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._models

    @contextmanager
    def lend(self, key: Hashable, load: Callable[[], Any]) -> Iterator[Any]:
        """Lend a model for the length of a block, and load it first where it is not there.

        Two threads never get the same one: who comes second loads another. If the block raises, the
        model is thrown away.

        Args:
            key: What the model's numbers depend on.
            load: Loads it.
        """
        with self._lock:
            model = self._models.pop(key, None)
            generation = self._generation
        if model is None:
            model = load()
        yield model
        with self._lock:
            if generation == self._generation:
                self._models[key] = model
                while len(self._models) > self._at_most:
                    self._models.popitem(last=False)

    def release(self) -> None:
        """Let go of every model, and give a GPU its memory back."""
        with self._lock:
            had_some = bool(self._models)
            self._models.clear()
            self._generation += 1  # what is lent out now does not come back either
        torch = sys.modules.get("torch")
        if had_some and torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def leave_to_parent(self) -> None:
        """In a forked process: a model of the parent's, on a GPU above all, must not be touched."""
        self._inherited.append(self._models)  # not even by freeing it
        self._models, self._lock = OrderedDict(), threading.Lock()
        self._generation += 1


MODELS = LoadedModels()
"""Those of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=MODELS.leave_to_parent)

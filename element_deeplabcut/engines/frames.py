"""The frames that DeepLabCut reads: upright, all of them, and counted.

OpenCV 5 turns frames as the rotation in a file says; 4.11, the newest one for numpy 1.26, does not
unless told to. `RecordingInfo` has the size of the picture as displayed, so it is told to.

The TensorFlow engine takes the number of frames from the file's header, which may be an estimate,
and leaves zeros where it could not decode. It gets the true number, and a frame that is missing
stops it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import VideoError


class _UprightCapture:
    """Stands for ``cv2.VideoCapture``, whose type cannot be inherited from without corruption."""

    def __init__(self, open_video: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        import cv2

        self._capture = open_video(*args, **kwargs)
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)


class _CountedCapture:
    """Stands for a capture, knows its true length and reports each frame that is read."""

    def __init__(self, capture: Any, n_frames: int, on_frames: Callable[[int], None]) -> None:
        self._capture = capture
        self._n_frames = n_frames
        self._on_frames = on_frames
        self._n_read = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)

    def get(self, what: int) -> float:
        import cv2

        is_count = what == cv2.CAP_PROP_FRAME_COUNT
        return float(self._n_frames if is_count else self._capture.get(what))

    def read(self, *args: Any) -> tuple[bool, Any]:
        got_one, frame = self._capture.read(*args)
        if got_one:
            self._n_read += 1
            self._on_frames(min(self._n_read, self._n_frames))
        elif self._n_read < self._n_frames:
            raise VideoError(
                f"DeepLabCut read {self._n_read} frames of a video that has {self._n_frames}: the "
                "file is damaged, or changed since it was registered. Copy it again, then delete "
                "and populate its RecordingInfo."
            )
        return got_one, frame


@contextlib.contextmanager
def _replaced(open_video: Callable[..., Any]) -> Iterator[None]:
    import cv2

    original: Any = cv2.VideoCapture
    cv2.VideoCapture = open_video  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        cv2.VideoCapture = original  # type: ignore[misc]


@contextlib.contextmanager
def upright_frames() -> Iterator[None]:
    """Let OpenCV turn frames as they are displayed, for the length of a block."""
    import cv2

    original: Any = cv2.VideoCapture
    with _replaced(lambda *args, **kwargs: _UprightCapture(original, *args, **kwargs)):
        yield


@contextlib.contextmanager
def counted_frames(n_frames: int, on_frames: Callable[[int], None]) -> Iterator[None]:
    """Give OpenCV the true number of frames, and report each one as it is read.

    Args:
        n_frames: Frames that the file holds.
        on_frames: Is told how many were read.

    Raises:
        VideoError: A frame could not be read.
    """
    import cv2

    original: Any = cv2.VideoCapture
    with _replaced(lambda *args: _CountedCapture(original(*args), n_frames, on_frames)):
        yield

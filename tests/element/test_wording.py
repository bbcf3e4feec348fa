"""Numbers and keys as people read them."""

from __future__ import annotations

import pytest

from element_deeplabcut.wording import show_count, show_duration, show_key, show_size


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12 kB"), (999_600, "1.0 MB"),
     (3_400_000_000, "3.4 GB"), (5_000_000_000_000, "5.0 TB")],
)  # fmt: skip
def test_sizes(size: int, text: str) -> None:
    assert show_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.3, "12 s"), (59.4, "59 s"), (59.6, "1 min 0 s"),
     (3599.6, "1 h 0 min"), (5400, "1 h 30 min"), (47.99 * 3600, "47 h 59 min"),
     (50 * 3600, "2 d 2 h")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text


def test_keys_and_counts() -> None:
    assert show_key({"recording_id": 1, "model_name": "a b"}) == "recording_id=1 model_name=a b"
    assert [show_count(n, "task") for n in (0, 1, 2)] == ["0 tasks", "1 task", "2 tasks"]

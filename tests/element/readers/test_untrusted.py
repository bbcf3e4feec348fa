"""Pickles that somebody else may have prepared."""

from __future__ import annotations

import builtins
import collections
import contextlib
import datetime
import enum
import functools
import operator
import os
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path, PosixPath, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import ResultError
from element_deeplabcut.readers.untrusted import (
    MAX_PICKLE_BYTES,
    load_attribute_pickle,
    load_meta_pickle,
    read_bytes,
)


class Call:
    """Pickles to a call of anything."""

    def __init__(self, function: Any, *args: Any, then: tuple[Any, ...] = ()) -> None:
        self.call = (function, args, *then)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


CANARY = "canary"
PAYLOADS: dict[str, Callable[[], Any]] = {
    "os.system": lambda: Call(os.system, f"touch {CANARY}"),
    "subprocess": lambda: Call(subprocess.check_output, ["touch", CANARY]),
    "eval": lambda: Call(eval, f"open('{CANARY}', 'w')"),
    "exec": lambda: Call(exec, f"open('{CANARY}', 'w')"),
    "getattr": lambda: Call(getattr, Call(__import__, "os"), "system"),
    "open": lambda: Call(open, CANARY, "w"),
    "import": lambda: Call(builtins.__import__, "antigravity"),
    "partial": lambda: functools.partial(open, CANARY, "w"),
    "called partial": lambda: Call(functools.partial(open, CANARY, "w")),
    "methodcaller": lambda: operator.methodcaller("touch"),
    "attrgetter": lambda: operator.attrgetter("system"),
    "numpy.load": lambda: Call(np.load, CANARY),
    "a real path's method": lambda: Call(Path.touch, Path(CANARY)),
    "object state": lambda: Call(
        functools.partial, print, then=((open, (CANARY, "w"), {}, {}),)
    ),
    "inside a dictionary": lambda: {"data": {"Scorer": Call(os.system, f"touch {CANARY}")}},
    "inside OrderedDict": lambda: collections.OrderedDict(a=Call(os.system, f"touch {CANARY}")),
    "inside a path": lambda: Call(PosixPath, Call(os.system, f"touch {CANARY}")),
    "inside an array": lambda: np.array([Call(os.system, f"touch {CANARY}")], dtype=object),
    "as a key": lambda: {Call(os.getpid): 1},
    "code": lambda: Call(types.SimpleNamespace, then=({"a": 1},)),
    "bytearray": lambda: Call(bytearray, 10**12),
    "date": lambda: datetime.date(2020, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", PAYLOADS)
def test_nothing_runs(
    name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(PAYLOADS[name](), protocol)
    for check in (load_meta_pickle, load_attribute_pickle):
        with pytest.raises(ResultError, match=r"^'x' is (a pickle that could run code|damaged)"):
            check(data, "'x'")
    assert not (tmp_path / CANARY).exists()
    assert "antigravity" not in sys.modules


def test_the_message_names_what_it_asked_for() -> None:
    with pytest.raises(ResultError, match=r"it asks for posix\.system"):
        load_meta_pickle(pickle.dumps(Call(os.system, "true")), "'x'")


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'touch canary'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch canary\x85R.",
        b"(S'touch canary'\nios\nsystem\n.",
        b"\x80\x02\x8a\x01\x01\x82\x01.",  # extension registry
        b"Pos.system\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x0cgetattr.eval\x93.",
        b"cdeeplabcut\nTask.mro\n.",
        b"cdeeplabcutx\nTask\n(S'a'\ntR.",
        b"cpathlib\nPath.touch\n.",
    ],
)
def test_hand_made_pickles_are_refused(data: bytes) -> None:
    for check in (load_meta_pickle, load_attribute_pickle):
        with pytest.raises(ResultError):
            check(data, "'x'")


def test_a_stand_in_cannot_be_changed_for_those_who_come_after() -> None:
    """BUILD on a class would set its attributes, were there no __setstate__."""
    poison = b"\x80\x02cpathlib\nPosixPath\nN}U\x04kindK\x01s\x86b."
    with pytest.raises(ResultError):
        load_meta_pickle(poison, "'x'")
    assert load_meta_pickle(pickle.dumps(PosixPath("/a/b")), "'x'") == PurePosixPath("/a/b")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numbers_and_texts_come_through(protocol: int) -> None:
    content = {
        "int": 3, "big": 1 << 70, "float": 0.95, "text": "Nüße", "bytes": b"\xff", "none": None,
        "tuple": (1, (2, [3])), "bool": True, "path": PosixPath("/a/b"),
        "f8": np.float64(29.97), "f4": np.float32(0.5), "i8": np.int64(-2330), "u1": np.uint8(7),
        "b": np.bool_(True), "big-endian": np.array([5], dtype=">i4")[0],
    }  # fmt: skip
    read = load_meta_pickle(pickle.dumps(content, protocol), "'x'")
    expected = {name: value.item() if isinstance(value, np.generic) else value
                for name, value in content.items()}  # fmt: skip
    assert read == expected
    assert {type(value) for value in read.values()} <= {
        int, float, str, bytes, type(None), tuple, bool, PurePosixPath,
    }  # fmt: skip


def test_arrays_and_ordered_dictionaries_do_no_harm() -> None:
    content = collections.OrderedDict(stereo=np.eye(3), texts=np.array(["a"]), n=1)
    read = load_meta_pickle(pickle.dumps(content), "'x'")
    assert read["n"] == 1
    assert not isinstance(read["stereo"], np.ndarray)


def pretend(monkeypatch: pytest.MonkeyPatch, module: str, name: str, kind: type) -> type:
    """Give a class the address it has in another package."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        path = ".".join(parts[:count])
        monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
    kind.__module__, kind.__qualname__, kind.__name__ = module, name, name
    setattr(sys.modules[module], name, kind)
    return kind


def test_deeplabcuts_enums_become_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without importing deeplabcut, which may not be installed."""
    module = "deeplabcut.pose_estimation_pytorch.config.enums"
    kind = pretend(monkeypatch, module, "NetType", enum.Enum("NetType", {"RESNET_50": "resnet_50"}))
    data = pickle.dumps({"net": kind["RESNET_50"]})
    monkeypatch.undo()
    assert load_meta_pickle(data, "'x'") == {"net": "resnet_50"}


def test_enums_as_early_python_3_11_pickles_them(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "deeplabcut.pose_estimation_pytorch.config.enums"
    kind = pretend(monkeypatch, module, "NetType", enum.Enum("NetType", {"RESNET_50": "resnet_50"}))
    data = pickle.dumps({"net": Call(getattr, kind, "RESNET_50")})
    monkeypatch.undo()
    assert load_meta_pickle(data, "'x'") == {"net": "resnet_50"}


@pytest.mark.parametrize("owner", [PosixPath, collections.OrderedDict, "text", Path("a")])
def test_nothing_else_is_looked_up(owner: Any) -> None:
    with pytest.raises(ResultError, match="of something that is no enum"):
        load_meta_pickle(pickle.dumps(Call(getattr, owner, "__class__")), "'x'")


def test_what_old_yaml_readers_left_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    scalar = pretend(monkeypatch, "ruamel.yaml.scalarfloat", "ScalarFloat",
                     type("ScalarFloat", (float,), {}))  # fmt: skip
    easy = pretend(monkeypatch, "easydict", "EasyDict", type("EasyDict", (dict,), {}))
    fraction, config = scalar(0.95), easy(net_type="resnet_50")
    fraction._width = 4
    config.net_type = "resnet_50"
    data = pickle.dumps({"fraction": fraction, "config": config}, pickle.HIGHEST_PROTOCOL)
    monkeypatch.undo()
    read = load_meta_pickle(data, "'x'")
    assert read == {"fraction": 0.95, "config": {"net_type": "resnet_50"}}


@pytest.mark.parametrize(
    "data",
    [b"", b".", b"text", b"\x80\x04", pickle.dumps([1, 2, 3])[:-3], b"\x80\xff.",
     b"\x80\x04N\x72\xff\xff\xff\x7f.",  # numbers two thousand million objects
     b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", b"(" * 10_000],
)  # fmt: skip
def test_damage_is_a_sentence(data: bytes) -> None:
    with pytest.raises(ResultError, match=r"^'x' is (damaged|a pickle)"):
        load_meta_pickle(data, "'x'")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_sentence(data: bytes) -> None:
    for check in (load_meta_pickle, load_attribute_pickle):
        with contextlib.suppress(ResultError):
            check(data, "'x'")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(PLAIN, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_come_through(value: Any, protocol: int) -> None:
    assert load_meta_pickle(pickle.dumps(value, protocol), "'x'") == value


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    assert read_bytes(file) == b"abc"
    with pytest.raises(ResultError, match="has 3 bytes, more than the 2"):
        read_bytes(file, 2)
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for name, problem in (("link", "cannot be read"), ("pipe", "not a regular file"),
                          ("gone", "cannot be read")):  # fmt: skip
        with pytest.raises(ResultError, match=problem):
            read_bytes(tmp_path / name, MAX_PICKLE_BYTES)

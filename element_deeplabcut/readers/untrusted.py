"""Files that somebody else may have prepared: read once, and unpickled into inert values only.

A pickle is a program. DeepLabCut writes one beside every result (``_meta.pickle``), and PyTables
stores attributes of an HDF5 file as pickles which it runs when they are looked at. Here a pickle
may name nothing but what DeepLabCut, pandas and numpy really put there, and each of these names is
played by a stand-in of this module: DeepLabCut's enums become texts, paths become pure paths,
numpy's numbers become Python's. The real thing is never imported, so nothing runs, and DeepLabCut
need not be installed.

A file is read into memory once. What was examined, hashed and read is then the same bytes, whoever
can write to the folder.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
import re
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

from ..errors import ResultError
from ..linking import show_path

MAX_PICKLE_BYTES = 16 << 20
"""A ``_meta.pickle`` has some kilobytes; more is no ``_meta.pickle``."""


@contextlib.contextmanager
def open_regular(file: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading, refusing a link, a pipe or a device in its place.

    Args:
        file: The file, with links resolved already.

    Raises:
        ResultError: It cannot be read, or is not a regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(file, flags)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ResultError(f"'{show_path(file)}' is not a regular file; remove it.")
            yield stream
    except OSError as error:
        raise ResultError(
            f"'{show_path(file)}' cannot be read ({error.strerror}). Check that it is there and "
            "readable for this account."
        ) from error


def read_bytes(file: Path, limit: int | None = None) -> bytes:
    """Read a regular file.

    Args:
        file: The file, with links resolved already.
        limit: Longest acceptable size, bytes.

    Raises:
        ResultError: It cannot be read, is not a regular file, or is too long.
    """
    with open_regular(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        if limit is not None and size > limit:
            raise ResultError(
                f"'{show_path(file)}' has {size} bytes, more than the {limit} such a file can "
                "have. It is not what its name says; remove or replace it."
            )
        return stream.read()


def load_meta_pickle(data: bytes, what: str) -> Any:
    """Unpickle what DeepLabCut writes beside its results, running nothing.

    Args:
        data: The pickle.
        what: How messages call it.

    Returns:
        Its content: plain values, texts for enums, pure paths; opaque objects for what nobody
        needs (numpy arrays, comments of a YAML file).

    Raises:
        ResultError: It names anything that DeepLabCut does not write there, or is damaged.
    """
    return _load(data, _find_meta_name, what)


def load_attribute_pickle(data: bytes, what: str) -> Any:
    """Unpickle what pandas writes into the attributes of an HDF5 file, running nothing.

    Raises:
        ResultError: It names anything that pandas does not write there, or is no whole pickle.
    """
    return _load(data, _find_pandas_name, what)


class _RefusedError(pickle.UnpicklingError):
    """A pickle names something that is not allowed."""


_Finder = Callable[[str, str], Any]


class _InertUnpickler(pickle.Unpickler):
    """Unpickler that knows stand-ins only."""

    def __init__(self, data: bytes, find: _Finder) -> None:
        # latin1 lets texts of Python 2 pass whatever their bytes, so that all of it is looked at.
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._find = find

    def find_class(self, module_name: str, global_name: str) -> Any:
        found = self._find(module_name, global_name)
        if found is None:
            raise _RefusedError(f"it asks for {module_name}.{global_name}")
        return found

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("it asks for a persistent object")


def _load(data: bytes, find: _Finder, what: str) -> Any:
    try:
        _check_opcodes(data)
        return _InertUnpickler(data, find).load()
    except _RefusedError as error:
        raise ResultError(
            f"{what} is a pickle that could run code: {error}, which DeepLabCut does not write "
            "there. Nothing of it was run. Find out where the file comes from; write the result "
            "again with DeepLabCut, or remove the file."
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        raise ResultError(
            f"{what} is damaged or not a pickle ({type(error).__name__}: {error}). Write the "
            "result again with DeepLabCut, or restore the file."
        ) from error


def _check_opcodes(data: bytes) -> None:
    """Insist on a whole pickle, and one that claims no more memory than it fills."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(data):
            raise ValueError("it numbers more objects than it can hold")
        if opcode.name in ("EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "PERSID", "BINPERSID"):
            raise _RefusedError(f"it uses {opcode.name}")


# --- stand-ins ------------------------------------------------------------------------------------
# Every one has __setstate__, so that no state is ever written onto a stand-in itself.


class _Opaque:
    """An object nobody looks into."""

    def __new__(cls, *_args: Any, **_options: Any) -> _Opaque:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Forget it."""


class _Dict(dict[Any, Any]):
    """Any kind of mapping."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*[dict(argument) for argument in args[:1]])

    def __setstate__(self, state: Any) -> None:
        """Forget attributes (EasyDict repeats its entries there)."""


class _List(list[Any]):
    """Any kind of sequence."""

    def __setstate__(self, state: Any) -> None:
        """Forget attributes."""


class _Float(float):
    """A number that remembers how a YAML file spelled it."""

    def __setstate__(self, state: Any) -> None:
        """Forget the spelling."""


class _Int(int):
    """Likewise, a whole one."""

    def __setstate__(self, state: Any) -> None:
        """Forget the spelling."""


class _Text(str):
    """A text that remembers how a YAML file quoted it."""

    def __setstate__(self, state: Any) -> None:
        """Forget the quotes."""


class _EnumData:
    """The data of an enum's member, of which the first alias matters."""

    def __init__(self, *args: Any) -> None:
        self.aliases: Any = args[0] if args else ()

    def __setstate__(self, state: Any) -> None:
        self.aliases = state.get("aliases", ()) if isinstance(state, dict) else ()


class _Enum:
    """Makes the text of an enum's member."""

    def __new__(cls, value: Any) -> Any:
        if isinstance(value, _EnumData):
            value = value.aliases
        while isinstance(value, (tuple, list)) and value:
            value = value[0]
        return str(value)

    def __setstate__(self, state: Any) -> None:
        """Members have none."""


class _Member:
    """Stands for ``getattr``, with which Python 3.11.0 to 3.11.3 pickle an enum's member.

    Such a pickle holds the member's name only; in DeepLabCut's enums that is its value in capitals,
    or says the same. Of anything but an enum nothing is looked up.
    """

    def __new__(cls, kind: Any, name: Any) -> Any:
        if kind is not _Enum or not isinstance(name, str):
            raise _RefusedError("it asks for builtins.getattr of something that is no enum")
        return name.lower()

    def __setstate__(self, state: Any) -> None:
        """Members have none."""


class _PosixPath:
    """Makes a pure path."""

    kind: type[PurePath] = PurePosixPath

    def __new__(cls, *parts: Any) -> Any:
        return cls.kind(*(str(part) for part in parts))

    def __setstate__(self, state: Any) -> None:
        """Paths have none."""


class _WindowsPath(_PosixPath):
    kind = PureWindowsPath


class _DType:
    """A numpy type of plain numbers or texts."""

    def __init__(self, code: Any, *_options: Any) -> None:
        match = re.fullmatch(r"([biufcSU])(\d{1,6})", str(code))
        if match is None:
            raise ValueError(f"the numpy type {code!r} is not one of plain numbers")
        self.kind, self.size = match[1], int(match[2])
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise ValueError("a numpy type is not one of plain numbers")
        self.order = ">" if state[1] == ">" else "<"


class _Scalar:
    """Makes a Python number of a numpy one."""

    def __new__(cls, dtype: Any, data: Any = b"") -> Any:
        if not isinstance(dtype, _DType):
            raise ValueError("a numpy number has no type")
        if isinstance(data, str):
            data = data.encode("latin1")
        if dtype.kind in "iu":
            return int.from_bytes(
                data, "little" if dtype.order == "<" else "big", signed=dtype.kind == "i"
            )
        if dtype.kind == "f" and dtype.size in (2, 4, 8):
            code = {2: "e", 4: "f", 8: "d"}[dtype.size]
            return struct.unpack(dtype.order + code, data)[0]
        if dtype.kind == "b":
            return bool(data[0])
        return bytes(data)

    def __setstate__(self, state: Any) -> None:
        """Numbers have none."""


class _Encoded:
    """Makes bytes of a text, as old pickles hold them."""

    def __new__(cls, text: Any, encoding: Any = "latin1") -> Any:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise _RefusedError(f"it asks for the encoding {encoding!r}")
        return text.encode("latin1")

    def __setstate__(self, state: Any) -> None:
        """Bytes have none."""


# --- the names that may occur ---------------------------------------------------------------------

_NUMPY_CORES = ("numpy.core", "numpy._core")
_NUMBERS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Encoded,
    **{(f"{core}.multiarray", "scalar"): _Scalar for core in _NUMPY_CORES},
}
_META: Mapping[tuple[str, str], Any] = {
    **_NUMBERS,
    ("numpy", "ndarray"): _Opaque,
    **{(f"{core}.multiarray", "_reconstruct"): _Opaque for core in _NUMPY_CORES},
    **{(f"{core}.numeric", "_frombuffer"): _Opaque for core in _NUMPY_CORES},
    ("collections", "OrderedDict"): _Dict,
    **{(module, name): _PosixPath for module in ("pathlib", "pathlib._local")
       for name in ("PosixPath", "PurePosixPath", "Path", "PurePath")},
    **{(module, name): _WindowsPath for module in ("pathlib", "pathlib._local")
       for name in ("WindowsPath", "PureWindowsPath")},
    # The model config in results of DeepLabCut 2.0, and numbers as its YAML reader gives them.
    ("easydict", "EasyDict"): _Dict,
    ("ruamel.yaml.comments", "CommentedMap"): _Dict,
    ("ruamel.yaml.comments", "CommentedSeq"): _List,
    **{("ruamel.yaml.comments", name): _Opaque
       for name in ("Comment", "Format", "LineCol", "Anchor", "Tag", "MergeValue")},
    ("ruamel.yaml.anchor", "Anchor"): _Opaque,
    **{("ruamel.yaml.scalarfloat", name): _Float
       for name in ("ScalarFloat", "ExponentialFloat", "ExponentialCapsFloat")},
    **{("ruamel.yaml.scalarint", name): _Int
       for name in ("ScalarInt", "BinaryInt", "OctalInt", "HexInt", "HexCapsInt", "DecimalInt")},
    ("ruamel.yaml.scalarbool", "ScalarBoolean"): _Int,
    **{("ruamel.yaml.scalarstring", name): _Text
       for name in ("ScalarString", "PlainScalarString", "DoubleQuotedScalarString",
                    "SingleQuotedScalarString", "LiteralScalarString", "FoldedScalarString")},
}  # fmt: skip
_DLC_ENUMS = (
    "NetType",
    "MethodType",
    "DetectorType",
    "DatasetType",
    "DataLoaderType",
    "LoggerType",
    "Task",
    "Engine",
    "Mode",
)
_FROZEN_LISTS = ("pandas.core.indexes.frozen", "pandas.indexes.frozen", "pandas.core.base")
_PANDAS: Mapping[tuple[str, str], Any] = {
    **_NUMBERS,
    **{(module, "FrozenList"): _List for module in _FROZEN_LISTS},
}


def _find_meta_name(module: str, name: str) -> Any:
    # Enums moved between modules of DeepLabCut; the stand-in is the same wherever they live.
    if module.split(".")[0] == "deeplabcut" and name in _DLC_ENUMS:
        return _Enum
    if module.split(".")[0] == "deeplabcut" and name in ("EngineDataMixin", "TaskDataMixin"):
        return _EnumData
    if (module, name) == ("builtins", "getattr"):
        return _Member
    return _META.get((module, name))


def _find_pandas_name(module: str, name: str) -> Any:
    return _PANDAS.get((module, name))

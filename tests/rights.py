"""What file modes refuse is refused to root, too, in a process of its own."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

_VERSION_3 = 0x20080522
_OVERRIDE, _READ_SEARCH = 1 << 1, 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


def run_refused(action: Callable[[], int], out: Path) -> int:
    """Run something in a fork for which the modes of its own files count; its output is written.

    Root passes over them by two capabilities, which the fork gives up: it owns what it owned.

    Returns:
        What the action returns, or 70 if it raised.
    """
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            sys.stdout = sys.stderr = out.open("w", buffering=1)
            _give_up_overriding()
            code = action()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}")
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _give_up_overriding() -> None:
    if os.geteuid() != 0:
        return
    system = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    if system.capget(ctypes.byref(header), sets) == 0:
        sets[0].effective &= ~(_OVERRIDE | _READ_SEARCH)
        if system.capset(ctypes.byref(header), sets) == 0:
            return
    raise OSError(ctypes.get_errno(), "the capabilities of root cannot be given up")

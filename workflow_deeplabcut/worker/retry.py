"""Which failures are worth another try, how often, and after how long."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from dataclasses import dataclass

from .server import is_away, is_conflict, is_full

_STORAGE = frozenset(
    {errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EBUSY,
     errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH,
     errno.ENETDOWN, errno.ECONNRESET, errno.ECONNREFUSED, errno.EMFILE, errno.ENFILE,
     errno.ENOMEM, errno.EREMOTEIO}
)  # fmt: skip
"""What a network drive, a full disk or a busy machine says; it may say otherwise in an hour."""

_IN_PASSING = (
    *("out of memory", "resource exhausted", "cublas_status_alloc_failed"),
    *("no space left", "disk quota exceeded", "input/output error", "stale file handle"),
    *("pytorchstreamwriter failed", "unexpected pos"),  # torch.save on a full disk
)
"""What libraries say that turn errors of memory and storage into errors of their own."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a job is tried, and how long it waits in between.

    Attributes:
        limit: How often it is tried in all.
        first_delay: Wait after the first failure, s; it doubles with every further one.
        longest_delay: Limit of the wait, s.
    """

    limit: int = 5
    first_delay: float = 30
    longest_delay: float = 3600

    def delay(self, attempts: int) -> float:
        """Wait after so many failures, s; spread, so that a pool does not come back at once."""
        delay = min(self.first_delay * 2.0 ** min(attempts - 1, 32), self.longest_delay)
        return delay * random.uniform(0.75, 1.25)


def is_transient(error: BaseException) -> bool:
    """Whether a failure, or what caused it, may be gone at the next try."""
    return any(_may_pass(cause) for cause in list_causes(error))


def find_cause(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The error itself or one of its causes, if it is of a kind."""
    return next((cause for cause in list_causes(error) if isinstance(cause, kind)), None)


def list_causes(error: BaseException) -> Iterator[BaseException]:
    """Go through an error and what caused it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _may_pass(error: BaseException) -> bool:
    if is_away(error) or is_conflict(error) or is_full(error):
        return True
    if isinstance(error, OSError):
        return error.errno in _STORAGE or isinstance(error, TimeoutError)
    # Engines have types of their own for it, which cannot be named without importing them.
    is_engines = type(error).__name__ in ("OutOfMemoryError", "ResourceExhaustedError")
    is_librarys = isinstance(error, RuntimeError) or type(error).__name__ == "HDF5ExtError"
    said = str(error).lower() if is_librarys else ""
    return is_engines or any(words in said for words in _IN_PASSING)

"""Memory that malloc keeps though nothing needs it any more."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa

M_ARENA_MAX = -8  # of glibc's mallopt
ARENAS = 2  # that malloc may have; its default of 8 a core keeps what each of them once needed
EVERY = 15.0  # seconds


def share_arenas() -> None:
    """Let all threads allocate from the same few arenas, where malloc is glibc's."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


class Absent(MetaPathFinder):
    """Says of pandas that it is not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """Refuse pandas; of all else others know.

        Raises:
            ModuleNotFoundError: It is pandas.
        """
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def without_pandas() -> None:
    """Let Arrow do without pandas in this process, where it is installed, as nothing here uses it.

    Arrow imports it at its first use, to know whether what it is given is pandas': a quarter of a
    second of the first minute that closes, and 40 MB. It asks once.
    """
    absent = Absent()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([1.0])
    finally:
        sys.meta_path.remove(absent)


def keep_giving_back() -> None:
    """From now on, return to the system what is free between what is used, again and again.

    A long round, or a membership that ends, needs some hundred MB for a moment. By itself malloc
    returns what lies at the end of an arena only, and there is always something small behind.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return
    threading.Thread(target=_give_back, args=(trim,), name="memory", daemon=True).start()


def _give_back(trim: Callable[[int], int]) -> None:
    while True:
        time.sleep(EVERY)
        trim(0)

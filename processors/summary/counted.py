"""Sorting and counting, in C where it was built."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import native

__all__ = ["counted", "merged", "tallied"]

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.uint64]


def counted(codes: Ints) -> tuple[Ints, Ints]:
    """Each code once, ascending, and how often it came.

    Args:
        codes: Not negative; a contiguous array of the caller's own, whose order may be lost.
    """
    if native.core is not None:
        found, counts = np.empty((2, len(codes)), np.int64)
        kinds = native.core.counted(codes, found, counts)
        return found[:kinds].copy(), counts[:kinds].copy()
    codes = np.sort(codes)
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    return codes[first], np.diff(first, append=len(codes))


def tallied(codes: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Each code once, ascending, with the sum of its counts.

    Args:
        codes: Not negative; a contiguous array of the caller's own, which is lost.
        counts: One for each code; the same.
    """
    if native.core is not None:
        found, sums = np.empty((2, len(codes)), np.int64)
        kinds = native.core.tallied(codes, counts, found, sums)
        return found[:kinds].copy(), sums[:kinds].copy()
    order = np.argsort(codes, kind="stable")  # merges what ascends in parts
    codes = codes[order]
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    return codes[first], np.add.reduceat(counts[order], first)


def merged(a: Ids, b: Ids) -> Ids:
    """All of two ascending arrays, ascending."""
    if native.core is None:
        return np.sort(np.concatenate([a, b]))
    found = np.empty(len(a) + len(b), np.uint64)
    native.core.merged(a, b, found)
    return found

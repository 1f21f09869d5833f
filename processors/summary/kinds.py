"""Which error types a row tells apart: no order and no grouping of the events changes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from processors.summary.table import KINDS, TYPES, Ints

__all__ = ["OTHER", "bounded", "indexed"]

OTHER = "__other__"  # error types beyond those that are told apart


def indexed(found: Iterable[str]) -> tuple[tuple[str, ...], Mapping[str, int]]:
    """The names of a summary, ascending, and the index of each of *found*."""
    names = tuple(sorted(set(found)))
    return names, {name: i for i, name in enumerate(names)}


def bounded(
    names: tuple[str, ...], codes: Ints, counts: Ints
) -> tuple[tuple[str, ...], Ints, Ints]:
    """Each row with its `KINDS` first names, the others of the row added up as OTHER.

    What is not among the first names of a part of a row's events is not among those of all of
    them, so that it does not matter where the parts were cut, or which other rows are beside.

    Args:
        names: Ascending.
        codes: row · TYPES + index into *names*, ascending, each once.
        counts: Of the codes.

    Returns:
        The same, with the names that are still used.
    """
    if len(names) <= KINDS:
        return names, codes, counts
    kind, row = codes % TYPES, codes // TYPES
    other = names.index(OTHER) if OTHER in names else -1
    ranked = np.cumsum(kind != other)
    before = ranked - (kind != other)
    first = np.searchsorted(row, row)
    spilt = (kind != other) & (ranked - before[first] > KINDS)
    if not spilt.any():
        return names, codes, counts
    kept = sorted({names[i] for i in np.unique(kind[~spilt]).tolist()} | {OTHER})
    at = {name: i for i, name in enumerate(kept)}
    moved = np.array([at.get(name, at[OTHER]) for name in names], dtype=np.int64)
    kind = np.where(spilt, at[OTHER], moved[kind])
    codes, back = np.unique(row * TYPES + kind, return_inverse=True)
    total = np.zeros(len(codes), dtype=np.int64)
    np.add.at(total, back, counts)
    return tuple(kept), codes, total

"""Add summaries up: the one operation behind merging, rolling up and pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from processors.summary.counted import tallied
from processors.summary.kinds import bounded, indexed
from processors.summary.known import ranked
from processors.summary.table import CELL, HIGH, LIMB, LOW, ROW, TYPES, Ints, Summary, empty, spans
from schemas.scope import ALL
from schemas.window import MINUTE

__all__ = ["carry", "combine", "pool", "tally"]


def combine(summaries: Sequence[Summary], length: int = MINUTE) -> Summary:
    """The summary of all events of *summaries*, in windows of *length* ms.

    Everything is added as integers, so that the order and the grouping of the parts cannot change
    a bit. Units survive in minutes only.

    Returns:
        A canonical summary (see `Summary`).
    """
    parts = [summary for summary in summaries if len(summary)]
    if not parts:
        return empty()
    names, ids = ranked(part.keys for part in parts)
    key = np.concatenate([ids[part.key] for ids, part in zip(ids, parts, strict=True)])
    start = np.concatenate([part.start for part in parts]) // length * length
    starts, at = np.unique(start, return_inverse=True)
    groups, row = np.unique(at * len(names) + key, return_inverse=True)
    order = np.argsort(row, kind="stable")
    first = np.searchsorted(row[order], np.arange(len(groups)))
    extremes = np.concatenate([part.extremes for part in parts])[order]
    moments = np.concatenate([part.moments for part in parts])[order]
    counters = np.concatenate([part.counters for part in parts])[order]
    types, index = indexed(kind for part in parts for kind in part.error_types)
    cells = _gather(row, parts, ROW, [(part.cells, part.cell_counts) for part in parts])
    failures = _gather(row, parts, TYPES, [_retyped(part, index) for part in parts])
    error_types, *failed = bounded(types, *failures)
    marks = [(part.units, np.ones_like(part.units)) for part in parts]
    units, _ = _gather(row, parts, CELL, marks) if length == MINUTE else (empty().units, None)
    return Summary(
        keys=names,
        error_types=error_types,
        key=groups % len(names),
        start=starts[groups // len(names)],
        counters=np.add.reduceat(counters, first, axis=0),
        moments=carry(np.add.reduceat(moments, first, axis=0)),
        extremes=np.stack(
            [
                np.minimum.reduceat(extremes[..., 0], first, axis=0),
                np.maximum.reduceat(extremes[..., 1], first, axis=0),
            ],
            axis=-1,
        ),
        cells=cells[0],
        cell_counts=cells[1],
        failures=failed[0],
        failure_counts=failed[1],
        units=units,
    )


def pool(summary: Summary, length: int) -> Summary:
    """One row per scope and window: every model, provider, version and cohort together."""
    return combine([summary.rekey(lambda key: (key[0], key[1], ALL, ALL, ALL, ALL))], length)


def carry(moments: Ints) -> Ints:
    """Sums of squares with the low limb below 2³⁶ again, in place."""
    moments[..., HIGH] += moments[..., LOW] >> LIMB
    moments[..., LOW] &= (1 << LIMB) - 1
    return moments


def tally(codes: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Each code once, ascending, with the sum of its counts; both arrays are lost."""
    if (codes[1:] > codes[:-1]).all():
        return codes, counts
    return tallied(codes, counts)


def _gather(
    row: Ints, parts: Sequence[Summary], size: int, coded: Sequence[tuple[Ints, Ints]]
) -> tuple[Ints, Ints]:
    """The parts' codes, of *size* a row, moved to the rows that theirs became."""
    offset, moved = 0, []
    for part, (codes, _) in zip(parts, coded, strict=True):
        shift = (row[offset : offset + len(part)] - np.arange(len(part))) * size
        moved.append(codes + np.repeat(shift, np.diff(spans(codes, size, len(part)))))
        offset += len(part)
    return tally(np.concatenate(moved), np.concatenate([counts for _, counts in coded]))


def _retyped(part: Summary, index: Mapping[str, int]) -> tuple[Ints, Ints]:
    """The part's failures, with the indices that its error types have in the sum."""
    moved = np.array([index[kind] for kind in part.error_types], dtype=np.int64)
    kind = part.failures % TYPES
    return part.failures - kind + moved[kind], part.failure_counts

"""From a batch of events to its summary, per key and minute: the hot path of it all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.summary.combine import carry
from processors.summary.counted import counted
from processors.summary.histograms import histograms
from processors.summary.kinds import bounded, indexed
from processors.summary.measured import measured
from processors.summary.table import (
    CELL,
    KINDS,
    TYPES,
    Ints,
    Summary,
    empty,
    present,
)
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.partial import COUNTERS, METRICS
from schemas.window import MINUTE

__all__ = ["summarize"]

M = len(METRICS)
AT = {name: i for i, (name, _) in enumerate(METRICS)}
USAGE = ("tokens_input", "tokens_output", "cached_tokens")

Bools = npt.NDArray[np.bool_]


def summarize(events: EventColumns, chosen: Bools | None = None) -> Summary:
    """The summary of *events*, or of the *chosen* ones, in minutes.

    Rows are in the order of (key's index, minute), not canonical; `combine` makes them so.

    Raises:
        ValueError: a value is not below schemas.partial.LIMIT; the decoder must reject it.
    """
    at = np.arange(len(events)) if chosen is None else np.flatnonzero(chosen)
    if len(at) == 0:
        return empty()
    order, first, row = _grouped(events, at)
    heads = order[first]
    used, key = present(events.key[heads], len(events.keys))
    moments, extremes = measured(events.values, order, first)
    cells, cell_counts = histograms(events.values, order, first)
    failures = _failures(events, order, row)
    return Summary(
        keys=tuple(map(events.keys.__getitem__, used.tolist())),
        error_types=failures[0],
        key=key,
        start=events.timestamp[heads] // MINUTE * MINUTE,
        counters=_counters(events, order, first),
        moments=carry(moments),
        extremes=extremes,
        cells=cells,
        cell_counts=cell_counts,
        failures=failures[1],
        failure_counts=failures[2],
        units=_units(events, order, row),
    )


def _grouped(events: EventColumns, at: Ints) -> tuple[Ints, Ints, Ints]:
    """Events by (key, minute): their order, where each group begins, each event's group."""
    minute = events.timestamp[at] // MINUTE
    minute -= minute.min()
    code = events.key[at] * (minute.max() + 1) + minute
    # numpy sorts 16-bit integers by radix, several times faster; within a group any order will do.
    order = (
        np.argsort(code.astype(np.uint16), kind="stable")
        if code.max() < 1 << 16
        else np.argsort(code)
    )
    fresh = np.diff(code[order], prepend=-1) != 0
    return at[order], np.flatnonzero(fresh), np.cumsum(fresh) - 1


def _counters(events: EventColumns, order: Ints, first: Ints) -> Ints:
    """The counters of each row, in the order of schemas.partial.COUNTERS."""
    request = events.request[order]
    rows = {
        "requests": request,
        "success": request & ~events.failed[order],
        "timeouts": request & events.timeout[order],
        "retries": events.retries[order],
    }
    unpriced = request & (events.values[order, AT["cost_usd"]] == ABSENT)
    if unpriced.any():
        rows["unpriced_requests"] = unpriced
        for name in USAGE:
            used = np.maximum(events.values[order, AT[name]], 0)
            rows[f"unpriced_{name}"] = np.where(unpriced, used, 0)
    counters = np.zeros((len(first), len(COUNTERS)), dtype=np.int64)
    for i, name in enumerate(COUNTERS):
        if name in rows:
            counters[:, i] = np.add.reduceat(rows[name], first, dtype=np.int64)
    return counters


def _failures(events: EventColumns, order: Ints, row: Ints) -> tuple[tuple[str, ...], Ints, Ints]:
    """Error types by name, and how often each row has which."""
    kind = events.error_type[order]
    failed = kind != ABSENT
    used, kind = np.unique(kind[failed], return_inverse=True)
    names = tuple(events.error_types[i] for i in used.tolist())
    if len(names) <= KINDS:
        return names, *counted(row[failed] * TYPES + kind)
    ranked, index = indexed(names)
    kind = np.array([index[name] for name in names], dtype=np.int64)[kind]
    return bounded(ranked, *counted(row[failed] * TYPES + kind))


def _units(events: EventColumns, order: Ints, row: Ints) -> Ints:
    """The units of each row that saw an error."""
    unit = events.unit[order]
    failed = events.failed[order] & (unit != NO_UNIT)
    return np.unique(row[failed] * CELL + unit[failed])

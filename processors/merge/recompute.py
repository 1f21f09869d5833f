"""All windows at once, event by event in plain Python: what the pipeline is checked against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from processors.merge.describe import describe, unpriced, unpriced_by_scope
from processors.merge.window import pooled_key
from processors.sketch import buckets
from processors.summary.table import CELL, LIMB, NEVER, Ints, M, Summary
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.partial import COUNTERS, METRICS, Key
from schemas.window import MINUTE, SIZES, WindowAggregate

__all__ = ["batch_windows", "content"]

COST = [name for name, _ in METRICS].index("cost_usd")
TOKENS = [
    [name for name, _ in METRICS].index(name.removeprefix("unpriced_")) for name in COUNTERS[5:]
]


@dataclass(slots=True)
class Tally:
    """What one key has in one window."""

    counters: list[int] = field(default_factory=lambda: [0] * len(COUNTERS))
    squares: list[int] = field(default_factory=lambda: [0] * M)
    sums: list[int] = field(default_factory=lambda: [0] * M)
    counts: list[int] = field(default_factory=lambda: [0] * M)
    low: list[int] = field(default_factory=lambda: [NEVER] * M)
    high: list[int] = field(default_factory=lambda: [-1] * M)
    cells: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    units: set[int] = field(default_factory=set)

    def add(self, other: Tally) -> None:
        """Take in all of *other*."""
        for name in ("counters", "squares", "sums", "counts"):
            mine = getattr(self, name)
            mine[:] = [a + b for a, b in zip(mine, getattr(other, name), strict=True)]
        self.low = list(map(min, self.low, other.low))
        self.high = list(map(max, self.high, other.high))
        self.cells.update(other.cells)
        self.failures.update(other.failures)
        self.units |= other.units


def batch_windows(events: EventColumns | Iterable[EventColumns]) -> dict[str, WindowAggregate]:
    """Every window of every size that *events* fall in, closed, at revision 1.

    Args:
        events: Those that count: neither repeated nor late beyond the grace.

    Returns:
        Window by record id. Compare with `content`, which leaves out what tells of time.
    """
    minutes: dict[tuple[int, Key], Tally] = {}
    for columns in [events] if isinstance(events, EventColumns) else events:
        _count(minutes, columns)
    found = {}
    for length in SIZES.values():
        windows: dict[int, dict[Key, Tally]] = {}
        wholes: dict[int, dict[Key, Tally]] = {}
        for (minute, key), tally in minutes.items():
            start = minute - minute % length
            windows.setdefault(start, {}).setdefault(key, Tally()).add(tally)
            wholes.setdefault(start, {}).setdefault(pooled_key(key), Tally()).add(tally)
        for start, tallies in windows.items():
            for window in _described(length, start, tallies, wholes[start]):
                found[window.record_id] = window
    return found


def content(window: WindowAggregate) -> WindowAggregate:
    """The window without its revision and the watermark of its writing."""
    return replace(window, revision=0, watermark=0)


def _count(minutes: dict[tuple[int, Key], Tally], events: EventColumns) -> None:
    bucket = np.where(events.values == ABSENT, 0, buckets(np.maximum(events.values, 0))).tolist()
    columns = zip(
        events.timestamp.tolist(),
        events.key.tolist(),
        events.values.tolist(),
        bucket,
        events.request.tolist(),
        events.failed.tolist(),
        events.timeout.tolist(),
        events.retries.tolist(),
        events.error_type.tolist(),
        events.unit.tolist(),
        strict=True,
    )
    for at, key, values, in_bucket, request, failed, timeout, retries, kind, unit in columns:
        tally = minutes.setdefault((at - at % MINUTE, events.keys[key]), Tally())
        bare = request and values[COST] == ABSENT
        more = [request, request and not failed, request and timeout, retries, bare]
        more += [max(values[m], 0) if bare else 0 for m in TOKENS]
        tally.counters = [a + b for a, b in zip(tally.counters, more, strict=True)]
        for m, value in enumerate(values):
            if value != ABSENT:
                tally.counts[m] += 1
                tally.sums[m] += value
                tally.squares[m] += value * value
                tally.low[m] = min(tally.low[m], value)
                tally.high[m] = max(tally.high[m], value)
                tally.cells[m * CELL + in_bucket[m] + 1] += 1
        if kind != ABSENT:
            tally.failures[events.error_types[kind]] += 1
        if failed and unit != NO_UNIT:
            tally.units.add(unit)


def _described(
    length: int, start: int, tallies: Mapping[Key, Tally], wholes: Mapping[Key, Tally]
) -> list[WindowAggregate]:
    rows, pooled = _summary(length, start, tallies), _summary(length, start, wholes)
    usage = unpriced_by_scope(rows)
    wholly = [usage.get(key[:2], ()) for key in pooled.keys]
    return [
        window
        for summary, used in ((rows, unpriced(rows)), (pooled, wholly))
        for window in describe(
            summary,
            length,
            watermark=start + length,
            revisions=[1] * len(summary),
            usage=used,
        )
    ]


def _summary(length: int, start: int, tallies: Mapping[Key, Tally]) -> Summary:
    """The tallies as rows, by key."""
    keys = sorted(tallies)
    each = [tallies[key] for key in keys]
    kinds = sorted({kind for tally in each for kind in tally.failures})
    cells = _coded([tally.cells for tally in each], M * CELL)
    failures = _coded(
        [Counter({kinds.index(k): n for k, n in tally.failures.items()}) for tally in each], CELL
    )
    units = [Counter(tally.units if length == MINUTE else ()) for tally in each]
    return Summary(
        keys=tuple(keys),
        error_types=tuple(kinds),
        key=np.arange(len(keys)),
        start=np.full(len(keys), start),
        counters=np.array([tally.counters for tally in each]),
        moments=np.array(
            [
                [
                    [n, total, square >> LIMB, square % (1 << LIMB)]
                    for n, total, square in zip(
                        tally.counts, tally.sums, tally.squares, strict=True
                    )
                ]
                for tally in each
            ]
        ),
        extremes=np.array([list(zip(tally.low, tally.high, strict=True)) for tally in each]),
        cells=cells[0],
        cell_counts=cells[1],
        failures=failures[0],
        failure_counts=failures[1],
        units=_coded(units, CELL)[0],
    )


def _coded(counted: list[Counter[int]], size: int) -> tuple[Ints, Ints]:
    """Codes of *size* a row, ascending, and their counts."""
    pairs = [
        (i * size + code, n) for i, each in enumerate(counted) for code, n in sorted(each.items())
    ]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]

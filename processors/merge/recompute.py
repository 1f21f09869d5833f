"""All windows at once, event by event in plain Python: what the pipeline is checked against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from processors.merge.describe import describe, unpriced, unpriced_by_scope
from processors.merge.window import pooled_key
from processors.sketch import buckets
from processors.summary.table import CELL, LIMB, NEVER, TYPES, Ints, M, Summary
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.partial import COUNTERS, METRICS, Key
from schemas.span import Hopping, Session, Span
from schemas.window import MINUTE, SIZES, WindowAggregate

__all__ = ["Tally", "batch_windows", "content", "windows_of"]

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


def batch_windows(
    events: EventColumns | Iterable[EventColumns], spans: Mapping[Span, int] | None = None
) -> dict[str, WindowAggregate]:
    """Every window of every size that *events* fall in, closed, at revision 1.

    Args:
        events: Those that count: neither repeated nor late beyond the grace.
        spans: Windows to be added, each kind with the minute from which on it is declared, ms.

    Returns:
        Window by record id. Compare with `content`, which leaves out what tells of time.
    """
    minutes: dict[tuple[int, Key], Tally] = {}
    for columns in [events] if isinstance(events, EventColumns) else events:
        _count(minutes, columns)
    return windows_of(minutes, spans)


def windows_of(
    minutes: Mapping[tuple[int, Key], Tally], spans: Mapping[Span, int] | None = None
) -> dict[str, WindowAggregate]:
    """The windows that *minutes* make, each with what a key has in it; see `batch_windows`."""
    found: dict[str, WindowAggregate] = {}
    for name, length in SIZES.items():
        homes = [(at - at % length, at - at % length + length, at, key) for at, key in minutes]
        found |= {window.record_id: window for window in _windows(name, minutes, homes)}
    for span, since in (spans or {}).items():
        counted = [(minute, key) for minute, key in minutes if minute >= since]
        if isinstance(span, Hopping):
            homes = [*_hops(span, since, counted)]
        else:
            homes = [*_sessions(span, counted)]
        found |= {window.record_id: window for window in _windows(span.name, minutes, homes)}
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


def _hops(
    span: Hopping, since: int, minutes: Iterable[tuple[int, Key]]
) -> Iterator[tuple[int, int, int, Key]]:
    """Each hopping window that a minute is in, unless it begins before *since*."""
    for minute, key in minutes:
        for start in range(
            minute - minute % span.hop, max(minute - span.size, since - 1), -span.hop
        ):
            yield start, start + span.size, minute, key


def _sessions(
    span: Session, minutes: Sequence[tuple[int, Key]]
) -> Iterator[tuple[int, int, int, Key]]:
    """The session that a minute is in."""
    runs: dict[tuple[str, str], list[list[int]]] = {}
    for minute, scope in sorted({(minute, key[:2]) for minute, key in minutes}):
        known = runs.setdefault(scope, [])
        if (
            known
            and minute - known[-1][-1] <= span.gap
            and minute // span.longest == known[-1][-1] // span.longest
        ):
            known[-1].append(minute)
        else:
            known.append([minute])
    for minute, key in minutes:
        run = next(each for each in runs[key[:2]] if minute in each)
        cut = run[0] - run[0] % span.longest + span.longest
        yield run[0], min(run[-1] + MINUTE + span.gap, cut), minute, key


def _windows(
    name: str,
    minutes: Mapping[tuple[int, Key], Tally],
    homes: Iterable[tuple[int, int, int, Key]],
) -> Iterator[WindowAggregate]:
    """The windows that minutes' keys are in, from each one's start, end, minute and key."""
    windows: dict[tuple[int, int], tuple[dict[Key, Tally], dict[Key, Tally]]] = {}
    for start, end, minute, key in homes:
        keys, wholes = windows.setdefault((start, end), ({}, {}))
        tally = minutes[minute, key]
        keys.setdefault(key, Tally()).add(tally)
        wholes.setdefault(pooled_key(key), Tally()).add(tally)
    for (start, end), (keys, wholes) in windows.items():
        rows, pooled = (_summary(start, each, units=name == "1m") for each in (keys, wholes))
        usage = unpriced_by_scope(rows)
        wholly = [usage.get(key[:2], ()) for key in pooled.keys]
        for summary, used in ((rows, unpriced(rows)), (pooled, wholly)):
            ones = [1] * len(summary)
            for each in describe(summary, MINUTE, watermark=end, revisions=ones, usage=used):
                yield replace(each, window=name, end=end)


def _summary(start: int, tallies: Mapping[Key, Tally], *, units: bool) -> Summary:
    """The tallies as rows, by key."""
    keys = sorted(tallies)
    each = [tallies[key] for key in keys]
    kinds = sorted({kind for tally in each for kind in tally.failures})
    cells = _coded([tally.cells for tally in each], M * CELL)
    failures = _coded(
        [Counter({kinds.index(k): n for k, n in tally.failures.items()}) for tally in each], TYPES
    )
    marks = [Counter(tally.units if units else ()) for tally in each]
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
        units=_coded(marks, CELL)[0],
    )


def _coded(counted: list[Counter[int]], size: int) -> tuple[Ints, Ints]:
    """Codes of *size* a row, ascending, and their counts."""
    pairs = [
        (i * size + code, n) for i, each in enumerate(counted) for code, n in sorted(each.items())
    ]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]

"""The batch recomputation: the same events, read once more and summed up without the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message

from schemas.columns import EventColumns
from schemas.decode import decode_events
from schemas.partial import METRICS as METRIC_UNITS
from schemas.registry import Registry
from schemas.scope import ALL, scope_of
from schemas.topics import LATE, METRICS, QUALITY, Topic
from schemas.window import SIZES, WindowAggregate
from streams.reading import read_all
from streams.settings import Settings

COMPARED = ("1m", "5m", "15m", "1h")  # the longer ones are still open when the demo ends
NAMES = tuple(name for name, _ in METRIC_UNITS)
UNITS = dict(METRIC_UNITS)
WITHIN = 0.0101  # relative error of a quantile: the sketch's bound, and the rank between two values
ARRAYS = tuple(f.name for f in fields(EventColumns) if f.name not in ("keys", "error_types"))
Ints = npt.NDArray[np.int64]
Group = tuple[str, str, str, str, str, str]
At = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True, slots=True)
class Events:
    """The events that count, by column."""

    start: Ints  # ms
    key: Ints
    keys: tuple[Group, ...]
    values: Ints
    request: npt.NDArray[np.bool_]
    failed: npt.NDArray[np.bool_]


def compare(
    settings: Settings,
    registry: Registry,
    windows: Sequence[WindowAggregate],
    sizes: Sequence[str] = COMPARED,
) -> tuple[int, list[str]]:
    """Compare the newest revision of each closed window with a recomputation.

    Counts and sums must be equal, quantiles within the sketch's bound.

    Returns:
        How many windows were compared, and the record ids of those that differ, windows that one
        side alone knows included.
    """
    closed = {
        record_id: each
        for record_id, each in newest(windows).items()
        if each.closed and each.window in sizes
    }
    if not closed:
        return 0, []
    events = together(counted(settings, registry))
    wrong, seen = [], set()
    until = reached(closed.values())
    for size in sizes:
        for expected in recompute(events, size, pooled=False, until=until):
            seen.add(expected.record_id)
            if not same(expected, closed.get(expected.record_id)):
                wrong.append(expected.record_id)
        for expected in recompute(events, size, pooled=True, until=until):
            seen.add(expected.record_id)
            if not same(expected, closed.get(expected.record_id)):
                wrong.append(expected.record_id)
    wrong += [record_id for record_id in closed if record_id not in seen]
    return len(closed), sorted(wrong)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a window must say."""

    record_id: str
    requests: int
    errors: int
    sums: dict[str, float]
    counts: dict[str, int]
    p95: dict[str, tuple[float, float]]  # metric -> the values between which it must lie


def same(expected: Expected, found: WindowAggregate | None) -> bool:
    """Whether *found* says what was expected."""
    if found is None or (expected.requests, expected.errors) != (found.requests, found.errors):
        return False
    if expected.counts != {name: each.count for name, each in found.metrics.items()}:
        return False
    for name, total in expected.sums.items():
        if total != found.metrics[name].sum:
            return False
        low, high = expected.p95[name]
        if not low * (1 - WITHIN) <= found.metrics[name].p95 <= high * (1 + WITHIN):
            return False
    return True


def newest(windows: Iterable[WindowAggregate]) -> dict[str, WindowAggregate]:
    """The last revision of each window, by record id."""
    return {each.record_id: each for each in sorted(windows, key=lambda one: one.revision)}


def counted(settings: Settings, registry: Registry) -> list[EventColumns]:
    """Every event on the ingest topics that is neither repeated nor late, by topic partition."""
    found, told = [], floors(read_all(settings, LATE))
    for topic in (METRICS, QUALITY):
        for columns, floor in _valid(settings, registry, topic, told):
            keep = _first(columns) & ~_late(settings, columns, floor)
            found.append(
                replace(columns, **{name: getattr(columns, name)[keep] for name in ARRAYS})
            )
    return found


def floors(letters: Iterable[Message]) -> dict[At, int]:
    """The floor that was in force for each message on the late topic, by where it was read.

    Which floor a message met depends on how far the other partitions were just then, so it cannot
    be computed again; that the message was late by it can.
    """
    found = {}
    for letter in letters:
        told = dict(letter.headers() or ())
        if told.get("__late.floor"):
            at = (told["__late.topic"].decode(), int(told["__late.partition"]))
            found[*at, int(told["__late.offset"])] = int(told["__late.floor"])
    return found


def together(parts: Sequence[EventColumns]) -> Events:
    """The events of all partitions with one numbering of keys."""
    names = sorted({key for part in parts for key in part.keys})
    ids = {name: i for i, name in enumerate(names)}
    dense = [np.array([ids[key] for key in part.keys], np.int64)[part.key] for part in parts]
    return Events(
        start=np.concatenate([part.timestamp for part in parts]),
        key=np.concatenate(dense),
        keys=tuple(names),
        values=np.concatenate([part.values for part in parts]),
        request=np.concatenate([part.request for part in parts]),
        failed=np.concatenate([part.failed for part in parts]),
    )


def _valid(
    settings: Settings, registry: Registry, topic: Topic, told: Mapping[At, int]
) -> Iterator[tuple[EventColumns, Ints]]:
    """The readable events of each partition, in the order of its log, each with its floor."""
    partitions: dict[int, list[tuple[int, bytes | None, int]]] = {}
    for message in read_all(settings, topic):
        partitions.setdefault(message.partition(), []).append(
            (message.offset(), message.value(), message.timestamp()[1])
        )
    for partition, log in partitions.items():
        log.sort(key=lambda each: each[0])
        values = [value for _, value, _ in log]
        arrived = max(at for *_, at in log)
        events = decode_events(
            registry, topic.name, values, arrived, topic.retention_ms or 0
        ).events
        floor = [told.get((topic.name, partition, offset), 0) for offset, *_ in log]
        yield events, np.array(floor, np.int64)[events.message]


def _first(columns: EventColumns) -> npt.NDArray[np.bool_]:
    """Whether each event is in the first message with its identity, or has none.

    The events of a batch share one identity, and are not repetitions of each other.
    """
    _, first, which = np.unique(columns.identity, return_index=True, return_inverse=True)
    keep: npt.NDArray[np.bool_] = np.equal(columns.identity, 0)
    keep |= columns.message == columns.message[first][which]
    return keep


def _late(settings: Settings, columns: EventColumns, floor: Ints) -> npt.NDArray[np.bool_]:
    """Whether each event is more than the grace behind the newest one before it, or too low."""
    once = np.where(_first(columns), columns.timestamp, 0)
    late: npt.NDArray[np.bool_] = np.less(
        columns.timestamp,
        np.maximum(np.maximum.accumulate(once) - settings.window_grace_ms, floor),
    )
    return late


def reached(closed: Iterable[WindowAggregate]) -> Callable[[str], int]:
    """How far the windows of a scope are closed, for its partition may be behind another's.

    A scope of which nothing is closed should be as far as the one that is furthest behind.
    """
    found: dict[str, int] = {}
    for each in closed:
        found[each.scope] = max(each.watermark, found.get(each.scope, 0))
    least = min(found.values())
    return lambda scope: found.get(scope, least)


def recompute(
    events: Events, size: str, *, pooled: bool, until: Callable[[str], int]
) -> Iterator[Expected]:
    """The windows of one size that ended by the time that *until* gives for their scope."""
    length = SIZES[size]
    start = events.start // length * length
    scopes = [key[:2] for key in events.keys]
    names = sorted(set(scopes)) if pooled else events.keys
    ids = (
        np.array([names.index(scope) for scope in scopes], np.int64)[events.key]
        if pooled
        else events.key
    )
    order = np.lexsort((start, ids))
    cut = np.flatnonzero(np.diff(ids[order]) | np.diff(start[order])) + 1
    for rows in np.split(order, cut):
        first = int(start[rows[0]])
        name = names[int(ids[rows[0]])]
        if first + length > until(scope_of(name[0], name[1])):
            continue
        rest = (ALL, ALL, ALL, ALL) if pooled else name[2:]
        found = {
            metric: np.sort(column[column >= 0])
            for metric, column in zip(NAMES, events.values[rows].T, strict=True)
        }
        found = {metric: column for metric, column in found.items() if len(column)}
        yield Expected(
            record_id="|".join((f"{name[0]}/{name[1]}", *rest, size, str(first))),
            requests=int(events.request[rows].sum()),
            errors=int(events.failed[rows].sum()),
            sums={m: int(c.sum()) / UNITS[m] for m, c in found.items()},
            counts={m: len(c) for m, c in found.items()},
            p95={m: _around(c, 0.95, UNITS[m]) for m, c in found.items()},
        )


def _around(ordered: Ints, q: float, unit: int) -> tuple[float, float]:
    """The two values next to the rank of a quantile."""
    rank = q * (len(ordered) - 1)
    low, high = int(np.floor(rank)), int(np.ceil(rank))
    return float(ordered[low]) / unit, float(ordered[high]) / unit

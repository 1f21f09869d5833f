"""The batch recomputation: the same events, read once more and summed up without the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from itertools import islice

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
from streams.exactly_once.reading import read
from streams.reading import consumer, ends, read_all
from streams.settings import Settings

COMPARED = ("1m", "5m", "15m", "1h")  # the longer ones are still open when the demo ends
NAMES = tuple(name for name, _ in METRIC_UNITS)
UNITS = dict(METRIC_UNITS)
WITHIN = 0.0101  # relative error of a quantile: the sketch's bound, and the rank between two values
ARRAYS = tuple(f.name for f in fields(EventColumns) if f.name not in ("keys", "error_types"))
Ints = npt.NDArray[np.int64]
Group = tuple[str, str, str, str, str, str]
At = tuple[str, int, int]  # topic, partition, offset
PIECE = 100_000  # messages that are looked at together


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
    return len(closed), differing(together(counted(settings, registry)), closed, sizes)


def differing(
    events: Events, closed: Mapping[str, WindowAggregate], sizes: Sequence[str] = COMPARED
) -> list[str]:
    """The record ids of the *closed* windows of some *sizes* that *events* do not give, or not so.

    Windows that are missing among them are included.
    """
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
    return sorted(wrong)


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


@dataclass(frozen=True, slots=True)
class Taken:
    """Some messages of an ingest topic's partition, and which of their events count."""

    topic: Topic
    partition: int
    events: EventColumns
    rejected: int  # messages that are no events
    keep: npt.NDArray[np.bool_]  # [events] neither repeated nor late

    @property
    def counted(self) -> EventColumns:
        """The events that count."""
        return replace(self.events, **{n: getattr(self.events, n)[self.keep] for n in ARRAYS})


def counted(settings: Settings, registry: Registry) -> list[EventColumns]:
    """Every event on the ingest topics that is neither repeated nor late."""
    return [each.counted for each in taken(settings, registry)]


def taken(settings: Settings, registry: Registry, piece: int = PIECE) -> Iterator[Taken]:
    """The ingest topics, *piece* messages at a time, each partition in the order of its log."""
    told = floors(read_all(settings, LATE))
    with closing(consumer(settings)) as reader:
        for topic in (METRICS, QUALITY):
            for at, stretch in sorted(ends(reader, [topic]).items()):
                log, past = read(reader, {at: stretch}), Past(settings.window_grace_ms)
                while some := list(islice(log, piece)):
                    arrived = max(message.timestamp()[1] for message in some)
                    values, lasting = [m.value() for m in some], topic.retention_ms or 0
                    decoded = decode_events(registry, topic.name, values, arrived, lasting)
                    floor = np.array([told.get((*at, m.offset()), 0) for m in some], np.int64)
                    keep = past.keep(decoded.events, floor[decoded.events.message])
                    yield Taken(topic, at[1], decoded.events, len(decoded.rejected), keep)


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


class Past:
    """What came before in the log of a partition: the identities, and the newest event."""

    def __init__(self, grace: int) -> None:
        self.grace = grace  # ms
        self.known: list[npt.NDArray[np.uint64]] = []  # each ascending, longer than the next
        self.newest = 0  # ms

    def keep(self, columns: EventColumns, floor: Ints) -> npt.NDArray[np.bool_]:
        """Which events are no repetition, and not behind the grace or below their *floor*."""
        if not len(columns):
            return np.zeros(0, np.bool_)
        ids, first, which = np.unique(columns.identity, return_index=True, return_inverse=True)
        new = self._learnt(ids)
        # The events of a batch share one identity, and are not repetitions of each other.
        once: npt.NDArray[np.bool_] = np.equal(columns.identity, 0)
        once |= new[which] & (columns.message == columns.message[first][which])
        reached = np.maximum.accumulate(np.where(once, columns.timestamp, 0))
        low = np.maximum(np.maximum(reached, self.newest) - self.grace, floor)
        self.newest = max(self.newest, int(reached[-1]))
        once &= columns.timestamp >= low
        return once

    def _learnt(self, ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Which of *ids*, that ascend, were not known; from now on they are."""
        new = np.ones(len(ids), np.bool_)
        for run in self.known:
            places = np.searchsorted(run, ids)
            new &= run[np.minimum(places, len(run) - 1)] != ids
        if new.any():
            self.known.append(ids[new])
        # So there are few of them, and each identity is moved a few times only.
        while len(self.known) > 1 and len(self.known[-2]) < 2 * len(self.known[-1]):
            last, before = self.known.pop(), self.known.pop()
            self.known.append(np.sort(np.concatenate([before, last]), kind="stable"))
        return new


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

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from processors.summary.pack import pack
from processors.summary.singles import Rows, singles
from processors.summary.summarize import summarize
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.flow import Input
from schemas.partial import METRICS, Key
from schemas.topics import PARTIALS
from schemas.window import MINUTE

KEYS: tuple[Key, ...] = (
    ("chat", "answer", "large", "acme", "v1", "stable"),
    ("chat", "answer", "small", "acme", "v2", "candidate"),
    ("chat", "sum", "small", "acme", "", ""),
    ("shop", "find", "large", "zeta", "", ""),
    ("shop", "find", "large", "acme", "", ""),
)


def events(at: Sequence[int], seed: int, keys: tuple[Key, ...] = KEYS) -> EventColumns:
    """One event per time in *at*, ms, all else drawn."""
    rng = np.random.default_rng(seed)
    n = len(at)
    values = rng.lognormal(8, 2, (n, len(METRICS))).astype(np.int64)
    values[rng.random(values.shape) < 0.3] = ABSENT
    failed = rng.random(n) < 0.3
    return EventColumns(
        message=np.arange(n),
        timestamp=np.array(at, dtype=np.int64),
        key=rng.integers(0, len(keys), n),
        keys=keys,
        values=values,
        request=rng.random(n) < 0.9,
        failed=failed,
        timeout=failed & (rng.random(n) < 0.5),
        retries=rng.integers(0, 2, n),
        error_type=np.where(failed, rng.integers(-1, 3, n), ABSENT),
        error_types=("timeout", "rate_limit", "broken"),
        unit=np.where(rng.random(n) < 0.3, NO_UNIT, rng.integers(0, 5, n)),
        identity=np.zeros(n, dtype=np.uint64),
    )


def partial(
    offset: int,
    *,
    watermark: int | None,
    found: EventColumns | None = None,
    source: int = 0,
    sources: int = 1,
    idle: bool = False,
    floor: int | None = None,
) -> Input:
    """A partial as merge reads it; every other one has its events as they are."""
    rows: Rows = summarize(events([], 0) if found is None else found)
    if found is not None and offset % 2:
        rows = singles(found, np.arange(len(found)))
    told = pack(rows, source=source, sources=sources, watermark=watermark, idle=idle, floor=floor)
    return Input(PARTIALS.name, offset, told)


def stream(
    seed: int, *, sources: int, steps: int, behind: int
) -> tuple[list[Input], list[EventColumns]]:
    """Partials of sources that come along at their own pace, and all the events in them.

    Events are up to *behind* ms older than the newest one of their source. Sources fall idle at
    times; in the end all are, and so far ahead that every window closes. Each tells the highest
    floor that it can keep to, or at times none before it has told one.
    """
    rng = np.random.default_rng(seed)
    clock = np.full(sources, int(rng.integers(1, 20_000)) * MINUTE)
    inputs, found = list[Input](), list[EventColumns]()
    for i in range(steps):
        source = int(rng.integers(sources))
        idle = bool(rng.random() < 0.15)
        if idle:
            clock[source] = max(clock[source], clock.max() - 2 * MINUTE)
            inputs.append(
                partial(i, watermark=int(clock[source]), source=source, sources=sources, idle=True)
            )
            continue
        clock[source] += int(rng.integers(0, 3 * MINUTE))
        n = int(rng.integers(1, 6))
        at = clock[source] - rng.integers(0, behind, n) * (rng.random(n) < 0.5)
        found.append(events(at.tolist(), int(rng.integers(1 << 30))))
        inputs.append(
            partial(
                i, watermark=int(clock[source]), found=found[-1], source=source, sources=sources
            )
        )
    end = int(clock.max()) + 8 * 1_440 * MINUTE
    inputs += [
        partial(steps + s, watermark=end, source=s, sources=sources, idle=True)
        for s in range(sources)
    ]
    return promised(inputs, rng), found


def promised(inputs: Sequence[Input], rng: np.random.Generator) -> list[Input]:
    """The partials, each with a floor below which its source brings nothing any more."""
    lowest: dict[int, int] = {}
    told = []
    for each in reversed(inputs):
        source, minutes = each.value.source, np.frombuffer(each.value.minute, "<i8")
        floor = lowest.get(source, each.value.watermark)
        told.append(replace(each, value=replace(each.value, floor=floor // MINUTE * MINUTE)))
        if len(minutes):
            lowest[source] = min(floor, int(minutes.min()) * MINUTE)
        else:
            lowest[source] = floor
    silent = {source: int(rng.integers(0, len(inputs))) for source in lowest}
    return [
        replace(each, value=replace(each.value, floor=None))
        if i < silent[each.value.source]
        else each
        for i, each in enumerate(reversed(told))
    ]


@pytest.fixture
def make_events() -> Callable[..., EventColumns]:
    return events


@pytest.fixture
def make_partial() -> Callable[..., Input]:
    return partial


@pytest.fixture
def make_stream() -> Callable[..., tuple[list[Input], list[EventColumns]]]:
    return stream


def only(found: Iterable[EventColumns], chosen: Callable[[int], bool]) -> list[EventColumns]:
    """The events whose time is *chosen*."""
    kept = []
    for columns in found:
        here = np.array([chosen(at) for at in columns.timestamp.tolist()], dtype=np.bool_)
        arrays = {
            name: value[here]
            for name in columns.__slots__
            if isinstance(value := getattr(columns, name), np.ndarray)
        }
        kept.append(replace(columns, **arrays))
    return kept


@pytest.fixture
def choose() -> Callable[..., list[EventColumns]]:
    return only

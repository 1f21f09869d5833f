from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.sketch import buckets
from processors.summary import kinds
from processors.summary import summarize as summarizing
from processors.summary.combine import combine, pool
from processors.summary.kinds import OTHER
from processors.summary.pack import PIECE, pack, route, unpack
from processors.summary.summarize import summarize
from processors.summary.table import (
    CELL,
    KINDS,
    LIMB,
    ROW,
    TYPES,
    WIDTH,
    M,
    Summary,
    by_start,
    empty,
    select,
)
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.partial import COUNTERS, LIMIT, METRICS, Key
from schemas.scope import partition_of
from schemas.window import MINUTE, SIZES

FIELDS = Summary.__dataclass_fields__


def bits(summary: Summary) -> tuple[object, ...]:
    """All of a summary, comparable."""
    values = [getattr(summary, name) for name in FIELDS]
    return tuple(
        (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
        for value in values
    )


def key_named(i: int) -> Key:
    return (f"service-{i % 3}", f"endpoint-{i % 2}", f"model-{i}", "p", "", "stable" if i else "")


@st.composite
def events(draw: st.DrawFn, most: int = 40, span: int = 12) -> EventColumns:
    """Any events: few keys, a few minutes, values from nothing to the limit."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    n = draw(st.integers(1, most))
    top = draw(st.sampled_from([2, 1_000, 1 << 20, 1 << 30, LIMIT]))
    values = rng.integers(0, top, (n, M))
    values[rng.random((n, M)) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = ABSENT
    values[0, 0] = top - 1
    failed = rng.random(n) < 0.4
    return EventColumns(
        message=np.arange(n),
        timestamp=draw(st.integers(1, 10**12)) + rng.integers(0, span * MINUTE, n),
        key=rng.integers(0, 5, n),
        keys=tuple(key_named(i) for i in range(5)),
        values=values,
        request=rng.random(n) < 0.8,
        failed=failed,
        timeout=failed & (rng.random(n) < 0.5),
        retries=rng.integers(0, 3, n),
        error_type=np.where(failed, rng.integers(-1, 3, n), ABSENT),
        error_types=("rate_limit", "a", "timeout"),
        unit=np.where(rng.random(n) < 0.2, NO_UNIT, rng.integers(0, 4, n)),
        identity=np.zeros(n, dtype=np.uint64),
    )


def oracle(found: EventColumns, length: int) -> dict[tuple[int, Key], dict[str, object]]:
    """The same summary, event by event in Python's own integers."""
    rows: dict[tuple[int, Key], dict[str, object]] = {}
    for i in range(len(found)):
        at = (int(found.timestamp[i]) // length * length, found.keys[found.key[i]])
        row = rows.setdefault(
            at,
            {
                "counters": Counter(),
                "values": {m: [] for m in range(M)},
                "failures": Counter(),
                "units": set(),
            },
        )
        request, failed = bool(found.request[i]), bool(found.failed[i])
        value = dict(zip((name for name, _ in METRICS), found.values[i].tolist(), strict=True))
        unpriced = request and value["cost_usd"] == ABSENT
        row["counters"].update(
            requests=request,
            success=request and not failed,
            timeouts=request and bool(found.timeout[i]),
            retries=int(found.retries[i]),
            unpriced_requests=unpriced,
            **{
                f"unpriced_{name}": unpriced * max(value[name], 0)
                for name in ("tokens_input", "tokens_output", "cached_tokens")
            },
        )
        for m, each in enumerate(found.values[i].tolist()):
            if each != ABSENT:
                row["values"][m].append(each)
        if found.error_type[i] != ABSENT:
            row["failures"][found.error_types[found.error_type[i]]] += 1
        if failed and found.unit[i] != NO_UNIT and length == MINUTE:
            row["units"].add(int(found.unit[i]))
    return rows


def spell(summary: Summary, i: int) -> dict[str, object]:
    """Row *i* in the oracle's words."""
    one = select(summary, np.array([i]))
    cells = dict(zip(one.cells.tolist(), one.cell_counts.tolist(), strict=True))
    return {
        "counters": dict(zip(COUNTERS, one.counters[0].tolist(), strict=True)),
        "moments": [
            (n, total, (high << LIMB) + low) for n, total, high, low in one.moments[0].tolist()
        ],
        "extremes": [tuple(each) for each in one.extremes[0].tolist()],
        "cells": cells,
        "failures": {
            one.error_types[code % TYPES]: count
            for code, count in zip(one.failures.tolist(), one.failure_counts.tolist(), strict=True)
        },
        "units": set(one.units.tolist()),
    }


@given(events(), st.sampled_from(sorted(SIZES.values())))
@settings(max_examples=60)
def test_a_summary_is_what_counting_event_by_event_gives(found: EventColumns, length: int) -> None:
    expected = oracle(found, length)
    summary = combine([summarize(found)], length)

    assert sorted(expected) == [
        (start, summary.keys[k])
        for start, k in zip(summary.start.tolist(), summary.key.tolist(), strict=True)
    ]
    for i, at in enumerate(sorted(expected)):
        row, spelled = expected[at], spell(summary, i)
        lists = [row["values"][m] for m in range(M)]

        assert dict(row["counters"]) == spelled["counters"]
        assert [(len(v), sum(v), sum(x * x for x in v)) for v in lists] == spelled["moments"]
        assert [(min(v), max(v)) for v in lists if v] == [
            each for each, v in zip(spelled["extremes"], lists, strict=True) if v
        ]
        assert spelled["cells"] == Counter(
            m * CELL + int(buckets(np.array([x]))[0]) + 1 for m in range(M) for x in lists[m]
        )
        assert dict(row["failures"]) == spelled["failures"]
        assert row["units"] == spelled["units"]


@given(events(), st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=60)
def test_a_batch_is_the_sum_of_any_split_of_it(found: EventColumns, cuts: list[int]) -> None:
    place = np.searchsorted(sorted(cuts), np.arange(len(found)), side="right")
    parts = [summarize(found, place == i) for i in range(len(cuts) + 1)]

    assert bits(combine([summarize(found)])) == bits(combine(parts))


@given(events(), events(), events(), st.sampled_from(sorted(SIZES.values())))
@settings(max_examples=60)
def test_the_order_and_grouping_of_adding_cannot_change_a_bit(
    a: EventColumns, b: EventColumns, c: EventColumns, length: int
) -> None:
    x, y, z = summarize(a), summarize(b), summarize(c)
    expected = bits(combine([x, y, z], length))

    assert expected == bits(combine([combine([z, x]), y], length))
    assert expected == bits(combine([y, combine([combine([x]), z])], length))


@given(events(span=500))
@settings(max_examples=30)
def test_rolling_up_by_steps_is_rolling_up_at_once(found: EventColumns) -> None:
    summary = combine([summarize(found)])
    for length in SIZES.values():
        summary = combine([summary], length)

        assert bits(combine([summarize(found)], length)) == bits(summary)


@given(events())
@settings(max_examples=40)
def test_unpacking_gives_what_was_packed(found: EventColumns) -> None:
    summary = summarize(found)
    partial = pack(summary, source=1, sources=4, watermark=None)

    assert bits(summary) == bits(unpack(partial))


@given(events(), st.integers(1, 5))
@settings(max_examples=40)
def test_each_row_goes_to_the_partition_of_its_scope(found: EventColumns, partitions: int) -> None:
    summary = combine([summarize(found)])
    routed = route(summary, partitions)

    assert bits(summary) == bits(combine([part for _, part in routed]))
    for partition, part in routed:
        assert {partition} == {partition_of("/".join(key[:2]), partitions) for key in part.keys}


def test_every_packed_piece_stays_below_its_limit() -> None:
    rng = np.random.default_rng(3)
    n = 120_000
    values = rng.lognormal(12, 2, (n, M)).astype(np.int64)
    found = EventColumns(
        message=np.arange(n),
        timestamp=np.full(n, 90_000),
        key=rng.integers(0, 2_000, n),
        keys=tuple((f"service-{i}", "e", "m", "p", "v", "c") for i in range(2_000)),
        values=values,
        request=np.ones(n, dtype=bool),
        failed=np.ones(n, dtype=bool),
        timeout=np.zeros(n, dtype=bool),
        retries=np.zeros(n, dtype=np.int64),
        error_type=rng.integers(0, 50, n),
        error_types=tuple(f"error-{i}" for i in range(50)),
        unit=rng.integers(0, 10_000, n),
        identity=np.zeros(n, dtype=np.uint64),
    )
    summary = combine([summarize(found)])
    parts = [part for _, part in route(summary, 1)]

    assert len(parts) > 10
    assert bits(summary) == bits(combine(parts))
    for part in parts:
        partial = pack(part, source=0, sources=1, watermark=None)
        columns = [
            v for name in partial.__slots__ if isinstance(v := getattr(partial, name), bytes)
        ]

        assert sum(map(len, columns)) < 2 * PIECE


def test_a_partial_with_columns_of_other_lengths_is_refused() -> None:
    partial = pack(empty(), source=0, sources=1, watermark=None)
    broken = type(partial)(
        **{n: getattr(partial, n) for n in partial.__slots__} | {"key": b"\0" * 4}
    )

    with pytest.raises(ValueError, match="reshape"):
        unpack(broken)


def columns(values: list[int], kinds: int = 0) -> EventColumns:
    """Latencies of one key in one minute; with *kinds*, each of another error type."""
    n = len(values)
    table = np.full((n, M), ABSENT)
    table[:, 0] = values
    return EventColumns(
        message=np.arange(n),
        timestamp=np.full(n, 61_000),
        key=np.zeros(n, dtype=np.int64),
        keys=(key_named(0),),
        values=table,
        request=np.ones(n, dtype=bool),
        failed=np.full(n, kinds > 0),
        timeout=np.zeros(n, dtype=bool),
        retries=np.zeros(n, dtype=np.int64),
        error_type=np.arange(n) if kinds else np.full(n, ABSENT),
        error_types=tuple(f"{i:06}" for i in range(kinds)),
        unit=np.full(n, NO_UNIT),
        identity=np.zeros(n, dtype=np.uint64),
    )


def test_the_largest_values_do_not_overflow() -> None:
    summary = combine([summarize(columns([LIMIT - 1] * 1_000))] * 500)
    n, total, high, low = summary.moments[0, 0].tolist()

    assert (500_000, 500_000 * (LIMIT - 1)) == (n, total)
    assert 500_000 * (LIMIT - 1) ** 2 == (high << LIMB) + low


def test_a_value_at_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="decoder must reject"):
        summarize(columns([LIMIT]))


def test_error_types_beyond_the_limit_become_one() -> None:
    n = KINDS + 100
    one = summarize(columns([1] * n, kinds=n))
    two = combine([one, combine([one])])

    for each in (one, two):
        found = spell(each, 0)["failures"]

        assert KINDS + 1 == len(found)
        assert len(each.failures) == len(found)
        assert OTHER in found
    assert 2 * n == sum(two.failure_counts)


def failing(rows: int, each: int) -> EventColumns:
    """Events that fail, each in its own way: so many in each of so many rows."""
    n = rows * each
    return replace(
        columns([1] * n),
        key=np.arange(n) // each,
        keys=tuple(key_named(i) for i in range(rows)),
        error_type=np.arange(n),
        error_types=tuple(f"{i % each:05d} of row {i // each:02d}" for i in range(n)),
    )


def test_more_error_types_than_a_partial_has_room_for_are_all_told_apart() -> None:
    found = failing(rows=20, each=KINDS)
    half = np.arange(len(found)) % 2 == 0
    whole = combine([summarize(found)])
    halves = combine([summarize(found, half), summarize(found, ~half)])
    sent = [pack(each, source=0, sources=1, watermark=None) for _, each in route(whole, 1)]

    assert len(whole.error_types) == 20 * KINDS > CELL
    assert {1} == set(whole.failure_counts.tolist())
    assert bits(whole) == bits(halves) == bits(combine([unpack(each) for each in sent]))
    assert max(len(each.error_types) for each in sent) < CELL / 2
    with pytest.raises(ValueError, match="81920 error types do not fit into a partial"):
        pack(whole, source=0, sources=1, watermark=None)


def test_what_a_row_tells_apart_does_not_depend_on_the_rows_beside_it() -> None:
    found = failing(rows=20, each=KINDS + 1)
    whole = combine([summarize(found)])
    for row in range(20):
        alone = combine([summarize(found, found.key == row)])

        assert (KINDS + 1, 1) == (len(alone.error_types), spell(alone, 0)["failures"][OTHER])
        assert spell(alone, 0) == spell(whole, whole.keys.index(alone.keys[0]))


@given(events(span=3), st.integers(0, 1 << 30), st.integers(1, 5))
def test_which_error_types_a_row_tells_apart_depends_on_no_split(
    found: EventColumns, seed: int, parts: int
) -> None:
    rng = np.random.default_rng(seed)
    names = (*(f"e{i}" for i in rng.permutation(7).tolist()), OTHER, "zzz")
    kind = np.where(found.failed, rng.integers(0, len(names), len(found)), ABSENT)
    found = replace(found, error_type=kind, error_types=names)
    part = rng.integers(0, parts, len(found))
    with pytest.MonkeyPatch.context() as patch:
        for module in (kinds, summarizing):
            patch.setattr(module, "KINDS", 2)
        whole = by_start(combine([summarize(found)]))
        pieced = [by_start(combine([summarize(found, part == p)])) for p in range(parts)]
        added = {
            start: combine([each[start] for each in pieced if start in each]) for start in whole
        }

    assert {start: bits(each) for start, each in whole.items()} == {
        start: bits(each) for start, each in added.items()
    }
    for each in whole.values():
        for row, key in enumerate(each.key.tolist()):
            here = found.timestamp // MINUTE * MINUTE == each.start[row]
            here &= np.array([found.keys[k] == each.keys[key] for k in found.key.tolist()])
            given_ = Counter(names[k] for k in kind[here & (kind != ABSENT)].tolist())
            kept = sorted(given_.keys() - {OTHER})[:2]
            expected = Counter({name if name in kept else OTHER: 0 for name in given_})
            for name, count in given_.items():
                expected[name if name in kept else OTHER] += count

            assert expected == spell(each, row)["failures"]


def test_events_of_no_one_are_an_empty_summary() -> None:
    found = columns([1, 2])

    assert bits(empty()) == bits(summarize(found, np.zeros(2, dtype=bool)))
    assert bits(empty()) == bits(combine([empty()]))


@given(events())
@settings(max_examples=30)
def test_pooling_leaves_one_row_per_scope_with_the_same_totals(found: EventColumns) -> None:
    summary = combine([summarize(found)], SIZES["1h"])
    pooled = pool(summary, SIZES["1h"])

    assert {key[:2] for key in summary.keys} == {key[:2] for key in pooled.keys}
    assert summary.counters.sum(axis=0).tolist() == pooled.counters.sum(axis=0).tolist()
    assert ("*",) * 4 == pooled.keys[0][2:]
    assert summary.cell_counts.sum() == pooled.cell_counts.sum()


def test_codes_keep_rows_metrics_and_buckets_apart() -> None:
    assert ROW == M << WIDTH
    assert buckets(np.array([LIMIT - 1]))[0] + 1 < CELL

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.merge import MergePolicy, fresh, step
from processors.summary.check import AHEAD, check
from processors.summary.pack import pack, route, unpack, wide
from processors.summary.summarize import summarize
from processors.summary.table import CELL, NEVER
from schemas.codec import Codec
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.errors import Reason, Undecodable
from schemas.flow import Input, Moment
from schemas.partial import LIMIT, METRICS, Partial
from schemas.registry import LocalRegistry
from schemas.topics import PARTIALS, TOPICS
from schemas.window import MINUTE

HOUR = 60 * MINUTE
NOW = 20_000 * HOUR
COLUMNS = (
    "key", "minute", "counters", "moments", "extremes", "cells", "cell_counts", "failures",
    "failure_counts", "units",
)  # fmt: skip
ODD = (-1, 0, 1, 2, 7, CELL, NEVER, -(1 << 63), LIMIT, 1 << 56)


def some(seed: int, n: int = 20) -> EventColumns:
    """Events of one scope."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, LIMIT if seed % 3 else 2_000, (n, len(METRICS)))
    values[rng.random(values.shape) < 0.3] = ABSENT
    failed = rng.random(n) < 0.4
    return EventColumns(
        message=np.arange(n),
        timestamp=NOW - rng.integers(0, 3 * MINUTE, n),
        key=rng.integers(0, 2, n),
        keys=(("chat", "answer", "m", "p", "", ""), ("chat", "answer", "m", "p", "v", "stable")),
        values=values,
        request=rng.random(n) < 0.8,
        failed=failed,
        timeout=failed & (rng.random(n) < 0.5),
        retries=rng.integers(0, 3, n),
        error_type=np.where(failed, rng.integers(-1, 2, n), ABSENT),
        error_types=("timeout", "rate_limit"),
        unit=np.where(rng.random(n) < 0.2, NO_UNIT, rng.integers(0, 9_999, n)),
        identity=np.zeros(n, dtype=np.uint64),
    )


def packed(seed: int = 1) -> Partial:
    return pack(summarize(some(seed)), source=0, sources=1, watermark=NOW)


def refused(partial: Partial, *, partition: int = 0, partitions: int = 1) -> Reason | None:
    try:
        check(partial, partition, partitions, NOW)
    except Undecodable as error:
        return error.reason if error.detail else None
    return None


@given(st.integers(0, 10_000), st.integers(1, 9))
@settings(max_examples=60)
def test_what_collect_packs_can_be_added_up(seed: int, partitions: int) -> None:
    for home, rows in route(summarize(some(seed)), partitions):
        told = pack(rows, source=0, sources=1, watermark=NOW)

        assert refused(told, partition=home, partitions=partitions) is None


def test_a_partial_without_rows_tells_of_its_source_alone() -> None:
    none = pack(summarize(some(1, n=0)), source=3, sources=4, watermark=None, idle=True)

    assert refused(none) is None


@pytest.mark.parametrize(
    ("column", "cut"),
    [(column, cut) for column in COLUMNS for cut in (1, 4, 8) if (column, cut) != ("units", 8)],
)
def test_columns_of_other_lengths_are_refused(column: str, cut: int) -> None:
    told = packed()

    assert refused(replace(told, **{column: getattr(told, column)[:-cut]})) is not None
    assert refused(replace(told, **{column: getattr(told, column) + bytes(cut)})) is not None


def widened(told: Partial) -> Partial:
    """The same with cells as they were written before they were narrow."""
    return replace(
        told,
        cells=wide(told.cells, told.cell_bytes).tobytes(),
        cell_counts=wide(told.cell_counts, told.count_bytes).tobytes(),
        cell_bytes=8,
        count_bytes=8,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": 1}, Reason.OUT_OF_RANGE),
        ({"source": -1}, Reason.OUT_OF_RANGE),
        ({"sources": 0}, Reason.OUT_OF_RANGE),
        ({"sources": 1 << 40}, Reason.OUT_OF_RANGE),
        ({"watermark": NOW + AHEAD + 1}, Reason.IN_THE_FUTURE),
        ({"floor": NOW + AHEAD + 1}, Reason.IN_THE_FUTURE),
        ({"cell_bytes": 2}, Reason.OUT_OF_RANGE),
        ({"cell_bytes": 8}, Reason.INCONSISTENT),
        ({"count_bytes": 0}, Reason.OUT_OF_RANGE),
        ({"count_bytes": 2}, Reason.INCONSISTENT),
        ({"keys": (("", "answer", "m", "p", "", ""),) * 2}, Reason.EMPTY_NAME),
        ({"keys": (("chat", "", "m", "p", "", ""),) * 2}, Reason.EMPTY_NAME),
        ({"keys": (("chat", "answer", "m" * 257, "p", "", ""),) * 2}, Reason.TOO_LONG),
        ({"keys": (("chat", "answer", "*", "*", "*", "*"),) * 2}, Reason.RESERVED_NAME),
        ({"keys": (("chat", "answer", "m", "p", "", ""),)}, Reason.OUT_OF_RANGE),
        ({"error_types": ("", "x")}, Reason.EMPTY_NAME),
        ({"error_types": ("x",)}, Reason.OUT_OF_RANGE),
        ({"error_types": ("x" * 257, "y")}, Reason.TOO_LONG),
    ],
)
def test_names_and_sources_that_cannot_be_are_refused(
    changes: dict[str, Any], reason: Reason
) -> None:
    assert reason == refused(replace(packed(), **changes))


def test_cells_in_wide_integers_are_read_as_well() -> None:
    told = packed()
    old = widened(told)

    assert (4, 1, 8, 8) == (told.cell_bytes, told.count_bytes, old.cell_bytes, old.count_bytes)
    assert old != told
    assert None is refused(old)
    assert old == widened(pack(unpack(old), source=0, sources=1, watermark=NOW))


def test_a_scope_on_another_partition_than_its_own_is_refused() -> None:
    (home, rows), *_ = route(summarize(some(1)), 8)
    told = pack(rows, source=0, sources=1, watermark=NOW)

    assert Reason.MISROUTED == refused(told, partition=(home + 1) % 8, partitions=8)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("minute", -1, Reason.OUT_OF_RANGE),
        ("minute", NEVER, Reason.OUT_OF_RANGE),
        ("counters", -1, Reason.NEGATIVE),
        ("counters", 1 << 60, Reason.OUT_OF_RANGE),
        ("moments", -1, Reason.NEGATIVE),
        ("cell_counts", 0, Reason.OUT_OF_RANGE),
        ("cell_counts", 1_000, Reason.INCONSISTENT),
        ("cells", -1, Reason.OUT_OF_RANGE),
        ("failure_counts", -3, Reason.OUT_OF_RANGE),
        ("units", NEVER, Reason.INCONSISTENT),
    ],
)
def test_values_that_were_never_counted_are_refused(
    column: str, value: int, reason: Reason
) -> None:
    told = widened(packed())
    values = np.frombuffer(getattr(told, column), "<i8").copy()
    values[0] = value

    assert reason == refused(replace(told, **{column: values.tobytes()}))


def test_moments_that_no_values_have_are_refused() -> None:
    told = packed()
    moments = np.frombuffer(told.moments, "<i8").reshape(-1, 4)
    large, none = moments.copy(), moments.copy()
    large[0, 3] = 1 << 36
    none[np.flatnonzero(moments[:, 0] == 0)[0], 1] = 1

    assert Reason.OUT_OF_RANGE == refused(replace(told, moments=large.tobytes()))
    assert Reason.INCONSISTENT == refused(replace(told, moments=none.tobytes()))


@given(
    st.integers(0, 50),
    st.lists(
        st.tuples(
            st.sampled_from(COLUMNS),
            st.integers(0, 10_000),
            st.sampled_from(ODD) | st.integers(0, 99),
        ),
        min_size=1,
        max_size=3,
    ),
)
@settings(max_examples=60)
def test_whatever_is_not_refused_can_be_added_up_and_written(
    seed: int, changes: list[tuple[str, int, int]]
) -> None:
    told = widened(packed(seed))
    for column, at, value in changes:
        kind = "<i4" if column == "key" else "<i8"
        values = np.frombuffer(getattr(told, column), kind).copy()
        if len(values):
            values[at % len(values)] = value if kind == "<i8" else value % (1 << 31)
        told = replace(told, **{column: values.tobytes()})
    if refused(told) is not None:
        return
    codec = Codec(LocalRegistry())
    inputs = [
        Input(PARTIALS.name, offset, each)
        for offset, each in enumerate((told, told, packed(seed), over()))
    ]
    moment = Moment(now=NOW, seed=1, epoch=1, partition=0, partitions=1)
    outcome = step(MergePolicy(), fresh(), inputs, moment)

    assert outcome.emits
    for emit in outcome.emits:
        codec.encode(TOPICS[emit.topic], emit.value)


def over() -> Partial:
    """All windows of an hour and less close."""
    return pack(summarize(some(1, n=0)), source=0, sources=1, watermark=NOW + 2 * HOUR, idle=True)


def test_a_partial_of_a_source_that_does_not_exist_is_refused() -> None:
    told = replace(packed(), sources=5)
    with pytest.raises(Undecodable, match="5 sources are told, but there are 4") as raised:
        check(told, 0, 1, NOW, 4)

    assert Reason.OUT_OF_RANGE is raised.value.reason
    check(told, 0, 1, NOW, 5)

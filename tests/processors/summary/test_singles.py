"""Events that are handed on as they are give the sums that they would have given at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.summary.check import check
from processors.summary.combine import combine
from processors.summary.pack import figures, pack, route, unpack, unpacked
from processors.summary.singles import Rows, Singles, picked, singles, summed
from processors.summary.summarize import summarize
from processors.summary.table import M, Summary, empty
from schemas.codec import Codec
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.errors import Reason, Undecodable
from schemas.partial import LIMIT, METRICS, Key, Partial
from schemas.registry import LocalRegistry
from schemas.topics import PARTIALS
from schemas.window import MINUTE

NOW = 20_000 * 60 * MINUTE
KEYS: tuple[Key, ...] = tuple(
    (f"service-{i}", "answer", f"m-{j}", "p", "", "stable") for i in range(3) for j in range(2)
)


def some(seed: int, n: int = 40) -> EventColumns:
    """Events of six keys in three minutes, some too large for four bytes, all else drawn."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, [LIMIT, 300, 2, 1 << 17, 1 << 33, 5, 9, 7], (n, M))
    values[rng.random(values.shape) < 0.3] = ABSENT
    failed = rng.random(n) < 0.4
    return EventColumns(
        message=np.arange(n),
        timestamp=NOW - rng.integers(0, 3 * MINUTE, n),
        key=rng.integers(0, len(KEYS), n),
        keys=KEYS,
        values=values,
        request=rng.random(n) < 0.8,
        failed=failed,
        timeout=failed & (rng.random(n) < 0.5),
        retries=rng.integers(0, 3, n) * (seed % 2),
        error_type=np.where(failed, rng.integers(-1, 3, n), ABSENT),
        error_types=("timeout", "rate_limit", "broken"),
        unit=np.where(rng.random(n) < 0.2, NO_UNIT, rng.integers(0, 9_999, n)),
        identity=np.zeros(n, dtype=np.uint64),
    )


def all_of(events: EventColumns) -> Singles:
    return singles(events, np.arange(len(events)))


def told(rows: Rows) -> Partial:
    return pack(rows, source=0, sources=1, watermark=NOW)


def bits(summary: Summary) -> list[object]:
    values = [getattr(summary, name) for name in Summary.__dataclass_fields__]
    return [v.tolist() if isinstance(v, np.ndarray) else v for v in values]


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_what_waits_gives_the_same_sums_however_it_was_split_and_sent(
    seed: int, n: int, partitions: int
) -> None:
    rng = np.random.default_rng(seed)
    events = some(seed, n)
    whole = combine([summarize(events)])
    cut = np.sort(rng.integers(0, n + 1, 3))
    parts: list[Rows] = []
    for at in np.split(rng.permutation(n), cut):
        if rng.random() < 0.3:
            parts.append(summarize(replace(events), np.isin(np.arange(n), at)))
        elif len(at):
            parts.append(singles(events, at))
    sent = [unpacked(told(share)) for each in parts for _, share in route(each, partitions)]

    assert bits(whole) == bits(combine(summed(sent)))
    assert bits(whole) == bits(combine([unpack(told(each)) for each in parts]))


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_each_event_goes_to_the_partition_of_its_scope(seed: int, partitions: int) -> None:
    for home, rows in route(all_of(some(seed)), partitions):
        check(told(rows), home, partitions, NOW)
        assert set(rows.key.tolist()) == set(range(len(rows.keys)))


def test_some_events_are_the_sums_of_those() -> None:
    events, chosen = some(1), np.arange(0, 40, 3)

    expected = combine([summarize(events, np.isin(np.arange(40), chosen))])

    assert bits(expected) == bits(combine(summed([picked(all_of(events), chosen)])))


def test_a_column_is_as_narrow_as_its_values() -> None:
    packed = told(all_of(some(2)))

    assert [8, 2, 1, 4, 8, 1, 1, 1, 0] == list(packed.widths)
    assert [40] * (M + 1) == [len(column) for column in figures(packed)]
    assert len(packed.figures) == 40 * sum(packed.widths)


def test_events_travel_as_they_are() -> None:
    codec, packed = Codec(LocalRegistry()), told(all_of(some(3)))

    assert packed == codec.decode(PARTIALS, codec.encode(PARTIALS, packed))


def test_pieces_of_events_are_below_their_limit() -> None:
    codec, events = Codec(LocalRegistry()), some(5, 500)

    parts = [part for _, part in route(all_of(events), 1, 9_000)]

    assert max(len(codec.encode(PARTIALS, told(each))) for each in parts) < 9_000
    assert bits(combine([summarize(events)])) == bits(combine(summed(parts)))


def test_few_rows_are_one_piece_and_no_rows_none() -> None:
    assert 1 == len(route(all_of(some(1)), 1)) == len(route(summarize(some(1)), 1))
    assert [] == route(empty(), 4)


def test_a_value_at_the_limit_is_refused() -> None:
    events = some(1)
    events.values[7, 0] = LIMIT

    with pytest.raises(ValueError, match=f"a value is {LIMIT}"):
        all_of(events)


def refused(partial: Partial) -> Reason | None:
    try:
        check(partial, 0, 1, NOW)
    except Undecodable as error:
        return error.reason if error.detail else None
    return None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"widths": bytes([3] * 9)}, Reason.OUT_OF_RANGE),
        ({"widths": bytes(9)}, Reason.INCONSISTENT),
        ({"widths": bytes([8] * 8)}, Reason.INCONSISTENT),
        ({"widths": b""}, Reason.INCONSISTENT),
        ({"figures": bytes(3)}, Reason.INCONSISTENT),
        ({"flags": bytes(39)}, Reason.INCONSISTENT),
        ({"flags": bytes([8] * 40)}, Reason.OUT_OF_RANGE),
        ({"key": np.full(40, 6, "<i4").tobytes()}, Reason.OUT_OF_RANGE),
        ({"key": np.full(40, -1, "<i4").tobytes()}, Reason.OUT_OF_RANGE),
        ({"moments": bytes(8)}, Reason.INCONSISTENT),
        ({"cells": bytes(4), "cell_counts": bytes(1)}, Reason.INCONSISTENT),
        ({"failure_counts": bytes(8)}, Reason.INCONSISTENT),
        ({"failures": np.array([1, 2]).tobytes()}, Reason.INCONSISTENT),
        ({"failures": np.array([3]).tobytes()}, Reason.OUT_OF_RANGE),
        ({"failures": np.array([40 << 16]).tobytes()}, Reason.OUT_OF_RANGE),
        ({"units": np.array([2, 1]).tobytes()}, Reason.INCONSISTENT),
        ({"units": np.array([1, 2]).tobytes()}, Reason.INCONSISTENT),
        ({"units": np.array([10_000]).tobytes()}, Reason.OUT_OF_RANGE),
    ],
)
def test_events_that_cannot_be_are_refused(
    changes: dict[str, bytes], reason: Reason | None
) -> None:
    assert reason == refused(replace(told(all_of(some(2))), **changes))


@pytest.mark.parametrize(
    ("column", "value"), [(0, -1), (0, 1 << 60), (M, -1), (M, 1_001), (M, 1 << 40)]
)
def test_figures_that_cannot_be_are_refused(column: int, value: int) -> None:
    packed = told(all_of(some(2)))
    columns = [each.astype("<i8") for each in figures(packed)]
    assert None is refused(wide(packed, columns))

    columns[column][5] = value

    assert Reason.OUT_OF_RANGE == refused(wide(packed, columns))


def wide(packed: Partial, columns: list[np.ndarray]) -> Partial:
    """The same in the widest integers."""
    data = b"".join(each.tobytes() for each in columns)
    return replace(packed, widths=bytes([8] * (len(METRICS) + 1)), figures=data)

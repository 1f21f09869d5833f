"""A table of metrics reads as the dataclasses that it stands for, and writes the same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace

import fastavro
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import avsc
from schemas.codec import FRAME, Codec
from schemas.metrictable import VALUES, MetricTable
from schemas.partial import METRICS
from schemas.registry import LocalRegistry
from schemas.topics import AGGREGATES
from schemas.window import MINUTE, Histogram, MetricSummary, WindowAggregate

CODEC = Codec(LocalRegistry())
WINDOW = WindowAggregate(
    service="search", endpoint="größer", model="m", provider="p", config_version="", cohort="",
    window="1m", start=60 * MINUTE, end=61 * MINUTE, revision=1, closed=True, watermark=0,
    requests=2, success=1, errors=1, timeouts=1, retries=0, error_units=(4, 9),
    errors_by_type={"timeout": 3, "rate_limit": 1},
)  # fmt: skip

longs = st.integers(-(1 << 63), (1 << 63) - 1)
cells = st.lists(st.tuples(longs, longs), max_size=20)
summaries = st.builds(
    lambda count, values, cells: MetricSummary(
        count=count,
        **dict(zip(VALUES, values, strict=True)),
        histogram=Histogram(tuple(b for b, _ in cells), tuple(n for _, n in cells)),
    ),
    count=longs,
    values=st.tuples(*[st.floats(allow_nan=False)] * len(VALUES)),
    cells=cells,
)
names = st.sampled_from(sorted(name for name, _ in METRICS))
found = st.lists(
    st.dictionaries(names, summaries, max_size=3).map(lambda row: dict(sorted(row.items()))),
    max_size=4,
)


def table(rows: Sequence[Mapping[str, MetricSummary]]) -> MetricTable:
    each = [summary for row in rows for summary in row.values()]
    named = [name for row in rows for name in row]
    known = tuple(sorted(set(named)))
    sizes = [len(summary.histogram.buckets) for summary in each]
    return MetricTable(
        names=known,
        bounds=np.cumsum([0, *map(len, rows)]),
        name=np.array([known.index(name) for name in named], dtype=np.int64),
        count=np.array([summary.count for summary in each], dtype=np.int64),
        values=np.array([astuple(summary)[1:-1] for summary in each]).reshape(-1, len(VALUES)).T,
        spans=np.cumsum([0, *sizes]),
        buckets=np.array([b for s in each for b in s.histogram.buckets], dtype=np.int64),
        counts=np.array([n for s in each for n in s.histogram.counts], dtype=np.int64),
    )


@given(found)
@settings(max_examples=20)
def test_a_table_reads_as_the_summaries_that_it_holds(
    rows: list[dict[str, MetricSummary]],
) -> None:
    assert rows == table(rows).rows()
    assert [list(row) for row in rows] == [list(row) for row in table(rows).rows()]
    assert [len(row) for row in rows] == [len(row) for row in table(rows).rows()]
    assert repr(rows) == repr(table(rows).rows())


@given(found)
@settings(max_examples=20)
def test_a_table_is_written_as_fastavro_writes_its_summaries(
    rows: list[dict[str, MetricSummary]],
) -> None:
    for plain, held in zip(rows, table(rows).rows(), strict=True):
        out = io.BytesIO()
        window = msgspec.to_builtins(replace(WINDOW, metrics=plain), order="deterministic")
        fastavro.schemaless_writer(out, avsc.schema(WindowAggregate), window)
        written = CODEC.encode(AGGREGATES, replace(WINDOW, metrics=held))

        assert out.getvalue() == written[FRAME.size :]
        assert replace(WINDOW, metrics=held) == CODEC.decode(AGGREGATES, written)


@given(found)
def test_what_is_got_is_what_is_read(held: list[dict[str, MetricSummary]]) -> None:
    for row, expected in zip(table(held).rows(), held, strict=True):
        assert expected == {name: row.get(name) for name in expected}
        assert all(row.get(name) is row[name] for name in expected)


def test_a_metric_without_values_is_not_there() -> None:
    (row,) = table([{}]).rows()

    assert "quality" not in row
    assert (None, 7) == (row.get("quality"), row.get("quality", 7))
    with pytest.raises(KeyError):
        row["quality"]

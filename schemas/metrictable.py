"""The metrics of many windows, column by column: read one by one, written all at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyruhvro

from schemas import avsc
from schemas.columns import Ints
from schemas.window import Histogram, MetricSummary, WindowAggregate

__all__ = ["VALUES", "MetricRow", "MetricTable"]

VALUES = tuple(field.name for field in fields(MetricSummary))[1:-1]  # all but count and histogram


@dataclass(frozen=True, eq=False)
class MetricTable:
    """e summaries, those of each of n windows one behind the other, by name, each name once."""

    names: tuple[str, ...]
    bounds: Ints  # [n + 1] where the summaries of each window begin
    name: Ints  # [e] index into `names`
    count: Ints  # [e]
    values: npt.NDArray[np.float64]  # [len(VALUES), e], in the units of the names
    spans: Ints  # [e + 1] where the histogram of each summary begins
    buckets: Ints  # [h]
    counts: Ints  # [h]

    def rows(self) -> list[MetricRow]:
        """The metrics of each window, [n]."""
        return [MetricRow(self, i) for i in range(len(self.bounds) - 1)]

    def summary(self, i: int) -> MetricSummary:
        """The summary *i* of e."""
        cells = slice(self.spans[i], self.spans[i + 1])
        buckets, counts = (tuple(each[cells].tolist()) for each in (self.buckets, self.counts))
        return MetricSummary(
            count=int(self.count[i]),
            **dict(zip(VALUES, self.values[:, i].tolist(), strict=True)),
            histogram=Histogram(buckets, counts),
        )

    @cached_property
    def places(self) -> list[dict[str, int]]:
        """Where the summaries of each window are, by name, [n]."""
        ends, named = self.bounds.tolist(), [self.names[i] for i in self.name.tolist()]
        return [
            dict(zip(named[start:end], range(start, end), strict=True))
            for start, end in pairwise(ends)
        ]

    @cached_property
    def avro(self) -> list[bytes]:
        """The Avro map that the metrics of each window are, [n]."""
        text, layout = _metrics()
        kind = layout.field("metrics").type
        inner = kind.item_type.field("histogram").type
        spans = pa.array(self.spans, pa.int32())
        lists = [pa.ListArray.from_arrays(spans, each) for each in (self.buckets, self.counts)]
        columns = [pa.array(each) for each in (self.count, *self.values)]
        items = pa.StructArray.from_arrays(
            [*columns, pa.StructArray.from_arrays(lists, fields=list(inner))],
            fields=list(kind.item_type),
        )
        keys = pa.array(self.names, pa.string()).take(pa.array(self.name))
        bounds = pa.array(self.bounds, pa.int32())
        maps = pa.MapArray.from_arrays(bounds, keys, items, kind)
        table = pa.RecordBatch.from_arrays([maps], schema=layout)
        return [
            each
            for part in pyruhvro.serialize_record_batch(table, text, 1)
            for each in part.to_pylist()
        ]


class MetricRow(Mapping[str, MetricSummary]):
    """The metrics of one window of a table, made when they are asked for."""

    __slots__ = ("_at", "_table")

    def __init__(self, table: MetricTable, at: int) -> None:
        self._table, self._at = table, at

    def __getitem__(self, name: str) -> MetricSummary:
        """The summary of the metric *name*.

        Raises:
            KeyError: the window has no values of it.
        """
        return self._table.summary(self._table.places[self._at][name])

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the table."""
        return iter(self._table.places[self._at])

    def __len__(self) -> int:
        """How many metrics have values."""
        return len(self._table.places[self._at])

    def __repr__(self) -> str:
        """As the dict that it equals."""
        return repr(dict(self))

    @property
    def avro(self) -> bytes:
        """The Avro map that they are; that of all rows is made at once."""
        return self._table.avro[self._at]


@cache
def _metrics() -> tuple[str, Any]:
    """The Avro schema of a record of nothing but a window's metrics, and its layout in Arrow."""
    schema = json.loads(avsc.text(WindowAggregate))
    kept = [field for field in schema["fields"] if field["name"] == "metrics"]
    text = json.dumps(schema | {"fields": kept})
    return text, pyruhvro.avro_to_arrow_schema(text)

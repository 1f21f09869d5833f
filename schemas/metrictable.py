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
from schemas.partial import METRICS
from schemas.window import Histogram, MetricSummary, WindowAggregate

__all__ = ["BUCKETS", "NAMES", "VALUES", "MetricRow", "MetricTable"]

VALUES = tuple(field.name for field in fields(MetricSummary))[1:-1]  # all but count and histogram
NAMES = frozenset(name for name, _ in METRICS)
BUCKETS = 4_096  # of a histogram, more than any value needs
ENOUGH = 1 << 48  # in a bucket: sums of as many of them as there are buckets fit 64 bits


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

    @classmethod
    def of(cls, column: Any) -> MetricTable:  # Arrow MapArray
        """The metrics of windows as they come from Avro.

        Raises:
            ValueError: A name stands twice in a window, or in another order than that of names,
                or a histogram has more buckets than counts, or fewer.
        """
        bounds = column.offsets.to_numpy().astype(np.int64)
        keys, items = column.keys, column.items
        coded = keys.dictionary_encode()
        found = coded.dictionary.to_pylist()
        names = tuple(sorted(found))
        rank = {each: i for i, each in enumerate(names)}
        name = np.array([rank[each] for each in found], np.int64)[coded.indices.to_numpy()]
        where = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        if (np.diff(where * len(names) + name) <= 0).any():
            raise ValueError("the metrics of a window are not in the order of their names")
        histogram = items.field("histogram")
        buckets, counts = histogram.field("buckets"), histogram.field("counts")
        spans = buckets.offsets.to_numpy()
        if (spans != counts.offsets.to_numpy()).any():
            raise ValueError("a histogram has buckets without counts, or counts without buckets")
        return cls(
            names=names,
            bounds=bounds,
            name=name,
            count=items.field("count").to_numpy(),
            values=np.stack([items.field(each).to_numpy() for each in VALUES]),
            spans=spans,
            buckets=buckets.values.to_numpy(),
            counts=counts.values.to_numpy(),
        )

    def rows(self) -> list[MetricRow]:
        """The metrics of each window, [n]."""
        return [MetricRow(self, i) for i in range(len(self.bounds) - 1)]

    def summary(self, i: int) -> MetricSummary:
        """The summary *i* of e."""
        counts, values, spans = self._plain
        total, mean, least, most, stddev, p50, p90, p95, p99 = values[i]
        cells = slice(spans[i], spans[i + 1])
        return MetricSummary(
            count=counts[i],
            sum=total,
            mean=mean,
            min=least,
            max=most,
            stddev=stddev,
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            histogram=Histogram(
                tuple(self.buckets[cells].tolist()), tuple(self.counts[cells].tolist())
            ),
        )

    def figures(self, i: int) -> dict[str, float]:
        """The summary *i* of e without its histogram, by the name of the field."""
        counts, values, _ = self._plain
        return {"count": counts[i], **dict(zip(VALUES, values[i], strict=True))}

    @cached_property
    def _plain(self) -> tuple[list[int], list[list[float]], list[int]]:
        return self.count.tolist(), self.values.T.tolist(), self.spans.tolist()

    @cached_property
    def places(self) -> list[dict[str, int]]:
        """Where the summaries of each window are, by name, [n]."""
        ends, named = self.bounds.tolist(), [self.names[i] for i in self.name.tolist()]
        return [
            dict(zip(named[start:end], range(start, end), strict=True))
            for start, end in pairwise(ends)
        ]

    @cached_property
    def sound(self) -> list[bool]:
        """Whether `schemas.consistent` finds no fault with the metrics of each window, [n].

        It is not promised that what is not sound has one.
        """
        known = [i for i, name in enumerate(self.names) if name in NAMES]
        least, most = (self.values[VALUES.index(each)] for each in ("min", "max"))
        sums = np.diff(np.concatenate([[0], np.cumsum(self.counts)])[self.spans])
        good = np.isin(self.name, known) & (self.count > 0) & (sums == self.count) & (least <= most)
        good &= (np.isfinite(self.values) & (self.values >= 0)).all(axis=0)
        summary = np.repeat(np.arange(len(self.count)), np.diff(self.spans))
        fits = (self.counts >= 0) & (self.counts < ENOUGH)
        fits &= (self.buckets >= -1) & (self.buckets <= BUCKETS)
        fits[1:] &= (self.buckets[1:] > self.buckets[:-1]) | (summary[1:] > summary[:-1])
        good[summary[~fits]] = False
        sound = np.ones(len(self.bounds) - 1, np.bool_)
        sound[np.repeat(np.arange(len(sound)), np.diff(self.bounds))[~good]] = False
        found: list[bool] = sound.tolist()
        return found

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
    """The metrics of one window of a table, made when they are asked for, once."""

    __slots__ = ("_at", "_made", "_table")

    def __init__(self, table: MetricTable, at: int) -> None:
        self._table, self._at = table, at
        self._made: dict[str, MetricSummary] | None = None

    def __getitem__(self, name: str) -> MetricSummary:
        """The summary of the metric *name*.

        Raises:
            KeyError: the window has no values of it.
        """
        if self._made is None:
            self._made = {}
        elif name in self._made:
            return self._made[name]
        made = self._made[name] = self._table.summary(self._table.places[self._at][name])
        return made

    def get(self, name: str, default: Any = None) -> Any:  # as of Mapping, but quicker
        """The summary of the metric *name*, *default* where the window has no values of it."""
        if self._made is not None and name in self._made:
            return self._made[name]
        return self[name] if name in self._table.places[self._at] else default

    def figures(self) -> dict[str, dict[str, float]]:
        """What is known of each metric but its histogram, by name and field."""
        table = self._table
        return {name: table.figures(i) for name, i in table.places[self._at].items()}

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
    def sound(self) -> bool:
        """Whether they are certainly such as can be meant; looked at for all rows at once."""
        return self._table.sound[self._at]

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

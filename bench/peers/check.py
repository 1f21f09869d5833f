"""Whether a peer's windows are those that the topic's events add up to."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Message

from bench.peers.fill import MINUTE, Filled
from bench.servers import Servers
from schemas.avrorows import read_fast
from schemas.avsc import Written
from schemas.codec import FRAME
from schemas.metric import MetricEvent
from streams import kafka
from streams.exactly_once.reading import end_of, read

LOG_GAMMA = math.log(1.02)
NEAR = 1e-9  # relative error of a sum: the order of adding is the peer's
KEY = ("service", "endpoint", "model", "provider", "config_version", "cohort")
BATCH = 50_000  # messages

Place = tuple[str, int]  # key, start of the minute
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """What a window holds."""

    count: int
    sums: tuple[float, ...]
    buckets: Mapping[int, int]

    def same(self, other: Window) -> bool:
        """Whether they hold the same events, as far as can be told."""
        return (
            self.count == other.count
            and self.buckets == other.buckets
            and bool(np.allclose(self.sums, other.sums, rtol=NEAR, atol=0))
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The windows of the recomputation, by what a peer made of them."""

    exact: int
    lost: int  # never shown
    wrong: int  # shown with other events, those that should not be there included

    @property
    def sound(self) -> bool:
        """Whether there is nothing to complain of."""
        return self.exact > 0 and not self.lost and not self.wrong


def judge(expected: Mapping[Place, Window], found: Mapping[Place, Window]) -> Verdict:
    """Compare window by window."""
    shown = expected.keys() & found.keys()
    exact = sum(expected[place].same(found[place]) for place in shown)
    return Verdict(
        exact, len(expected) - len(shown), len(shown) - exact + len(found.keys() - expected.keys())
    )


def recompute(at: Servers, filled: Filled) -> dict[Place, Window]:
    """The closed windows of a topic, summed up once more."""
    sums = Sums()
    for values in _batches(_messages(at, filled.topic)):
        sums.add(_table(at, values), filled.last)
    return sums.windows()


class Sums:
    """Windows that grow, in arrays."""

    def __init__(self) -> None:
        self.ids: dict[Place, int] = {}
        self.sums: dict[int, Floats] = {}
        self.cells: dict[tuple[int, int], int] = {}

    def add(self, table: Any, last: int) -> None:
        """The events of a table, those before *last*."""
        stamps = table.column("timestamp").to_numpy()
        table = table.filter(pa.array(stamps < last))
        if not len(table):
            return
        minute = pa.array(table.column("timestamp").to_numpy() // MINUTE * MINUTE)
        texts = [pc.fill_null(table.column(name), "") for name in KEY]
        names = pc.binary_join_element_wise(*texts, minute.cast(pa.string()), "|")
        coded = names.dictionary_encode()
        ids = [self._id(name) for name in coded.dictionary.to_pylist()]
        place = np.array(ids, np.int64)[coded.indices.to_numpy()]
        latency = _floats(table, "latency_ms")
        both = _floats(table, "tokens_input") + _floats(table, "tokens_output")
        total = table.column("tokens_total").to_numpy(zero_copy_only=False).astype(np.float64)
        columns = [
            np.ones(len(table)),
            latency,
            _floats(table, "time_to_first_token_ms"),
            _floats(table, "tokens_input"),
            _floats(table, "tokens_output"),
            np.where(np.isnan(total), both, total),
            _floats(table, "cached_tokens"),
            _floats(table, "cost_usd"),
        ]
        there, index = np.unique(place, return_inverse=True)
        added = np.column_stack([np.bincount(index, column) for column in columns])
        for id_, row in zip(there.tolist(), added, strict=True):
            self.sums[id_] = self.sums.get(id_, 0.0) + row
        bucket = np.floor(np.log(latency) / LOG_GAMMA).astype(np.int64)
        pairs, counts = np.unique(np.column_stack([place, bucket]), axis=0, return_counts=True)
        for (id_, cell), count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self.cells[id_, cell] = self.cells.get((id_, cell), 0) + count

    def _id(self, name: str) -> int:
        key, _, minute = name.rpartition("|")
        return self.ids.setdefault((key, int(minute)), len(self.ids))

    def windows(self) -> dict[Place, Window]:
        """What they have grown to."""
        buckets: dict[int, dict[int, int]] = {}
        for (id_, cell), count in self.cells.items():
            buckets.setdefault(id_, {})[cell] = count
        return {
            place: Window(int(self.sums[id_][0]), tuple(self.sums[id_][1:].tolist()), buckets[id_])
            for place, id_ in self.ids.items()
        }


def _floats(table: Any, name: str) -> Floats:
    """A column, 0 where an event has none."""
    column = table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isnan(column), 0.0, column)


def _table(at: Servers, values: list[bytes]) -> Any:
    """Framed events as a table."""
    written: Written = at.codec.registry.schema(FRAME.unpack_from(values[0])[1])
    return read_fast(written, MetricEvent, values, np.arange(len(values))).table


def _batches(messages: Iterable[Message]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for message in messages:
        batch.append(message.value())
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def shown(at: Servers, topic: str, before: int) -> dict[Place, Window]:
    """The windows on a peer's output topic that start before a time; of a window the last."""
    found = {}
    for message in _messages(at, topic):
        row = json.loads(message.value())
        if row["start"] < before:
            buckets = {int(cell): count for cell, count in row["buckets"].items()}
            found[row["key"], row["start"]] = Window(row["count"], tuple(row["sums"]), buckets)
    return found


def _messages(at: Servers, topic: str) -> Iterator[Message]:
    """All committed messages of a topic."""
    reader = kafka.consumer(
        at.settings.bootstrap_servers, "llmopt.bench.peers", enable_partition_eof=True
    )
    try:
        places = [(topic, each) for each in range(at.settings.partitions_ingest)]
        yield from read(reader, {each: end_of(reader, each) for each in places})
    finally:
        reader.close()

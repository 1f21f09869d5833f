from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from processors.merge.row import rows, windows
from processors.merge.state import MergeEntry
from processors.merge.window import Window, pooled_key
from processors.summary.combine import combine
from processors.summary.summarize import summarize
from processors.summary.table import Summary
from schemas.codec import pack, unpack
from schemas.columns import EventColumns
from schemas.partial import Key
from schemas.window import MINUTE

KEYS: tuple[Key, ...] = (
    ("shop", "find", "large", "acme", "v1", "stable"),
    ("shop", "pay", "small", "acme", "", ""),
)


def held(summary: Summary) -> Window:
    keys = (*summary.keys, *(pooled_key(key) for key in summary.keys))
    return Window(summary, {key: i for i, key in enumerate(keys, 1)})


@pytest.mark.parametrize(("most", "size"), [(255, 1), (256, 2), (1 << 16, 4), (1 << 32, 8)])
def test_a_row_comes_back_from_counts_as_narrow_as_the_largest_allows(
    make_events: Callable[..., EventColumns], most: int, size: int
) -> None:
    summary = combine([summarize(make_events([1, 2, 3, 4, 5, 6], 1, KEYS))])
    counts = np.full_like(summary.cell_counts, most)
    window = held(replace(summary, cell_counts=counts))
    kept = list(rows(MINUTE, 0, window, summary.keys))
    again = windows(unpack(type(row), pack(row)) for row in kept)[MINUTE, 0]

    assert [len(row.cells) // 4 * size for row in kept] == [len(row.cell_counts) for row in kept]
    assert counts.tolist() == again.summary.cell_counts.tolist()
    assert summary.cells.tolist() == again.summary.cells.tolist()
    assert window.revisions == again.revisions


def test_a_row_is_written_as_what_its_fields_declare(
    make_events: Callable[..., EventColumns],
) -> None:
    summary = combine([summarize(make_events([1, 2, 3, 4, 5, 6], 1, KEYS))])
    kept = [MergeEntry(row=row) for row in rows(MINUTE, 0, held(summary), summary.keys)]

    plain = [msgspec.to_builtins(entry, builtin_types=(bytes,)) for entry in kept]

    assert [msgspec.msgpack.encode(each) for each in plain] == [pack(entry) for entry in kept]
    assert kept == [unpack(MergeEntry, pack(entry)) for entry in kept]


def test_a_row_without_values_comes_back(make_events: Callable[..., EventColumns]) -> None:
    events = make_events([1, 2], 1, KEYS[:1])
    summary = combine([summarize(replace(events, values=np.full_like(events.values, -1)))])
    again = windows(rows(MINUTE, 0, held(summary), summary.keys))[MINUTE, 0]

    assert [] == again.summary.cells.tolist() == again.summary.cell_counts.tolist()
    assert summary.counters.tolist() == again.summary.counters.tolist()

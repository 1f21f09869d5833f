"""The columns that a long run is checked with say what the plain recomputation says."""

from __future__ import annotations

import random

import numpy as np

from demo.recompute import Past
from processors.merge.recompute import batch_windows, windows_of
from schemas.codec import Codec
from schemas.decode import decode_events
from schemas.registry import LocalRegistry
from schemas.topics import METRICS, QUALITY
from tests.integration.pipeline.loading import CHUNK, Load
from tests.integration.pipeline.producing import Plan
from tests.integration.pipeline.tallying import tally

START = 1_760_000_040_000
DAY = 86_400_000
PLAN = Plan("", "", "", 7, START, 5.0, 60, 1.0, 0.0, 0, 4)


def sent(chunk: int, topic: object) -> list[bytes | None]:
    return [each.value for each in LOAD.messages(chunk) if each.topic is topic]


LOAD = Load(PLAN, Codec(LocalRegistry()))


def test_windows_from_columns_are_those_from_single_events() -> None:
    parts = [
        decode_events(LocalRegistry(), topic.name, sent(chunk, topic), START + DAY, DAY * 7).events
        for chunk in range(60)
        for topic in (METRICS, QUALITY)
    ]

    found = windows_of(tally(parts))

    expected = batch_windows(parts)
    assert len(expected) > 1_000
    assert sum(len(part) for part in parts) > 60 * 0.9 * CHUNK
    assert expected == found


def test_a_chunk_is_the_same_whenever_it_is_sent() -> None:
    again = Load(PLAN, Codec(LocalRegistry()))

    for chunk in random.Random(1).sample(range(60), 20):
        assert list(LOAD.messages(chunk)) == list(again.messages(chunk))


def test_what_came_before_counts_across_pieces_as_within_one() -> None:
    values = [value for chunk in range(60) for value in sent(chunk, METRICS)]
    whole = decode_events(LocalRegistry(), METRICS.name, values, START + DAY, DAY * 7).events
    expected = Past(600_000).keep(whole, np.zeros(len(whole), np.int64))
    past, kept = Past(600_000), []
    for cut in range(0, len(values), 999):
        part = decode_events(
            LocalRegistry(), METRICS.name, values[cut : cut + 999], START + DAY, DAY * 7
        ).events
        kept.append(past.keep(part, np.zeros(len(part), np.int64)))

    assert 0.01 < 1 - expected.mean() < 0.2
    assert expected.tolist() == np.concatenate(kept).tolist()


def test_of_the_load_so_much_is_repeated_late_and_spoilt() -> None:
    many = Load(Plan("", "", "", 3, START, 0.4, 2_000, 1.0, 0.0, 0, 4), Codec(LocalRegistry()))
    events, spoilt, late = 0, 0, 0
    for chunk in range(1_000):
        values = [each.value for each in many.messages(chunk) if each.topic is METRICS]
        found = decode_events(LocalRegistry(), METRICS.name, values, START + DAY, DAY * 7)
        events += len(found.events)
        spoilt += len(found.rejected)
        late += int((found.events.timestamp < START + chunk * CHUNK * 0.4 - 600_000).sum())

    assert 0.035 < 1 - 1_000 * CHUNK * 0.995 / events < 0.065
    assert 0.008 < spoilt / events < 0.012
    assert 0.015 < late / events < 0.025

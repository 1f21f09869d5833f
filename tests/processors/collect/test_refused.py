"""A dead letter is no repetition once it can be used, whoever has taken the task over meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.collect import (
    CollectEntry,
    CollectPolicy,
    CollectState,
    Read,
    absorb,
    fresh,
    restore,
    step,
)
from processors.collect.reading import Read as Batch
from processors.refused import BLOCK, Refused, among, noted
from schemas.columns import Decoded, EventColumns, Rejected
from schemas.decode import together
from schemas.errors import Reason
from schemas.flow import Moment

TOPIC = "llmopt.metrics.v1"
POLICY = CollectPolicy(horizon=2 * BLOCK)
MOMENT = Moment(now=1_000_000, seed=1, epoch=1, partition=0, partitions=1)
NOTHING: EventColumns = together([])
Reading = Callable[..., Read]


def refusing(offsets: list[int]) -> Batch:
    """A batch with a message at each of *offsets*, all of them dead letters."""
    n = len(offsets)
    rejected = tuple(Rejected(i, Reason.IN_THE_FUTURE, "") for i in range(n))
    empty = [b""] * n
    return Batch(TOPIC, np.array(offsets), Decoded(NOTHING, rejected), empty, [None] * n, [()] * n)


def entries(log: dict[str, CollectEntry | None]) -> dict[str, CollectEntry]:
    """What a compacted changelog keeps of *log*."""
    return {name: each for name, each in log.items() if each is not None}


def test_what_was_refused_counts_when_it_is_sent_again_after_a_takeover(reading: Reading) -> None:
    whole = [(0, 70_000, 7), (1, 70_000, 8)]
    then = reading([whole[0]], messages=2, rejected=[1])
    first = step(POLICY, fresh(), [then], MOMENT)
    # The new owner could read both, for the clock has gone on or a schema is known now.
    state = restore(entries(dict(first.changes)))
    state = absorb(POLICY, state, [reading(whole)], MOMENT)
    again = step(POLICY, state, [reading([(0, 70_000, 8), (1, 70_000, 7)], first=2)], MOMENT)

    assert (1, 1) == (again.counts["aggregated"], again.counts["duplicates"])
    once_more = step(POLICY, again.state, [reading([(0, 70_000, 8)], first=4)], MOMENT)

    assert 1 == once_more.counts["duplicates"]


def test_good_messages_alone_write_nothing_of_it(reading: Reading) -> None:
    outcome = step(POLICY, fresh(), [reading([(0, 70_000, 7)])], MOMENT)

    assert ["mark"] == list(outcome.changes)
    assert {} == outcome.state.refused


def test_what_the_tail_does_not_reach_is_forgotten() -> None:
    log: dict[str, CollectEntry | None] = {}
    state: CollectState = fresh()
    for first in range(0, 20 * BLOCK, BLOCK // 2):
        outcome = step(POLICY, state, [refusing([first, first + 3])], MOMENT)
        state = outcome.state
        log |= outcome.changes
        kept = entries(log)
        tail = state.tail(POLICY)[TOPIC]

        assert restore(kept).refused == state.refused
        assert len(state.refused) == first // BLOCK - tail // BLOCK + 1
    assert None in log.values()


@given(
    batches=st.lists(
        st.lists(st.integers(0, 4 * BLOCK), min_size=1, max_size=5, unique=True), max_size=8
    ),
    start=st.integers(0, 5 * BLOCK),
    length=st.integers(0, BLOCK),
)
def test_each_offset_is_remembered_on_its_own(
    batches: list[list[int]], start: int, length: int
) -> None:
    refused: Refused = {}
    for batch in batches:
        refused = noted(refused, {TOPIC: np.array(sorted(batch))}, {})
    told = {offset for batch in batches for offset in batch}
    asked = np.arange(start, start + length)

    assert [each in told for each in asked.tolist()] == among(refused, TOPIC, asked).tolist()
    assert not among(refused, "llmopt.quality.v1", asked).any()


def test_events_of_a_batch_message_are_refused_with_it(reading: Reading) -> None:
    first = step(POLICY, fresh(), [reading([], messages=1, rejected=[0])], MOMENT)
    state = restore(entries(dict(first.changes)))
    state = absorb(POLICY, state, [reading([(0, 70_000, 5), (0, 70_001, 5)])], MOMENT)
    read = reading([(0, 70_000, 5), (0, 70_001, 5)], first=1)
    outcome = step(POLICY, state, [read], MOMENT)

    assert 2 == outcome.counts["aggregated"]

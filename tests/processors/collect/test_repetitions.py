"""How long an event is known again, to the offset, and what knowing it costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from processors.collect import CollectPolicy, CollectState, Read, fresh, step
from processors.collect.deduplicate import Seen, deduplicate
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.flow import Moment
from schemas.partial import METRICS

POLICY = CollectPolicy()
LENGTH = POLICY.horizon
MOMENT = Moment(now=1_000_000, seed=1, epoch=1, partition=0, partitions=1)
MOST = 2 * LENGTH * 8  # bytes: an identity of 64 bits for each offset of two generations
ROOT = Path(__file__).parents[3]
Reading = Callable[..., Read]


def counted(reading: Reading, *offsets: int) -> list[bool]:
    """Whether an event counts that is at each of *offsets*, and nowhere else."""
    state: CollectState = fresh()
    found = []
    for offset in offsets:
        outcome = step(POLICY, state, [reading([(0, 70_000, 7)], first=offset)], MOMENT)
        state = outcome.state

        assert 1 == outcome.counts["aggregated"] + outcome.counts["duplicates"]
        found.append(outcome.counts["aggregated"] == 1)
    return found


@pytest.mark.parametrize(
    ("first", "last_dropped"),
    [
        (0, 2 * LENGTH - 1),  # the first offset of a generation is known the longest
        (1, 2 * LENGTH - 1),
        (LENGTH - 1, 2 * LENGTH - 1),  # and its last one the shortest
        (LENGTH, 3 * LENGTH - 1),
        (5 * LENGTH + 17, 7 * LENGTH - 1),
    ],
)
def test_an_event_is_dropped_until_the_next_generation_ends_and_counts_one_offset_later(
    reading: Reading, first: int, last_dropped: int
) -> None:
    assert [True, False] == counted(reading, first, last_dropped)
    assert [True, True] == counted(reading, first, last_dropped + 1)


def test_a_repetition_is_remembered_like_the_event_itself(reading: Reading) -> None:
    every_generation = [i * LENGTH for i in range(6)]

    assert [True, *[False] * 5] == counted(reading, *every_generation)


def filled(first: int, n: int, rng: np.random.Generator) -> EventColumns:
    """A message each, no identity twice."""
    none = np.zeros(n, dtype=np.int64)
    return EventColumns(
        message=np.arange(n),
        timestamp=none,
        key=none,
        keys=(("shop", "search", "m", "p", "", ""),),
        values=np.full((n, len(METRICS)), ABSENT),
        request=np.ones(n, dtype=np.bool_),
        failed=np.zeros(n, dtype=np.bool_),
        timeout=np.zeros(n, dtype=np.bool_),
        retries=none,
        error_type=np.full(n, ABSENT),
        error_types=(),
        unit=np.full(n, NO_UNIT),
        identity=(np.uint64(first + 1) + np.arange(n, dtype=np.uint64))
        ^ np.uint64(int(rng.integers(1 << 20)) << 40),
    )


def test_the_memory_of_a_full_horizon_is_bounded_and_never_grows_beyond() -> None:
    rng = np.random.default_rng(1)
    piece = LENGTH // 4
    seen, held = Seen(), list[int]()
    for first in range(0, 6 * LENGTH, piece):
        offsets = first + np.arange(piece)
        seen, repeated = deduplicate(seen, LENGTH, offsets, filled(first, piece, rng))

        assert not repeated.any()
        held.append(memory(seen))

    # Full for the first time at the end of the second generation, and no larger ever after.
    assert MOST == held[7] == max(held)


def memory(seen: Seen) -> int:
    """Bytes of the identities, and of whatever larger array they may be a view of."""
    kept = (seen.current, seen.previous)
    return sum(each.nbytes if each.base is None else each.base.nbytes for each in kept)


def test_the_documents_state_the_horizon_and_its_memory_as_they_are() -> None:
    for document in ("README.md", "docs/runbook.md"):
        told = " ".join((ROOT / document).read_text().split())

        assert f"{LENGTH:,} to {2 * LENGTH - 1:,} offsets" in told, document
        assert f"{MOST // 2**20} MiB" in told, document

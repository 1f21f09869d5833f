"""A partial that was refused comes without a value, and is remembered while it may come again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from processors.merge import MergeEntry, MergePolicy, absorb, fresh, restore, step
from schemas.columns import EventColumns
from schemas.flow import Input, Moment
from schemas.topics import PARTIALS
from schemas.window import MINUTE

POLICY = MergePolicy()
MOMENT = Moment(now=1, seed=1, epoch=1, partition=0, partitions=1)
START = 28_401_120 * MINUTE
REFUSED = Input(PARTIALS.name, 1, None)
Making = Callable[..., EventColumns]
Telling = Callable[..., Input]


@pytest.fixture
def taken(make_events: Making, make_partial: Telling) -> Input:
    return make_partial(0, watermark=START, found=make_events([START] * 3, 1))


def held(*batches: list[Input]) -> dict[str, MergeEntry]:
    """What the changelog holds after some commits."""
    state, entries = fresh(), dict[str, MergeEntry | None]()
    for batch in batches:
        outcome = step(POLICY, state, batch, MOMENT)
        state = outcome.state
        entries |= outcome.changes
    return {name: each for name, each in entries.items() if each is not None}


def test_what_was_refused_does_not_wait_again_whether_or_not_it_can_be_read_now(
    taken: Input, make_events: Making, make_partial: Telling
) -> None:
    state = restore(held([taken, REFUSED]))
    now = make_partial(1, watermark=START, found=make_events([START] * 5, 2))
    for log in ([taken, now], [taken, REFUSED]):
        again = absorb(POLICY, state, log, MOMENT)

        assert 1 == len(again.pending)


def test_it_is_remembered_however_partials_were_batched(taken: Input) -> None:
    together, apart = held([taken, REFUSED]), held([taken], [REFUSED])

    assert together == apart
    assert {"mark", f"refused|{PARTIALS.name}|0"} == together.keys()


def test_only_those_that_were_added_up_are_counted(taken: Input) -> None:
    outcome = step(POLICY, fresh(), [taken, REFUSED], MOMENT)

    assert 1 == outcome.counts["partials"]


def test_one_that_was_added_up_and_cannot_be_read_any_more_is_not_passed_over(
    taken: Input,
) -> None:
    state = restore(held([taken]))
    unreadable = replace(taken, value=None)

    with pytest.raises(ValueError, match="the partial at offset 0 was added up"):
        absorb(POLICY, state, [unreadable], MOMENT)
    older = replace(state, mark=replace(state.mark, noted=None))

    assert () == absorb(POLICY, older, [unreadable], MOMENT).pending


def test_what_was_read_before_refusals_were_remembered_is_judged_again(taken: Input) -> None:
    state = restore(held([taken]))
    older = replace(state, mark=replace(state.mark, noted=None))
    then = replace(MOMENT, now=START)
    of_another = replace(taken, value=replace(taken.value, source=7, sources=9))

    assert 1 == len(absorb(POLICY, older, [taken], then).pending)
    assert () == absorb(replace(POLICY, sources=8), older, [of_another], then).pending
    assert 1 == len(absorb(replace(POLICY, sources=8), state, [of_another], then).pending)

"""Whole rollouts under kills, zombies, late, repeated and reordered inputs, and catalog changes.

`CHAOS_RUNS=10000` runs so many, `CHAOS_SEED=N` begins at that seed: a run that fails names its
own, and `CHAOS_RUNS=1 CHAOS_SEED=N` repeats it.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from schemas.alarm import Alarm
from schemas.rollout import Deployment, Phase
from tests.properties.broker import Broker
from tests.properties.promises import broken, records
from tests.properties.story import CATALOG, FAULTS, Story

P = Phase
MOVES = {
    *((None, P.PENDING), (None, P.PROMOTED), (None, P.ROLLED_BACK), (None, P.REJECTED)),
    *((P.PENDING, P.RAMPING), (P.PENDING, P.PROMOTED), (P.RAMPING, P.RAMPING)),
    *((P.RAMPING, P.PAUSED), (P.RAMPING, P.PROMOTED), (P.RAMPING, P.ROLLED_BACK)),
    *((P.PAUSED, P.RAMPING), (P.PAUSED, P.ROLLED_BACK)),
}
ALL_OF_THEM = "CHAOS_RUNS" in os.environ
RUNS = int(os.environ.get("CHAOS_RUNS", "150"))
FIRST = int(os.environ.get("CHAOS_SEED", secrets.randbelow(10**9) if ALL_OF_THEM else 1))


@dataclass
class Found:
    """What some runs came to."""

    problems: dict[int, list[str]] = field(default_factory=dict)  # by seed
    seen: Counter[str] = field(default_factory=Counter)
    moves: set[tuple[Phase | None, Phase]] = field(default_factory=set)


def live(seed: int, **broker: Any) -> Story:
    """One run."""
    chance = Random(seed)
    story = Story(chance, Broker(catalog=CATALOG, **broker))
    return story.live(chance.randint(12, 26))


def tally(seeds: range) -> Found:
    """Some runs, one after the other."""
    found = Found()
    for seed in seeds:
        story = live(seed)
        if wrong := broken(story):
            found.problems[seed] = wrong
        found.seen += story.faults + Counter(runs=1, fenced=story.fenced)
        for each in records(story.broker):
            if isinstance(each.value, Deployment):
                found.moves.add((each.value.previous, each.value.phase))
                found.seen[each.value.phase.value] += 1
            found.seen[type(each.value).__name__] += 1
            if isinstance(each.value, Alarm):
                found.seen[each.value.answer.value] += 1
    return found


def parts() -> Iterator[Found]:
    """All runs in parts, on all processors when they are many; says how far it has come."""
    seeds = [range(n, min(n + 25, FIRST + RUNS)) for n in range(FIRST, FIRST + RUNS, 25)]
    if not ALL_OF_THEM:
        yield from map(tally, seeds)
        return
    sys.stderr.write(f"\n{RUNS} runs from seed {FIRST} on; CHAOS_SEED={FIRST} repeats them.\n")
    began, done, wrong = time.monotonic(), 0, 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(tally, seeds):
            done, wrong = done + found.seen["runs"], wrong + len(found.problems)
            took = time.monotonic() - began
            sys.stderr.write(f"\r{done} of {RUNS} runs in {took:.0f} s, {wrong} broken ")
            yield found
    sys.stderr.write("\n")


@pytest.fixture(scope="module")
def found() -> Found:
    """All runs together."""
    total = Found()
    for each in parts():
        total.problems |= each.problems
        total.seen += each.seen
        total.moves |= each.moves
    if ALL_OF_THEM:
        sys.stderr.write(", ".join(f"{n} {what}" for what, n in sorted(total.seen.items())) + "\n")
    return total


@pytest.mark.timeout(7_200 if ALL_OF_THEM else 120)
def test_no_fault_breaks_a_promise(found: Found) -> None:
    assert {} == found.problems
    assert RUNS == found.seen["runs"]


@pytest.mark.skipif(RUNS < 100, reason="so few runs need not meet every fault")
def test_the_runs_meet_every_fault_and_every_transition(found: Found) -> None:
    assert {*FAULTS, "fenced", "promoted", "rolled_back", "rejected"} <= found.seen.keys()
    assert set() == MOVES - found.moves


def test_a_broker_that_does_not_fence_is_found_out() -> None:
    slipped = [broken(live(seed, fences=False)) for seed in range(1, 9)]

    assert any("of fenced owners went through" in each[-1] for each in slipped if each)
    assert any("out of turn" in problem for each in slipped for problem in each)


def test_a_changelog_that_loses_an_entry_is_found_out() -> None:
    forgot = [broken(live(seed, keeps=0.8)) for seed in range(1, 9)]

    assert any("would not have written" in problem for each in forgot for problem in each)

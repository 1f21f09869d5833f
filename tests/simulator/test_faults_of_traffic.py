"""Faults of who asks, of what is told, and of the scenario itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from schemas.metric import MetricEvent
from simulator import faults
from simulator.deliver import deliver, rubbish
from simulator.demand import Demand, chance, demand
from simulator.faults import Fault, Kind, fault_of
from simulator.fleet import Fleet
from simulator.requests import requests
from simulator.serve import OK, Answers
from tests.simulator.answering import (
    ENDPOINT,
    HERE,
    at,
    failed_share,
    fault,
)


def asked(minute: int, *faults: Fault) -> Demand:
    return demand(Fleet(endpoints=(ENDPOINT,), faults=faults, seed=5), 0, minute)


def test_a_surge_and_a_drop_change_how_many_ask() -> None:
    minutes = range(30)
    usual = sum(len(asked(m)) for m in minutes)
    surge = sum(len(asked(m, Fault(kind=Kind.SURGE, strength=3.0))) for m in minutes)
    drop = sum(len(asked(m, Fault(kind=Kind.DROP, strength=0.7))) for m in minutes)
    both = (Fault(kind=Kind.SURGE, strength=3.0), Fault(kind=Kind.DROP, strength=0.5))

    assert 3.0 == pytest.approx(surge / usual, rel=0.05)
    assert 0.3 == pytest.approx(drop / usual, rel=0.05)
    assert 1.5 == pytest.approx(sum(len(asked(m, *both)) for m in minutes) / usual, rel=0.05)
    assert 0 == len(asked(3, Fault(kind=Kind.DROP, strength=1.0)))


def test_a_surge_begins_within_a_minute_and_every_request_has_its_own_number() -> None:
    found = asked(3, Fault(kind=Kind.SURGE, strength=4.0, start=3.5))
    after = (found.time - found.fleet.start) / 60_000 >= 3.5

    assert len(found) == len(set(found.number.tolist()))
    assert after.sum() > 2 * (~after).sum()


def test_prompts_that_grow_cost_more() -> None:
    usual, worse = at(3), at(3, fault(Kind.BLOAT, 4.0))

    assert (4 * usual.demand.tokens_input).tolist() == worse.demand.tokens_input.tolist()
    assert (worse.demand.cached <= worse.demand.tokens_input).all()
    assert worse.cost_nanousd.sum() > 1.5 * usual.cost_nanousd.sum()


def test_tokens_that_are_not_in_the_cache_any_more_are_paid_in_full() -> None:
    usual, worse = at(3), at(3, fault(Kind.CACHE_MISS, 1.0))

    assert usual.demand.cached.sum() > 0
    assert 0 == worse.demand.cached.sum()
    assert usual.demand.tokens_input.tolist() == worse.demand.tokens_input.tolist()
    # what gpt-4o caches is cheaper
    assert priced(Kind.CACHE_MISS) > priced(None)


def priced(kind: Kind | None) -> int:
    """What a minute costs with a model that has a price of its own for the cache."""
    faults = () if kind is None else (fault(kind, 1.0),)
    endpoint = replace(ENDPOINT, default="openai/gpt-4o")
    (answers,) = requests(Fleet(endpoints=(endpoint,), faults=faults, seed=5), 3)
    return int(answers.cost_nanousd.sum())


def test_a_stuck_clock_tells_one_latency() -> None:
    usual, stuck = at(3), at(3, fault(Kind.STUCK, 1.0))

    assert 1 == len(set(stuck.latency_us.tolist()))
    assert 1.0 == pytest.approx(stuck.latency_us[0] / np.median(usual.latency_us), abs=0.5)
    assert stuck.outcome.tolist() == usual.outcome.tolist()
    assert 0 == len(at_nothing(Kind.STUCK).latency_us)


def at_nothing(kind: Kind) -> Answers:
    faults = (fault(kind, 1.0), fault(Kind.DROP, 1.0))
    (answers,) = requests(Fleet(endpoints=(ENDPOINT,), faults=faults, seed=5), 3)
    return answers


def test_whom_a_fault_hits_is_by_chance_and_the_same_beside_another_fault() -> None:
    alone = at(3, fault(Kind.COLLAPSE, 0.3))
    beside = at(3, fault(Kind.COLLAPSE, 0.3), fault(Kind.RETRIES, 0.3))
    lots = [chance(alone.demand, kind) for kind in Kind]

    assert np.array_equal(alone.quality, beside.quality, equal_nan=True)
    assert min(stats.kstest(lot, "uniform").pvalue for lot in lots) > 1e-4
    assert np.abs(np.corrcoef(lots) - np.eye(len(lots))).max() < 0.25
    half = chance(alone.demand.part(slice(10, 30)), Kind.TAIL)
    assert half.tolist() == chance(alone.demand, Kind.TAIL)[10:30].tolist()


def test_there_are_more_than_twenty_kinds_and_each_says_what_its_number_is() -> None:
    said = Path(faults.__file__).read_text("utf-8").split("class Fault:")[0].splitlines()
    lines = [line for line in said if line.strip().startswith(tuple(kind.name for kind in Kind))]

    assert 24 <= len(HERE)
    assert len(Kind) == len([line for line in lines if " = " in line and "  # " in line])


def test_a_fault_begins_and_ends_within_a_minute() -> None:
    answers = at(3, Fault(kind=Kind.OUTAGE, strength=1.0, start=3.25, end=3.5))
    minute = (answers.demand.time - answers.demand.fleet.start) / 60_000
    during = (minute >= 3.25) & (minute < 3.5)

    assert np.all(answers.outcome[during] != OK)
    assert failed_share(answers, ~during) < 0.1


def sent(*faults: Fault) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    fleet = Fleet(endpoints=(ENDPOINT,), faults=faults, seed=5)
    all_ = [deliver(demand(fleet, 0, minute)) for minute in range(30)]
    return (
        np.concatenate([one.sends for one in all_]),
        np.concatenate([one.delay_ms for one in all_]),
        np.concatenate([one.garbage for one in all_]),
    )


def test_without_faults_each_report_is_sent_once_and_at_once() -> None:
    sends, delay, garbage = sent()

    assert {1} == set(sends.tolist())
    assert {0} == set(delay.tolist()) | set(garbage.tolist())


def test_duplicates_and_late_reports_have_their_shares() -> None:
    sends, delay, _ = sent(
        Fault(kind=Kind.DUPLICATE, strength=0.05),
        Fault(kind=Kind.LATE, strength=0.02, delay_s=60.0),
    )
    n = len(sends)

    assert stats.binomtest(int((sends == 2).sum()), n, 0.05).pvalue > 1e-4
    assert stats.binomtest(int((delay > 0).sum()), n, 0.02).pvalue > 1e-4
    assert delay.max() <= 60_001


def test_a_silent_application_sends_nothing_at_all() -> None:
    sends, _, garbage = sent(
        Fault(kind=Kind.SILENT, strength=1.0),
        Fault(kind=Kind.GARBAGE, strength=0.5),
        Fault(kind=Kind.DUPLICATE, strength=1.0),
    )

    assert {0} == set(sends.tolist()) | set(garbage.tolist())


@pytest.mark.parametrize("strength", [0.01, 0.1, 1.5])
def test_garbage_comes_in_proportion(strength: float) -> None:
    _, _, garbage = sent(Fault(kind=Kind.GARBAGE, strength=strength))

    assert strength == pytest.approx(garbage.mean(), rel=0.2)


def test_every_kind_of_garbage_is_unlike_the_others_and_names_no_real_event() -> None:
    messages = [rubbish("shop", i) for i in range(10)]

    assert 10 == len(set(messages))
    fields = set(MetricEvent.__slots__)
    for message in messages:
        assert b"request_id" not in message
    assert {"latency_ms", "tokens_input"} <= fields


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"kind": "fire", "strength": 1}, "no kind of fault"),
        ({"kind": "slow"}, "needs a strength"),
        ({"kind": "slow", "strength": 2, "speed": 1}, "'speed'"),
        ({"kind": "errors", "strength": 2}, "not 0 to 1"),
        ({"kind": "errors", "strength": 0.1, "start": 5, "end": 5}, "start before"),
        ({"kind": "silent", "strength": 1, "model": "gpt-4"}, "name a service"),
        ({"kind": "late", "strength": 0.1, "delay_s": 0}, "delay_s"),
        ({"kind": "surge", "strength": 0.5}, "surge is 0.5, not 1 to inf"),
        ({"kind": "jitter", "strength": -1}, "not 0 to inf"),
        ({"kind": "slow", "strength": float("inf")}, "is inf, not 0 to inf"),
        ({"kind": "slow", "strength": float("nan")}, "is nan"),
        ({"kind": "refusal", "strength": 1.5}, "not 0 to 1"),
        ({"kind": "bloat", "strength": 2, "cohort": "stable"}, "name a service"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(raw: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fault_of(raw)


def test_a_fault_is_what_its_scenario_says() -> None:
    raw = {"kind": "slow", "strength": 3, "start": 10, "end": 20, "provider": "openai"}

    assert Fault(kind=Kind.SLOW, strength=3.0, start=10.0, end=20.0, provider="openai") == fault_of(
        raw
    )

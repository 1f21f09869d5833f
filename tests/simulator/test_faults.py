"""Faults do what they say, when and where they say it."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from schemas.metric import MetricEvent
from simulator.deliver import deliver, rubbish
from simulator.faults import Fault, Kind, fault_of
from simulator.fleet import Endpoint, Fleet, demand
from simulator.requests import requests
from simulator.serve import OK, Answers

ENDPOINT = Endpoint(
    service="shop", endpoint="answer", rate=600, default="openai/gpt-4", quality_share=1.0
)


def at(minute: int, *faults: Fault) -> Answers:
    """A minute of a fleet with those faults."""
    (answers,) = requests(Fleet(endpoints=(ENDPOINT,), faults=faults, seed=5), minute)
    assert len(answers.demand) > 100
    return answers


def fault(kind: Kind, strength: float, **more: Any) -> Fault:
    return Fault(kind=kind, strength=strength, start=3, end=4, **more)


def failed(answers: Answers) -> float:
    return float((answers.outcome != OK).mean())


def test_an_outage_fails_requests_of_its_provider_only() -> None:
    assert 1.0 == failed(at(3, fault(Kind.OUTAGE, 1.0, provider="openai")))
    assert failed(at(3)) == failed(at(3, fault(Kind.OUTAGE, 1.0, provider="mistral")))


def test_a_slow_model_takes_so_many_times_longer() -> None:
    usual, slow = at(3), at(3, fault(Kind.SLOW, 3.0, model="gpt-4"))
    ratio = slow.latency_us / usual.latency_us

    assert 3.0 == pytest.approx(np.median(ratio), rel=0.01)


def test_an_error_burst_adds_to_the_error_rate() -> None:
    burst = np.mean([failed(at(m, Fault(kind=Kind.ERRORS, strength=0.3))) for m in range(15)])

    assert 0.3 == pytest.approx(burst, abs=0.05)


def test_a_quality_drop_takes_its_share_of_the_points() -> None:
    usual, worse = at(3), at(3, fault(Kind.QUALITY, 0.2))

    assert 0.8 == pytest.approx(np.nanmean(worse.quality) / np.nanmean(usual.quality), rel=0.03)


def test_a_price_change_is_paid() -> None:
    usual, dearer = at(3), at(3, fault(Kind.PRICE, 2.0))

    assert 2.0 == pytest.approx(dearer.cost_nanousd.sum() / usual.cost_nanousd.sum())
    assert dearer.cost_nanousd.sum() == dearer.default_nanousd.sum()


@pytest.mark.parametrize("kind", [Kind.OUTAGE, Kind.SLOW, Kind.ERRORS, Kind.QUALITY, Kind.PRICE])
def test_outside_its_time_and_place_a_fault_does_nothing(kind: Kind) -> None:
    elsewhere = fault(kind, 0.5, service="other")

    for minute, one in ((10, fault(kind, 0.5)), (3, elsewhere)):
        usual, same = at(minute), at(minute, one)
        assert usual.latency_us.tolist() == same.latency_us.tolist()
        assert usual.outcome.tolist() == same.outcome.tolist()
        assert usual.cost_nanousd.tolist() == same.cost_nanousd.tolist()


def test_a_fault_begins_and_ends_within_a_minute() -> None:
    answers = at(3, Fault(kind=Kind.OUTAGE, strength=1.0, start=3.25, end=3.5))
    minute = (answers.demand.time - answers.demand.fleet.start) / 60_000
    during = (minute >= 3.25) & (minute < 3.5)

    assert np.all(answers.outcome[during] != OK)
    assert failed_share(answers, ~during) < 0.1


def failed_share(answers: Answers, rows: Any) -> float:
    return float((answers.outcome[rows] != OK).mean())


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

"""Faults do what they say, when and where they say it."""

import numpy as np
import pytest

from simulator.demand import demand
from simulator.faults import SERVING, Fault, Kind
from simulator.fleet import Fleet
from simulator.serve import OK, RATE_LIMIT, TIMEOUT, serve
from simulator.served import Served
from tests.simulator.answering import (
    ENDPOINT,
    HERE,
    at,
    failed,
    failed_share,
    fault,
    same,
    share,
    strength_of,
)


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


@pytest.mark.parametrize("kind", HERE)
def test_outside_its_time_and_place_a_fault_does_nothing(kind: Kind) -> None:
    strength = strength_of(kind)

    assert same(at(10), at(10, fault(kind, strength)))
    assert same(at(3), at(3, fault(kind, strength, service="other")))
    assert not same(at(3), at(3, fault(kind, strength, service="shop", endpoint="answer")))


@pytest.mark.parametrize("kind", sorted(SERVING))
@pytest.mark.parametrize("target", [{"model": "gpt-4o"}, {"cohort": "candidate"}, {"version": "2"}])
def test_a_fault_of_serving_leaves_others_than_its_target_alone(
    kind: Kind, target: dict[str, str]
) -> None:
    assert same(at(3), at(3, fault(kind, strength_of(kind), **target)))


SPLIT = (
    Served("openai", "gpt-4", "1", "stable"),
    Served("openai", "gpt-4", "2", "candidate"),
    Served("openai", "gpt-4o", "2", "candidate"),
)


@pytest.mark.parametrize(
    ("target", "hit"),
    [
        ({"version": "2"}, [False, True, True]),
        ({"cohort": "stable"}, [True, False, False]),
        ({"model": "gpt-4"}, [True, True, False]),
        ({"provider": "openai", "model": "gpt-4o", "cohort": "candidate"}, [False, False, True]),
    ],
)
def test_one_version_or_cohort_alone_can_be_hit(target: dict[str, str], hit: list[bool]) -> None:
    fleet = Fleet(endpoints=(ENDPOINT,), faults=(fault(Kind.OUTAGE, 1.0, **target),), seed=5)
    asked = demand(fleet, 0, 3)
    by = np.arange(len(asked)) % 3
    answers = serve(asked, SPLIT, by)

    assert hit == [bool((answers.outcome[by == i] != OK).all()) for i in range(3)]


def test_timeouts_come_in_their_share_after_patience_is_over() -> None:
    usual, worse = at(3), at(3, fault(Kind.TIMEOUT, 0.3))
    new = (worse.outcome == TIMEOUT) & (usual.outcome == OK)

    assert share(new[usual.outcome == OK], 0.3)
    assert np.median(worse.latency_us[new]) > 2 * np.median(usual.latency_us)
    assert worse.outcome[~new].tolist() == usual.outcome[~new].tolist()


def test_a_quota_is_used_up_in_the_last_part_of_each_minute() -> None:
    answers = at(3, fault(Kind.RATE_LIMIT, 0.25))
    late = (answers.demand.time - answers.demand.fleet.start) % 60_000 >= 45_000

    assert np.all(answers.outcome[late] == RATE_LIMIT)
    assert failed_share(answers, ~late) < 0.1
    assert 0 < late.sum() < len(late)


def test_what_flaps_is_down_for_two_minutes_of_every_four() -> None:
    flap = Fault(kind=Kind.FLAPPING, strength=1.0, start=3, end=9)

    assert [0, 1, 1, 0, 0, 1, 1] == [round(failed(at(m, flap))) for m in range(2, 9)]


def test_retries_are_counted_and_take_their_time() -> None:
    usual, worse = at(3), at(3, fault(Kind.RETRIES, 0.4))
    again = worse.retries == 3
    ok = usual.outcome == OK

    assert share(again[ok], 0.4)
    assert not again[~ok].any()
    assert 4.0 == pytest.approx(np.median(worse.latency_us[again] / usual.latency_us[again]))
    assert worse.cost_nanousd.tolist() == usual.cost_nanousd.tolist()


def test_latency_drifts_by_its_share_every_hour() -> None:
    drift = Fault(kind=Kind.DRIFT, strength=0.5, start=10)
    ratios = [np.median(at(m, drift).latency_us / at(m).latency_us) for m in (9, 10, 40, 129)]

    assert pytest.approx([1.0, 1.004, 1.254, 1.996], abs=0.005) == ratios


def test_only_the_tail_is_slower() -> None:
    minutes = range(3, 13)
    tail = Fault(kind=Kind.TAIL, strength=10.0)
    usual = np.concatenate([at(m).latency_us for m in minutes])
    worse = np.concatenate([at(m, tail).latency_us for m in minutes])

    assert share(worse != usual, 0.02)
    assert np.median(worse) == pytest.approx(np.median(usual), rel=0.01)
    assert np.quantile(worse, 0.99) > 1.3 * np.quantile(usual, 0.99)


def test_jitter_spreads_latency_and_leaves_its_mean() -> None:
    jitter = Fault(kind=Kind.JITTER, strength=0.8)
    ratio = np.concatenate(
        [(at(m, jitter).ttft_us / at(m).ttft_us)[at(m).ttft_us < 20_000_000] for m in range(3, 13)]
    )

    assert 1.0 == pytest.approx(ratio.mean(), abs=4 * ratio.std() / len(ratio) ** 0.5)
    assert 0.8 == pytest.approx(np.log(ratio).std(), abs=0.03)


@pytest.mark.parametrize(
    ("kind", "first", "rest"), [(Kind.SLOW_START, 3.0, 1.0), (Kind.THROUGHPUT, 1.0, 3.0)]
)
def test_the_first_token_or_the_others_take_longer(kind: Kind, first: float, rest: float) -> None:
    usual, worse = at(3), at(3, fault(kind, 3.0))
    fine = (usual.outcome == OK) & (worse.latency_us < 60_000_000) & (usual.tokens_output > 5)
    after = [(one.latency_us - one.ttft_us)[fine] for one in (usual, worse)]

    assert first == pytest.approx(np.median(worse.ttft_us[fine] / usual.ttft_us[fine]), rel=1e-4)
    assert rest == pytest.approx(np.median(after[1] / after[0]), rel=1e-3)


def test_longer_answers_cost_more_and_take_longer() -> None:
    usual, worse = at(3), at(3, fault(Kind.VERBOSE, 2.0))

    assert (2 * usual.tokens_output).tolist() == worse.tokens_output.tolist()
    dearer = 60_000 * usual.tokens_output.sum()  # at 60 $ a million
    assert dearer == worse.cost_nanousd.sum() - usual.cost_nanousd.sum()
    assert worse.latency_us.sum() > usual.latency_us.sum()


def test_truncated_answers_end_early_and_are_worth_half() -> None:
    usual, worse = at(3), at(3, fault(Kind.TRUNCATED, 0.5))
    long = usual.tokens_output > 20
    cut = long & (worse.tokens_output < usual.tokens_output)
    left = worse.tokens_output[cut] / usual.tokens_output[cut]
    points = [one.quality[cut & ~np.isnan(usual.quality)].mean() for one in (usual, worse)]

    assert share(cut[long], 0.5)
    assert 0.1 == pytest.approx(np.median(left), abs=0.02)
    assert 0.5 == pytest.approx(points[1] / points[0], rel=0.05)


def test_refusals_are_short_cheap_and_of_no_use() -> None:
    usual, worse = at(3), at(3, fault(Kind.REFUSAL, 0.5))
    scored = ~np.isnan(usual.quality)
    bad = scored & (worse.quality != usual.quality)

    assert share(bad[scored], 0.5)
    assert worse.quality[bad].mean() < 10
    assert worse.tokens_output[bad].max() <= 20
    assert worse.outcome.tolist() == usual.outcome.tolist()
    assert worse.cost_nanousd.sum() < usual.cost_nanousd.sum()


def test_a_collapse_takes_all_from_its_share_of_the_answers() -> None:
    usual, worse = at(3), at(3, fault(Kind.COLLAPSE, 0.3))
    scored = ~np.isnan(usual.quality)
    bad = scored & (worse.quality != usual.quality)

    assert share(bad[scored], 0.3)
    assert worse.quality[bad].mean() < 10
    assert worse.quality[scored & ~bad].tolist() == usual.quality[scored & ~bad].tolist()
    assert worse.tokens_output.tolist() == usual.tokens_output.tolist()


def test_quality_drifts_by_its_share_every_hour() -> None:
    drift = Fault(kind=Kind.QUALITY_DRIFT, strength=0.2, start=10)
    left = [np.nanmean(at(m, drift).quality) / np.nanmean(at(m).quality) for m in (9, 70, 130)]

    assert pytest.approx([1.0, 0.8, 0.6], abs=0.01) == left
    assert np.nanmean(at(400, drift).quality) < 5

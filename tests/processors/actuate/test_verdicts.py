"""Calibration and power of the verdicts, request by request through observe and judge."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats

from bench.minutes import rows
from bench.traffic import World, simulate
from bench.verdicts import (
    BAD,
    HARMS,
    OURS,
    PLAIN,
    STRATEGY,
    Hit,
    Job,
    ladder,
    looks,
    median,
    rolled_out,
)
from bench.windows import summary
from processors.actuate.evidence import Evidence, fresh_evidence, observe, reference
from processors.actuate.judge import Judgement, judge
from schemas.catalog import Strategy
from schemas.rollout import Guardrail, Verdict
from schemas.window import EnrichedWindow, Price

HALF = np.full(60, 5_000)
NOWHERE = Path("nowhere")  # no data: the packaged trace alone
MINUTE_OF_REQUESTS = 100  # per arm: a verdict comes at the end of a minute


def last(shares: np.ndarray, strategy: Strategy, **world: float) -> Judgement:
    """The judgement after all minutes."""
    judgements = [j for _, _, j in looks(World(**world), shares, 1, strategy)]
    return judgements[-1]


def guardrail(judgement: Judgement, metric: str) -> Guardrail:
    return next(g for g in judgement.guardrails if g.metric == metric)


def hits(shares: np.ndarray, seeds: range, metric: str = "", **world: Any) -> list[Hit | None]:
    """What became of as many rollouts, on the traffic that the packaged trace gives."""
    named = tuple(world.items())
    return [
        rolled_out(Job(named, tuple(shares.tolist()), seed, NOWHERE, metric))[OURS]
        for seed in seeds
    ]


@pytest.mark.parametrize("per_hour", [300.0, 3_000.0, 20_000.0])
def test_identical_candidates_are_rarely_taken_back_however_often_one_looks(
    per_hour: float,
) -> None:
    found = hits(ladder(250), range(8), per_hour=per_hour)
    wrong = sum(hit is not None for hit in found)

    assert stats.binomtest(wrong, len(found), 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("metric", HARMS)
def test_harm_is_found_in_good_time(metric: str) -> None:
    harm, bar, _ = HARMS[metric]
    found = hits(HALF, range(15), metric, **PLAIN, **harm)

    assert median([{OURS: hit} for hit in found], OURS) <= 1.2 * bar + MINUTE_OF_REQUESTS


def test_a_failing_candidate_at_one_percent_costs_few_requests() -> None:
    found = hits(np.full(120, 100), range(5), candidate_errors=0.3)

    assert median([{OURS: hit} for hit in found], OURS, "bad") <= BAD


def test_a_better_and_cheaper_candidate_is_ready_and_nothing_fails() -> None:
    judgement = last(HALF, STRATEGY, **PLAIN, dearer=0.5, slower=0.9)

    assert judgement.ready
    assert judgement.sampled
    assert Verdict.PASS is judgement.verdict
    assert all("not worse by more than" in g.sentence for g in judgement.guardrails)


@pytest.mark.parametrize(
    ("metric", "harm"),
    [
        ("errors", {"candidate_errors": 0.06}),
        ("latency", {"slower": 1.2}),
        ("quality", {"quality": 0.9}),
        ("cost", {"dearer": 1.0}),
    ],
)
def test_a_candidate_at_its_margin_is_not_ready(metric: str, harm: dict[str, float]) -> None:
    for seed in range(3):
        world = World(**PLAIN, **harm)
        ready = [
            next(g for g in j.guardrails if g.metric == metric).verdict is Verdict.PASS
            for _, _, j in looks(world, HALF, seed)
        ]

        assert not any(ready)


def test_harm_within_the_tolerance_is_not_taken_back_and_beyond_it_is() -> None:
    tolerant = replace(STRATEGY, tolerance=0.5)  # 5 % of quality
    little = last(HALF, tolerant, **PLAIN, quality=0.97)
    much = last(HALF, tolerant, **PLAIN, quality=0.85)
    strict = last(HALF, STRATEGY, **PLAIN, quality=0.97)

    assert Verdict.FAIL is guardrail(strict, "quality").verdict
    assert Verdict.FAIL is not guardrail(little, "quality").verdict
    assert Verdict.FAIL is guardrail(much, "quality").verdict


def minutes(n: int = 12, **world: float) -> tuple[list, list]:
    """Minutes of both arms at 50 %, and the rows of before."""
    made = World(**{**PLAIN, **world})
    before = rows(simulate(made, np.zeros(30, dtype=np.int64), 99))
    return (
        rows(simulate(made, np.full(n, 5_000), 7)),
        [row for stable, _ in before for row in stable],
    )


def observed(
    found: list[tuple[list[EnrichedWindow], list[EnrichedWindow]]],
    past: list[EnrichedWindow],
    start: Evidence | None = None,
    share: int = 5_000,
) -> Evidence:
    evidence = start or fresh_evidence()
    cut = reference(past)
    for seed, (stable, candidate) in enumerate(found):
        evidence = observe(evidence, stable, candidate, share, cut, seed)
    return evidence


def test_evidence_that_was_written_down_goes_on_as_if_it_had_not_been() -> None:
    found, past = minutes()
    half = observed(found[:6], past)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(half), type=Evidence)

    assert half == again
    assert observed(found[6:], past, half) == observed(found[6:], past, again)
    assert len(msgspec.msgpack.encode(half)) < 16_000


def test_rows_of_several_keys_are_one_arm() -> None:
    found, past = minutes(3)
    merged = [(stable + candidate, candidate) for stable, candidate in found]
    swapped = [(candidate + stable, candidate) for stable, candidate in found]
    a, b = observed(merged, past), observed(swapped, past)
    requests = sum(r.window.requests for stable, candidate in found for r in stable + candidate)

    assert requests == a.stable_requests
    assert a == b


def test_without_evidence_every_guardrail_says_what_is_missing() -> None:
    judgement = judge(Strategy(name="s", steps=()), fresh_evidence())

    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert (False, False) == (judgement.ready, judgement.sampled)
    assert [
        "No requests from the candidate yet.",
        "No latencies from the candidate yet.",
        "No quality scores from the candidate yet.",
        "No costs from the candidate yet.",
    ] == [g.sentence for g in judgement.guardrails]


def test_a_metric_that_is_not_required_holds_nothing_up() -> None:
    unscored = {**PLAIN, "scored": 0.0, "dearer": 0.5, "slower": 0.9}
    without = replace(STRATEGY, required=("errors", "latency", "cost"))
    held = last(HALF, STRATEGY, **unscored)
    ready = last(HALF, without, **unscored)

    assert (Verdict.INCONCLUSIVE, False) == (held.verdict, held.ready)
    assert (Verdict.PASS, True) == (ready.verdict, ready.ready)
    assert "No quality scores from the candidate yet." == guardrail(ready, "quality").sentence


def test_a_candidate_that_goes_silent_is_held() -> None:
    found, past = minutes(45, dearer=0.5)
    served = observed(found, past)
    silent = observed([(stable, []) for stable, _ in found[:3]], past, served)

    assert judge(STRATEGY, served).sampled
    assert not judge(STRATEGY, silent).sampled
    assert Verdict.INCONCLUSIVE is judge(STRATEGY, silent).verdict
    assert judge(STRATEGY, silent).doubt.startswith("The candidate has not been heard of for 3 min")


def test_scores_of_different_minutes_compare_nothing_and_nothing_climbs() -> None:
    found, past = minutes(6)
    apart = [
        (stable if i % 2 else unscored(stable), unscored(candidate) if i % 2 else candidate)
        for i, (stable, candidate) in enumerate(found)
    ]
    alike = [arms if i % 2 else tuple(map(unscored, arms)) for i, arms in enumerate(found)]
    held, enough = (judge(STRATEGY, observed(pairs, past)) for pairs in (apart, alike))

    assert (False, True) == (held.sampled, enough.sampled)
    assert guardrail(held, "quality").sentence.endswith(
        ": 0 of 100 quality scores could be compared so far."
    )


def unscored(arm: list[EnrichedWindow]) -> list[EnrichedWindow]:
    """The rows of an arm without their quality."""
    return [
        replace(
            row,
            window=replace(
                row.window,
                metrics={k: v for k, v in row.window.metrics.items() if k != "quality"},
            ),
        )
        for row in arm
    ]


@pytest.mark.parametrize("metric", ["errors", "latency", "quality", "cost"])
def test_every_required_guardrail_must_have_compared_enough(metric: str) -> None:
    found, past = minutes(3)
    alone = [([], candidate) for _, candidate in found]
    strategy = replace(STRATEGY, required=(metric,))
    few = judge(replace(strategy, min_samples=150), observed([*alone, found[0]], past))
    many = judge(replace(strategy, min_samples=150), observed(found, past))

    assert (False, True) == (few.sampled, many.sampled)


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ((), "Strategy 'balanced' requires no guardrail, so that nothing can pass"),
        (("foo",), "Strategy 'balanced' requires 'foo', which no guardrail measures"),
        (("errors", "foo"), "Strategy 'balanced' requires 'foo', which no guardrail measures"),
    ],
)
def test_a_missing_check_is_inconclusive_and_nothing_climbs(
    required: tuple[str, ...], said: str
) -> None:
    strategy = replace(STRATEGY, required=required)
    judgement = last(HALF, strategy, **PLAIN, dearer=0.5, slower=0.9)

    assert judgement.doubt.startswith(said)
    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert not judgement.sampled
    assert not judgement.ready


def test_a_unit_that_fails_every_minute_is_one_event() -> None:
    found, past = minutes(30)
    row = found[0][1][0]
    stuck = [replace(row, window=replace(row.window, errors=3, error_units=(17,)))]
    clean = [replace(r, window=replace(r.window, errors=0, error_units=())) for r in found[0][0]]
    evidence = observed([(clean, stuck)] * 30, past)

    assert ((5_000, 1, 0),) == evidence.errors.tallies


def test_a_unit_counts_again_after_an_hour_and_at_the_share_then_in_force() -> None:
    found, past = minutes(1)
    row = found[0][1][0]
    stuck = [replace(row, window=replace(row.window, errors=3, error_units=(17, 18)))]
    evidence = observed([([], stuck)] * 40, past, share=500)
    evidence = observed([([], stuck)] * 40, past, evidence, share=2_500)

    assert ((500, 2, 0), (2_500, 2, 0)) == evidence.errors.tallies


def test_errors_without_units_are_compared_by_request() -> None:
    found, past = minutes(40, candidate_errors=0.3)
    blind = [
        tuple([replace(r, window=replace(r.window, error_units=())) for r in arm] for arm in pair)
        for pair in found
    ]
    judgement = judge(STRATEGY, observed(blind, past))

    assert () == observed(blind, past).errors.tallies
    assert Verdict.FAIL is guardrail(judgement, "errors").verdict


def test_costs_that_were_priced_from_tokens_are_judged_too() -> None:
    found, past = minutes(30, dearer=1.6)
    price = Price(input_per_mtok=2.5, output_per_mtok=10.0, cached_per_mtok=None, source="t")

    def priced(row: EnrichedWindow) -> EnrichedWindow:
        cost = row.window.metrics["cost_usd"]
        tokens = replace(cost, mean=cost.mean * 4e5, stddev=cost.stddev * 4e5)
        metrics = {"latency_ms": row.window.metrics["latency_ms"], "tokens_input": tokens}
        return replace(
            row,
            window=replace(row.window, metrics=metrics),
            cost_usd=cost.sum,
            price=price,
        )

    priced_minutes = [tuple([priced(r) for r in arm] for arm in pair) for pair in found]
    judgement = judge(STRATEGY, observed(priced_minutes, [priced(r) for r in past]))

    assert Verdict.FAIL is guardrail(judgement, "cost").verdict


def test_a_candidate_that_is_dearer_in_the_middle_but_cheaper_on_average_stays() -> None:
    found, past = minutes(60)
    rng = np.random.default_rng(1)

    def costs(n: int, *, candidate: bool) -> np.ndarray:
        spread = 0.1 if candidate else 1.2
        return np.exp(rng.normal(-6.0 + 0.2 * candidate, spread, n))

    def with_costs(row: EnrichedWindow, *, candidate: bool) -> EnrichedWindow:
        n = row.window.requests
        values = costs(n, candidate=candidate)
        known = summary(values, 10**9)
        return replace(
            row, window=replace(row.window, metrics={**row.window.metrics, "cost_usd": known})
        )

    mixed = [
        (
            [with_costs(r, candidate=False) for r in stable],
            [with_costs(r, candidate=True) for r in candidate],
        )
        for stable, candidate in found
    ]
    before = [with_costs(r, candidate=False) for r in past]

    assert Verdict.FAIL is not guardrail(judge(STRATEGY, observed(mixed, before)), "cost").verdict


def test_without_a_concurrent_stable_arm_nothing_is_compared() -> None:
    found, past = minutes(5, candidate_errors=0.5)
    alone = [
        ([], [replace(r, window=replace(r.window, error_units=())) for r in candidate])
        for _, candidate in found
    ]
    judgement = judge(STRATEGY, observed(alone, past))

    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert {
        f"No {data} from the stable config to compare with."
        for data in ("requests", "latencies", "quality scores", "costs")
    } == {g.sentence for g in judgement.guardrails}


def test_costs_that_nobody_knows_are_said_to_be_missing() -> None:
    found, past = minutes(5)
    unknown = [
        tuple([replace(r, window=replace(r.window, metrics={})) for r in arm] for arm in pair)
        for pair in found
    ]
    judgement = judge(STRATEGY, observed(unknown, past))

    assert Verdict.INCONCLUSIVE is guardrail(judgement, "cost").verdict
    assert "No costs from the candidate yet." == guardrail(judgement, "cost").sentence


def test_a_share_that_cannot_be_is_refused() -> None:
    found, past = minutes(1)

    with pytest.raises(ValueError, match="within 0 to 10000"):
        observe(fresh_evidence(), *found[0], 10_001, reference(past), 1)


def test_a_metric_of_which_the_past_says_nothing_is_inconclusive() -> None:
    found, _ = minutes(20, slower=3.0)
    judgement = judge(STRATEGY, observed(found, []))

    assert Verdict.INCONCLUSIVE is guardrail(judgement, "latency").verdict
    assert 0.0 == guardrail(judgement, "latency").log_e
    assert guardrail(judgement, "latency").sentence.endswith(
        "0 of 100 latencies could be compared so far."
    )


def test_the_limit_shares_the_level_among_the_guardrails() -> None:
    judgement = judge(replace(STRATEGY, alpha=0.08), fresh_evidence())
    levels = [math.exp(-g.limit) for g in judgement.guardrails]

    assert pytest.approx([0.052, 0.0032, 0.0064, 0.016]) == levels
    assert pytest.approx(0.97 * 0.08) == sum(levels)

"""Calibration and power of the verdicts, request by request through observe and judge."""

import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
from scipy import stats

from processors.actuate.evidence import Evidence, fresh_evidence, observe, reference
from processors.actuate.judge import Judgement, judge
from schemas.catalog import Strategy
from schemas.rollout import Guardrail, Verdict
from schemas.window import EnrichedWindow, Price

HALF = np.full(60, 5_000)
MINUTE_OF_REQUESTS = 100  # per arm: a verdict comes at the end of a minute
PLAIN = {"per_hour": 12_000.0, "session": 1.0, "bursts": 0.1}


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """bench/verdicts.py, whose simulated traffic this is."""
    path = Path(__file__).parents[3] / "bench" / "verdicts.py"
    spec = importlib.util.spec_from_file_location("verdicts", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["verdicts"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def last(bench: ModuleType, shares: np.ndarray, strategy: Strategy, **world: float) -> Judgement:
    """The judgement after all minutes."""
    judgements = [j for _, _, j in bench.looks(bench.World(**world), shares, 1, strategy)]
    return judgements[-1]


def guardrail(judgement: Judgement, metric: str) -> Guardrail:
    return next(g for g in judgement.guardrails if g.metric == metric)


@pytest.mark.parametrize("per_hour", [300.0, 3_000.0, 20_000.0])
def test_identical_candidates_are_rarely_taken_back_however_often_one_looks(
    bench: ModuleType, per_hour: float
) -> None:
    world, rollouts = bench.World(per_hour=per_hour), 8
    wrong = sum(bench.failed(world, bench.ladder(250), s) is not None for s in range(rollouts))

    assert stats.binomtest(wrong, rollouts, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(
    ("metric", "harm", "bar"),
    [
        ("latency", {"slower": 1.2}, 400),
        ("quality", {"quality": 0.95}, 600),
    ],
)
def test_harm_is_found_in_good_time(
    bench: ModuleType, metric: str, harm: dict[str, float], bar: int
) -> None:
    median = bench.reach(bench.World(**PLAIN, **harm), metric, range(15))

    assert median <= bar + MINUTE_OF_REQUESTS


def test_a_cost_rise_on_real_tokens_is_found_within_600_requests(bench: ModuleType) -> None:
    median = bench.reach(bench.World(**PLAIN, **bench.real(), dearer=1.15), "cost", range(15))

    assert median <= 600


def test_a_failing_candidate_at_one_percent_costs_few_requests(bench: ModuleType) -> None:
    assert bench.bad_requests(bench.World(), range(5)) <= 100


def test_a_better_and_cheaper_candidate_is_ready_and_nothing_fails(bench: ModuleType) -> None:
    judgement = last(bench, HALF, bench.STRATEGY, **PLAIN, dearer=0.5, slower=0.9)

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
def test_a_candidate_at_its_margin_is_not_ready(
    bench: ModuleType, metric: str, harm: dict[str, float]
) -> None:
    for seed in range(3):
        world = bench.World(**PLAIN, **harm)
        ready = [
            next(g for g in j.guardrails if g.metric == metric).verdict is Verdict.PASS
            for _, _, j in bench.looks(world, HALF, seed)
        ]

        assert not any(ready)


def test_harm_within_the_tolerance_is_not_taken_back_and_beyond_it_is(bench: ModuleType) -> None:
    tolerant = replace(bench.STRATEGY, tolerance=0.5)  # 5 % of quality
    little = last(bench, HALF, tolerant, **PLAIN, quality=0.97)
    much = last(bench, HALF, tolerant, **PLAIN, quality=0.85)
    strict = last(bench, HALF, bench.STRATEGY, **PLAIN, quality=0.97)

    assert Verdict.FAIL is guardrail(strict, "quality").verdict
    assert Verdict.FAIL is not guardrail(little, "quality").verdict
    assert Verdict.FAIL is guardrail(much, "quality").verdict


def minutes(bench: ModuleType, n: int = 12, **world: float) -> tuple[list, list]:
    """Minutes of both arms at 50 %, and the rows of before."""
    made = bench.World(**{**PLAIN, **world})
    before = bench.windows(bench.simulate(made, np.zeros(30, dtype=np.int64), 99), 30)
    return (
        bench.windows(bench.simulate(made, np.full(n, 5_000), 7), n),
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


def test_evidence_that_was_written_down_goes_on_as_if_it_had_not_been(bench: ModuleType) -> None:
    found, past = minutes(bench)
    half = observed(found[:6], past)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(half), type=Evidence)

    assert half == again
    assert observed(found[6:], past, half) == observed(found[6:], past, again)
    assert len(msgspec.msgpack.encode(half)) < 16_000


def test_rows_of_several_keys_are_one_arm(bench: ModuleType) -> None:
    found, past = minutes(bench, 3)
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


def test_a_metric_that_is_not_required_holds_nothing_up(bench: ModuleType) -> None:
    unscored = {**PLAIN, "scored": 0.0, "dearer": 0.5}
    without = replace(bench.STRATEGY, required=("errors", "latency", "cost"))
    held = last(bench, HALF, bench.STRATEGY, **unscored)
    ready = last(bench, HALF, without, **unscored)

    assert (Verdict.INCONCLUSIVE, False) == (held.verdict, held.ready)
    assert (Verdict.PASS, True) == (ready.verdict, ready.ready)
    assert "No quality scores from the candidate yet." == guardrail(ready, "quality").sentence


def test_a_candidate_that_goes_silent_is_held(bench: ModuleType) -> None:
    found, past = minutes(bench, 45, dearer=0.5)
    served = observed(found, past)
    silent = observed([(stable, []) for stable, _ in found[:3]], past, served)

    assert judge(bench.STRATEGY, served).sampled
    assert not judge(bench.STRATEGY, silent).sampled
    assert Verdict.INCONCLUSIVE is judge(bench.STRATEGY, silent).verdict


@pytest.mark.parametrize("required", [(), ("foo",)])
def test_where_nothing_required_is_compared_nothing_climbs(
    bench: ModuleType, required: tuple[str, ...]
) -> None:
    strategy = replace(bench.STRATEGY, required=required)
    judgement = last(bench, HALF, strategy, **PLAIN, dearer=0.5, slower=0.9)

    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert not judgement.sampled
    assert not judgement.ready


def test_a_unit_that_fails_every_minute_is_one_event(bench: ModuleType) -> None:
    found, past = minutes(bench, 30)
    row = found[0][1][0]
    stuck = [replace(row, window=replace(row.window, errors=3, error_units=(17,)))]
    clean = [replace(r, window=replace(r.window, errors=0, error_units=())) for r in found[0][0]]
    evidence = observed([(clean, stuck)] * 30, past)

    assert ((5_000, 1, 0),) == evidence.errors.tallies


def test_a_unit_counts_again_after_an_hour_and_at_the_share_then_in_force(
    bench: ModuleType,
) -> None:
    found, past = minutes(bench, 1)
    row = found[0][1][0]
    stuck = [replace(row, window=replace(row.window, errors=3, error_units=(17, 18)))]
    evidence = observed([([], stuck)] * 40, past, share=500)
    evidence = observed([([], stuck)] * 40, past, evidence, share=2_500)

    assert ((500, 2, 0), (2_500, 2, 0)) == evidence.errors.tallies


def test_errors_without_units_are_compared_by_request(bench: ModuleType) -> None:
    found, past = minutes(bench, 40, candidate_errors=0.3)
    blind = [
        tuple([replace(r, window=replace(r.window, error_units=())) for r in arm] for arm in pair)
        for pair in found
    ]
    judgement = judge(bench.STRATEGY, observed(blind, past))

    assert () == observed(blind, past).errors.tallies
    assert Verdict.FAIL is guardrail(judgement, "errors").verdict


def test_costs_that_were_priced_from_tokens_are_judged_too(bench: ModuleType) -> None:
    found, past = minutes(bench, 30, dearer=1.6)
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
    judgement = judge(bench.STRATEGY, observed(priced_minutes, [priced(r) for r in past]))

    assert Verdict.FAIL is guardrail(judgement, "cost").verdict


def test_a_candidate_that_is_dearer_in_the_middle_but_cheaper_on_average_stays(
    bench: ModuleType,
) -> None:
    found, past = minutes(bench, 60)
    rng = np.random.default_rng(1)

    def costs(n: int, *, candidate: bool) -> np.ndarray:
        spread = 0.1 if candidate else 1.2
        return np.exp(rng.normal(-6.0 + 0.2 * candidate, spread, n))

    def with_costs(row: EnrichedWindow, *, candidate: bool) -> EnrichedWindow:
        n = row.window.requests
        values = costs(n, candidate=candidate)
        summary = bench._summaries(np.zeros(n, dtype=np.int64), values, 10**9, 1)[0]
        return replace(
            row, window=replace(row.window, metrics={**row.window.metrics, "cost_usd": summary})
        )

    mixed = [
        (
            [with_costs(r, candidate=False) for r in stable],
            [with_costs(r, candidate=True) for r in candidate],
        )
        for stable, candidate in found
    ]
    before = [with_costs(r, candidate=False) for r in past]

    assert (
        Verdict.FAIL
        is not guardrail(judge(bench.STRATEGY, observed(mixed, before)), "cost").verdict
    )


def test_without_a_concurrent_stable_arm_nothing_is_compared(bench: ModuleType) -> None:
    found, past = minutes(bench, 5, candidate_errors=0.5)
    alone = [
        ([], [replace(r, window=replace(r.window, error_units=())) for r in candidate])
        for _, candidate in found
    ]
    judgement = judge(bench.STRATEGY, observed(alone, past))

    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert {
        f"No {data} from the stable config to compare with."
        for data in ("requests", "latencies", "quality scores", "costs")
    } == {g.sentence for g in judgement.guardrails}


def test_costs_that_nobody_knows_are_said_to_be_missing(bench: ModuleType) -> None:
    found, past = minutes(bench, 5)
    unknown = [
        tuple([replace(r, window=replace(r.window, metrics={})) for r in arm] for arm in pair)
        for pair in found
    ]
    judgement = judge(bench.STRATEGY, observed(unknown, past))

    assert Verdict.INCONCLUSIVE is guardrail(judgement, "cost").verdict
    assert "No costs from the candidate yet." == guardrail(judgement, "cost").sentence


def test_a_share_that_cannot_be_is_refused(bench: ModuleType) -> None:
    found, past = minutes(bench, 1)

    with pytest.raises(ValueError, match="within 0 to 10000"):
        observe(fresh_evidence(), *found[0], 10_001, reference(past), 1)


def test_a_metric_of_which_the_past_says_nothing_is_inconclusive(bench: ModuleType) -> None:
    found, _ = minutes(bench, 20, slower=3.0)
    judgement = judge(bench.STRATEGY, observed(found, []))

    assert Verdict.INCONCLUSIVE is guardrail(judgement, "latency").verdict
    assert 0.0 == guardrail(judgement, "latency").log_e
    assert guardrail(judgement, "latency").sentence.endswith("how much worse it may be.")


def test_the_limit_shares_the_level_among_the_guardrails(bench: ModuleType) -> None:
    judgement = judge(replace(bench.STRATEGY, alpha=0.08), fresh_evidence())

    assert pytest.approx([math.log(50)] * 4) == [g.limit for g in judgement.guardrails]


def test_the_bench_prints_one_json_line_last(
    bench: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["verdicts", "--rollouts", "1", "--minutes", "5"])
    monkeypatch.setattr(bench, "powers", lambda *_: {})
    monkeypatch.setattr(bench, "bad_requests", lambda *_: 0.0)
    bench.main()
    line = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert ("verdicts", 1, 5) == (line["bench"], line["rollouts"], line["minutes"])

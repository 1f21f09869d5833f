from collections import defaultdict
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from processors.predict.explain import LEAST, risks
from processors.predict.forecast import Expected, Forecast
from processors.predict.foresee import Foreseen, expected, foresee
from processors.predict.history import Memory, Outcome, PredictPolicy, Proposal
from processors.predict.learn import learn
from processors.predict.propose import improvement, propose
from processors.predict.scales import SCALES
from processors.predict.similar import Guess
from processors.predict.whatif import Traffic, whatif
from tests.processors.predict.world import DAY, outcomes, proposal, setting

POLICY = PredictPolicy()
NOW = {"cost_per_request_usd": 0.01, "quality": 80.0, "p95_latency_ms": 900.0, "error_rate": 0.02}


def after(count: int, seed: int = 1) -> Memory:
    """The memory of so many outcomes."""
    return reduce(lambda memory, each: learn(POLICY, memory, each), outcomes(seed, count), Memory())


def told(memory: Memory, change: Proposal) -> Forecast:
    return propose(POLICY, memory, change, seed=1)


@pytest.fixture(scope="module")
def known() -> Memory:
    return after(40)


def test_before_any_outcome_costs_follow_the_price_and_the_rest_stays() -> None:
    found = told(Memory(), proposal(0, 1, **NOW))
    cost, quality = found.metrics["cost_per_request_usd"], found.metrics["quality"]

    assert pytest.approx(0.015, rel=0.02) == cost.predicted
    assert cost.low < 0.015 < cost.high < 0.02
    assert (80.0, {"unchanged": 1.0}) == (quality.predicted, quality.shares)
    assert 0.0 == quality.confidence == found.confidence
    assert any("No change was made yet" in each for each in found.assumptions)


def test_it_is_the_same_each_time(known: Memory) -> None:
    change = proposal(0, 3, at=40 * DAY, **NOW)

    assert told(known, change) == told(known, change)


def test_what_is_learned_is_learned_again_from_a_copy(known: Memory) -> None:
    """A memory is a value: learning leaves the old one as it was."""
    before = replace(known)
    last = next(outcomes(2, 1))
    once, twice = learn(POLICY, known, last), learn(POLICY, known, last)

    assert (before, once) == (known, twice)
    assert 41 == len(once.outcomes)


def test_a_metric_without_a_level_is_not_predicted_and_that_is_said() -> None:
    found = told(Memory(), proposal(quality=80.0))

    assert {"quality"} == found.metrics.keys()
    assert (
        "Of cost per request, error rate and p95 latency there is no level now."
        in found.assumptions
    )


def test_of_nothing_nothing_is_predicted() -> None:
    found = told(Memory(), proposal())

    assert ({}, 0.0, 0.0, ()) == (found.metrics, found.confidence, found.improvement, found.risks)


def test_a_metric_without_a_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="'joy'"):
        foresee(POLICY, Memory(), proposal(), "joy")


def test_a_price_that_is_not_known_is_said_and_not_used() -> None:
    change = replace(proposal(**NOW), after=replace(setting(1), cost=None))
    found = told(Memory(), change)

    assert "price" not in found.metrics["cost_per_request_usd"].shares
    assert "A price is not known, and is taken for unchanged." in found.assumptions


def test_outcomes_make_it_more_certain_and_say_why(known: Memory) -> None:
    last = known.outcomes[-1].proposal
    change = Proposal(
        scope=last.scope,
        at=40 * DAY,
        before=last.after,
        after=last.before,
        current=known.outcomes[-1].reached,
    )
    found, blank = told(known, change), told(Memory(), change)

    assert found.confidence > 0.5 > blank.confidence
    assert 3 == len(found.factors) == len(found.similar)
    assert found.factors[0].startswith("By past changes, ")
    assert " days before: cost per request " in found.similar[0]
    assert {"unchanged", "similar", "regression", "matrix"} == found.metrics[
        "quality"
    ].shares.keys()


def test_a_change_like_no_other_is_said_to_be() -> None:
    memory = after(3)
    far = proposal(0, 1, at=4 * DAY, **NOW)
    config = replace(far.after.config, temperature=9.0, provider="other", model="new")
    found = told(memory, replace(far, scope="new", after=replace(far.after, config=config)))

    assert any("No past change is like this one" in each for each in found.assumptions)
    assert () == found.similar


def test_a_change_that_changes_nothing_has_no_factors(known: Memory) -> None:
    assert () == told(known, proposal(2, 2, at=40 * DAY, **NOW)).factors


def test_an_outcome_without_measurements_teaches_nothing_but_is_kept() -> None:
    empty = Outcome(proposal=proposal(), reached={})
    unknown = Outcome(proposal=proposal(), reached=next(outcomes(1, 1)).reached)
    memory = learn(POLICY, learn(POLICY, Memory(), empty), unknown)

    assert (2, {}, {}) == (len(memory.outcomes), memory.tallies, memory.scores)
    assert any("nothing was measured" in each for each in told(memory, proposal()).similar)


def test_memory_has_bounds() -> None:
    policy = PredictPolicy(kept=10, scored=5, compared=4)
    memory = reduce(lambda m, each: learn(policy, m, each), outcomes(1, 15), Memory())

    assert 10 == len(memory.outcomes)
    assert {5} == {len(each) for each in memory.scores.values()}


@pytest.mark.parametrize("metric", SCALES)
def test_ranges_hold_nine_of_ten_outcomes_and_errors_are_near_the_best_methods(
    metric: str,
) -> None:
    """Of the forty outcomes after the first twenty, in three worlds."""
    held: list[bool] = []
    errors: dict[str, list[float]] = defaultdict(list)
    scale = SCALES[metric]
    for seed in range(3):
        memory = Memory()
        for number, whole in enumerate(outcomes(seed, 60)):
            only = replace(
                whole,
                proposal=replace(whole.proposal, current={metric: whole.proposal.current[metric]}),
                reached={metric: whole.reached[metric]},
            )
            if number >= 20:
                seen = foresee(POLICY, memory, only.proposal, metric)
                assert isinstance(seen, Foreseen)
                told_ = expected(POLICY, memory, only.proposal, metric, seen)
                value = only.reached[metric].value
                held.append(told_.low <= value <= told_.high)
                for method, guess in {**seen.guesses, "": seen.together}.items():
                    errors[method].append(abs(guess.mean - scale.forward(value)))
            memory = learn(POLICY, memory, only)
    mean = {method: np.mean(each) for method, each in errors.items()}

    assert 0.85 < np.mean(held) < 0.98
    assert mean.pop("") < min(1.5 * min(mean.values()), 0.5 * mean["unchanged"])


def test_improvement_is_a_share_of_the_larger_value() -> None:
    def metric(current: float, predicted: float) -> Expected:
        return Expected(
            current=current, predicted=predicted, low=0.0, high=0.0, confidence=0.0, shares={}
        )

    gains = [
        improvement({"cost_per_request_usd": 1.0}, {"cost_per_request_usd": metric(*pair)})
        for pair in ((2.0, 1.0), (1.0, 2.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
    ]

    assert [0.5, -0.5, 1.0, -1.0, 0.0] == gains
    assert 0.25 == improvement({"quality": 1.0}, {"quality": metric(60.0, 80.0)})
    assert 0.0 == improvement({}, {"quality": metric(60.0, 80.0)})


def test_probabilities_of_a_what_if_are_those_of_the_guesses() -> None:
    guesses = {
        "quality": Guess(72.0, 5.0),
        "cost_per_request_usd": Guess(np.log(0.01), 0.2),
        "error_rate": Guess(0.1, 0.01),
    }
    found = whatif(
        {"quality": 80.0, "cost_per_request_usd": 0.01, "error_rate": 0.02},
        guesses,
        Traffic(1000.0),
        {"quality": 72.0, "daily_usd": 240.0, "p95_latency_ms": 1.0},
        draws=40_000,
        seed=3,
    )

    # Φ(−log(1.05)/0.2), and one half at 90 % of 80 points
    assert {
        "cost_per_request_usd": pytest.approx(0.4036, abs=0.01),
        "quality": pytest.approx(0.5, abs=0.01),
        "error_rate": pytest.approx(0.0, abs=1e-3),
    } == found.worse
    assert pytest.approx({"quality": 0.5, "daily_usd": 0.5}, abs=0.01) == found.broken
    assert found.daily_usd == pytest.approx(
        tuple(240 * np.exp(0.2 * z) for z in (-1.645, 0.0, 1.645)), rel=0.01
    )


def test_the_same_seed_draws_the_same() -> None:
    def drawn(seed: int) -> object:
        return whatif(
            {"quality": 80.0}, {"quality": Guess(75.0, 5.0)}, Traffic(1.0), {}, draws=99, seed=seed
        )

    assert drawn(1) == drawn(1) != drawn(2)


def test_traffic_spreads_the_cost_of_a_day_and_nothing_else() -> None:
    def day(sigma: float) -> tuple[float, float, float]:
        found = whatif(
            {},
            {"cost_per_request_usd": Guess(0.0, 1e-9)},
            Traffic(1.0, sigma),
            {},
            draws=9_999,
            seed=1,
        )
        assert found.daily_usd is not None
        return found.daily_usd

    assert (24.0, 24.0, 24.0) == pytest.approx(day(0.0))
    assert day(0.5)[2] == pytest.approx(24 * np.exp(0.5 * 1.645), rel=0.05)


@pytest.mark.parametrize(
    ("draws", "limits", "words"), [(0, {}, "at least 1"), (9, {"joy": 1.0}, "'joy'")]
)
def test_a_what_if_that_asks_nothing_is_refused(
    draws: int, limits: dict[str, float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        whatif({}, {}, Traffic(1.0), limits, draws=draws, seed=1)


def test_risks_are_told_from_a_twentieth_on_the_most_probable_first() -> None:
    found = risks(
        {"quality": 0.3, "error_rate": 0.9, "p95_latency_ms": LEAST, "cost_per_request_usd": 0.01}
    )

    assert [("error_rate", "high"), ("quality", "medium"), ("p95_latency_ms", "low")] == [
        (risk.metric, risk.severity) for risk in found
    ]

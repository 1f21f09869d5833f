from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from processors.predict.calibrate import width
from processors.predict.combine import combine, shares
from processors.predict.features import FEATURES, features
from processors.predict.history import Level, Outcome, PredictPolicy, Tally
from processors.predict.matrix import matrix
from processors.predict.regress import RIDGES, SHAPE, regress
from processors.predict.scales import SCALES
from processors.predict.similar import Guess, likeness, recency, similar
from tests.processors.predict.world import DAY, outcomes, proposal

POLICY = PredictPolicy()
SPREAD = 0.5


@pytest.mark.parametrize("metric", SCALES)
@pytest.mark.parametrize("value", [0.0004, 0.2, 0.97])
def test_a_value_comes_back_from_its_scale_and_its_error_with_it(metric: str, value: float) -> None:
    scale = SCALES[metric]
    step = 1e-7
    rise = scale.forward(value + step) - scale.forward(value - step)

    assert value == pytest.approx(scale.back(scale.forward(value)))
    assert rise / (2 * step) == pytest.approx(scale.on(Level(value, 1.0)).error, rel=1e-5)


@pytest.mark.parametrize(
    ("metric", "beyond", "value"),
    [
        ("quality", 120.0, 100.0),
        ("quality", -3.0, 0.0),
        ("error_rate", 9.0, 1.0),
        ("error_rate", -0.2, 0.0),
    ],
)
def test_nothing_is_predicted_that_cannot_be(metric: str, beyond: float, value: float) -> None:
    assert value == SCALES[metric].back(beyond)


def test_rates_and_costs_of_nothing_have_a_place_on_the_scale() -> None:
    assert all(np.isfinite(SCALES[metric].on(Level(0.0, 1e-3))).all() for metric in SCALES)


@pytest.mark.parametrize(
    "level", [Level(float("nan"), 1.0), Level(1.0, float("inf")), Level(1.0, -0.1)]
)
def test_a_level_that_is_no_number_is_refused(level: Level) -> None:
    with pytest.raises(ValueError, match="a finite number with an error"):
        SCALES["quality"].on(level)


def test_a_change_is_told_by_what_is_different() -> None:
    change = proposal(0, 1)
    told = dict(zip(FEATURES, features(change).tolist(), strict=True))
    expected = dict.fromkeys(FEATURES, 0.0)

    assert (
        expected
        | {
            "price": pytest.approx(np.log(1.5)),
            "another model": 1.0,
            "another provider": 1.0,
        }
        == told
    )
    assert not features(proposal(2, 2)).any()


def test_an_outcome_weighs_half_after_its_half_life() -> None:
    past = list(outcomes(1, 61))

    assert [0.25, 0.5, 1.0] == pytest.approx(recency(POLICY, past, 60 * DAY)[[0, 30, 60]].tolist())


def test_the_same_change_in_the_same_scope_is_most_alike() -> None:
    past = list(outcomes(1, 40))
    near = likeness(past, past[7].proposal)

    assert 1.0 == near[7]
    assert near.max() == 1.0
    assert all(
        near[n] < 1.0
        for n, each in enumerate(past)
        if (each.proposal.scope, each.proposal.before, each.proposal.after)
        != (past[7].proposal.scope, past[7].proposal.before, past[7].proposal.after)
    )
    assert 0 == likeness([], past[7].proposal).size


def test_far_from_all_that_was_tried_nothing_changes_give_or_take_the_spread() -> None:
    guess = similar(np.full(5, 1e-12), np.full(5, 3.0), SPREAD)

    assert pytest.approx(0.0, abs=1e-6) == guess.mean
    assert pytest.approx(SPREAD * np.sqrt(2)) == guess.sd


def test_what_happened_often_alike_is_expected_again() -> None:
    guess = similar(np.ones(400), np.full(400, 0.7), SPREAD)

    assert pytest.approx(0.7, abs=0.01) == guess.mean
    assert guess.sd < 0.1


def test_a_regression_is_conditioning_in_a_joint_student_distribution() -> None:
    """All changes, past and next, are multivariate Student for each ridge (scipy's density)."""
    rng = np.random.default_rng(1)
    x, weights = rng.normal(size=(12, 3)), rng.uniform(0.2, 1, 12)
    y, new = rng.normal(size=12), rng.normal(size=3)
    found = regress(x, y, weights, SPREAD)
    joint = np.vstack([x, new])
    noise = np.diag(1 / np.append(weights, 1.0))
    densities, means, variances = [], [], []
    for ridge in RIDGES:
        whole = joint @ joint.T / ridge + noise
        inner = whole[:12, :12]
        densities.append(stats.multivariate_t.logpdf(y, shape=SPREAD**2 * inner, df=2 * SHAPE))
        gain = whole[12, :12] @ np.linalg.inv(inner)
        means.append(gain @ y)
        # of a conditional Student distribution, with n more degrees of freedom
        squares = 2 * SHAPE * SPREAD**2 + y @ np.linalg.inv(inner) @ y
        scale2 = squares / (2 * SHAPE + 12) * (whole[12, 12] - gain @ whole[:12, 12])
        variances.append(scale2 * (2 * SHAPE + 12) / (2 * SHAPE + 10))
    odds = np.exp(np.array(densities) - max(densities))
    odds /= odds.sum()
    mean = odds @ means
    guess = found.guess(new)

    np.testing.assert_allclose(odds, found.weights)
    assert mean == pytest.approx(guess.mean)
    assert odds @ (variances + (np.array(means) - mean) ** 2) == pytest.approx(guess.sd**2)


def test_without_changes_a_regression_knows_the_spread_only() -> None:
    guess = regress(np.empty((0, 2)), np.empty(0), np.empty(0), SPREAD).guess(np.zeros(2))

    assert (0.0, pytest.approx(SPREAD * np.sqrt(2))) == guess


def test_a_better_record_weighs_more_and_shares_are_one_in_all() -> None:
    guesses = {name: Guess(0.0, 1.0) for name in ("good", "bad", "new")}
    found = shares(guesses, {"good": Tally(50.0, 5.0), "bad": Tally(50.0, 200.0)})

    assert pytest.approx(1.0) == sum(found.values())
    assert found["good"] > found["new"] > found["bad"]


def test_methods_that_disagree_widen_what_they_say_together() -> None:
    parts = {"a": 0.25, "b": 0.75}
    guesses = {"a": Guess(0.0, 1.0), "b": Guess(4.0, 2.0)}
    draws = np.concatenate(
        [
            np.random.default_rng(n).normal(*guess, size=round(parts[name] * 400_000))
            for n, (name, guess) in enumerate(guesses.items())
        ]
    )

    assert (draws.mean(), draws.std()) == pytest.approx(combine(guesses, parts), rel=0.01)


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize("wrong", [0.3, 1.0, 4.0])
def test_a_range_holds_at_its_level_however_wrong_the_deviations_are(
    wrong: float, level: float
) -> None:
    held = []
    for seed in range(2_000):
        scores = abs(wrong * np.random.default_rng(seed).standard_t(4, size=51))
        held.append(scores[50] <= width(scores[:50].tolist(), level))

    assert level - 0.02 < np.mean(held) < level + 0.04


def test_ranges_begin_as_normal_ones_and_are_unbounded_where_nothing_can_be_said() -> None:
    assert stats.norm.ppf(0.9) == pytest.approx(width((), 0.8))
    assert np.inf == width((1.0,) * 30, 0.99)


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        width((), level)


def test_the_matrix_knows_a_model_by_other_scopes() -> None:
    """Model 3 in the first scope, which never had it: within four errors of the truth there."""
    past = list(outcomes(5, 80, noise=0.0))
    had = [
        each
        for each in past
        if "s0" != each.proposal.scope or "m3" != each.proposal.after.config.model
    ]
    truth = [
        SCALES["quality"].on(each.reached["quality"]).value
        for each in past
        if "s0" == each.proposal.scope and "m3" == each.proposal.after.config.model
    ]
    now = next(each for each in reversed(had) if each.proposal.scope == "s0")
    change = proposal(0, 3, at=80 * DAY)
    asked = now.proposal.__class__(
        scope="s0",
        at=80 * DAY,
        before=now.proposal.after,
        after=change.after,
        current=now.reached,
    )
    found = matrix(POLICY, had, asked, "quality", SCALES["quality"])

    assert found is not None
    assert truth
    assert found.sd < SCALES["quality"].spread
    assert abs(found.mean - np.mean(truth)) < 3 * found.sd


def test_of_two_stays_the_matrix_believes_the_newer_one() -> None:
    now = proposal(0, 1, at=10 * POLICY.half_life_ms, quality=50.0)
    past = [
        Outcome(proposal=replace(now, at=at), reached={"quality": Level(value, 4.0)})
        for at, value in ((0, 60.0), (now.at, 80.0))
    ]
    found = matrix(POLICY, past, now, "quality", SCALES["quality"])

    assert found is not None
    assert 75.0 < found.mean < 81.0


def test_without_a_level_now_the_matrix_says_nothing() -> None:
    assert matrix(POLICY, [], proposal(), "quality", SCALES["quality"]) is None

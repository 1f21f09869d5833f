from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from processors.analyze.change_points.bayesian import BayesianPolicy, RunLengths, update
from processors.analyze.change_points.cusum import Cusum, CusumPolicy, limit_of, run_length
from processors.analyze.change_points.page_hinkley import PageHinkley, PageHinkleyPolicy


def alarm_after(policy: CusumPolicy, shift: float, runs: int, seed: int) -> float:
    """The mean number of values until an alarm, of many runs at once."""
    rng = np.random.default_rng(seed)
    up, down, taken = np.zeros(runs), np.zeros(runs), np.zeros(runs)
    alive = np.ones(runs, dtype=bool)
    while alive.any():
        z = rng.normal(shift, 1.0, runs)
        up = np.maximum(0.0, up + z - policy.slack)
        down = np.maximum(0.0, down - z - policy.slack)
        taken += alive
        alive &= np.maximum(up, down) <= policy.limit
    return float(taken.mean())


@pytest.mark.parametrize(
    ("slack", "limit", "shift"),
    [(0.5, 4.0, 0.0), (0.5, 5.0, 0.0), (0.25, 8.0, 0.0), (0.5, 5.0, 1.0), (0.5, 5.0, -0.5)],
)
def test_alarms_come_after_as_many_values_as_siegmund_says(
    slack: float, limit: float, shift: float
) -> None:
    policy = CusumPolicy(slack=slack, limit=limit)
    simulated = alarm_after(policy, shift, runs=2_000, seed=1)

    assert pytest.approx(simulated, rel=0.08) == run_length(policy, shift)


def test_a_run_of_the_detector_is_the_one_that_is_simulated() -> None:
    policy = CusumPolicy(limit=3.0)
    drawn = np.random.default_rng(2).normal(size=3_000)
    taken = []
    state, n = Cusum(), 0
    for z in drawn:
        state, n = state.update(policy, float(z)), n + 1
        if state.moved(policy):
            taken.append(n)
            state, n = Cusum(), 0

    assert pytest.approx(alarm_after(policy, 0.0, 2_000, 3), rel=0.4) == np.mean(taken)


@pytest.mark.parametrize("values", [100.0, 5_000.0, 1e6])
def test_the_limit_is_the_one_of_the_run_length_asked_for(values: float) -> None:
    assert pytest.approx(values) == run_length(CusumPolicy(limit=limit_of(values)))


def test_no_limit_is_low_enough_for_an_alarm_at_every_value() -> None:
    with pytest.raises(ValueError, match="more than there can be"):
        limit_of(1.0)


def test_a_fall_is_told_from_a_rise_and_dated() -> None:
    policy, state = CusumPolicy(), Cusum()
    for z in [0.2, -0.2] * 20 + [-2.0] * 4:
        state = state.update(policy, z)

    assert (-1, 4) == (state.moved(policy), state.since(policy))
    assert 0 == Cusum().since(policy)


def until_alarm(policy: PageHinkleyPolicy, rng: np.random.Generator, *, runs: int) -> float:
    """The mean number of judged values until an alarm, learning anew in each run."""
    taken = []
    for _ in range(runs):
        state = PageHinkley()
        while not state.moved(policy):
            state = state.update(policy, float(rng.normal(5.0, 3.0)))
        taken.append(state.n - policy.learn)
    return float(np.mean(taken))


def test_a_mean_that_is_learnt_has_the_run_length_of_a_known_one() -> None:
    policy = PageHinkleyPolicy(sums=CusumPolicy(limit=3.0), learn=50)
    found = until_alarm(policy, np.random.default_rng(4), runs=250)

    assert pytest.approx(run_length(policy.sums), rel=0.2) == found


def test_a_mean_that_rises_is_found_soon() -> None:
    rng = np.random.default_rng(5)
    policy, state = PageHinkleyPolicy(), PageHinkley()
    drawn = np.concatenate((rng.normal(10, 2, 400), rng.normal(13, 2, 60)))
    alarms = []
    for i, x in enumerate(drawn):
        state = state.update(policy, float(x))
        if state.moved(policy):
            alarms.append(i)

    assert alarms[0] - 400 < 20
    assert 1 == state.moved(policy)
    assert abs(60 - state.since(policy)) < 12


@pytest.mark.parametrize("wrong", [{"slack": 0.0}, {"limit": -1.0}])
def test_sums_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        CusumPolicy(**wrong)


def test_next_to_nothing_is_not_learnt_from() -> None:
    with pytest.raises(ValueError, match="at least 10"):
        PageHinkleyPolicy(learn=3)


def evidence(policy: BayesianPolicy, values: np.ndarray) -> float:
    """Log marginal likelihood of a segment under the normal-inverse-gamma prior, in closed form."""
    n = values.size
    if n == 0:
        return 0.0
    k, mean = policy.strength + n, float(values.mean())
    a = policy.shape + n / 2
    b = policy.scale + 0.5 * float(((values - mean) ** 2).sum())
    b += 0.5 * policy.strength * n * (mean - policy.mean) ** 2 / k
    return float(
        special.gammaln(a)
        - special.gammaln(policy.shape)
        + policy.shape * math.log(policy.scale)
        - a * math.log(b)
        + 0.5 * math.log(policy.strength / k)
        - n / 2 * math.log(2 * math.pi)
    )


def test_run_lengths_are_those_of_every_segmentation_weighed() -> None:
    policy = BayesianPolicy(hazard=0.2, mean=1.0, strength=0.5, shape=2.0, scale=0.7)
    values = np.array([0.9, 1.4, 0.7, 5.2, 5.9, 4.8, 5.1])
    n = values.size
    weights = np.zeros(n + 1)
    for cuts in itertools.product([False, True], repeat=n):  # after which values a segment ends
        ends = [0, *(i + 1 for i, cut in enumerate(cuts) if cut)]
        parts = [values[a:b] for a, b in itertools.pairwise([*ends, n])]
        prior = math.prod(policy.hazard if cut else 1 - policy.hazard for cut in cuts)
        weights[n - ends[-1]] += prior * math.exp(sum(evidence(policy, part) for part in parts))
    state = RunLengths()
    for x in values:
        state = update(policy, state, float(x))

    assert list(range(n + 1)) == state.lengths.tolist()
    assert pytest.approx(weights / weights.sum(), rel=1e-9) == np.exp(state.log_p)
    assert pytest.approx(weights[:4].sum() / weights.sum()) == state.recent(3)


def test_a_change_shows_a_few_values_after_it() -> None:
    rng = np.random.default_rng(1)
    policy, state = BayesianPolicy(), RunLengths()
    for x in (*rng.normal(0, 1, 200), *rng.normal(4, 1, 10)):
        state = update(policy, state, float(x))

    assert 10 == state.likeliest
    assert state.recent(12) > 0.95


def test_without_a_change_the_run_goes_on_as_often_as_is_believed() -> None:
    # Series drawn from the belief itself: an alarm at a chance of ½ is wrong every second time.
    rng = np.random.default_rng(3)
    policy = BayesianPolicy(hazard=0.02)
    believed, true = [], []
    for _ in range(80):
        state, since = RunLengths(), 0
        variance = mean = math.nan
        for i in range(80):
            if i == 0 or rng.random() < policy.hazard:
                since = 0
                variance = 1 / rng.gamma(policy.shape, 1 / policy.scale)
                mean = rng.normal(policy.mean, math.sqrt(variance / policy.strength))
            since += 1
            state = update(policy, state, float(rng.normal(mean, math.sqrt(variance))))
        believed.append(state.recent(20))
        true.append(since <= 20)
    expected, variance = sum(believed), sum(p * (1 - p) for p in believed)
    z = (sum(true) - expected) / math.sqrt(variance)

    assert 2 * stats.norm.sf(abs(z)) > 0.01


def test_run_lengths_that_are_told_apart_are_bounded() -> None:
    policy = BayesianPolicy(most=30)
    exact, bounded = RunLengths(), RunLengths()
    for x in np.random.default_rng(7).normal(size=300):
        exact = update(BayesianPolicy(), exact, float(x))
        bounded = update(policy, bounded, float(x))

    assert 30 == bounded.lengths.size
    assert 300 == bounded.likeliest == exact.likeliest
    assert pytest.approx(exact.recent(10), abs=0.02) == bounded.recent(10)


def test_a_value_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        update(BayesianPolicy(), RunLengths(), math.nan)


@pytest.mark.parametrize("wrong", [{"hazard": 0.0}, {"strength": 0.0}, {"most": 1}])
def test_beliefs_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        BayesianPolicy(**wrong)  # type: ignore[arg-type]

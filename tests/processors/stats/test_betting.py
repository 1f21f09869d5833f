import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.stats.betting import LAMBDAS, MOST_PAIRS, bet, increments, pair
from processors.stats.mixture import log_mean


def chance(seed: int = 3) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_wealth_is_the_product_of_the_bets() -> None:
    d = [0.3, -1.0, 0.0, 0.9]
    expected = [math.log(math.prod(1 + part * x for x in d)) for part in LAMBDAS]

    assert pytest.approx(expected) == increments(np.array(d)).tolist()


def test_wealth_grows_from_bet_to_bet() -> None:
    first, second = np.array([0.3, -0.2]), np.array([0.5])
    expected = increments(np.concatenate((first, second))).tolist()

    assert pytest.approx(expected) == list(bet(bet((), first), second))


def test_there_are_sixteen_bettors_of_whom_none_can_be_ruined() -> None:
    assert (16, 0.01, 0.95) == (LAMBDAS.size, *np.round(LAMBDAS[[0, -1]], 9))
    assert np.isfinite(increments(np.full(10, -1.0))).all()


@given(n=st.integers(1, 900), k=st.integers(1, 900), seed=st.integers(0, 9))
def test_pairs_use_every_value_once(n: int, k: int, seed: int) -> None:
    stable, candidate = np.full(n, 0.75), np.arange(k) / k
    pairs = pair(stable, candidate, chance(seed))
    sizes = np.diff(np.arange(pairs.size + 1) * k // pairs.size)

    assert min(n, k, MOST_PAIRS) == pairs.size
    assert pytest.approx(candidate.sum()) == float((0.75 - pairs) @ sizes)


def test_the_same_seed_gives_the_same_pairs_and_another_one_others() -> None:
    a, b = np.arange(50) / 50, np.arange(20) / 20
    first, again, other = (pair(a, b, chance(s)) for s in (1, 1, 2))

    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_nothing_to_pair_is_no_pair_and_no_wealth() -> None:
    none = pair(np.empty(0), np.ones(3), chance())

    assert 0 == none.size
    assert [0.0] * 16 == increments(none).tolist()


def test_looking_all_the_time_keeps_the_level_for_skewed_scores() -> None:
    rng = np.random.default_rng(5)
    paths, looks = 600, 300
    d = rng.beta(8, 1, (paths, looks)) - rng.beta(8, 1, (paths, looks))
    wealth = np.cumsum(np.log1p(LAMBDAS[:, None, None] * d), axis=2)
    e = np.exp(wealth).mean(axis=0).max(axis=1)

    assert (e >= 20).mean() <= 0.05


def test_a_drop_of_five_percent_is_found_within_600_scores() -> None:
    rng = np.random.default_rng(6)
    stable, candidate = 0.9 * rng.beta(9, 1, 600), 0.95 * 0.9 * rng.beta(9, 1, 600)
    logs = increments(pair(stable, candidate, chance()))

    assert log_mean(logs.tolist()) > math.log(80)


def test_differences_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match="scale them"):
        increments(np.array([1.5]))

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from processors.stats.two_samples import increments

TILTS = np.exp(np.array([[0.0, 0.5, 0.5], [0.0, 0.0, 1.5], [-0.3, 0.0, 2.0]]))


def mean_e(sizes: tuple[int, int], candidate: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """E of each alternative, over all outcomes of two multinomial arms."""
    base = np.array([0.6, 0.3, 0.1])
    total = np.zeros(len(TILTS))
    outcomes = [
        [np.array(x) for x in itertools.product(range(n + 1), repeat=3) if sum(x) == n]
        for n in sizes
    ]
    for a, b in itertools.product(*outcomes):
        chance = stats.multinomial.pmf(a, sizes[0], candidate) * stats.multinomial.pmf(
            b, sizes[1], stable
        )
        total += chance * np.exp(increments(a.astype(float), b.astype(float), base, TILTS))
    return total


shares = st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3).map(lambda x: np.array(x) / sum(x))


@settings(max_examples=40)
@given(sizes=st.sampled_from([(1, 1), (2, 3), (4, 1)]), common=shares)
def test_the_mean_of_e_is_at_most_one_whatever_both_arms_share(
    sizes: tuple[int, int], common: np.ndarray
) -> None:
    assert (mean_e(sizes, common, common) <= 1 + 1e-9).all()


@settings(max_examples=40)
@given(stable=shares, lower=st.floats(0.0, 1.0))
def test_a_candidate_with_smaller_values_is_no_evidence_either(
    stable: np.ndarray, lower: float
) -> None:
    moved = lower * stable[2]
    candidate = stable + np.array([moved, 0.0, -moved])

    assert (mean_e((2, 2), candidate, stable) <= 1 + 1e-9).all()


def test_larger_values_are_evidence_and_an_empty_arm_is_none() -> None:
    base, low, high = np.ones(3), np.array([60.0, 30.0, 10.0]), np.array([30.0, 30.0, 40.0])

    assert (increments(high, low, base, TILTS) > 0).any()
    assert (increments(low, high, base, TILTS) < 0).all()
    assert np.array_equal(np.zeros(3), increments(np.zeros(3), low, base, TILTS))

import numpy as np
import pytest

from processors.stats.contrast import Contrast, Moments
from processors.stats.dispersion import FLOOR, PRIOR, SCALES


def moments(x: np.ndarray) -> Moments:
    mean = float(x.mean()) if x.size else 0.0
    return Moments(x.size, mean, float(((x - mean) ** 2).sum()))


def compared(minutes: int, session: int, shift: float = 0.0, seed: int = 1) -> Contrast:
    """Two arms of 60 requests a minute, in sessions whose requests share half their variance."""
    rng = np.random.default_rng(seed)
    contrast = Contrast()
    for _ in range(minutes):
        load = rng.normal(0, 5)
        arms = [
            load + rng.normal(0, 1, 60) + np.repeat(rng.normal(0, 1, 60 // session), session)
            for _ in range(2)
        ]
        contrast = contrast.add(moments(arms[0]), moments(arms[1] + shift))
    return contrast


def test_a_difference_is_taken_within_minutes_so_that_the_load_plays_no_part() -> None:
    contrast = compared(200, session=1, shift=0.3)

    assert pytest.approx(0.3, abs=0.08) == contrast.difference
    assert pytest.approx(2.0, rel=0.05) == contrast.variance
    assert 200 * 30 == contrast.weight


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_independent_requests_are_hardly_inflated_whatever_their_difference(shift: float) -> None:
    # The largest of six estimates is above one; the longest blocks are 9 of 32 minutes.
    assert FLOOR <= compared(300, session=1, shift=shift).inflation < 1.5


def test_sessions_inflate_by_their_design_effect() -> None:
    # Half of the variance is the session's: 1 + (10 − 1) · 1/2.
    contrast = compared(400, session=10)

    assert pytest.approx(5.5, rel=0.2) == contrast.inflation


def test_what_goes_on_over_minutes_is_seen_in_blocks() -> None:
    rng = np.random.default_rng(2)
    contrast = Contrast()
    for block in np.repeat(rng.normal(0, 0.4, 40), 2 ** (SCALES - 1)):
        contrast = contrast.add(moments(rng.normal(0, 1, 50)), moments(rng.normal(block, 1, 50)))
    per_minute = 1 + 25 * 0.16

    assert contrast.inflation > 3 * per_minute


def test_a_minute_without_one_arm_counts_but_compares_nothing() -> None:
    contrast = Contrast().add(Moments(5, 2.0, 1.0), Moments())

    assert (5, 0, 10.0) == (contrast.stable_n, contrast.candidate_n, contrast.stable_sum)
    assert 0 == contrast.add(Moments(), Moments(7, 2.0, 1.0)).compared_n
    assert 7 == contrast.add(Moments(1, 2.0, 0.0), Moments(7, 2.0, 1.0)).compared_n
    assert (0.0, 0.0, 0.0, PRIOR) == (
        contrast.weight,
        contrast.difference,
        contrast.variance,
        contrast.inflation,
    )


def test_blocks_of_two_to_the_s_minutes_are_the_sums_of_their_minutes() -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(5, 50, (70, 2))
    means = rng.normal(0, 1, (70, 2))
    contrast = Contrast()
    for (n, k), (a, b) in zip(sizes.tolist(), means.tolist(), strict=True):
        contrast = contrast.add(Moments(n, a, 1.0), Moments(k, b, 1.0))
    weights = sizes.prod(axis=1) / sizes.sum(axis=1)
    lifts = weights * (means[:, 1] - means[:, 0])
    for s, scale in enumerate(contrast.same.scales):
        blocks = 70 // 2**s
        sums = lifts[: blocks * 2**s].reshape(blocks, -1).sum(axis=1)
        wide = weights[: blocks * 2**s].reshape(blocks, -1).sum(axis=1)
        around = ((sums - 0.1 * wide) ** 2).sum()

        assert blocks == scale.blocks
        assert pytest.approx(around) == scale.scatter(0, 0.1)
        assert pytest.approx(wide.sum()) == scale.weight


def test_an_estimate_starts_from_its_prior_and_leaves_it_as_minutes_come() -> None:
    few, many = compared(1, session=1).same, compared(300, session=1).same

    assert (4.0, 9.0) == (few.inflation(prior=4.0), few.inflation(prior=9.0))
    assert FLOOR <= many.inflation(prior=4.0) < 2.5

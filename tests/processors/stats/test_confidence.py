import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from processors.stats.confidence import NONE, log_e, radius, tuning


@pytest.mark.parametrize("n", [10.0, 500.0, 20_000.0])
def test_the_radius_bounds_a_half_normal_mixture_of_likelihood_ratios(n: float) -> None:
    # The mixture over positive drifts δ ~ |N(0, ρ²)| of exp(δS − δ²n/2), at S = n·radius, is
    # 2·exp(ρ²S²/(2(nρ²+1)))·Φ(ρS/√(nρ²+1))/√(nρ²+1): never below what the radius solves for.
    alpha, rho2 = 0.01, tuning(0.01, 500)
    s = n * radius(n, 1.0, alpha, rho2)

    def weighted(delta: float) -> float:
        prior = 2 * stats.norm.pdf(delta, scale=math.sqrt(rho2))
        return float(prior * math.exp(delta * s - delta * delta * n / 2))

    centre = s / (n + 1 / rho2)
    wide = 12 / math.sqrt(n + 1 / rho2)
    mixture = integrate.quad(weighted, max(0.0, centre - wide), centre + wide)[0]

    assert 1 / alpha <= mixture
    assert mixture <= 1.05 / alpha


def test_the_e_value_is_the_level_at_which_the_estimate_is_just_outside() -> None:
    rho2 = tuning(0.0125, 500)
    found = log_e(0.11, 400, 1.3, rho2)
    level = optimize.brentq(lambda a: radius(400, 1.3, a, rho2) - 0.11, 1e-12, 0.49)

    assert pytest.approx(-math.log(level), rel=1e-6) == found


def test_the_sequence_is_about_narrowest_where_it_was_tuned() -> None:
    at = {n: radius(500, 1.0, 0.01, tuning(0.01, n)) for n in (50, 500, 5_000)}

    assert 500 == min(at, key=lambda n: at[n])


def test_heavy_tails_stay_inside_at_all_times_after_the_burn_in() -> None:
    rng = np.random.default_rng(7)
    paths, n = 500, 1_500
    x = np.exp(rng.normal(0, 1, (paths, n)))
    x -= math.exp(0.5)
    at = np.arange(1, n + 1)
    mean = np.cumsum(x, axis=1) / at
    variance = np.cumsum(x * x, axis=1) / at - mean**2
    rho2 = tuning(0.05, 1_000)
    wide = np.array([radius(float(k), 1.0, 0.05, rho2) for k in at])
    crossed = (mean > np.sqrt(variance) * wide)[:, 100:].any(axis=1)

    assert crossed.mean() <= 0.05


def test_nothing_cheap_or_unknown_is_no_evidence() -> None:
    rho2 = tuning(0.01, 500)

    assert math.inf == radius(0.0, 1.0, 0.01, rho2)
    assert NONE == log_e(-0.1, 100, 1.0, rho2)
    assert NONE == log_e(0.1, 0, 1.0, rho2)
    assert NONE == log_e(1e-30, 1, 1.0, rho2)
    assert math.inf == log_e(0.1, 100, 0.0, rho2)
    assert log_e(1e3, 1_000, 1.0, rho2) > 1e6

import math

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from processors.stats.sample_ratio import CONCENTRATION, log_e


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("counts", [(1, 0), (0, 40), (30, 70), (400, 500)])
def test_the_closed_form_is_the_likelihood_ratio_averaged_over_the_prior(
    counts: tuple[int, int], share: float
) -> None:
    candidate, stable = counts
    prior = stats.beta(CONCENTRATION * share, CONCENTRATION * (1 - share))

    def log_ratio(p: float) -> float:
        log = candidate * math.log(p / share) + stable * math.log((1 - p) / (1 - share))
        return log + float(prior.logpdf(p))

    a, b = CONCENTRATION * share + candidate, CONCENTRATION * (1 - share) + stable
    peak, wide = a / (a + b), 12 * math.sqrt(a * b / (a + b + 1)) / (a + b)
    top = log_ratio(peak)
    low, high = max(peak - wide, 1e-12), min(peak + wide, 1 - 1e-12)
    area = integrate.quad(lambda p: math.exp(log_ratio(p) - top), low, high, points=[peak])[0]

    assert pytest.approx(top + math.log(area), abs=1e-4) == log_e(candidate, stable, share)


@pytest.mark.parametrize("share", [0.01, 0.3])
@pytest.mark.parametrize("n", [1, 30, 400])
def test_the_mean_of_e_is_one_under_the_null_and_below_it_within_the_tolerance(
    n: int, share: float
) -> None:
    k = np.arange(n + 1)

    def log_mean(tolerance: float, truth: float) -> float:
        logs = np.array([log_e(int(c), int(n - c), share, tolerance) for c in k])
        return float(special.logsumexp(logs + stats.binom.logpmf(k, n, truth)))

    odds = share / (1 - share)
    edges = [odds * factor / (1 + odds * factor) for factor in (1 / 1.25, 1.25)]

    assert pytest.approx(0.0, abs=1e-6) == log_mean(1.0, share)
    assert max(log_mean(1.25, truth) for truth in (share, *edges)) <= 1e-9


@pytest.mark.parametrize("counts", [(3, 60), (30, 60), (900, 100)])
def test_the_tolerance_asks_of_the_share_within_it_that_explains_most(
    counts: tuple[int, int],
) -> None:
    candidate, stable = counts

    def likelihood(log_odds: float) -> float:
        p = 1 / (1 + math.exp(-log_odds))
        return candidate * math.log(p) + stable * math.log1p(-p)

    at = math.log(0.25 / 0.75)
    wide = math.log(1.25)
    best = optimize.minimize_scalar(
        lambda x: -likelihood(x),
        bounds=(at - wide, at + wide),
        method="bounded",
        options={"xatol": 1e-9},
    )
    expected = log_e(candidate, stable, 0.25) + likelihood(at) + float(best.fun)

    assert pytest.approx(expected, abs=1e-4) == log_e(candidate, stable, 0.25, 1.25)


def test_a_look_after_every_request_keeps_the_level() -> None:
    rng = np.random.default_rng(2)
    paths, n, level = 300, 400, 0.05
    crossed = 0
    for _ in range(paths):
        candidate = np.cumsum(rng.random(n) < 0.1)
        crossed += any(
            log_e(int(c), i + 1 - int(c), 0.1) >= -math.log(level) for i, c in enumerate(candidate)
        )

    assert stats.binomtest(crossed, paths, level, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(
    "wrong", [(-1, 0, 0.5, 1.0), (0, 0, 0.0, 1.0), (0, 0, 1.0, 1.0), (1, 1, 0.5, 0.9)]
)
def test_counts_shares_and_tolerances_that_cannot_be_are_refused(
    wrong: tuple[int, int, float, float],
) -> None:
    with pytest.raises(ValueError, match="must"):
        log_e(*wrong)

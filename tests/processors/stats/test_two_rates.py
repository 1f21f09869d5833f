import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from processors.stats.two_rates import ODDS, log_e, log_e_by_share, odds_increments


def by_quadrature(candidate: int, stable: int, share: float) -> float:
    """Log of the mean likelihood ratio over a uniform prior on (share, 1)."""

    def log_ratio(p: float) -> float:
        return candidate * math.log(p / share) + stable * math.log((1 - p) / (1 - share))

    mode = min(max(candidate / max(candidate + stable, 1), share), 1 - 1e-12)
    top = log_ratio(mode)
    cuts = sorted({share, mode, *(min(share + w, 1.0) for w in (1e-4, 1e-3, 1e-2, 0.1)), 1.0})
    area = sum(
        integrate.quad(lambda p: math.exp(log_ratio(p) - top) if p < 1 else 0.0, low, high)[0]
        for low, high in itertools.pairwise(cuts)
    )
    return top + math.log(area / (1 - share))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("counts", [(1, 0), (0, 1), (3, 40), (40, 3), (5, 2_000), (700, 900)])
def test_the_closed_form_is_the_integral_over_the_prior(
    counts: tuple[int, int], share: float
) -> None:
    found = log_e(*counts, share)

    assert pytest.approx(by_quadrature(*counts, share), rel=1e-6, abs=1e-6) == found


def test_events_of_the_stable_arm_alone_leave_the_exact_tail_without_underflow() -> None:
    found = log_e(0, 1_000_000, 0.5)

    assert pytest.approx(-math.log(1_000_001), rel=1e-12) == found


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5])
@pytest.mark.parametrize("events", [1, 20, 300])
def test_the_mean_of_e_under_the_null_is_one(share: float, events: int) -> None:
    k = np.arange(events + 1)
    logs = np.array([log_e(int(c), int(events - c), share) for c in k])
    log_of_mean = special.logsumexp(logs + stats.binom.logpmf(k, events, share))

    assert pytest.approx(0.0, abs=1e-6) == log_of_mean


def test_a_look_after_every_event_keeps_the_level() -> None:
    rng = np.random.default_rng(1)
    paths, events, level = 400, 150, 0.05
    crossed = 0
    for _ in range(paths):
        candidate = np.cumsum(rng.random(events) < 0.25)
        crossed += any(
            log_e(int(c), n + 1 - int(c), 0.25) >= -math.log(level) for n, c in enumerate(candidate)
        )

    assert stats.binomtest(crossed, paths, level, alternative="greater").pvalue > 0.01


def test_three_instead_of_one_percent_is_found_about_as_soon_as_if_it_were_known() -> None:
    # At the level of one of four guardrails; the likelihood ratio that knows both rates needs a
    # median of 900 requests per arm, looked at once per 100.
    rng = np.random.default_rng(4)
    needed = []
    for _ in range(200):
        counts = np.cumsum(rng.binomial(100, [0.03, 0.01], (80, 2)), axis=0)
        found = [log_e(int(c), int(b), 0.5) >= math.log(80) for c, b in counts]
        needed.append(100 * (1 + found.index(True)))

    assert np.median(needed) <= 1_000


def test_evidence_at_different_shares_multiplies() -> None:
    found = log_e_by_share([(500, 4, 20), (2_500, 9, 11), (0, 0, 3), (10_000, 7, 0)])

    assert pytest.approx(log_e(4, 20, 0.05) + log_e(9, 11, 0.25)) == found


def test_looks_while_the_share_grows_keep_the_level() -> None:
    rng = np.random.default_rng(2)
    paths, level, shares = 300, 0.05, (500, 2_500, 5_000)
    crossed = 0
    for _ in range(paths):
        tallies, most = [(share, 0, 0) for share in shares], 0.0
        for i, share in enumerate(shares):
            candidate = np.cumsum(rng.random(60) < share / 10_000)
            for n, c in enumerate(candidate.tolist(), 1):
                tallies[i] = (share, c, n - c)
                most = max(most, log_e_by_share(tallies))
        crossed += most >= -math.log(level)

    assert stats.binomtest(crossed, paths, level, alternative="greater").pvalue > 0.01


@given(
    requests=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    part=st.floats(0.0, 1.0),
)
def test_errors_known_by_request_give_e_values_given_which_requests_failed(
    requests: tuple[int, int], part: float
) -> None:
    candidate, stable = requests
    total = candidate + stable
    events = round(part * total)
    k = np.arange(max(0, events - stable), min(candidate, events) + 1)
    chances = stats.hypergeom.pmf(k, total, events, candidate)
    gains = np.array([odds_increments(int(c), events, candidate / total) for c in k])
    means = chances @ np.exp(gains)

    assert len(ODDS) == len(means)
    assert (means <= 1 + 1e-9).all()


@pytest.mark.parametrize("wrong", [(-1, 0, 0.5), (0, 0, 0.0), (0, 0, 1.0)])
def test_counts_and_shares_that_cannot_be_are_refused(wrong: tuple[int, int, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        log_e(*wrong)

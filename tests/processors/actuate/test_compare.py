"""How often triggers blame a config that is no worse, and how soon one that is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from processors.actuate.triggers.compare import START, worse
from processors.actuate.triggers.look import weigh
from processors.actuate.triggers.sample import Sample, beyond, limit_of, together
from processors.actuate.triggers.vigil import Pair, Watch
from processors.stats.dispersion import Dispersion
from schemas.trigger import Trigger

SLOW = Trigger(id="slow", metric="p95_latency_ms", limit=2000.0, window_s=300)
POOR = Trigger(id="poor", metric="quality", limit=0.9, relative_to="baseline", window_s=600)
DEAR = Trigger(id="dear", metric="cost_per_request_usd", limit=2.0, relative_to="baseline")
ERRORS = Trigger(id="errors", metric="error_rate", limit=0.1)


def shares(n: int, bad: int) -> Sample:
    return Sample(n=n, bad=bad)


def means(values: np.ndarray) -> Sample:
    mean = float(values.mean())
    return Sample(n=len(values), mean=mean, squares=float(((values - mean) ** 2).sum()))


@pytest.mark.parametrize("size", [3, 10])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_sessions_that_are_slow_as_a_whole_blame_nobody(size: int, share: float) -> None:
    """Both cohorts have 5 % of slow sessions of so many requests: the limit itself, all day."""
    chance = np.random.default_rng(7)
    total = 200 // size
    blamed = 0
    for _ in range(20):
        watch, found = Watch(), False
        sessions = chance.binomial(total, share, 1_440)
        mine = size * chance.binomial(sessions, 0.05)
        theirs = size * chance.binomial(total - sessions, 0.05)
        for n, (arm, k, rest) in enumerate(zip(sessions, mine, theirs, strict=True)):
            suspect = shares(size * int(arm), int(k))
            other = shares(size * (total - int(arm)), int(rest))
            minute = Pair(start=60_000 * n, before=0, suspect=suspect, other=other)
            watch, _, _ = weigh(SLOW, watch, minute, None)
            found = found or watch.since is not None
        blamed += found

    assert blamed <= 1


def test_heavy_tailed_costs_blame_nobody() -> None:
    chance = np.random.default_rng(8)
    blamed = 0
    for _ in range(3_000):
        a, b = (means(0.01 * chance.lognormal(0.0, 1.5, n)) for n in (100, 1_900))
        blamed += beyond(DEAR, a, b) and worse(DEAR, a, b, Dispersion())

    assert 0 == blamed


@pytest.mark.parametrize(("n", "rate"), [(100, 0.5), (400, 0.2), (2_000, 0.12)])
def test_many_slow_answers_are_found_at_once(n: int, rate: float) -> None:
    chance = np.random.default_rng(9)
    found = sum(
        worse(SLOW, shares(n, int(chance.binomial(n, rate))), shares(20 * n, n // 2), Dispersion())
        for _ in range(100)
    )

    assert found >= 95


def test_the_tail_of_the_counts_is_that_of_a_binomial() -> None:
    """Where no request shares another's fate, units counted once: the exact conditional test."""
    for mine, theirs, n, others in ((14, 3, 50, 950), (15, 40, 60, 900), (30, 60, 300, 700)):
        units = tuple(range(mine))
        suspect = Sample(n=n, bad=mine, units=units)
        other = Sample(n=others, bad=theirs, units=tuple(range(mine, mine + theirs)))
        tail = float(stats.binom.sf(mine - 1, mine + theirs, n / (n + others)))

        assert (tail <= 2.8e-7) == worse(ERRORS, suspect, other, Dispersion())


def test_a_mean_is_compared_as_welch_compares_it() -> None:
    chance = np.random.default_rng(10)
    for shift in (4.0, 9.0, 12.0):
        a, b = chance.normal(90 - shift, 15, 80), chance.normal(90, 10, 700)
        z = -float(stats.ttest_ind(a, b, equal_var=False).statistic)

        assert (z >= 5.0 * START**0.5) == worse(POOR, means(a), means(b), Dispersion())


def test_a_mean_without_any_scatter_is_worse_or_it_is_not() -> None:
    flat = [Sample(n=50, mean=mean) for mean in (80.0, 90.0)]

    assert worse(POOR, flat[0], flat[1], Dispersion())
    assert not worse(POOR, flat[1], flat[0], Dispersion())


def test_one_value_on_either_side_is_no_evidence() -> None:
    assert not worse(SLOW, shares(50, 50), shares(1, 0), Dispersion())
    assert not worse(POOR, Sample(n=1, mean=1.0), Sample(n=50, mean=90.0), Dispersion())


def test_without_a_baseline_there_is_no_limit() -> None:
    assert (None, False) == (limit_of(POOR, Sample()), beyond(POOR, Sample(n=9), Sample()))
    assert not beyond(SLOW, Sample(), Sample(n=9))


def test_minutes_add_up_to_the_sample_of_all_of_them() -> None:
    chance = np.random.default_rng(11)
    parts = [chance.normal(80, 5, n) for n in (3, 40, 200)]
    whole, sum_ = means(np.concatenate(parts)), together(means(part) for part in parts)

    assert (whole.n, pytest.approx(whole.mean), pytest.approx(whole.squares)) == (
        sum_.n,
        sum_.mean,
        sum_.squares,
    )
    assert (1, 2, 3) == together(
        [Sample(n=5, units=(1, 2)), Sample(n=5, units=(2, 3)), Sample()]
    ).units


@pytest.mark.parametrize(("alike", "blamed"), [(0.0, False), (1.0, True)])
def test_after_a_change_its_own_minutes_show_how_they_scatter(
    alike: float, *, blamed: bool
) -> None:
    """Requests of a minute that share their fate: seen without a concurrent control, too."""
    chance = np.random.default_rng(10)
    past, watch = means(chance.normal(1.0, 1.0, 5_000)), Watch()
    for n in range(120):
        shared = alike * chance.normal()
        minute = means(1.0 + shared + chance.normal(0.0, 1.0, 100))
        pair = Pair(start=60_000 * n, before=0, suspect=minute, other=Sample())
        watch, _, _ = weigh(DEAR, watch, pair, past)

    assert blamed is (watch.spread.inflation() > START)

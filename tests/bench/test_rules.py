import math

import numpy as np
import pytest
from scipy import stats

from bench.rules import (
    CHECKS,
    FEWEST,
    HOUR,
    RULES,
    Before,
    before,
    failed_checks,
    mann_whitney,
    minutes,
    repeated,
    thresholds,
)
from bench.traffic import Requests

PAST = Before(error_rate=0.0, p99_ms=1_000.0)


def requests(
    n: int, each: int = 20, *, failed: float = 0.0, slower: float = 1.0, seed: int = 1
) -> Requests:
    """*n* minutes with *each* requests in both arms; the candidate fails so often, is slower."""
    rng = np.random.default_rng(seed)
    minute = np.repeat(np.arange(n), 2 * each)
    arm = np.tile(np.repeat([0, 1], each), n)
    worse = arm == 1
    size = minute.size
    return Requests(
        minutes=n,
        minute=minute,
        arm=arm,
        bucket=np.zeros(size, dtype=np.int64),
        failed=worse & (rng.random(size) < failed),
        latency_ms=rng.uniform(400.0, 500.0, size) * np.where(worse, slower, 1.0),
        cost_usd=rng.uniform(0.01, 0.02, size),
        quality=rng.uniform(70.0, 90.0, size),
        late=np.zeros(size, dtype=bool),
    )


def test_a_threshold_rolls_back_in_the_minute_in_which_it_is_passed() -> None:
    assert None is thresholds(minutes(requests(30)), PAST)
    assert 0 == thresholds(minutes(requests(30, failed=0.5)), PAST)
    assert 0 == thresholds(minutes(requests(30, slower=1.6)), PAST)


def test_repeated_tests_wait_for_thirty_requests_and_are_those_of_scipy() -> None:
    seen = requests(12, each=10, slower=1.06)
    at = repeated(minutes(seen), PAST)
    first = [
        i
        for i in range(2, 12)
        if stats.ttest_ind(
            *(seen.latency_ms[(seen.minute <= i) & (seen.arm == a)] for a in (1, 0)),
            equal_var=False,
        ).statistic
        > 1.96
    ]

    assert at is not None
    assert FEWEST // 10 - 1 <= at
    assert first[0] == at


def test_a_mann_whitney_judge_looks_once_an_hour_and_wants_its_interval_off_zero() -> None:
    assert None is mann_whitney(minutes(requests(HOUR)), PAST)
    assert None is mann_whitney(minutes(requests(HOUR - 1, slower=2.0)), PAST)
    assert HOUR - 1 == mann_whitney(minutes(requests(HOUR, slower=2.0)), PAST)


def test_the_tenth_failed_check_rolls_back() -> None:
    assert CHECKS - 1 == failed_checks(minutes(requests(30, failed=0.5)), PAST)
    assert None is failed_checks(minutes(requests(CHECKS - 1, failed=0.5)), PAST)
    assert None is failed_checks(minutes(requests(200)), PAST)


def test_absolute_limits_are_taken_from_the_time_before() -> None:
    found = before(requests(50))

    assert 0.0 == found.error_rate
    assert pytest.approx(499, abs=2) == found.p99_ms


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_decides_on_minutes_in_which_nothing_was_served(rule: str) -> None:
    with np.errstate(invalid="raise", divide="raise"):
        nothing = minutes(requests(HOUR, each=1))
        empty = type(nothing)(
            requests=0 * nothing.requests,
            failed=0 * nothing.failed,
            latency=0 * nothing.latency,
            bucket=nothing.bucket,
            sums={k: tuple(0 * x for x in v) for k, v in nothing.sums.items()},
        )

        assert RULES[rule](empty, PAST) is None
        assert math.isnan(empty.rate()[0, 0])

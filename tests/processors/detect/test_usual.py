from __future__ import annotations

import numpy as np
import pytest

from processors.detect.layout import PHASES, Rows, blank, opened
from processors.detect.past import Floats
from processors.detect.usual import DAY, expect, learn

QUARTER = DAY // PHASES
ONE = np.array([0])


def taught(away: float, phase: int, days: int, rate: float = 0.025) -> Rows:
    """A series that was *away* from its past in all minutes of a phase, for days."""
    rows = opened([blank(1)])
    for day in range(days):
        for minute in range(15):
            start = np.array([day * DAY + phase * QUARTER + minute * 60_000])
            learn(rows, ONE, start, np.array([away]), rate)
    return rows


def at(rows: Rows, phase: int, spread: float = 0.0) -> tuple[float, float]:
    low, high = expect(rows, np.array([9 * DAY + phase * QUARTER]), np.array([spread]))
    return float(low[0]), float(high[0])


def test_nothing_is_usual_at_first() -> None:
    assert (0.0, 0.0) == at(opened([blank(1)]), 7)


def test_what_recurs_every_day_is_expected_by_and_by() -> None:
    found = [at(taught(0.7, 30, days), 30)[1] for days in (1, 3, 7)]

    assert (
        pytest.approx([0.7 * (1 - 0.975 ** (15 * days)) for days in (1, 3, 7)], rel=0.02) == found
    )


def test_the_quarters_before_and_after_count_and_no_others() -> None:
    high = [at(taught(0.7, 0, 9), phase)[1] > 0.5 for phase in (94, 95, 0, 1, 2)]

    assert [False, True, True, True, False] == high
    assert 0.0 == at(taught(0.7, 0, 9), 0)[0]


def test_what_may_be_chance_is_left_out() -> None:
    plain, unsure = (at(taught(-0.7, 5, 9), 5, spread)[0] for spread in (0.0, 0.4))

    assert pytest.approx(plain + 0.2) == unsure
    assert (0.0, 0.0) == at(taught(0.7, 5, 9), 5, 2.0)


@pytest.mark.parametrize("far", [1e9, -1e9])
def test_what_is_too_far_to_be_kept_is_kept_as_far_as_can_be(far: float) -> None:
    found: Floats = taught(far, 3, 1, rate=1.0)["usual"].astype(np.float64)

    assert np.sign(far) * 60_000 == pytest.approx(found[0, 3], rel=1e-3)

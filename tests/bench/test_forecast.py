from __future__ import annotations

import numpy as np
import pytest

from bench.forecast import HIGH, LOW, judged, load, naive, ours, table
from bench.traffic import DATA

FOLDER = DATA / "traces"


def test_coverage_and_score_are_those_of_the_interval() -> None:
    series = np.tile([0.0, 1.0], 30)  # steps of 1
    found = judged(series, 1, lambda _, __: WIDE)

    assert found == (1.0, 4.0)


WIDE = (np.array([-1.5]), np.array([2.5]))


def test_a_value_outside_costs_twenty_times_its_distance() -> None:
    series = np.tile([0.0, 1.0], 30)
    low = (np.array([0.0]), np.array([0.5]))
    found = judged(series, 1, lambda _, __: low)

    assert found is not None
    covered, score = found
    assert pytest.approx(0.5 + (1 - covered) * 20 * 0.5) == score
    assert 0.0 < covered < 1.0


def test_what_is_too_short_is_not_judged() -> None:
    assert judged(np.arange(30.0), 20, naive) is None


@pytest.mark.skipif(not FOLDER.exists(), reason=f"{FOLDER} is not here")
def test_intervals_hold_on_the_traffic_of_one_day() -> None:
    known = {name: x for name, x in load(FOLDER).items() if x.size < 400}
    for pairs in table(known, ours).values():
        assert LOW <= float(pairs[:, 0].mean()) <= HIGH

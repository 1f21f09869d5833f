from __future__ import annotations

import numpy as np
import pytest

from processors.analyze.grid import even


def test_even_times_stay_as_they_are() -> None:
    times, values = 100.0 + 60.0 * np.arange(10), np.arange(10.0) ** 2
    found = even(times, values)

    assert (times.tolist(), values.tolist()) == (found.times.tolist(), found.values.tolist())
    assert (60.0, 0, False) == (found.step, found.filled, found.uneven)


def test_times_that_are_a_little_off_are_put_on_the_grid() -> None:
    times = np.array([0.0, 61.0, 119.0, 300.0, 361.0, 420.0])
    found = even(times, times)

    assert 60.0 == pytest.approx(found.step, abs=2.0)
    assert 2 == found.filled
    assert 8 == found.values.size
    assert pytest.approx(found.times, abs=6.0) == found.values


@pytest.mark.parametrize(
    "times", [[0.0, 1, 2, 3, 50], [0.0, 1.0, 1.1, 2.0, 3.0], [0.0, 1.0, 4.0, 9.0, 16.0, 25.0]]
)
def test_where_there_is_no_step_points_are_counted(times: list[float]) -> None:
    found = even(np.array(times), np.arange(float(len(times))))

    assert found.uneven
    assert len(times) == found.values.size
    assert pytest.approx(times[-1] / (len(times) - 1)) == found.step

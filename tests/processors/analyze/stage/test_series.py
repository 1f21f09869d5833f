"""Many pasts as numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from processors.analyze.stage import series as stage_series
from processors.analyze.stage.history import CELL
from processors.analyze.stage.policy import HOURS
from processors.analyze.stage.series import Series, series
from tests.processors.analyze.stage.world import POLICY


def pasts(count: int) -> list[bytes]:
    """Some with a course of the day, some cut short, with gaps, or silent lately."""
    rng = np.random.default_rng(8)
    found = []
    for i in range(count):
        n = 192 if i % 3 else 70 + i
        day = 1.0 + 0.4 * (i % 2) * np.sin(np.arange(n) * 2 * np.pi / 24)
        cells = (100.0 * day * rng.lognormal(0, 0.1, (5, n))).T
        cells[rng.random(n) < 0.1 * (i % 4), i % 5] = math.nan
        cells[n - i % 4 :, 0] = math.nan
        found.append(cells.astype(CELL).tobytes())
    return found


def told(each: Series) -> tuple[object, ...]:
    """All of it, to the last bit."""
    ahead = each.forecast
    numbers = (
        () if ahead is None else (ahead.period, *(x.tobytes() for x in (ahead.low, ahead.high)))
    )
    return (
        each.measure,
        each.first,
        each.known,
        each.plain.tobytes(),
        each.trend,
        each.moved,
        numbers,
    )


@pytest.mark.parametrize("at_once", [1, 7, 256])
def test_what_is_found_of_one_does_not_hang_on_those_beside_it(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = pasts(14)
    alone = [[told(each) for each in series(POLICY, HOURS, [past])[0]] for past in some]
    monkeypatch.setattr(stage_series, "AT_ONCE", at_once)

    assert alone == [[told(each) for each in found] for found in series(POLICY, HOURS, some)]
    assert {5} == {len(found) for found in alone}

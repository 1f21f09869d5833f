from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from processors.analyze.cause import CausePolicy, Event, causes, density

MINUTE, DAY = 60_000, 86_400_000
CHANGE = DAY // 2


def event(name: str, at: int, scope: str = "*", kind: str = "deployment") -> Event:
    return Event(name, kind, scope, at)


def ranked(*events: Event, scope: str = "shop/answer") -> list[str]:
    return [each.event.id for each in causes(scope, CHANGE, MINUTE, events, DAY)]


@pytest.mark.parametrize(("delay", "doubt"), [(5.0, 1.0), (1.0, 4.0), (2.0, 2.0)])
def test_the_density_is_that_of_a_delay_and_an_error(delay: float, doubt: float) -> None:
    for distance in (-3.0, 0.0, 0.5, 7.0):
        expected, _ = integrate.quad(
            lambda d, distance=distance: (
                stats.expon.pdf(d, scale=delay) * stats.laplace.pdf(distance - d, scale=doubt)
            ),
            0.0,
            60.0,
            points=[max(distance, 0.0)],
        )

        assert pytest.approx(expected, rel=1e-3) == density(distance, delay, doubt)


def test_the_event_just_before_is_the_likeliest() -> None:
    found = causes(
        "shop/answer",
        CHANGE,
        MINUTE,
        [event("long ago", 0), event("just before", CHANGE - 2 * MINUTE), event("hour", DAY // 3)],
        DAY,
    )

    assert "just before" == found[0].event.id
    assert found[0].share > 0.9
    assert 2 * MINUTE == found[0].before_ms
    assert found[0].coincidence < 0.01
    assert sum(each.share for each in found) < 1.0


def test_what_comes_after_the_change_is_no_cause_but_within_the_doubt() -> None:
    found = ranked(event("after", CHANGE + 10 * MINUTE), event("at once", CHANGE + MINUTE // 2))

    assert ["at once"] == found


def test_events_of_other_scopes_are_left_out() -> None:
    events = [event(scope, CHANGE - MINUTE, scope) for scope in ("*", "shop", "shop/ask", "other")]

    assert {"*", "shop"} == set(ranked(*events))
    assert [] == ranked(*events[2:])


def test_an_event_of_long_ago_leaves_the_cause_open() -> None:
    (found,) = causes("s", CHANGE, MINUTE, [event("old", CHANGE - 3 * 60 * MINUTE)], DAY)

    assert found.share < 0.01
    assert found.coincidence > 0.1


def test_unrelated_events_are_as_near_as_seldom_as_is_said() -> None:
    rng = np.random.default_rng(5)
    trials, near = 1_000, 0
    for _ in range(trials):
        events = [event(str(i), int(at)) for i, at in enumerate(rng.integers(0, CHANGE, 20))]
        found = causes("s", CHANGE, MINUTE, events, CHANGE)
        near += min(each.coincidence for each in found) < 0.05

    assert stats.binomtest(near, trials, 0.05).pvalue > 0.01


def test_the_true_cause_is_first_as_often_as_the_shares_say() -> None:
    rng = np.random.default_rng(6)
    first, said = 0, []
    for _ in range(300):
        true = CHANGE - rng.exponential(5 * MINUTE) - rng.laplace(0, MINUTE)
        events = [event("true", int(true))]
        events += [event(str(i), int(at)) for i, at in enumerate(rng.integers(0, DAY, 60))]
        best = causes("s", CHANGE, MINUTE, events, DAY)[0]
        first += best.event.id == "true"
        said.append(best.share)

    assert pytest.approx(first / 300, abs=0.12) == np.mean(said)
    assert first > 200


@pytest.mark.parametrize("wrong", [{"delay_ms": 0.0}, {"unrelated": 1.0}])
def test_policies_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        CausePolicy(**wrong)

"""How often something is said of a scope to which nothing happens, and how soon of others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from processors.analyze.change_points import changes
from processors.analyze.stage.history import Floats
from processors.analyze.stage.policy import HOURS, MINUTES
from processors.analyze.stage.series import worthwhile
from schemas.insight import Insight
from tests.processors.analyze.stage.world import (
    BEGIN,
    POLICY,
    SCOPE,
    World,
    calm,
    of,
    shifted,
    window,
)

SAID = ("degrading", "improving", "rising", "falling")


def correlated(rng: np.random.Generator, n: int, phi: float) -> Floats:
    x = np.zeros(n)
    e = rng.normal(0, 1, n) * np.sqrt(1 - phi * phi)
    for i in range(n):
        x[i] = phi * x[i - 1] + e[i] if i else rng.normal()
    return x


def test_of_calm_scopes_hardly_one_has_a_trend_and_none_a_change() -> None:
    trends = changed = 0
    seldom, often = (replace(POLICY, minutes=replace(MINUTES, every=n)) for n in (1_000, 1))
    for seed in range(150):
        world = World(policy=seldom)
        world.feed(calm(119, seed=seed))
        world.policy = often
        world.feed(calm(120, seed=seed)[119:])
        past = world.state.entries[f"{SCOPE}|1m"].past
        assert past is not None
        trends += any(
            said.holds and said.direction in SAID
            for key, said in past.said.items()
            if key.startswith("trend")
        )
        changed += any(key.startswith("change_point") for key in past.said)

    assert trends <= 6  # at 1 % a scope 1.5 of 150 are expected; 6 or fewer with 0.999
    assert changed <= 1


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_nine_of_ten_searches_for_a_change_in_noise_are_spared(phi: float) -> None:
    rng = np.random.default_rng(7)
    looked = worthwhile(POLICY, np.array([correlated(rng, 120, phi) for _ in range(400)]))

    assert np.mean(looked) < (0.1 if phi == 0.0 else 0.2)


def test_no_change_that_would_be_said_is_missed_for_it() -> None:
    rng = np.random.default_rng(11)
    missed = found = 0
    for _ in range(200):
        x = correlated(rng, 120, float(rng.choice([0.0, 0.4])))
        at, long = int(rng.integers(35, 110)), int(rng.integers(8, 80))
        x[at : at + long] += rng.uniform(1, 3) * rng.choice([-1, 1])
        said = [each for each in changes(x, POLICY.segmenting) if each.p <= POLICY.surer]
        found += bool(said)
        missed += bool(said) and not worthwhile(POLICY, x[None])[0]

    assert found > 60
    assert missed == 0


def test_a_constant_is_not_searched() -> None:
    assert [False, False] == worthwhile(POLICY, np.array([[3.0], [0.0]]).repeat(120, 1)).tolist()


def test_a_course_of_the_day_is_no_change() -> None:
    told: list[Insight] = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        day = 1.0 + 0.3 * np.sin(np.arange(192) * 2 * np.pi / 24)
        latency = 100.0 * day * rng.lognormal(0.0, 0.1, 192)
        rows = [window(n, name="1h", latency=float(each)) for n, each in enumerate(latency)]
        world = World(policy=replace(POLICY, hours=replace(HOURS, every=1_000)))
        world.feed(rows[:191])
        world.policy = POLICY
        told += of(world.feed(rows[191:]), "change_point")

    assert [] == told


def test_a_shift_shows_in_a_course_of_the_day() -> None:
    rng = np.random.default_rng(3)
    day = 1.0 + 0.3 * np.sin(np.arange(192) * 2 * np.pi / 24)
    latency = 100.0 * day * rng.lognormal(0.0, 0.05, 192) + 40.0 * (np.arange(192) >= 120)
    rows = [window(n, name="1h", latency=float(each)) for n, each in enumerate(latency)]
    world = World(policy=replace(POLICY, hours=replace(HOURS, every=1_000)))
    world.feed(rows[:191])
    world.policy = POLICY
    (found,) = of(world.feed(rows[191:]), "change_point")

    assert abs(found.at - BEGIN - 120 * 3_600_000) <= 2 * 3_600_000
    assert found.reference is not None
    assert pytest.approx(40.0, abs=5.0) == found.value - found.reference


@pytest.mark.parametrize("factor", [1.2, 0.8])
def test_a_shift_of_four_deviations_is_found_within_a_quarter_of_an_hour(factor: float) -> None:
    delays = []
    for seed in range(8):
        told = of(World().feed(shifted(110, 80, factor, seed=seed)), "change_point")
        near = [each for each in told if abs(each.at - BEGIN - 80 * 60_000) <= 5 * 60_000]
        delays.append((near[0].end - BEGIN) // 60_000 - 80)

    assert max(delays) <= 15


def test_a_change_of_less_than_a_hundredth_is_none() -> None:
    rows = [window(n, latency=100.0 + 0.01 * (n % 3) + 0.5 * (n >= 60)) for n in range(100)]

    assert [] == of(World().feed(rows), "change_point")

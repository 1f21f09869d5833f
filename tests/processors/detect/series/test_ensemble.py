"""The ensemble over many series at once."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal

from processors.detect.series import SeriesPolicy, State, fresh, update
from processors.detect.series.ensemble import MOST
from processors.detect.series.features import look
from processors.detect.series.novelty import begin, visit
from processors.detect.series.tail import judge

POLICY = SeriesPolicy()
Floats = npt.NDArray[np.float64]


def run(values: Floats, state: State | None = None) -> tuple[Floats, State]:
    """Scores [T, S] of values [T, S]."""
    state = fresh(POLICY, values.shape[1]) if state is None else state
    scores = np.zeros(values.shape)
    for at, row in enumerate(values):
        scores[at], state = update(POLICY, state, row)
    return scores, state


def calm(series: int, points: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(100, 2, (points, series))


NULLS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "lognormal": lambda rng, shape: rng.lognormal(0, 0.5, shape),
    "autoregressive": lambda rng, shape: signal.lfilter([1], [1, -0.8], rng.normal(size=shape), 0),
    "daily": lambda rng, shape: (
        np.sin(np.arange(shape[0]) / 288 * 2 * np.pi)[:, None] + rng.normal(0, 0.2, shape)
    ),
    "counts": lambda rng, shape: rng.poisson(3, shape).astype(float),
    "student": lambda rng, shape: rng.standard_t(4, shape),
}


@pytest.mark.parametrize("name", NULLS)
def test_what_is_told_of_a_series_without_anomalies_stays_below_the_stated_rate(name: str) -> None:
    shape = (2_000, 60)
    scores, _ = run(NULLS[name](np.random.default_rng(1), shape))
    policies = [SeriesPolicy(sensitivity=each) for each in (0.5, 0.75, 1.0)]
    rates = [float((scores[500:] >= each.threshold).mean()) for each in policies]

    assert all(rate <= each.false_alarms for rate, each in zip(rates, policies, strict=True)), rates


@pytest.mark.parametrize(
    "fault",
    [
        lambda x: x + np.array([40.0]),
        lambda x: x * 0.7,
        lambda x: 100 + 8 * (x - 100),
    ],
    ids=["higher", "lower", "restless"],
)
def test_a_fault_that_lasts_is_told_within_fifteen_points(fault: object) -> None:
    values = calm(40, 715)
    values[700:] = fault(values[700:])  # type: ignore[operator]  # one of the above
    scores, _ = run(values)

    assert ((scores[700:] >= POLICY.threshold).any(axis=0)).mean() >= 0.95


def test_a_value_in_the_middle_of_two_that_alternate_is_new() -> None:
    values = np.tile([0.0, 10.0], 500) + np.random.default_rng(0).normal(0, 0.1, 1_000)
    scores, _ = run(np.r_[values, 5.0][:, None])

    assert scores[-1, 0] >= 4.0


def test_each_series_is_judged_as_if_it_were_alone() -> None:
    values = calm(5, 400) * np.array([1, 10, 100, 1e-6, 1e6])
    together, _ = run(values)
    alone = np.concatenate([run(values[:, [at]])[0] for at in range(5)], axis=1)

    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("unit", [2.0**-23, 2.0**20])
def test_the_unit_of_a_series_does_not_matter(unit: float) -> None:
    values = calm(4, 400)
    expected, _ = run(values)

    np.testing.assert_allclose(run(values * unit)[0], expected, rtol=1e-6)


def test_an_absent_value_scores_nothing_and_leaves_no_trace() -> None:
    values = calm(3, 300)
    holes = values.repeat(2, axis=0)
    holes[1::2] = [math.nan, math.inf, 2 * MOST]
    scores, state = run(holes)
    expected, without = run(values)

    np.testing.assert_array_equal(expected, scores[::2])
    assert not scores[1::2].any()
    for a, b in zip(without.sums, state.sums, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(without.places.at, state.places.at)


def test_only_those_series_that_have_a_value_go_on() -> None:
    values = calm(3, 300)
    holes = values.copy()
    holes[100:200, 1] = math.nan
    scores, _ = run(holes)

    np.testing.assert_array_equal(run(values)[0][:, [0, 2]], scores[:, [0, 2]])
    np.testing.assert_array_equal(
        run(values[np.r_[0:100, 200:300], 1:2])[0][100:], scores[200:, 1:2]
    )


def test_a_state_is_not_changed_by_what_follows() -> None:
    values = calm(2, 400)
    _, state = run(values[:200])
    first, _ = run(values[200:], state)
    again, _ = run(values[200:], state)

    np.testing.assert_array_equal(first, again)


def test_a_series_takes_less_than_two_kibibytes() -> None:
    assert fresh(POLICY, 1_000).bytes_per_series <= 2_048


def test_nothing_is_said_before_there_is_enough() -> None:
    values = calm(1, POLICY.minimum)
    values[50:] += 1_000

    assert not run(values)[0].any()


def test_an_event_is_told_once_and_again_only_when_it_gets_worse() -> None:
    values = calm(1, 700)
    values[600:620] = 200.0
    values[640] = 5_000.0
    scores = run(values)[0][:, 0]
    told = np.flatnonzero(scores >= 4)

    assert 600 == told[told >= 590][0]
    assert scores[640] > scores[600:640].max()
    assert np.count_nonzero(scores[600:640]) <= 5


def test_a_constant_series_is_silent_until_it_moves() -> None:
    values = np.full((500, 1), 7.0)

    assert not run(values)[0].any()
    assert msgspec.json.encode(run(np.r_[values, [[8.0]]])[0][-1].tolist())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"half": 0.0}, "half must be above 0"),
        ({"calm": 1.0}, "calm above half"),
        ({"places": 1}, "places must be 2"),
        ({"minimum": 5}, "largest ≤ minimum"),
        ({"rest": -1}, "rest must not"),
        ({"sensitivity": 1.1}, "sensitivity from 0 to 1"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SeriesPolicy(**wrong)  # type: ignore[arg-type]  # each wrong on purpose


def test_another_number_of_values_is_refused() -> None:
    with pytest.raises(ValueError, match="for 2 series"):
        update(POLICY, fresh(POLICY, 2), np.zeros(3))


def test_higher_sensitivity_speaks_sooner() -> None:
    levels = [SeriesPolicy(sensitivity=x) for x in (0.0, 0.5, 1.0)]

    assert sorted((each.threshold for each in levels), reverse=True) == [
        each.threshold for each in levels
    ]
    assert sorted(each.false_alarms for each in levels) == [each.false_alarms for each in levels]


def test_the_features_are_those_of_a_plain_loop() -> None:
    values = calm(1, 50)[:, 0]
    state = fresh(POLICY)
    level = short = usual = last = 0.0
    fast, slow = 1 - 0.5 ** (1 / POLICY.half), 1 - 0.5 ** (1 / POLICY.calm)
    sums = state.sums
    for n, value in enumerate(values):
        seen, sums = look(POLICY, sums, np.array([value]))
        x = value - values[0]
        a, b = max(fast, 1 / (n + 1)), max(slow, 1 / (n + 1))
        level += a * (x - level)
        short += a * (abs(x - last) - short)
        usual += b * (abs(x - last) - usual)
        last = x
        ratio = math.log((short + 0.05 * usual + 1e-300) / (1.05 * usual + 1e-300))

        np.testing.assert_allclose([x, level, ratio, x], seen[0, 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose([0, 0, 0, level], seen[1, 0], rtol=1e-5, atol=1e-6)


def test_while_there_is_room_the_distance_is_to_the_nearest_of_all() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    places, before = begin(1, 32), [np.zeros(2, np.float32)]
    for point in points:
        distance, places = visit(places, point[:, None])

        assert (
            pytest.approx(min(np.linalg.norm(point - b) for b in before), rel=1e-5) == distance[0]
        )
        before.append(point)


def test_few_places_cover_what_many_points_have_filled() -> None:
    rng = np.random.default_rng(0)
    places = begin(1, 32)
    for x in rng.uniform(0, 1, 3_000).astype(np.float32):
        _, places = visit(places, np.array([[x], [0]], np.float32))
    farthest = max(
        visit(places, np.array([[x], [0]], np.float32))[0][0] for x in np.linspace(0, 1, 200)
    )

    assert farthest < 3 / 32


def test_the_tail_of_a_pareto_sample_has_its_chance() -> None:
    rng = np.random.default_rng(0)
    sample = (rng.pareto(2.0, (2_000, 2_000)) + 1).astype(np.float32)  # ξ = ½
    top = np.sort(sample, axis=1)[:, -12:]
    far = np.full(2_000, np.sqrt(100_000.0), np.float32)  # beyond it lie 10⁻⁵
    _, digits, _ = judge(top, np.full(2_000, 2_000.0), far, 1.0)

    assert pytest.approx(5.0, abs=0.3) == np.median(digits)


def test_the_largest_are_kept_and_fade() -> None:
    top = np.array([[1.0, 2.0, 3.0]], np.float32)
    _, _, after = judge(top, np.array([100.0]), np.array([2.5], np.float32), 0.5)

    assert [[1.0, 1.5, 2.5]] == after.tolist()

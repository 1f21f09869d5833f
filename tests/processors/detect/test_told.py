"""What is told: thresholds that adapt, what is expected, what belongs together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from processors.detect.adapt import Rate, Threshold, pass_on
from processors.detect.incident import group
from processors.detect.suppress import Recurring, Span, expected
from schemas.anomaly import Anomaly, Severity

RATE = Rate(target=0.01, pace=0.5, most=20.0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.exponential(1.0, n),
        lambda rng, n: rng.exponential(1.0, n) * np.linspace(1, 4, n),
        lambda _, n: np.tile([0.0, 20.0], n // 2),
        lambda _, n: np.full(n, 7.0),
    ],
    ids=["steady", "ever wilder", "every other", "constant"],
)
def test_the_share_that_is_told_is_the_target_for_any_scores(
    draw: Callable[[np.random.Generator, int], npt.NDArray[np.float64]],
) -> None:
    points, threshold, told = 20_000, Threshold(5.0), 0
    for score in np.minimum(draw(np.random.default_rng(0), points), RATE.most):
        alarm, threshold = pass_on(RATE, threshold, float(score))
        told += alarm

    assert abs(told / points - RATE.target) <= (RATE.most + 2 * RATE.pace) / (RATE.pace * points)


@pytest.mark.parametrize("wrong", [{"target": 0.0}, {"pace": 0.0}, {"most": 0.0}])
def test_a_rate_that_cannot_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="target lies between"):
        Rate(**wrong)


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [(0, 100, None), (50, 101, "rollout"), (199, 250, "rollout"), (200, 300, None)],
)
def test_a_window_that_touches_a_span_was_to_be_unusual(
    start: int, end: int, reason: str | None
) -> None:
    assert reason == expected(start, end, [Span(100, 200, "rollout")])


def test_a_recurring_event_is_expected_whenever_it_is_on() -> None:
    backup = Recurring(first=1_000, period=500, length=50, reason="backup")
    on = [
        start
        for start in range(0, 3_000, 10)
        if expected(start, start + 10, (), [backup]) is not None
    ]
    truth = [
        start
        for start in range(0, 3_000, 10)
        if any((t - 1_000) % 500 < 50 and t >= 1_000 for t in range(start, start + 10))
    ]

    assert truth == on
    assert "backup" == expected(1_400, 1_510, (), [backup])


def test_an_event_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than its period"):
        Recurring(0, 10, 10, "always")


def anomaly(scope: str, minute: int, **more: object) -> Anomaly:
    words: dict[str, object] = {
        "id": f"{scope}|p95|{minute}",
        "scope": scope,
        "metric": "p95",
        "window": "1m",
        "start": minute * 60_000,
        "end": (minute + 1) * 60_000,
        "revision": 1,
        "is_anomaly": True,
        "severity": Severity.LOW,
        "confidence": 0.9,
        "actual": 1.0,
        "expected": 0.0,
        "expected_low": 0.0,
        "expected_high": 0.5,
        "deviation": 5.0,
        "detector": "robust_z",
        "samples": 60,
    }
    return Anomaly(**(words | more))  # type: ignore[arg-type]  # fields by name


def test_anomalies_of_one_service_near_in_time_are_one_incident() -> None:
    found = group(
        [
            anomaly("search/answer", 5, severity=Severity.HIGH),
            anomaly("search", 0),
            anomaly("search", 40),
            anomaly("chat", 1),
            anomaly("search", 2, is_anomaly=False, id="withdrawn"),
        ]
    )

    assert [
        (("search", "search/answer"), Severity.HIGH, 2),
        (("chat",), Severity.LOW, 1),
        (("search",), Severity.LOW, 1),
    ] == [(i.scopes, i.severity, len(i.anomalies)) for i in found]


def test_one_cause_joins_services() -> None:
    both = [anomaly("search", 0), anomaly("chat", 3)]
    causes = {each.id: "provider/one" for each in both}
    (incident,) = group(both[::-1], causes)

    assert (("chat", "search"), 0, 240_000) == (incident.scopes, incident.start, incident.end)


def test_a_long_anomaly_links_what_comes_after_a_short_one_within_it() -> None:
    found = group(
        [anomaly("search", 0, end=3_600_000), anomaly("search", 5), anomaly("search", 65)]
    )

    assert [3] == [len(incident.anomalies) for incident in found]

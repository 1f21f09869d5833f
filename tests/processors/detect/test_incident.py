"""Which anomalies of a scope are one incident."""

from __future__ import annotations

from types import ModuleType

import pytest

from processors.detect.incident import join
from tests.processors.detect.watching import calm, minute, run

GAP = 600_000


@pytest.mark.parametrize(
    ("last", "start", "expected"),
    [
        ((-1, -1), 60_000, (60_000, 120_000)),
        ((60_000, 120_000), 120_000 + GAP, (60_000, 180_000 + GAP)),
        ((60_000, 120_000), 180_000 + GAP, (180_000 + GAP, 240_000 + GAP)),
        ((900_000, 960_000), 840_000, (900_000, 960_000)),
        ((900_000, 960_000), 120_000, (120_000, 180_000)),
    ],
    ids=["the first", "near", "far", "a late one, near", "a late one, far"],
)
def test_what_is_near_belongs_together(
    records: ModuleType, last: tuple[int, int], start: int, expected: tuple[int, int]
) -> None:
    anomaly = records.anomaly(start=start, end=start + 60_000)

    assert expected == join(last, anomaly, GAP)


def test_an_outage_of_several_metrics_is_one_incident_and_the_next_another() -> None:
    _, anomalies = run(
        [
            *calm(60),
            *(minute(60 + n, latency=900.0, errors=60) for n in range(7)),
            *calm(20, first=67, seed=2),
            minute(87, quality=20.0),
        ]
    )

    assert {"search/answer|3600000", "search/answer|5220000"} == {a.incident for a in anomalies}
    assert 5 == len(anomalies)

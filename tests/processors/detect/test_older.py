"""What was written before there was an ensemble is still read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from processors.detect import DetectPolicy, DetectState
from processors.detect.layout import LAYOUT, NEVER, opened
from processors.detect.older import FIRST, JUDGED_1, SERIES_1, fitted
from processors.detect.policy import WATCHES
from processors.detect.state import Detector
from schemas.anomaly import Severity
from schemas.codec import pack, unpack
from tests.processors.detect.watching import POLICY, calm, minute, run

METRICS = tuple(str(watch.metric) for watch in WATCHES)
PAST = [float(np.log(100.0 + n % 7)) for n in range(60)]
OLD = {  # as the entry of a scope was
    "scope": "search/answer",
    "newest": 59 * 60_000,
    "series": {
        "p95_latency_ms": {
            "values": PAST,
            "weights": [100] * 60,
            "judged": [
                [58 * 60_000, [4.6, 0.05, 100.0, 58], None],
                [59 * 60_000, [4.6, 0.05, 100.0, 59], "high"],
            ],
            "spoken_at": 59 * 60_000,
            "spoken": "high",
        },
        "error_rate": {
            "values": [],
            "weights": [],
            "judged": [],
            "spoken_at": None,
            "spoken": None,
        },
    },
}


@pytest.fixture
def old() -> DetectState:
    entry = unpack(Detector, pack(OLD))
    return DetectState({entry.scope: entry})


def test_an_older_entry_goes_on_with_the_past_and_the_quiet_that_it_knew(old: DetectState) -> None:
    _, (loud,) = run([minute(60, latency=180.0), minute(64, latency=180.0)], state=old)

    assert 64 * 60_000 == loud.start
    assert pytest.approx(103.0) == loud.expected
    assert 60 == loud.samples


def test_an_older_judgement_can_still_be_revised(old: DetectState) -> None:
    rows = [minute(59, latency=100.0, revision=2), minute(58, latency=100.0, revision=2)]
    _, revised = run(rows, state=old)

    assert [(59 * 60_000, False, Severity.HIGH, "")] == [
        (a.start, a.is_anomaly, a.severity, a.incident) for a in revised
    ]


def test_an_older_entry_is_written_as_a_new_one(old: DetectState) -> None:
    state, _ = run([minute(60)], state=old)
    detector = state.scopes["search/answer"]
    rows = opened([detector.packed])

    assert ({}, METRICS) == (detector.series, detector.metrics)
    assert [60, 1, 1, 1, 1, 1, 0, 0] == rows["count"].tolist()
    assert [59, *[NEVER] * 7] == rows["spoken"].tolist()


def test_a_metric_that_is_watched_anew_begins_anew_and_others_go_on() -> None:
    state, _ = run(calm(30))
    fewer = DetectPolicy(watches=WATCHES[1:])
    changed, _ = run([minute(30)], fewer, state)
    back, _ = run([minute(31)], POLICY, changed)
    counts = opened([back.scopes["search/answer"].packed])["count"].tolist()

    assert [1, 32, 32, 32, 32, 32, 0, 0] == counts


def test_rows_without_sums_go_on_with_all_that_they_knew() -> None:
    known = METRICS[:4]
    policy = DetectPolicy(watches=WATCHES[:4])
    state, _ = run([*calm(40), minute(40, latency=900.0)], policy)
    detector = state.scopes["search/answer"]
    now = opened([detector.packed])
    first = np.zeros(4, SERIES_1)
    for name in SERIES_1.names or ():
        first[name] = now[name] if name != "judged" else first[name]
    for name in JUDGED_1.names or ():
        first["judged"][name] = now["judged"][name]
    old = replace(detector, layout=FIRST, packed=first.tobytes())
    read = fitted(known, old)
    rows = opened([read.packed])

    assert (1_673, LAYOUT) == (SERIES_1.itemsize, read.layout)
    for name in SERIES_1.names or ():
        if name != "judged":
            assert np.array_equal(now[name], rows[name])
    assert np.array_equal(now["judged"]["minute"], rows["judged"]["minute"])
    assert np.isnan(rows["judged"]["z"]).all()
    assert [] == run([minute(41)], policy, DetectState({read.scope: read}))[1]
    (again,) = run(
        [minute(40, latency=800.0, revision=2)], policy, DetectState({read.scope: read})
    )[1]
    assert (True, 800.0) == (again.is_anomaly, again.actual)


def test_rows_of_an_unknown_layout_begin_anew() -> None:
    state, _ = run(calm(30))
    other = replace(state.scopes["search/answer"], layout=9, packed=b"something else")
    begun = fitted(METRICS, other)

    assert (29 * 60_000, [0] * 8) == (begun.newest, opened([begun.packed])["count"].tolist())


def test_what_fits_is_left_as_it_is() -> None:
    state, _ = run(calm(3))
    detector = state.scopes["search/answer"]

    assert fitted(METRICS, detector) is detector

"""Who judges and decides by windows of fixed lengths passes by those that are declared."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from processors.actuate import policy as actuating
from processors.actuate import state as actuated
from processors.actuate import step as actuate
from processors.analyze.stage import AnalyzePolicy
from processors.analyze.stage import fresh as analyze_fresh
from processors.analyze.stage import step as analyze
from processors.decide import DecidePolicy
from processors.decide import fresh as decide_fresh
from processors.decide import step as decide
from processors.detect import DetectPolicy
from processors.detect import fresh as detect_fresh
from processors.detect import step as detect
from schemas.catalog import Catalog
from schemas.flow import Input, Moment
from schemas.scope import ALL
from schemas.topics import ENRICHED
from schemas.window import MINUTE, EnrichedWindow

MOMENT = Moment(now=1, seed=1, epoch=1, partition=0, partitions=1)
NAMES = [
    ("recent:hopping:1m:1m", MINUTE),
    ("recent:hopping:15m:5m", 15 * MINUTE),
    ("recent:hopping:1h:5m", 60 * MINUTE),
    ("visits:session:1m:1h", 2 * MINUTE),
]


@pytest.fixture(params=NAMES, ids=lambda named: named[0])
def declared(request: pytest.FixtureRequest, records: ModuleType) -> list[Input]:
    """Closed windows of one declaration: a key's, and those of its scope with many errors."""
    name, length = request.param
    own: dict[str, Any] = {
        "model": "gpt-4o",
        "provider": "openai",
        "config_version": "v1",
        "cohort": "stable",
    }
    rows = [
        records.window(
            window=name,
            start=i * 60 * MINUTE,
            end=i * 60 * MINUTE + length,
            watermark=i * 60 * MINUTE + length,
            requests=10_000,
            success=100,
            errors=9_900,
            **key,
        )
        for i in range(3)
        for key in (own, {})
    ]
    return [
        Input(ENRICHED.name, i, EnrichedWindow(window=row, cost_usd=1.0, cost_per_request_usd=1.0))
        for i, row in enumerate(rows)
    ]


def test_the_detector_passes_by(declared: list[Input]) -> None:
    state = detect_fresh()
    outcome = detect(DetectPolicy(), state, declared, MOMENT)

    assert outcome.state is state
    assert ((), {}, {}) == (outcome.emits, outcome.changes, outcome.counts)


def test_the_analysis_passes_by(declared: list[Input]) -> None:
    state = analyze_fresh()
    outcome = analyze(AnalyzePolicy(), state, declared, MOMENT)

    assert outcome.state is state
    assert ((), {}, {}) == (outcome.emits, outcome.changes, outcome.counts)


def test_the_decider_passes_by(declared: list[Input]) -> None:
    state = decide_fresh()
    outcome = decide(DecidePolicy(catalog=Catalog()), state, declared, MOMENT)

    assert outcome.state is state
    assert ((), {}) == (outcome.emits, outcome.changes)


def test_the_actuator_learns_the_time_and_nothing_of_the_scope(declared: list[Input]) -> None:
    outcome = actuate.step(actuating.ActuatePolicy(), actuated.ActuateState(), declared, MOMENT)

    assert () == outcome.emits
    assert {ALL} == {*outcome.changes}

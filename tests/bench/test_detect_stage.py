"""The bench of the detect stage, in small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.detect_stage import found, run
from bench.faulty import FAULTS, LENGTH, break_
from bench.healthy import DAY, Minutes, daily, fleet, measure, rows, together
from simulator.fleet import Fleet

SCOPES = (3, 12, 24)


@pytest.fixture(scope="module")
def some() -> tuple[Fleet, Minutes]:
    """A day and a half of three endpoints."""
    every = fleet(seed=3)
    minutes = together([measure(every, i, range(DAY * 3 // 2)) for i in SCOPES])
    return replace(every, endpoints=tuple(every.endpoints[i] for i in SCOPES)), minutes


def test_healthy_days_have_few_false_alarms(some: tuple[Fleet, Minutes]) -> None:
    passed = run(*some)

    assert len(passed.told) <= 2
    assert passed.judged > 10_000


def test_faults_are_told_the_larger_the_sooner(some: tuple[Fleet, Minutes]) -> None:
    of, minutes = some
    broken, trials = break_(minutes)
    table = found(trials, of, run(of, broken).told)
    grave = [table[name] for name in ("slow 5", "errors 0.3", "cost 4", "quality 30")]

    assert set(FAULTS) == set(table)
    assert all(share == 1.0 and delay <= 1 for share, delay, n in grave if n)
    assert 3 <= len(trials) == sum(int(n) for _, _, n in table.values())


def test_only_what_breaks_is_changed(some: tuple[Fleet, Minutes]) -> None:
    _, minutes = some
    broken, trials = break_(minutes)
    changed = np.zeros(minutes.requests.shape, np.bool_)
    for name in Minutes.__slots__:
        a, b = getattr(minutes, name), getattr(broken, name)
        changed |= (a != b) & ~(np.isnan(a) & np.isnan(b))
    allowed = np.zeros(changed.shape, np.bool_)
    for trial in trials:
        allowed[trial.scope, trial.start : trial.start + LENGTH] = True

    assert changed.any()
    assert not (changed & ~allowed).any()


def test_a_minute_without_requests_has_no_row(some: tuple[Fleet, Minutes]) -> None:
    of, minutes = some
    silent = replace(minutes, requests=np.where(np.arange(3)[:, None] == 1, 0.0, minutes.requests))
    first = next(rows(of, silent))

    assert [of.endpoints[0].scope, of.endpoints[2].scope] == [row.window.scope for row in first]
    assert minutes.p95_ms[0, 0] == first[0].window.metrics["latency_ms"].p95


def test_a_course_of_the_day_slows_the_night_down(some: tuple[Fleet, Minutes]) -> None:
    _, minutes = some
    slower = daily(minutes).p95_ms / minutes.p95_ms
    early = 1.8 * (1 + 0.35 * np.sin(2 * np.pi * (150 / DAY - 0.25)))

    assert pytest.approx(early) == np.nanmedian(slower[:, 150])
    assert np.nanmax(slower) < 1.8

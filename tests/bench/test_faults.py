from __future__ import annotations

import json
from io import StringIO
from math import inf, isnan

import pytest
from rich.console import Console

from bench import faults
from bench.faults import STRENGTHS, Seen, Trial, by_kind, delay, named, seen, table, trials
from simulator.faults import ASKING, SERVING, Kind

OUTAGE = Trial("outage-strong/all", Kind.OUTAGE, 2)
OF_MODEL = Trial("outage-strong/model", Kind.OUTAGE, 2, "model")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an hour instead of two and a half."""
    monkeypatch.setattr(faults, "WARM", 25)
    monkeypatch.setattr(faults, "LASTS", 5)


def test_every_kind_that_changes_a_window_is_tried_and_more_than_twenty_of_them() -> None:
    assert set(STRENGTHS) == SERVING | ASKING
    assert 20 <= len(STRENGTHS)
    assert all(a < b < c for a, b, c in STRENGTHS.values())
    assert len({each.scope for each in trials()}) == len(trials())
    for each in trials():
        assert faults.fault_of(each).kind is each.kind


@pytest.mark.usefixtures("short")
def test_an_outage_is_seen_in_its_first_minute_and_none_before_it() -> None:
    assert [1.0, 1.0] == [each.delay for each in faults.tried([OUTAGE, OF_MODEL], 1, 400.0)]


@pytest.mark.usefixtures("short")
def test_a_fault_that_is_none_is_not_seen() -> None:
    mild = Trial("cache_miss-mild/all", Kind.CACHE_MISS, 0)

    assert [inf] == [each.delay for each in faults.tried([mild], 1, 100.0)]


@pytest.mark.usefixtures("short")
def test_alarms_of_healthy_scopes_are_by_their_days() -> None:
    alarms, days = faults.false_alarms(1, 100.0, 5, scopes=2)

    assert 0 <= alarms < 2
    assert 10 / 1_440 == days


FOUND = [
    Seen(OUTAGE, 1.0, None),
    Seen(OUTAGE, 4.0, None),
    Seen(OUTAGE, inf, None),
    Seen(OF_MODEL, 2.0, first=True),
    Seen(OF_MODEL, 2.0, first=False),
    Seen(Trial("slow-mild/all", Kind.SLOW, 0), inf, None),
]


def test_what_is_seen_is_summed_up_by_kind_and_strength() -> None:
    every = [Seen(Trial("x", kind, level), 3.0, None) for kind in STRENGTHS for level in range(3)]
    told = by_kind([each for each in every if each.trial.kind is not Kind.OUTAGE] + [
        Seen(Trial("x", Kind.OUTAGE, level), late, None)
        for level in range(3)
        for late in (1.0, inf)
    ])  # fmt: skip

    assert 3 * len(STRENGTHS) == len(told)
    assert [0.5, 1.0] == told["outage strong"]
    assert json.dumps(told)


def test_delays_are_of_what_is_seen_and_causes_of_what_names_one() -> None:
    assert pytest.approx(2 / 3) == seen(FOUND[:3])
    assert 2.5 == delay(FOUND[:3])
    assert isnan(delay(FOUND[2:3]))
    assert 0.5 == named(FOUND)
    assert isnan(named(FOUND[:3]))


def test_the_table_has_a_row_for_each_kind_and_target() -> None:
    out = StringIO()
    complete = [
        Seen(Trial("x", kind, level, target), 3.0 if level else inf, first=True)
        for kind in (Kind.OUTAGE, Kind.SURGE)
        for target in (("", "model") if kind is Kind.OUTAGE else ("",))
        for level in range(3)
    ]
    Console(file=out, width=120).print(table(complete))
    rows = [line.split() for line in out.getvalue().splitlines()[1:]]

    assert [
        ["outage", "–", "100%", "3", "min", "100%", "3", "min", "100%"],
        ["outage", "model", "–", "100%", "3", "min", "100%", "3", "min", "100%"],
        ["surge", "–", "100%", "3", "min", "100%", "3", "min", "100%"],
    ] == rows

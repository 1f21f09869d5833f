"""A bench ends with one line, and badly when it misses its bar."""

from __future__ import annotations

import json
import math

import pytest

from bench.line import Figure, per_event, report


def test_the_line_says_what_was_measured_against_what(capsys: pytest.CaptureFixture[str]) -> None:
    report("x", 3.5, "s", bar=4, vs={"peer": 2.0}, cpu_us_per_event=0.5, keys=10)
    line = json.loads(capsys.readouterr().out)

    assert ("x", 3.5, "s", 4, "<=", True) == tuple(
        line[name] for name in ("bench", "value", "unit", "bar", "at", "ok")
    )
    assert ({"peer": 2.0}, 0.5, 10) == (line["vs"], line["cpu_us_per_event"], line["keys"])
    assert "commit" in line


@pytest.mark.parametrize(
    ("value", "at"), [(5, "<="), (3, ">="), (math.nan, "<="), (math.nan, ">=")]
)
def test_a_missed_bar_is_told_and_ends_the_bench(
    value: float, at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        report("x", value, "s", bar=4, at=at)  # type: ignore[arg-type]
    line = json.loads(capsys.readouterr().out)

    assert 1 == end.value.code
    assert line["ok"] is False
    assert (None if math.isnan(value) else value) == line["value"]


def test_without_a_bar_there_is_nothing_to_miss(capsys: pytest.CaptureFixture[str]) -> None:
    report("x", 3, "s")

    assert not {"bar", "ok"} & json.loads(capsys.readouterr().out).keys()


def test_processor_time_is_told_per_event_that_of_the_worker_where_it_has_its_place() -> None:
    told = per_event(2_000_000, worker=5.0, broker=1.0)

    assert {"cpu_us_per_event": 2.5, "broker_us_per_event": 0.5} == told


@pytest.mark.parametrize(("value", "more", "missed"), [(4, 8, 0), (4, 9, 1), (5, 8, 1)])
def test_each_of_several_bars_has_its_own_verdict_and_none_may_be_missed(
    value: float, more: float, missed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    also = [Figure(what="y", value=more, unit="ms", bar=8)]
    ended = 0
    try:
        report("x", value, "s", bar=4, also=also)
    except SystemExit as end:
        ended = int(end.code or 0)
    line = json.loads(capsys.readouterr().out)

    assert missed == ended
    assert (value <= 4) is line["ok"]
    assert [{"what": "y", "value": more, "unit": "ms", "bar": 8, "at": "<=", "ok": more <= 8}] == (
        line["also"]
    )

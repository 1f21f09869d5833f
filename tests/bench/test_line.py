"""A bench ends with one line, and badly when it misses its bar."""

from __future__ import annotations

import json
import math

import pytest

from bench.line import report


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


def test_a_further_bar_that_is_missed_ends_the_bench_as_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        report("x", 3, "s", bar=4, also={"half of y": True, "twice z": False})
    line = json.loads(capsys.readouterr().out)

    assert (False, {"half of y": True, "twice z": False}) == (line["ok"], line["also"])

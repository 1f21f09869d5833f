from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from streams.cli import main

HOURS = 24 * 14


def ran(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def told(*words: str | Path) -> Any:
    answer = ran(*words, "--json")
    assert 0 == answer.exit_code, answer.stderr
    return json.loads(answer.stdout)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two weeks by the hour: latency leaps in the middle of its days, quality falls, cost stays."""
    return written(tmp_path / "service.csv", leap=200.0)


def written(file: Path, leap: float = 0.0, level: float = 800.0) -> Path:
    rng = np.random.default_rng(1)
    at = np.arange(HOURS)
    latency = level + 100 * np.sin(2 * np.pi * at / 24) + 20 * rng.normal(size=HOURS)
    latency += leap * (at >= HOURS // 2)
    quality = 90 - 0.03 * at + 0.3 * rng.normal(size=HOURS)
    cost = 0.004 + 0.0002 * rng.normal(size=HOURS)
    begin = datetime(2024, 3, 1, tzinfo=UTC)
    rows = [
        f"{begin + timedelta(hours=int(i)):%Y-%m-%d %H:%M},{latency[i]:.1f},{quality[i]:.2f},"
        f"{cost[i]:.6f}"
        for i in at
    ]
    file.write_text("\n".join(["time,p95_ms,quality,cost", *rows]))
    return file


def test_the_leap_of_a_series_is_told_with_its_time_and_its_size(file: Path) -> None:
    answer = ran("changepoints", file, "--column", "p95_ms")
    row = answer.stdout.splitlines()[2].split()

    assert 0 == answer.exit_code
    assert ["2024-03-08", "00:00:00", "p95_ms"] == row[:3]
    assert pytest.approx(25.0, abs=4.0) == float(row[6].strip("+%"))
    assert "'p95_ms' repeats every 24 points: taken off" in answer.stderr


def test_changes_of_several_columns_are_changes_of_them_all(file: Path) -> None:
    found = told("changepoints", file)

    assert ["p95_ms", "quality", "cost"] == found["columns"]
    (change,) = found["changes"]
    assert HOURS // 2 == change["index"]
    assert pytest.approx(200.0, abs=30.0) == change["columns"]["p95_ms"]["shift"]
    assert abs(change["columns"]["quality"]["shift"]) < 0.5


def test_every_point_has_its_segment_and_its_level(file: Path) -> None:
    found = told("changepoints", file, "--column", "quality")

    assert [] == found["changes"]
    assert HOURS == len(found["points"])
    assert {0} == {point["segment"] for point in found["points"]}
    first = found["points"][0]
    assert pytest.approx(first["values"]["quality"], abs=1.5) == first["levels"]["quality"]
    assert 1_709_251_200.0 == first["time"]


def test_seasons_are_kept_where_that_is_asked_for(file: Path) -> None:
    at = np.arange(400)
    values = np.where(at % 100 < 50, 5.0, 9.0) + 0.1 * np.random.default_rng(1).normal(size=400)
    file.write_text("\n".join(["value", *(f"{x:.3f}" for x in values)]))

    assert 0 == len(told("changepoints", file)["changes"])
    assert 7 == len(told("changepoints", file, "--keep-seasons")["changes"])


def test_the_event_of_the_time_is_the_likely_cause(file: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text(
        "when,what,by\n2024-03-02 10:00,price change,billing\n2024-03-07 23:30,deployed v2,ann\n"
    )
    (change,) = told("changepoints", file, "--column", "p95_ms", "--events", events)["changes"]
    answer = ran("changepoints", file, "--column", "p95_ms", "--events", events)

    assert ["deployed v2 ann", "price change billing"] == [
        each["what"] for each in change["causes"]
    ]
    assert 1_800.0 == change["causes"][0]["before_s"]
    assert change["causes"][0]["share"] > 0.8
    assert "deployed v2 ann (" in answer.stdout


def test_a_change_long_after_every_event_has_no_likely_cause(file: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("when,what\n2024-03-02 10:00,price change\n")
    answer = ran("changepoints", file, "--column", "p95_ms", "--events", events)

    assert "–" == answer.stdout.splitlines()[2].split()[-1]


def test_events_need_times_and_words(file: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("what\ndeployed\n")
    answer = ran("changepoints", file, "--events", events)

    assert 1 == answer.exit_code
    assert "events.csv" in answer.stderr


def test_no_change_is_said(file: Path) -> None:
    answer = ran("changepoints", file, "--column", "cost")

    assert f"No change in {HOURS} points of cost.\n" == answer.stdout


def test_a_trend_is_told_by_what_is_good_for_the_column(file: Path) -> None:
    found = {each["column"]: each for each in told("trend", file)["columns"]}

    assert ["degrading", "degrading", "stable"] == [each["direction"] for each in found.values()]
    assert pytest.approx(-0.03 * 24, rel=0.1) == found["quality"]["slope"]
    assert 24 == found["p95_ms"]["period"]
    assert HOURS == len(found["cost"]["points"])
    ahead = found["quality"]["forecast"]
    assert round(HOURS / 10) == len(ahead)
    assert "2024-03-15 00:00:00" == ahead[0]["at"]
    assert ahead[0]["low"] < ahead[0]["mean"] < ahead[0]["high"]


def test_a_point_comes_apart_where_something_repeats(file: Path) -> None:
    (found,) = told("trend", file, "--column", "p95_ms")["columns"]
    middle = found["points"][HOURS // 3]

    assert pytest.approx(middle["value"]) == middle["trend"] + middle["season"] + middle["rest"]


def test_what_is_good_may_be_said(file: Path) -> None:
    (found,) = told("trend", file, "--column", "quality", "--good", "down")["columns"]

    assert "improving" == found["direction"]


def test_a_table_of_trends_says_the_unit_of_the_slopes(file: Path) -> None:
    lines = ran("trend", file, "--ahead", "3").stdout.splitlines()

    assert "2024-03-01 00:00:00 to 2024-03-14 23:00:00" == lines[0].strip()
    assert "per day" in lines[1]
    assert "1 day" in lines[2]
    assert "degrading" == lines[3].split()[1]


def test_gaps_are_filled_for_a_forecast_and_said(tmp_path: Path) -> None:
    rows = [f"{i},{10 + i % 3}" for i in range(60) if i not in (20, 21)]
    file = tmp_path / "gaps.csv"
    file.write_text("\n".join(["t,value", *rows]))
    answer = ran("trend", file)

    assert "2 steps of 'value' have no value: on the line between others" in answer.stderr


def test_few_values_have_a_trend_and_no_forecast(tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("\n".join(["t,value", *(f"{i},{i + i % 2}" for i in range(12))]))
    (found,) = told("trend", file)["columns"]

    assert ("rising", []) == (found["direction"], found["forecast"])
    assert "fewer than 20 values: no forecast" in ran("trend", file).stderr


def test_two_files_are_compared_column_by_column(tmp_path: Path) -> None:
    before = written(tmp_path / "before.csv")
    after = written(tmp_path / "after.csv", level=1_200.0)
    found = told("compare", before, after, "--good", "down")
    outcomes = {each["name"]: each["outcome"] for each in found["columns"]}

    assert {"p95_ms": "worse", "quality": "alike", "cost": "alike"} == outcomes
    assert found["columns"][0]["adjusted_p"] >= found["columns"][0]["p"]
    assert ("before.csv", "after.csv") == (found["before"], found["after"])


def test_a_comparison_is_a_table(tmp_path: Path) -> None:
    before = written(tmp_path / "before.csv")
    after = written(tmp_path / "after.csv", level=1_200.0)
    lines = ran("compare", before, after).stdout.splitlines()

    assert ["p95_ms", "worse"] == lines[1].split()[:2]
    assert ["cost", "alike"] == lines[3].split()[:2]


def test_a_level_that_leaps_within_a_file_is_no_sure_difference(file: Path, tmp_path: Path) -> None:
    found = told("compare", written(tmp_path / "before.csv"), file, "--column", "p95_ms")

    assert "inconclusive" == found["columns"][0]["outcome"]
    assert found["columns"][0]["inflation"][1] > 10


def test_files_without_a_common_column_are_refused(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("t,else\n1,2\n2,3\n")
    answer = ran("compare", file, other)

    assert 1 == answer.exit_code
    assert "have no column of numbers in common" in answer.stderr


@pytest.mark.parametrize(
    ("words", "height"),
    [(("changepoints",), 870), (("trend",), 870), (("trend", "--column", "cost"), 390)],
)
def test_a_picture_is_a_png_and_the_same_each_time(
    file: Path, tmp_path: Path, words: tuple[str, ...], height: int
) -> None:
    pictures = [tmp_path / "one.png", tmp_path / "two.png"]
    for picture in pictures:
        assert f"Drawn in {picture}." in ran(words[0], file, *words[1:], "--plot", picture).stdout
    one, two = (picture.read_bytes() for picture in pictures)

    assert b"\x89PNG\r\n\x1a\n" == one[:8]
    assert (1_200, height) == struct.unpack(">II", one[16:24])
    assert one == two


def test_a_comparison_is_drawn(file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "one.png"
    answer = ran("compare", file, written(tmp_path / "b.csv"), "--plot", picture)

    assert f"Drawn in {picture}." in answer.stdout
    assert b"\x89PNG" == picture.read_bytes()[:4]


@pytest.mark.parametrize("command", ["changepoints", "trend", "compare"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("time,value\n1,2\n", "'value' has 1 point; this needs at least"),
        ("time,value\n1,2\n2,oops\n3,4\n", "'oops' in column 'value' is no number"),
        ("time,value\n1,NaN\n2,\n3,4\n", "'value' has 1 point"),
    ],
)
def test_a_file_that_is_no_good_is_refused_in_a_sentence(
    tmp_path: Path, command: str, text: str, said: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    answer = ran(command, *[file] * (2 if command == "compare" else 1))

    assert 1 == answer.exit_code
    assert answer.stderr.startswith("llmopt: bad.csv")
    assert said in answer.stderr


@pytest.mark.parametrize(
    ("picture", "said"), [("one.svg", "does not end in .png"), ("none/one.png", "no folder")]
)
def test_a_picture_that_cannot_be_is_refused_before_anything(picture: str, said: str) -> None:
    answer = ran("trend", "nowhere.csv", "--plot", picture)

    assert 2 == answer.exit_code
    assert said in answer.stderr

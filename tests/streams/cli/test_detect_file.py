from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from processors.detect.plain import DETECTORS
from processors.detect.series import SeriesPolicy
from processors.detect.series.along import along, unseasoned
from streams.cli import main

N, OUT = 600, 500


def ran(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["detect", *map(str, words)])


def told(*words: str | Path) -> Any:
    answer = ran(*words, "--json")
    assert 0 == answer.exit_code, answer.stderr
    return json.loads(answer.stdout)


def written(file: Path, values: np.ndarray, *, season: float = 0.0) -> Path:
    at = np.arange(values.size)
    values = values + season * np.sin(2 * np.pi * at / 24)
    rows = [f"{60 * i},{value:.6f},{i % 3}" for i, value in enumerate(values)]
    file.write_text("\n".join(["time,p95_ms,shard", *rows]))
    return file


@pytest.fixture
def noise() -> np.ndarray:
    values = np.random.default_rng(3).normal(800.0, 10.0, N)
    values[OUT : OUT + 3] = 1_400.0
    return values


@pytest.mark.parametrize("detector", ["ensemble", *DETECTORS])
def test_a_leap_is_found_by_every_detector(
    tmp_path: Path, noise: np.ndarray, detector: str
) -> None:
    file = written(tmp_path / "a.csv", noise)
    [column] = told(file, "--column", "p95_ms", "--detector", detector)["columns"]
    [leap] = [e for e in column["anomalies"] if e["first"] <= OUT + 1 <= e["last"] + 1]

    assert (N, 0.0) == (len(column["points"]), column["points"][0]["score"])
    assert (1_400.0, True) == (leap["value"], leap["score"] >= column["threshold"])
    assert pytest.approx(800.0, abs=10.0) == leap["usual"]


def test_it_is_told_in_a_table_and_drawn(tmp_path: Path, noise: np.ndarray) -> None:
    file, picture = written(tmp_path / "a.csv", noise), tmp_path / "a.png"
    answer = ran(file, "--column", "p95_ms", "--plot", picture)

    assert (0, f"{60 * OUT}") == (answer.exit_code, answer.stdout.splitlines()[3].split()[0])
    assert "1 anomaly in 600 points of p95_ms" in answer.stdout
    assert b"\x89PNG" == picture.read_bytes()[:4]


def test_what_repeats_is_no_anomaly_but_what_breaks_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(4).normal(800.0, 5.0, N)
    values[OUT] += 250.0  # within the range of the season
    answer = ran(written(tmp_path / "a.csv", values, season=400.0), "--column", "p95_ms")

    assert "'p95_ms' repeats every 24 points: taken out" in answer.stderr
    assert f"{60 * OUT}" in answer.stdout


def test_scores_are_of_the_past_only(noise: np.ndarray) -> None:
    whole = along(SeriesPolicy(), np.stack([noise, noise[::-1]]))
    part = along(SeriesPolicy(), noise[None, :300])

    np.testing.assert_array_equal(part[0], whole[0, :300])
    np.testing.assert_array_equal(unseasoned(noise, 24)[:300], unseasoned(noise[:300], 24))


def test_a_file_with_too_few_values_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    answer = ran(written(tmp_path / "a.csv", np.arange(50.0)))

    assert 1 == answer.exit_code
    assert "a.csv: no column has 101 values" in answer.stderr


def test_a_column_that_nobody_asked_for_is_left_out_when_it_is_too_short(
    tmp_path: Path, noise: np.ndarray
) -> None:
    file = tmp_path / "a.csv"
    rows = [f"{i},{value},{i if i < 20 else ''}" for i, value in enumerate(noise)]
    file.write_text("\n".join(["time,value,few", *rows]))
    answer = told(file)

    assert ["value"] == [each["column"] for each in answer["columns"]]
    assert "'few' has fewer than 101 values: left out" in answer["said"]


def test_a_calm_series_has_no_anomaly(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", np.random.default_rng(5).normal(0, 1, N))
    answer = ran(file, "--column", "p95_ms")

    assert "No anomaly in 600 points of p95_ms." in answer.stdout

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.changepoints import COVER_BAR, F1_BAR, cover, f1, left_out, load, scores
from bench.traffic import DATA
from processors.analyze.change_points import Segmenting

FOLDER = DATA / "changepoints"


def test_a_found_change_is_of_one_marked_change_only() -> None:
    # 0 is found by everybody: precision 2/2, recall (2/3 + 2/2) / 2.
    assert pytest.approx(2 * (5 / 6) / (11 / 6)) == f1([[10, 14], [12]], [12])


def test_a_change_that_nobody_marked_costs_precision() -> None:
    assert pytest.approx(2 * 0.5 / 1.5) == f1([[]], [40])


def test_a_change_beyond_the_margin_is_missed() -> None:
    assert [1.0, 0.5] == [f1([[40]], [45]), f1([[40]], [46])]


def test_cover_weighs_each_segment_by_its_length() -> None:
    # [0, 20) is met by [0, 50) to 20/50, [20, 100) by [50, 100) to 50/80.
    assert pytest.approx(0.2 * 0.4 + 0.8 * 0.625) == cover([[20]], [50], 100)


def test_each_series_is_judged_by_the_setting_that_is_best_on_the_others() -> None:
    table = np.zeros((2, 4, 2))
    table[0, 0] = 1.0  # the first setting is best on the first series, the second on the others
    table[1, 1:] = 0.6

    assert pytest.approx((0.45, 0.45)) == left_out(table)


def test_what_is_missing_in_a_series_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "annotations.json").write_text(json.dumps({"some": {"6": [1]}}))
    read = {"name": "some", "n_obs": 3, "series": [{"raw": [1, None, 3]}]}
    (tmp_path / "series" / "some.json").write_text(json.dumps(read))
    series, people = load(tmp_path)["some"]

    assert [[1.0, 2.0, 3.0]] == series.tolist()
    assert [[1]] == people


@pytest.mark.skipif(not FOLDER.exists(), reason=f"{FOLDER} is not here")
def test_the_changes_that_people_marked_are_found() -> None:
    found = [scores(x, people, Segmenting()) for x, people in load(FOLDER).values()]
    mean_f1, mean_cover = np.mean(found, axis=0).tolist()

    assert mean_f1 >= F1_BAR
    assert mean_cover >= COVER_BAR

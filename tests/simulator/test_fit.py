"""The fit finds what measurements were drawn from, and prints it as profiles.py has it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator import fit
from simulator.profiles import SHAPES, TAIL_INDEX, TAIL_SHARE, Shape

N = 20_000


def measured(shape: Shape, seed: int, tail: float = 0.0) -> list[dict[str, Any]]:
    """N requests to a provider of that *shape*, that part of them in the tail of first tokens."""
    rng = np.random.default_rng(seed)
    first = shape.ttft_ms * np.exp(np.clip(rng.normal(0, shape.ttft_sigma, N), None, np.log(2.9)))
    far = rng.random(N) < tail
    first[far] = shape.ttft_ms * fit.TAIL * (1 + rng.pareto(TAIL_INDEX, int(far.sum())))
    each = shape.itl_ms * np.exp(rng.normal(0, shape.itl_sigma, N))
    tokens = rng.integers(21, 400, N)
    rows = zip(first.tolist(), (first + each * (tokens - 1)).tolist(), tokens.tolist(), strict=True)
    return [
        {"ttft_s": f / 1e3, "end_to_end_latency_s": e / 1e3, "number_output_tokens": n}
        for f, e, n in rows
    ]


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_shape_is_found_in_what_was_drawn_from_it(name: str) -> None:
    shape = SHAPES[name]
    found = fit.shape(measured(shape, 1))

    assert shape.ttft_ms == pytest.approx(found.ttft_ms, rel=0.03)
    assert shape.itl_ms == pytest.approx(found.itl_ms, rel=0.03)
    assert shape.itl_sigma == pytest.approx(found.itl_sigma, rel=0.05)
    assert shape.ttft_sigma == pytest.approx(found.ttft_sigma, rel=0.05)


def test_short_answers_and_those_without_a_first_token_do_not_count() -> None:
    good = measured(SHAPES[min(SHAPES)], 1)
    short = {"ttft_s": 9.0, "end_to_end_latency_s": 9.0, "number_output_tokens": 20}
    silent = {"ttft_s": None, "end_to_end_latency_s": 9.0, "number_output_tokens": 50}

    assert fit.shape(good) == fit.shape([*good, *[short, silent] * N])


def test_the_tail_is_found_over_providers_of_any_speed() -> None:
    drawn = [
        np.array([row["ttft_s"] for row in measured(shape, seed, TAIL_SHARE)])
        for seed, shape in enumerate(SHAPES.values())
    ]
    share, index = fit.tail(drawn)

    assert TAIL_SHARE == pytest.approx(share, rel=0.1)
    assert TAIL_INDEX == pytest.approx(index, rel=0.1)


def test_the_numbers_are_printed_as_profiles_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = measured(SHAPES[min(SHAPES)], 1, TAIL_SHARE)
    latency, routing = tmp_path / "traces" / "provider-latency", tmp_path / "routing"
    latency.mkdir(parents=True)
    routing.mkdir()
    (latency / "one.json").write_text(json.dumps(rows))
    with (routing / "routerbench_dev.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("model", "quality"), ("a", "0.5"), ("a", "1"), ("b", "0")])
    (routing / "aider_polyglot_leaderboard.yml").write_text("[{model: c, pass_rate_2: 61.5}]")

    assert 0 == fit.main(tmp_path)
    shape, tail, *rest = capsys.readouterr().out.splitlines()
    assert f'    "one": {fit.shape(rows)},' == shape
    assert re.fullmatch(r"tail share 0\.\d{4}, index \d\.\d\d", tail)
    assert ["a: quality 75.0", "b: quality 0.0", "c: pass rate 61.5"] == rest


def test_without_measurements_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [0, 0] == [fit.main(), fit.main(tmp_path)]
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Skipped: name the folder")
    assert f"Skipped: {tmp_path} does not have the measurements that this fits." == second

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import verdicts
from bench.minutes import rows
from bench.rules import RULES, Before, minutes
from bench.traffic import DAY, World, simulate, sources
from bench.verdicts import (
    AA,
    HARMS,
    OURS,
    OUTAGE,
    OUTAGE_MINUTES,
    RATES,
    SICK,
    SPLIT,
    Job,
    ladder,
    rolled_out,
    upper,
)

NOWHERE = Path("nowhere")


def test_rows_hold_every_request_once_and_late_scores_never() -> None:
    requests = simulate(World(per_hour=3_000.0, late=0.3), np.full(60, 2_500), 1)
    made = rows(requests)
    scores = sum(
        row.window.metrics["quality"].count
        for minute in made
        for arm in minute
        for row in arm
        if "quality" in row.window.metrics
    )

    assert requests.minute.size == sum(
        r.window.requests for minute in made for arm in minute for r in arm
    )
    assert (~requests.late).sum() == scores
    assert pytest.approx(0.3, abs=0.05) == requests.late.mean()


def test_the_candidate_gets_its_share_and_is_worse_as_the_world_says() -> None:
    world = World(per_hour=20_000.0, session=1.0, slower=1.2, dearer=1.5, quality=0.9)
    found = simulate(world, np.full(120, 2_500), 2)
    stable, candidate = (found.arm == arm for arm in (0, 1))

    assert pytest.approx(0.25, abs=0.02) == candidate.mean()
    for name, ratio in (("latency_ms", 1.2), ("cost_usd", 1.5), ("quality", 0.9)):
        values = getattr(found, name)

        assert pytest.approx(ratio, rel=0.05) == values[candidate].mean() / values[stable].mean()


def test_a_day_has_its_season_and_no_two_seeds_are_alike() -> None:
    world = sources(NOWHERE).world(1, per_hour=6_000.0, bursts=0.1)
    counts = [
        np.bincount(simulate(world, np.zeros(DAY, dtype=np.int64), seed).minute, minlength=DAY)
        for seed in (1, 1, 2)
    ]
    hours = counts[0].reshape(24, -1).sum(axis=1)

    assert hours.max() > 2 * hours.min()
    assert counts[0].tolist() == counts[1].tolist()
    assert counts[0].tolist() != counts[2].tolist()


def test_what_goes_wrong_everywhere_is_seen_by_all_rules_on_the_same_minutes() -> None:
    worse = (("per_hour", 12_000.0), ("candidate_errors", 0.6), ("slower", 3.0))
    found = rolled_out(Job(worse, (5_000,) * 61, 1, NOWHERE))

    assert {OURS, SPLIT, *RULES} == found.keys()
    assert found[SPLIT] is None
    assert all((hit := found[rule]) and 0 < hit.bad < hit.requests for rule in (OURS, *RULES))


@pytest.mark.parametrize("seed", [1, 2])
def test_outages_of_both_take_no_identical_candidate_back(seed: int) -> None:
    shares = (500,) * OUTAGE_MINUTES

    assert rolled_out(Job(tuple(OUTAGE.items()), shares, seed, NOWHERE))[OURS] is None


def test_the_rules_count_the_requests_that_our_verdicts_count() -> None:
    requests = simulate(World(per_hour=3_000.0), np.full(40, 5_000), 3)
    seen = minutes(requests)

    assert [
        [sum(row.window.requests for row in arm) for arm in minute] for minute in rows(requests)
    ] == seen.requests.astype(int).tolist()


def test_rules_say_nothing_where_no_request_was_served() -> None:
    seen = minutes(simulate(World(per_hour=0.0), np.full(61, 5_000), 1))

    assert {None} == {rule(seen, Before(0.01, 900.0)) for rule in RULES.values()}


def test_the_upper_bound_is_the_rate_that_would_give_so_few_in_one_of_forty_cases() -> None:
    assert pytest.approx(1 - 0.025 ** (1 / 200)) == upper(0, 200)


def test_the_bench_ends_with_one_json_line_that_has_a_bar_for_everything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "verdicts --rollouts 1 --scenarios 1 --harmful 1 --minutes 5 --data nowhere"
    monkeypatch.setattr(sys, "argv", words.split())
    with pytest.raises(SystemExit):  # the upper bound of one rollout is above any bar
        verdicts.main()
    line = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert ("verdicts", 5) == (line["bench"], line["looks"])
    assert {OURS, *RULES} == line["rules"].keys()
    assert {*(f"{AA}{rate}" for rate in RATES), *HARMS, SICK} <= {f["what"] for f in line["also"]}


def test_the_ladder_is_climbed_by_the_clock() -> None:
    assert [500, 2_500, 5_000] == [ladder(300)[at] for at in (59, 60, 299)]

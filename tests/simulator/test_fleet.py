"""The same seed asks the same; configs change only who answers."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from schemas.config import LlmConfig, ScopeConfig, Split
from schemas.scope import bucket_of
from simulator.demand import demand
from simulator.fleet import Endpoint, Fleet, unit_names
from simulator.requests import columns, events, requests, scores
from simulator.serve import OK, Answers, serve
from simulator.served import Served

GPT4, CHEAP = "openai/gpt-4", "openai/gpt-4o-mini"
ONE = Endpoint(service="shop", endpoint="answer", rate=600, default=GPT4)
FLEET = Fleet(endpoints=(ONE, replace(ONE, endpoint="find", rate=100)), seed=7)


def config(name: str, version: str = "v") -> LlmConfig:
    provider, model = name.split("/", 1)
    return LlmConfig(version=version, provider=provider, model=model)


def rollout(share: int, candidate: str = CHEAP, stable: str | None = GPT4) -> ScopeConfig:
    return ScopeConfig(
        scope="shop/answer",
        revision=1,
        epoch=1,
        stable=config(stable, "a") if stable else None,
        candidate=config(candidate, "b"),
        split=Split(rollout_id="r", salt="r1", share=share),
    )


def answers_of(model: str, endpoint: Endpoint = ONE, minutes: int = 40) -> list[Answers]:
    fleet = Fleet(endpoints=(endpoint,), seed=3)
    served = (Served(*model.split("/", 1)),)
    asked = [demand(fleet, 0, minute) for minute in range(minutes)]
    return [serve(one, served, np.zeros(len(one), np.int64)) for one in asked]


def test_the_same_seed_gives_the_same_bytes() -> None:
    for minute in (0, 5, 1_000):
        first = [list(events(one)) for one in requests(FLEET, minute)]
        second = [list(events(one)) for one in requests(FLEET, minute)]

        assert first == second
        assert repr(first) == repr(second)


def test_another_seed_or_minute_or_endpoint_gives_other_requests() -> None:
    times = [
        demand(fleet, index, minute).time.tolist()
        for fleet, index, minute in ((FLEET, 0, 3), (FLEET, 0, 60), (replace(FLEET, seed=8), 0, 3))
    ]

    assert all(a != b for a, b in pairwise(times))


def test_serving_in_pieces_gives_what_serving_at_once_gives() -> None:
    asked = demand(FLEET, 0, 3)
    served = (Served("openai", "gpt-4"),)
    whole = list(events(serve(asked, served, np.zeros(len(asked), np.int64))))
    cuts = [0, 1, len(asked) // 3, len(asked)]
    parts = [asked.part(slice(a, b)) for a, b in pairwise(cuts)]
    pieces = [
        one for part in parts for one in events(serve(part, served, np.zeros(len(part), np.int64)))
    ]

    assert len(asked) > 100
    assert whole == pieces


def test_a_config_changes_who_answers_and_not_who_asks() -> None:
    before, _ = requests(FLEET, 3)
    after, other = requests(FLEET, 3, {"shop/answer": rollout(10_000)})

    assert before.demand.time.tolist() == after.demand.time.tolist()
    assert {"gpt-4"} == {event.model for event in events(before)} | {e.model for e in events(other)}
    assert {"gpt-4o-mini"} == {event.model for event in events(after)}
    assert before.default_nanousd.sum() == before.cost_nanousd.sum()
    assert before.cost_nanousd.sum() > 50 * after.cost_nanousd.sum()


def test_the_candidate_serves_exactly_the_units_of_its_buckets() -> None:
    answers, _ = requests(FLEET, 3, {"shop/answer": rollout(2_500)})
    rows = list(events(answers))

    assert {"stable", "candidate"} == {row.cohort for row in rows}
    for row in rows:
        assert row.unit_id is not None
        inside = bucket_of(row.unit_id, "r1") < 2_500
        assert ("candidate", "b") == (row.cohort, row.config_version) or not inside
        assert ("stable", "a") == (row.cohort, row.config_version) or inside


def test_an_endpoint_falls_back_to_its_service_and_to_everything() -> None:
    def state(scope: str, model: str) -> dict[str, ScopeConfig]:
        return {scope: ScopeConfig(scope=scope, revision=1, epoch=1, stable=config(model))}

    everywhere, service = state("*", "openai/o1"), state("shop", CHEAP)
    models = [
        requests(FLEET, 3, configs)[0].served[0].model
        for configs in ({}, everywhere, everywhere | service)
    ]

    assert ["gpt-4", "o1", "gpt-4o-mini"] == models


def test_units_come_back_within_their_sessions() -> None:
    unit = np.concatenate([demand(FLEET, 0, minute).unit for minute in range(10, 14)])

    assert 3 * len(set(unit.tolist())) < len(unit)
    assert set(range(2_000)) >= set(unit.tolist())


def test_errors_come_in_bursts_of_a_unit() -> None:
    endpoint = replace(ONE, truth={GPT4: {"error_rate": 0.05}})
    rows = [event for one in answers_of(GPT4, endpoint) for event in events(one)]
    failed = [event.unit_id for event in rows if event.error_type]
    rate = len(failed) / len(rows)

    assert 0.05 == pytest.approx(rate, rel=0.25)
    # scattered at random, so many errors would hit far more units
    assert len(set(failed)) < 0.75 * len({event.unit_id for event in rows}) * (
        1 - (1 - rate) ** (len(rows) / len({event.unit_id for event in rows}))
    )


@pytest.mark.parametrize("mean", [60.0, 87.1, 95.0])
def test_quality_is_what_the_truth_says(mean: float) -> None:
    endpoint = replace(ONE, quality_share=1.0, truth={CHEAP: {"quality": mean, "quality_sd": 5.0}})
    found = np.concatenate([one.quality for one in answers_of(CHEAP, endpoint)])
    found = found[~np.isnan(found)]
    error = found.std() / len(found) ** 0.5

    assert abs(found.mean() - mean) < 4 * error
    assert 5.0 == pytest.approx(found.std(), rel=0.1)
    assert 0 <= found.min()
    assert found.max() <= 100


def test_a_quality_share_is_a_share() -> None:
    answers = answers_of(GPT4)
    good = sum(int((one.outcome == OK).sum()) for one in answers)
    scored = sum(1 for one in answers for _ in scores(one))

    assert stats.binomtest(scored, good, 0.2).pvalue > 1e-4


def test_identical_configs_differ_by_chance_only() -> None:
    both = [
        requests(replace(FLEET, endpoints=(ONE,)), m, {"shop/answer": rollout(5_000, GPT4)})[0]
        for m in range(60)
    ]
    latency = np.concatenate([one.latency_us for one in both])
    by = np.concatenate([one.by for one in both])

    # the first request of each unit: later ones of the same session are not independent
    unit = np.concatenate([one.demand.unit for one in both])
    _, first = np.unique(unit, return_index=True)
    stable, candidate = latency[first][by[first] == 0], latency[first][by[first] == 1]

    assert min(len(stable), len(candidate)) > 300
    assert stats.ks_2samp(stable, candidate).pvalue > 1e-3


def test_latency_has_the_heavy_tail_of_the_measurements() -> None:
    latency = np.concatenate([one.latency_us for one in answers_of(CHEAP)]) / 1e3

    assert 150 < np.median(latency) < 600
    assert 10 * np.median(latency) < np.percentile(latency, 99.9)
    assert latency.max() <= 60_000


def test_columns_say_what_the_events_say() -> None:
    minute = requests(FLEET, 3, {"shop/answer": rollout(5_000)})
    table = columns(minute)
    rows = [event for one in minute for event in events(one)]
    judged = [score for one in minute for score in scores(one)]

    assert len(rows) + len(judged) == len(table)
    for i, row in enumerate(rows):
        key = (row.service, row.endpoint, row.model, row.provider)
        assert (*key, row.config_version or "", row.cohort or "") == table.keys[table.key[i]]
        assert row.timestamp == table.timestamp[i]
        assert row.unit_id is not None
        assert bucket_of(row.unit_id, "unit") == table.unit[i]
        assert row.latency_ms == table.values[i, 0] / 1_000
        assert row.cost_usd == table.values[i, 6] / 1e9
        assert (row.error_type is not None, row.error_type == "timeout") == (
            *(bool(table.failed[i]), bool(table.timeout[i])),
        )
        assert table.request[i]
    for i, score in enumerate(judged, len(rows)):
        assert round(score.overall * 1_000) == table.values[i, 7]
        assert not table.request[i]
    assert len(table) == len(np.unique(table.identity))


def test_units_have_names_of_their_service() -> None:
    assert ("shop-user-0", "shop-user-1") == unit_names("shop", 2)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"default": "openai/gpt-99"}, "gpt-99"),
        ({"truth": {"openai/gpt-99": {}}}, "gpt-99"),
        ({"truth": {GPT4: {"speed": 1.0}}}, "speed"),
        ({"rate": 0}, "above 0"),
        ({"quality_share": 1.5}, "0 to 1"),
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(ONE, **wrong)  # type: ignore[arg-type]


def test_a_model_that_does_not_exist_answers_nothing() -> None:
    answers, _ = requests(FLEET, 3, {"shop/answer": rollout(5_000, "openai/gpt-99")})

    for event in events(answers):
        assert ("candidate" == event.cohort) == ("not_found" == event.error_type)
        assert event.cohort == "stable" or (404, 0, 0.0) == (
            *(event.status_code, event.tokens_output, event.cost_usd),
        )


def test_a_truth_of_all_models_leaves_the_default_and_the_named_ones_alone() -> None:
    endpoint = replace(
        ONE, truth={"*": {"quality": 50.0, "latency": 2.0}, CHEAP: {"quality": 70.0}}
    )

    assert {} == endpoint.true_of(GPT4)
    assert {"quality": 70.0, "latency": 2.0} == endpoint.true_of(CHEAP)
    assert {"quality": 50.0, "latency": 2.0} == endpoint.true_of("openai/o1")


def divided(**split: Any) -> dict[str, ScopeConfig]:
    """A rollout that divides in another way."""
    config = rollout(0)
    assert config.split is not None
    return {"shop/answer": replace(config, split=replace(config.split, **split))}


def test_copied_units_are_answered_by_the_stable_config_and_once_more_by_the_candidate() -> None:
    answers, _, again = requests(FLEET, 3, divided(shadow=2_500))
    rows, copies = list(events(answers)), list(events(again))
    inside = [row for row in rows if bucket_of(str(row.unit_id), "r1") < 2_500]

    assert {("a", None)} == {(row.config_version, row.cohort) for row in inside}
    assert {"stable", None} == {row.cohort for row in rows}
    assert {("b", "shadow")} == {(row.config_version, row.cohort) for row in copies}
    assert [row.unit_id for row in inside] == [row.unit_id for row in copies]
    assert not {row.request_id for row in rows} & {row.request_id for row in copies}
    assert 0 == again.default_nanousd.sum()


def test_a_rollout_by_instances_divides_the_requests_of_a_unit() -> None:
    answers, _ = requests(FLEET, 3, divided(share=5_000, by="instance"))
    rows = list(events(answers))
    cohorts: dict[str | None, set[str | None]] = {}
    for row in rows:
        cohorts.setdefault(row.unit_id, set()).add(row.cohort)

    assert {"stable", "candidate"} == {row.cohort for row in rows}
    assert 2 == max(map(len, cohorts.values()))

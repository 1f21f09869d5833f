from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import (
    Catalog,
    Condition,
    Metric,
    Model,
    PriceEntry,
    Rule,
    Step,
    Strategy,
)
from schemas.declare import check, declare, gather
from schemas.errors import InvalidCatalog
from schemas.scope import reserved, scope_of
from tests.schemas.declaring import refused, rule

DEFAULT = Path(__file__).parents[2] / "infra" / "catalog" / "default.yaml"
NAMES = st.text(min_size=1).filter(lambda name: name.strip() and reserved("", name) is None)
HALF: dict[str, Any] = {"share": "50%", "hold": "1h"}
COPY, ALL = HALF | {"shadow": True}, {"share": "100%", "hold": 0}
LADDER: dict[str, Any] = {"steps": [{"share": "5%", "hold": "5m"}, {"share": 1, "hold": 0}]}


def strategy(kind: str, *steps: dict[str, Any], **more: object) -> dict[str, Any]:
    """A strategy as people write it."""
    return {"kind": kind, "steps": list(steps), **more}


def test_durations_and_shares_are_read_as_people_write_them() -> None:
    entries = declare({"strategies": {"slow": LADDER | {"max_wait": "2h", "alpha": "1%"}}})

    assert {
        "strategy/slow": Strategy(
            name="slow",
            steps=(Step(share=0.05, hold_s=300), Step(share=1.0, hold_s=0)),
            max_wait_s=7200,
            alpha=0.01,
        )
    } == entries


def test_an_entry_is_keyed_by_its_kind_and_name() -> None:
    entries = declare(
        {
            "models": {"openai/gpt-4o": {"release_date": date(2024, 5, 13), "enabled": True}},
            "prices": {"openai/ft:gpt/x@2025-02-01": {"input_per_mtok": 1, "output_per_mtok": 2}},
            "slas": {"search/answer": {"error_rate": "1%"}},
            "constraints": {"*": None},
        }
    )
    model = Model(provider="openai", model="gpt-4o", release_date="2024-05-13")

    assert [
        "model/openai/gpt-4o",
        "price/openai/ft:gpt/x@2025-02-01",
        "sla/search/answer",
        "constraints/*",
    ] == list(entries)
    assert model == entries["model/openai/gpt-4o"]


def test_conditions_nest() -> None:
    when = {
        "all_of": [
            {"metric": "quality", "op": ">=", "value": 90, "held": "30m"},
            {"none_of": [{"anomaly": "error_rate", "severity": "high"}]},
        ]
    }

    assert (
        Rule(
            id="spike",
            name="spike",
            when=Condition(
                all_of=(
                    Condition(metric=Metric.QUALITY, op=">=", value=90.0, held_s=1800),
                    Condition(none_of=(Condition(anomaly="error_rate", severity="high"),)),
                )
            ),
        )
        == declare(rule(when=when))["rule/spike"]
    )


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"model": {}}, "catalog: there is no section 'model'; did you mean 'models'?"),
        (
            {"models": {"openai/x": {"qualty": 9}}},
            "model/openai/x: there is no field 'qualty'; did you mean 'quality'?",
        ),
        (
            {"models": {"openai/x": {"model": "y"}}},
            "'model' is given by the entry's name; remove it",
        ),
        ({"models": {"gpt": {}}}, "model/gpt: write the name as provider/model"),
        (
            {"models": {"openai/x": {"quality": 101}}},
            "quality: 101 is not possible; write points from 0 to 100",
        ),
        ({"models": {"openai/x": {"quality": True}}}, "True is not a number"),
        ({"models": {"openai/x": {"context_window": 1.5}}}, "1.5 is not a whole number"),
        ({"models": {"openai/x": {"enabled": "yes"}}}, "neither true nor false"),
        ({"models": {"openai/x": {"scopes": []}}}, "the list is empty"),
        ({"models": {"openai/x": {"scopes": "*"}}}, "'*' is not a list"),
        ({"models": {"openai/x": {"scopes": ["a/"]}}}, "no endpoint follows the '/'; write"),
        ({"models": {"openai/x": {"scopes": ["*/b"]}}}, "which stands for all of them; write"),
        ({"models": {"open ai/x": {}}}, "model/open ai/x, provider: 'open ai' is no name"),
        ({"models": {"openai/x y": {}}}, "model/openai/x y, model: 'x y' is no name"),
        ({"models": {"openai/x\u200b": {}}}, "is no name"),
        (
            {"prices": {"openai/x y": {"input_per_mtok": 1, "output_per_mtok": 1}}},
            "price/openai/x y, model: 'x y' is no name",
        ),
        (rule(scopes=["a/"]), "rule/spike, scopes: 'a/': no endpoint follows"),
        (rule(scopes=[""]), "rule/spike, scopes: '': it names no service"),
        ({"slas": {"": None}}, "sla/, scope: '': it names no service; write service/endpoint"),
        ({"slas": {"a|b": None}}, "sla/a|b, scope: 'a|b': a dimension holds '|'"),
        ({"constraints": {"/b": None}}, "constraints//b, scope: '/b': it names no service"),
        ({"models": {"openai/x": {"release_date": "May"}}}, "write it as 2026-01-31"),
        ({"models": {1: {}}}, "the name 1 is not a text"),
        ({"models": ["openai/x"]}, "is not a mapping"),
        (
            {"prices": {"a/b": {"input_per_mtok": -1, "output_per_mtok": 1}}},
            "input_per_mtok: -1 is not possible",
        ),
        (
            {"prices": {"a/b": {"input_per_mtok": 1}}},
            "price/a/b: needs a value for one of output_per_mtok",
        ),
        (
            {"prices": {"a/b@20250201": {"input_per_mtok": 1, "output_per_mtok": 1}}},
            "effective: '20250201'",
        ),
        ({"slas": {"*": {"error_rate": "five%"}}}, "'five%' is not a share; write 0.05 or 5%"),
        (
            {"slas": {"*": {"error_rate": 5}}},
            "error_rate: 5 is not possible; write a share from 0 to 1",
        ),
        ({"constraints": {"*": {"min_quality": -1}}}, "min_quality: -1 is not possible"),
        ({"constraints": {"*": {"daily_budget_usd": float("inf")}}}, "inf is not a number"),
        (
            {"constraints": {"*": {"preferred_providers": ["opnai"]}}, "models": {"openai/x": {}}},
            "did you mean 'openai'?",
        ),
        ({"constraints": {"*": {"preferred_models": ["x"]}}}, "declare it under models"),
        (rule(when={}), "rule/spike, when: is empty"),
        (rule(when={"metric": "latency", "op": ">", "value": 1}), "'latency' is unknown"),
        (rule(when={"metric": "qualty", "op": ">", "value": 1}), "did you mean 'quality'?"),
        (rule(when={"metric": "quality", "op": "=", "value": 1}), "when, op: '=' is unknown"),
        (rule(when={"metric": "quality", "op": "<"}), "quality needs op and value"),
        (
            rule(when={"metric": "quality", "op": "<", "value": 300}),
            "300 is not possible; write points",
        ),
        (
            rule(when={"metric": "error_rate", "op": "<", "value": 15}),
            "15 is not possible; write a share",
        ),
        (rule(when={"metric": "requests", "op": "<", "value": -1}), "-1 is not possible"),
        (
            rule(when={"metric": "requests", "op": "<", "value": 1, "held": 90}),
            "no number of minutes",
        ),
        (
            rule(when={"metric": "requests", "op": "<", "value": 1, "held": "-5m"}),
            "'-5m' is not a duration",
        ),
        (rule(when={"anomaly": "quality", "held": -60}), "-60 is negative"),
        (rule(when={"anomaly": "latency"}), "anomaly: 'latency' is unknown"),
        (rule(when={"anomaly": "quality", "op": "<"}), "need a metric"),
        (
            rule(
                when={
                    "metric": "quality",
                    "op": "<",
                    "value": 1,
                    "all_of": [{"anomaly": "quality"}],
                }
            ),
            "has metric and all_of; keep one",
        ),
        (rule(when={"all_of": [{}]}), "when, all_of 1: is empty"),
        (
            rule(when={"all_of": [{"anomaly": "quality"}], "held": "5m"}),
            "move it into the branches",
        ),
        (rule(cooldown=1, cooldown_s=2), "cooldown_s is written twice"),
        (rule(cooldown="soon"), "'soon' is not a duration"),
        (rule(cooldown=0.5), "not a whole number of seconds"),
        (rule(name=7), "7 is not a text; put it in quotes"),
        (
            rule(then="cheaper_model"),
            "rule/spike, strategy: there is no strategy 'balanced'; declare it",
        ),
        (
            {**rule(then="failover", strategy="slw"), "strategies": {"slow": LADDER}},
            "did you mean 'slow'?",
        ),
        ({"strategies": {"x": {"steps": []}}}, "steps: there is none"),
        (
            {"strategies": {"x": {"steps": [{"share": 1, "hold": -1}]}}},
            "steps 1, hold_s: -1 is not possible",
        ),
        (
            {
                "strategies": {
                    "x": {"steps": [{"share": 0.5, "hold": 0}, {"share": 0.1, "hold": 0}]}
                }
            },
            "do not rise",
        ),
        (
            {"strategies": {"x": {"steps": [{"share": 0.00001, "hold": 0}]}}},
            "strategy/x, steps 1, share: 1e-05 is not possible; write a share from 0.01 %",
        ),
        (
            {
                "strategies": {
                    "x": {"steps": [{"share": 0.99999, "hold": 0}, {"share": 1, "hold": 0}]}
                }
            },
            "do not rise by 0.01 % or more",
        ),
        (
            {"strategies": {"x": LADDER | {"required": []}}},
            "strategy/x, required: the list is empty, so nothing would be judged",
        ),
        (
            {"strategies": {"x": LADDER | {"required": ["errors", "latncy"]}}},
            "strategy/x, required: 'latncy' is no guardrail; did you mean 'latency'?",
        ),
        ({"strategies": {"x": LADDER | {"approval_expires": 0}}}, "nobody could answer in time"),
        ({"strategies": {"x": LADDER | {"min_quality": 101}}}, "write points from 0 to 100"),
        ({"strategies": {"x": LADDER | {"kind": "dark"}}}, "kind: 'dark' is unknown"),
        ({"strategies": {"x": LADDER | {"kind": "immediate"}}}, "immediate has one step"),
        (
            {"strategies": {"x": LADDER | {"max_duration": "5m"}}},
            "have been held for 300 s; make it",
        ),
        ({"strategies": {"x": strategy("canary", COPY)}}, "the last share is a shadow; end the"),
        ({"strategies": {"x": strategy("canary", HALF, COPY, ALL)}}, "a shadow step comes after"),
        (
            {"strategies": {"x": strategy("canary", ALL | {"shadow": True}, ALL)}},
            "copy 50% or less",
        ),
        ({"strategies": {"x": strategy("blue_green", ALL)}}, "blue_green has two steps; write a"),
        ({"strategies": {"x": strategy("blue_green", HALF, ALL)}}, "give the last step a hold"),
        ({"strategies": {"x": strategy("rolling", HALF)}}, "end the ladder at 100%"),
        ({"strategies": {"x": strategy("shadow", HALF)}}, "a shadow never serves; give each step"),
        ({"strategies": {"x": strategy("ab", HALF)}}, "an ab needs it, for without a winner"),
        ({"strategies": {"x": strategy("ab", HALF, ALL)}}, "ab has one step below 100 %"),
        (
            {"strategies": {"x": strategy("ab", HALF, max_duration="10m")}},
            "600 s is over before the steps have been held for 3600 s; make it longer",
        ),
        ({"strategies": {"x": {"steps": [{"share": 0.5, "hold": 0}]}}}, "end the ladder at 100%"),
        (
            {"strategies": {"x": LADDER | {"alpha": 0}}},
            "alpha: 0 is not possible; write a share between",
        ),
        (
            {"constraints": {"*": {"max_rollouts": 0}}},
            "max_rollouts: 0 is not possible; write a number of 1 or more",
        ),
        (
            {"constraints": {"search": {"max_returns": 4}}},
            "max_returns: it counts all scopes together; write it in the constraints of '*'",
        ),
    ],
)
def test_a_wrong_entry_is_refused_with_what_to_change(
    document: dict[str, Any], sentence: str
) -> None:
    assert sentence in refused(document)


@given(NAMES.filter(lambda name: "/" not in name), NAMES)
def test_every_scope_that_an_event_may_have_can_be_declared(service: str, endpoint: str) -> None:
    scope = scope_of(service, endpoint)

    assert [f"constraints/{scope}"] == list(declare({"constraints": {scope: None}}))
    assert [f"sla/{service}"] == list(declare({"slas": {service: None}}))
    assert ["rule/spike"] == list(declare(rule(scopes=[scope, service, "*"])))


def test_a_document_may_refer_to_what_is_in_force() -> None:
    known = declare({"strategies": {"balanced": LADDER}})

    assert ["rule/spike"] == list(declare(rule(then="cheaper_model"), known))


def test_an_empty_file_declares_nothing() -> None:
    assert {} == declare(None)
    assert {} == declare({"models": None})


def test_the_newest_price_comes_last() -> None:
    def price(day: str) -> PriceEntry:
        return PriceEntry(
            provider="a", model="b", input_per_mtok=1, output_per_mtok=1, effective=day
        )

    entries = {f"price/a/b@{day}": price(day) for day in ("2025-10-01", "1970-01-01", "2025-02-01")}

    assert ("1970-01-01", "2025-02-01", "2025-10-01") == tuple(
        entry.effective for entry in gather(entries, 3).prices["a/b"]
    )


def test_an_entry_under_a_foreign_key_is_refused() -> None:
    with pytest.raises(InvalidCatalog, match=re.escape("belongs under the key 'model/a/b'")):
        gather({"model/a/c": Model(provider="a", model="b")}, 0)


def test_what_came_past_the_document_is_checked_too() -> None:
    with pytest.raises(InvalidCatalog, match="quality: 900 is not possible"):
        gather({"model/a/b": Model(provider="a", model="b", quality=900.0)}, 0)


def test_a_condition_that_no_document_could_write_is_refused() -> None:
    when = Condition(metric=Metric.REQUESTS, op=">", value=float("nan"))

    with pytest.raises(InvalidCatalog, match="when, value: nan is not possible"):
        gather({"rule/x": Rule(id="x", name="x", when=when)}, 0)


@given(st.permutations(range(4)))
def test_the_checksum_does_not_depend_on_the_order(order: list[int]) -> None:
    entries = {f"model/a/{n}": Model(provider="a", model=str(n)) for n in range(4)}
    shuffled = {f"model/a/{n}": entries[f"model/a/{n}"] for n in order}

    assert gather(entries, 1).checksum == gather(shuffled, 2).checksum


def test_the_checksum_sees_every_field() -> None:
    one, other = (
        gather({"model/a/b": Model(provider="a", model="b", quality=q)}, 0) for q in (80.0, 80.1)
    )

    assert one.checksum != other.checksum


def test_the_default_catalog_declares_all_of_the_product() -> None:
    catalog = gather(declare(yaml.safe_load(DEFAULT.read_text())), 0)

    assert () == check(catalog)
    kinds = {name: each.kind for name, each in catalog.strategies.items()}
    ladders = ("conservative", "balanced", "aggressive", "progressive")
    others = ("blue_green", "rolling", "ab", "shadow", "immediate")
    assert dict.fromkeys(ladders, "canary") | {name: name for name in others} == kinds
    assert [0.01, 0.05, 0.25, 0.5, 1.0] == [
        step.share for step in catalog.strategies["conservative"].steps
    ]
    assert {"*"} == set(catalog.constraints)
    assert 0 == catalog.rules["critical_error_spike"].cooldown_s


def test_an_empty_catalog_has_no_problems() -> None:
    assert () == check(Catalog())

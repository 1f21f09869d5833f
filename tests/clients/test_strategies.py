"""What an application is served by each kind of rollout."""

from __future__ import annotations

import json

import pytest

from llmopt_client import Config
from llmopt_client.scope import InvalidConfig, parse
from llmopt_client.scopes import Scopes

DEFAULT = Config(provider="own", model="own-model")
UNITS = [f"user-{n}" for n in range(2_000)]


def record(revision: int = 1, **split: object) -> bytes:
    configs = {
        name: {"version": name, "provider": "openai", "model": name}
        for name in ("stable", "candidate")
    }
    whole = {"scope": "shop/answer", "revision": revision, "epoch": 1, **configs}
    divided = {"rollout_id": "r", "salt": "r", "share": 0, **split}
    return json.dumps({**whole, "split": divided}).encode()


def served(unit: str | None, instance: str = "", **split: object) -> Config:
    them = Scopes(None, "app", None, lambda _: None, instance)
    them.heard(None, record(**split))
    them.caught_up("cluster")
    plan = them.table.plan("shop", "answer", DEFAULT)
    return plan.alone if unit is None or plan.candidate is None else plan.serve(unit)


def test_a_shadow_is_answered_by_the_stable_config_and_copied_to_the_candidate() -> None:
    configs = [served(unit, shadow=2_500) for unit in UNITS]
    copied = [config for config in configs if config.shadow is not None]

    assert {"stable"} == {config.model for config in configs}
    assert 400 < len(copied) < 600
    for config in copied:
        assert config.shadow is not None
        assert (None, "candidate", "shadow") == (
            config.cohort,
            config.shadow.model,
            config.shadow.cohort,
        )
    assert {"stable"} == {config.cohort for config in configs if config.shadow is None}


def test_who_is_copied_stays_while_the_shadow_grows() -> None:
    small, large = (
        {unit for unit in UNITS if served(unit, shadow=share).shadow} for share in (500, 3_000)
    )

    assert small < large


def test_a_request_without_a_unit_is_not_copied() -> None:
    assert served(None, shadow=5_000).shadow is None


def test_an_instance_goes_one_way_with_all_of_its_units() -> None:
    instances = [f"host-{n}" for n in range(400)]
    candidates = [
        instance
        for instance in instances
        if served("user-1", instance, share=2_500, by="instance").cohort == "candidate"
    ]

    assert 60 < len(candidates) < 140
    for instance in (candidates[0], next(i for i in instances if i not in candidates)):
        cohorts = {
            served(unit, instance, share=2_500, by="instance").cohort
            for unit in (None, *UNITS[:50])
        }
        assert {"candidate" if instance in candidates else "stable"} == cohorts


def test_an_instance_that_is_in_stays_in_while_the_share_grows() -> None:
    instances = [f"host-{n}" for n in range(400)]
    small, large = (
        {i for i in instances if served(None, i, share=share, by="instance").cohort == "candidate"}
        for share in (1_000, 5_000)
    )

    assert small < large


def test_all_units_may_be_served_the_candidate_while_the_stable_config_is_kept() -> None:
    assert {"candidate"} == {served(unit, share=10_000).cohort for unit in UNITS}


def test_what_divides_units_in_a_way_that_nobody_knows_is_not_applied() -> None:
    with pytest.raises(InvalidConfig, match=r"split\.by is 'continent', neither unit nor instance"):
        parse(record(by="continent"))


def test_a_shadow_of_more_than_everybody_is_not_applied() -> None:
    with pytest.raises(InvalidConfig, match=r"split\.shadow is 10001, not 0 to 10000"):
        parse(record(shadow=10_001))

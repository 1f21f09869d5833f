"""The demo's world holds what the demo promises, whatever the seed, by the stages' own steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from demo.evidence import thin, worse
from demo.run import CATALOG, SCENARIO
from schemas.catalog import Catalog
from schemas.declare import declare, gather
from schemas.rollout import Phase
from simulator.scenario import read
from simulator.trial import Ending, trial

HOUR = 3_600_000
CANDIDATE = "mistral/open-mixtral-8x7b"  # the cheapest of the demo's catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return gather(declare(yaml.safe_load(CATALOG.read_text())), 0)


def tried(catalog: Catalog, scopes: set[str], strategy: str, seed: int) -> tuple[Ending, ...]:
    """How the candidate ends in these scopes of the demo within the time that it has there."""
    fleet = read(SCENARIO, seed=seed, start=472_222 * HOUR)
    chosen = tuple(one for one in fleet.endpoints if one.scope in scopes)
    return trial(replace(fleet, endpoints=chosen), catalog.strategies[strategy], 70, CANDIDATE)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_candidate_of_5_percent_less_quality_is_taken_back_and_an_equal_one_is_promoted(
    catalog: Catalog, seed: int
) -> None:
    equal, bad = tried(catalog, {"search/answer", "support/summarize"}, "balanced", seed)

    assert CANDIDATE in worse(read(SCENARIO))["support/summarize"]
    assert (Phase.PROMOTED, ()) == (equal.phase, equal.failed)
    assert (Phase.ROLLED_BACK, ("quality",)) == (bad.phase, bad.failed)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_where_little_is_asked_the_candidate_is_held_and_a_person_is_told(
    catalog: Catalog, seed: int
) -> None:
    (held,) = tried(catalog, set(thin(read(SCENARIO))), "careful", seed)

    assert Phase.RAMPING is held.phase
    assert held.reason.startswith("Still held: no conclusive evidence at 1 % for 1200 s")


def test_each_rule_that_looks_for_a_cheaper_model_has_scopes_of_its_own(catalog: Catalog) -> None:
    rules = [rule for rule in catalog.rules.values() if rule.then == "cheaper_model"]
    services = [service for rule in rules for service in rule.scopes]

    assert {one.service for one in read(SCENARIO).endpoints} == set(services)
    assert len(services) == len(set(services))
    assert {"balanced", "careful"} == {rule.strategy for rule in rules}

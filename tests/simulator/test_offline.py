"""The loop without Kafka: what the fleet did is what the actuator saw; what it wrote is obeyed."""

from __future__ import annotations

import numpy as np
import pytest

from processors.actuate.policy import ActuatePolicy
from processors.actuate.version import versioned
from processors.enrich import EnrichPolicy
from schemas.catalog import Catalog, Step, Strategy
from schemas.config import LlmConfig
from schemas.decision import Action, Decision
from schemas.rollout import Deployment, Phase
from simulator.fleet import Endpoint, Fleet
from simulator.offline import Loop, Stages, pass_minute
from simulator.requests import requests
from simulator.scenario import cards

STRATEGY = Strategy(name="half", steps=(Step(share=0.5, hold_s=10**6),))
CATALOG = Catalog(
    models={f"{card.provider}/{card.model}": card for card in cards()},
    strategies={"half": STRATEGY},
)
STAGES = Stages(
    enrich=EnrichPolicy(catalog=CATALOG), actuate=ActuatePolicy(catalog=CATALOG, max_rollouts=2)
)
FLEET = Fleet(
    endpoints=tuple(
        Endpoint(service="shop", endpoint=name, rate=100, default="openai/gpt-4o", steady=True)
        for name in ("answer", "find")
    ),
    start=1_700_002_800_000,
)
FIRST = 20  # minute: 15 minutes of past are known
WHEN = FLEET.start + FIRST * 60_000


def deploy(scope: str) -> Decision:
    return Decision(
        id=f"d-{scope}",
        scope=scope,
        at=WHEN,
        rule="test",
        priority="medium",
        action=Action.DEPLOY,
        strategy="half",
        current=None,
        chosen=versioned(LlmConfig(version="", provider="openai", model="gpt-4o", temperature=1.0)),
        confidence=1.0,
        propensity=1.0,
        policy="",
        impact_usd_per_day=0.0,
    )


def candidates(minute: int, loop: Loop) -> dict[str, int]:
    """Requests of *minute* that a candidate serves, by scope."""
    return {
        answers.demand.endpoint.scope: sum(
            int(np.sum(answers.by == i))
            for i, config in enumerate(answers.served)
            if config.cohort == "candidate"
        )
        for answers in requests(FLEET, minute, loop.configs)
    }


@pytest.fixture(scope="module")
def played() -> tuple[list[Loop], list[Deployment]]:
    """30 minutes, a rollout in both scopes from minute 21 on; the loop before each of them."""
    loop, loops, told = Loop(), [], []
    for minute in range(30):
        loops.append(loop)
        decisions = [deploy(one.scope) for one in FLEET.endpoints] if minute == FIRST + 1 else []
        loop, events = pass_minute(STAGES, FLEET, loop, decisions)
        told += events
    return [*loops, loop], told


def test_a_config_serves_from_the_minute_after_it_was_written(
    played: tuple[list[Loop], list[Deployment]],
) -> None:
    loops, told = played

    assert [Phase.PENDING, Phase.RAMPING] * 2 == [event.phase for event in told]
    assert {"shop/answer", "shop/find"} == loops[FIRST + 2].configs.keys()
    assert not loops[FIRST + 1].configs
    assert all(30 < n < 80 for n in candidates(FIRST + 2, loops[FIRST + 2]).values())


def test_every_request_of_the_candidates_is_judged(
    played: tuple[list[Loop], list[Deployment]],
) -> None:
    loops, _ = played
    # the last minute is still open
    each = [candidates(minute, loops[minute]) for minute in range(29)]

    for scope in ("shop/answer", "shop/find"):
        rollout = loops[-1].actuate.scopes[scope].rollout

        assert rollout is not None
        assert sum(n[scope] for n in each) == rollout.requests
        assert rollout.requests == rollout.evidence.candidate_requests > 200


def test_the_same_seed_makes_the_same_configs(
    played: tuple[list[Loop], list[Deployment]],
) -> None:
    loops, told = played
    loop, again = pass_minute(
        STAGES, FLEET, loops[FIRST + 1], [deploy(one.scope) for one in FLEET.endpoints]
    )

    assert loops[FIRST + 2].configs == loop.configs
    assert told == list(again)

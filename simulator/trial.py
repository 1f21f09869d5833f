"""A candidate tried in every scope of a fleet at once, judged every minute: how does it end?"""

from __future__ import annotations

from dataclasses import dataclass

from processors.actuate.policy import ActuatePolicy
from processors.actuate.version import versioned
from processors.enrich import EnrichPolicy
from schemas.catalog import Catalog, Strategy
from schemas.config import LlmConfig
from schemas.decision import Action, Decision
from schemas.rollout import Deployment, Phase, Verdict
from simulator.fleet import Endpoint, Fleet
from simulator.offline import Loop, Stages, pass_minute
from simulator.scenario import cards
from simulator.trace import MINUTE

BEFORE = 61  # minutes: the first full hour has closed, and is what the rollouts are measured by


@dataclass(frozen=True, slots=True)
class Ending:
    """How a scope's rollout ended."""

    scope: str
    phase: Phase  # RAMPING: it had not ended yet
    minute: int  # of the rollout
    failed: tuple[str, ...]  # the guardrails that took it back; none: nothing did, or the trigger
    reason: str


def trial(
    fleet: Fleet, strategy: Strategy, minutes: int, candidate: str | None = None
) -> tuple[Ending, ...]:
    """Roll a candidate out in every scope, after an hour of before, through the whole loop.

    Args:
        fleet: Its `start` is a full hour.
        strategy: Its last step is held for as long as the trial shall take.
        minutes: How often each rollout is judged, unless all end before.
        candidate: `provider/model`; None for the model that serves already, with a temperature
            that makes no difference to it.

    Returns:
        One for each endpoint, in the fleet's order.

    Raises:
        ValueError: A rollout was not started; the sentence is the actuator's.
    """
    stages = _stages(fleet, strategy)
    loop, told = Loop(), dict[str, Deployment]()
    for _ in range(BEFORE):
        loop, _ = pass_minute(stages, fleet, loop)
    at = fleet.start + (BEFORE - 1) * MINUTE  # the clock of every scope
    decisions = [_decision(one, strategy, candidate, at) for one in fleet.endpoints]
    for _ in range(minutes):
        loop, events = pass_minute(stages, fleet, loop, decisions)
        decisions = []
        told |= {event.scope: event for event in events}
        for event in told.values():
            if event.phase in (Phase.PENDING, Phase.REJECTED):
                raise ValueError(f"{event.scope}: {event.reason}")
        if all(event.phase is not Phase.RAMPING for event in told.values()):
            break
    return tuple(_ending(told[one.scope], at, loop.minute - BEFORE) for one in fleet.endpoints)


def _stages(fleet: Fleet, strategy: Strategy) -> Stages:
    catalog = Catalog(
        models={f"{card.provider}/{card.model}": card for card in cards()},
        strategies={strategy.name: strategy},
    )
    # One task has all scopes here: how many rollouts it may have at once is not on trial.
    every = len(fleet.endpoints)
    limits = ActuatePolicy(
        catalog=catalog, max_optimizations=every, max_rollouts=every, max_returns=every
    )
    return Stages(enrich=EnrichPolicy(catalog=catalog), actuate=limits)


def _decision(endpoint: Endpoint, strategy: Strategy, candidate: str | None, at: int) -> Decision:
    provider, model = (candidate or endpoint.default).split("/", 1)
    chosen = LlmConfig(
        version="", provider=provider, model=model, temperature=None if candidate else 0.5
    )
    return Decision(
        id=f"trial of {endpoint.scope}",
        scope=endpoint.scope,
        at=at,
        rule="trial",
        priority="medium",
        action=Action.DEPLOY,
        strategy=strategy.name,
        current=None,
        chosen=versioned(chosen),
        confidence=1.0,
        propensity=1.0,
        policy="",
        impact_usd_per_day=0.0,
        reasons=("On trial.",),
    )


def _ending(last: Deployment, begun: int, passed: int) -> Ending:
    ramping = last.phase is Phase.RAMPING
    return Ending(
        scope=last.scope,
        phase=last.phase,
        minute=passed if ramping else (last.at - begun) // MINUTE,
        failed=()
        if ramping
        else tuple(g.metric for g in last.guardrails if g.verdict is Verdict.FAIL),
        reason=last.reason,
    )

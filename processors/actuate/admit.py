"""Whether a decision may start a rollout now; if not, the sentence that says what to change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from processors.actuate.breaker import open_circuit
from processors.actuate.ledger import begun_by, changes_of_a_day, setbacks_on_end
from processors.actuate.overlap import judged
from processors.actuate.policy import ActuatePolicy
from processors.actuate.rollout import by_hand
from processors.actuate.state import Failure, ScopeState, at_work, hold_over, under_way
from processors.actuate.version import model_key, versioned
from schemas.catalog import Catalog, Constraints
from schemas.config import LlmConfig
from schemas.decision import Decision
from schemas.scope import covering

MINUTE_MS = 60_000


def refusal(
    policy: ActuatePolicy,
    scopes: Mapping[str, ScopeState],
    decision: Decision,
    stable: LlmConfig | None,
    at: int,
) -> str | None:
    """Why *decision* may not start a rollout, or None when it may.

    Args:
        policy: The limits and the catalog in force.
        scopes: All scopes of the task.
        decision: A decision to deploy.
        stable: What serves its scope now; None when nobody knows.
        at: ms of event time.

    Returns:
        A sentence, of the first check that holds it back.
    """
    entry = scopes.get(decision.scope, ScopeState())
    chosen = decision.chosen
    hold = hold_over(scopes, decision.scope)
    if hold is not None:
        return f"Nothing starts while {hold.mode.value} by {hold.by}: resume first."
    if entry.rollout is not None:
        return f"Rollout {entry.rollout.id} is active here. {by_hand(entry.rollout.id)}"
    if chosen is None:
        return "The decision names no config to deploy."
    if stable is None:
        return "Nobody knows what serves this scope now: set its config, or send metrics first."
    return (
        judged(decision.scope)
        or open_circuit(policy, scopes, at)
        or unusable(policy.catalog, decision.scope, chosen)
        or _unfit(policy.catalog, entry, decision, chosen, stable)
        or _too_often(policy, scopes, decision, at)
    )


def unusable(catalog: Catalog, scope: str, config: LlmConfig) -> str | None:
    """Why *config* may not be served in *scope*, whoever asks; None when it may."""
    name = model_key(config)
    model = catalog.models.get(name)
    if model is None:
        return f"Model {name} is not in the catalog: add it there, or name one that is."
    if not model.enabled:
        return f"Model {name} is disabled in the catalog: enable it, or name another."
    if set(covering(scope)).isdisjoint(model.scopes):
        return f"Model {name} may not be used in {scope}: add the scope to its entry."
    version = versioned(config).version
    if config.version != version:
        return f"Version {config.version!r} does not name this content: send it as {version!r}."
    return None


def failure(
    catalog: Catalog, scope: str, strategy: str, stable: LlmConfig | None, candidate: LlmConfig
) -> Failure:
    """A candidate's name together with the checksum of all that its failure depended on.

    These are: the stable version it was compared with, its model's entry and prices, its strategy
    ("" when no strategy played a part). While none of them changes, a retry could only fail again.
    """
    name = model_key(candidate)
    facts = (
        scope,
        None if stable is None else stable.version,
        catalog.models.get(name),
        catalog.prices.get(name),
        catalog.strategies.get(strategy),
    )
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()
    return Failure(candidate.version, digest)


def _unfit(
    catalog: Catalog, entry: ScopeState, decision: Decision, chosen: LlmConfig, stable: LlmConfig
) -> str | None:
    """Whether this change makes sense here at all."""
    strategy = catalog.strategies.get(decision.strategy)
    if strategy is None or not strategy.steps:
        return f"Strategy {decision.strategy!r} is not in the catalog, or has no steps: add it."
    if chosen.version == stable.version:
        return f"{chosen.version} is the stable config already."
    failures = {failure(catalog, decision.scope, s, stable, chosen) for s in (strategy.name, "")}
    if not failures.isdisjoint(entry.failed):
        return (
            f"{chosen.version} was taken back here, and nothing that this depended on has changed: "
            "it is tried again when the stable config, its model, price or strategy changes."
        )
    return None


def _too_often(
    policy: ActuatePolicy, scopes: Mapping[str, ScopeState], decision: Decision, at: int
) -> str | None:
    """Whether a limit on the number of changes holds it back."""
    entry = scopes.get(decision.scope, ScopeState())
    limits = policy.catalog.constraints_for(decision.scope)
    today = changes_of_a_day(entry, at)
    if today >= limits.max_changes_per_day:
        return f"{today} changes in 24 h, and max_changes_per_day is {limits.max_changes_per_day}."
    strategy = policy.catalog.strategies[decision.strategy]
    begun = begun_by(entry, strategy.name, at)
    if strategy.max_per_day is not None and begun >= strategy.max_per_day:
        return (
            f"{begun} rollouts by {strategy.name} were begun here in 24 h, and its max_per_day is "
            f"{strategy.max_per_day}."
        )
    too_soon = _too_soon(policy, entry, limits, at)
    if too_soon is not None:
        return too_soon
    working = at_work(scopes)
    if working >= policy.max_optimizations:
        return (
            f"{working} optimizations are under way in this partition, those that wait for "
            f"approval among them, and its part of max_optimizations is {policy.max_optimizations}."
        )
    return full(policy, scopes)


def _too_soon(policy: ActuatePolicy, entry: ScopeState, limits: Constraints, at: int) -> str | None:
    """Whether the last change, or those that were taken back, were too short ago."""
    if entry.revised_at is not None:
        minutes = max(0, at - entry.revised_at) / MINUTE_MS
        if minutes < limits.min_minutes_between_changes:
            return (
                f"The last change was {minutes:g} min ago, and min_minutes_between_changes is "
                f"{limits.min_minutes_between_changes:g}."
            )
        back = setbacks_on_end(entry, at, policy.regret_s * 1000)
        wait = limits.min_minutes_between_changes * 2 ** max(back - 1, 0)
        if minutes < wait:
            return (
                f"{back} changes on end were taken back here, the last {minutes:g} min ago: after "
                f"so many the next one waits {wait:g} min."
            )
    return None


def full(policy: ActuatePolicy, scopes: Mapping[str, ScopeState]) -> str | None:
    """That no further rollout may start now, or None."""
    active = under_way(scopes)
    if active < policy.max_rollouts:
        return None
    return (
        f"{active} rollouts are active in this partition, and its part of max_rollouts is "
        f"{policy.max_rollouts}."
    )

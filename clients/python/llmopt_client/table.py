"""What an application looks up: every scope it has heard of, ready to be served."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from llmopt_client.bucketing import bucket_of
from llmopt_client.config import EMPTY, Config
from llmopt_client.scope import ALL, ScopeState

PLANS = 4_096  # remembered (service, endpoint, default) combinations
UNITS = 20_000  # remembered units per plan


class Plan:
    """How one (service, endpoint, default) is served until the next change.

    `alone` is for a request without a unit: it cannot be part of a rollout, because what cannot
    be assigned at random cannot be compared. Where instances are divided, every request of this
    one goes the same way, and `candidate` is None.
    """

    __slots__ = (
        "_assigned",
        "_copied",
        "_salt",
        "_shadow",
        "_share",
        "alone",
        "candidate",
        "control",
    )

    def __init__(self, state: ScopeState | None, default: Config | None, instance: str) -> None:
        own = default if isinstance(default, Config) else EMPTY
        base = own if state is None or state.stable is None else state.stable.over(own)
        self.alone = base
        self.control = base
        self.candidate: Config | None = None
        self._copied = base
        self._assigned: dict[str, Config] = {}
        self._salt, self._share, self._shadow = "", 0, 0
        if state is not None and state.candidate is not None:
            candidate = state.candidate.over(own)
            self.control = replace(base, cohort="stable", scope=state.scope)
            self.candidate = replace(candidate, cohort="candidate")
            # In neither cohort: who is copied is compared with those who are not.
            self._copied = replace(
                base, scope=state.scope, shadow=replace(candidate, cohort="shadow")
            )
            self._salt, self._share, self._shadow = state.salt, state.share, state.shadow
            if state.by_instance:
                self.alone = self.control = self.serve(instance)
                self.candidate = None

    def serve(self, unit: str) -> Config:
        """The config of *unit*; a dictionary look-up from the second time on."""
        known = self._assigned.get(unit)
        if known is not None:
            return known
        config, bucket = self.control, bucket_of(unit, self._salt)
        if self.candidate is not None and bucket < self._share:
            config = self.candidate
        elif bucket < self._shadow:
            config = self._copied
        if len(self._assigned) >= UNITS:
            self._assigned.clear()
        self._assigned[unit] = config
        return config


class Table:
    """All scopes, and how each was served since the last change.

    Readers need no lock: a change is made in *states* first, and then this table is replaced by
    one that has forgotten what the change made wrong.
    """

    __slots__ = ("instance", "plans", "states")

    def __init__(self, states: Mapping[str, ScopeState], instance: str) -> None:
        self.states, self.instance = states, instance
        self.plans: dict[tuple[str, str, Config | None], Plan] = {}

    def without(self, scopes: AbstractSet[str]) -> Table:
        """A table that works out anew what any of *scopes* has a say in."""
        table = Table(self.states, self.instance)
        if ALL not in scopes:
            table.plans = {
                key: plan
                for key, plan in list(self.plans.items())
                if key[0] not in scopes and f"{key[0]}/{key[1]}" not in scopes
            }
        return table

    def plan(self, service: str, endpoint: str, default: Config | None) -> Plan:
        """Work out and remember how requests of `service/endpoint` are served."""
        plan = Plan(self._state(service, endpoint), default, self.instance)
        if len(self.plans) >= PLANS:
            self.plans.clear()
        self.plans[service, endpoint, default] = plan
        return plan

    def _state(self, service: str, endpoint: str) -> ScopeState | None:
        """The narrowest scope that says anything."""
        for scope in (f"{service}/{endpoint}", service, ALL):
            state = self.states.get(scope)
            if state is not None and (state.stable or state.candidate):
                return state
        return None

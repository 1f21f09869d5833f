"""A scope whose applications obey the configs that the actuator writes."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from types import ModuleType

import numpy as np
import pytest

from bench.windows import summary
from processors.actuate.policy import ActuatePolicy
from processors.actuate.state import ENTRY, ActuateState, ScopeState, restore
from processors.actuate.step import step
from processors.actuate.version import versioned
from schemas.catalog import Catalog, Constraints, Model, Step, Strategy
from schemas.codec import pack, unpack
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig, ScopeConfig
from schemas.decision import Action, Decision
from schemas.flow import Emit, Input, Moment
from schemas.loop import Transition
from schemas.rollout import Deployment, Look
from schemas.scope import BUCKETS
from schemas.topics import COMMANDS, DECISIONS, ENRICHED
from schemas.window import (
    MINUTE,
    SIZES,
    EnrichedWindow,
    WindowAggregate,
)

T0 = 1_700_000_040_000  # a whole minute
SCOPE = "search/answer"
OLD = versioned(LlmConfig(version="", provider="openai", model="large"))
NEW = versioned(LlmConfig(version="", provider="openai", model="small"))
OTHER = versioned(LlmConfig(version="", provider="anthropic", model="tiny"))
MOMENT = Moment(now=T0 + 7, seed=1, epoch=3, partition=0, partitions=1)
BALANCED = Strategy(
    name="balanced",
    steps=(Step(share=0.05, hold_s=300), Step(share=0.5, hold_s=600), Step(share=1.0, hold_s=0)),
    required=("errors", "latency"),
    latency_margin=0.5,
    max_wait_s=3600,
)
LATENCY = {"required": ("errors", "latency"), "latency_margin": 0.5, "max_wait_s": 3600}
BLUE_GREEN = Strategy(
    name="blue-green",
    kind="blue_green",
    steps=(Step(share=0.05, hold_s=300), Step(share=1.0, hold_s=600)),
    **LATENCY,
)
DARK_GREEN = Strategy(
    name="dark green",
    kind="blue_green",
    steps=(Step(share=0.1, hold_s=300, shadow=True), Step(share=1.0, hold_s=600)),
    **LATENCY,
)
ROLLING = Strategy(
    name="rolling",
    kind="rolling",
    steps=(Step(share=0.25, hold_s=300), Step(share=0.5, hold_s=300), Step(share=1.0, hold_s=0)),
    **LATENCY,
)
AB = Strategy(
    name="ab",
    kind="ab",
    steps=(Step(share=0.5, hold_s=600),),
    max_duration_s=3600,
    **LATENCY,
)
SHADOW = Strategy(
    name="shadow", kind="shadow", steps=(Step(share=0.2, hold_s=600, shadow=True),), **LATENCY
)
IMMEDIATE = Strategy(name="immediate", kind="immediate", steps=(Step(share=1.0, hold_s=0),))
ASKS = replace(BALANCED, name="asks", approval="always", approval_expires_s=3600)
AT_ONCE = Strategy(name="at once", steps=(Step(share=1.0, hold_s=0),))
CATALOG = Catalog(
    models={
        f"{c.provider}/{c.model}": Model(provider=c.provider, model=c.model)
        for c in (OLD, NEW, OTHER)
    },
    strategies={
        s.name: s
        for s in (
            *(BALANCED, AT_ONCE, IMMEDIATE, BLUE_GREEN, DARK_GREEN, ROLLING, AB, SHADOW, ASKS),
        )
    },
    constraints={"*": Constraints(max_changes_per_day=50, min_minutes_between_changes=0.0)},
)


def row(
    start: int,
    requests: int = 1000,
    *,
    scope: str = SCOPE,
    config: LlmConfig | None = OLD,
    version: str = "",
    cohort: str = "",
    errors: int = 0,
    units: tuple[int, ...] | None = None,
    latency: float = 400.0,
    window: str = "1m",
    revision: int = 1,
    closed: bool = True,
) -> EnrichedWindow:
    """A window of one key, or with `config=None` the pooled one; each cohort has its own units."""
    service, endpoint = scope.split("/")
    tried = int(cohort in ("candidate", "shadow"))
    spread = np.exp(np.linspace(-1.0, 1.0, max(requests, 1)))
    aggregate = WindowAggregate(
        service=service,
        endpoint=endpoint,
        model="*" if config is None else config.model,
        provider="*" if config is None else config.provider,
        config_version="*" if config is None else version,
        cohort="*" if config is None else cohort,
        window=window,
        start=start,
        end=start + SIZES[window],
        revision=revision,
        closed=closed,
        watermark=start + SIZES[window],
        requests=requests,
        success=requests - errors,
        errors=errors,
        timeouts=0,
        retries=0,
        error_units=tuple(range(tried, 7 * errors, 7)) if units is None else units,
        metrics={"latency_ms": summary(spread * latency, 1_000)} if requests else {},
    )
    return EnrichedWindow(window=aggregate, cost_usd=None, cost_per_request_usd=None)


def deploy(
    id_: str = "d1", chosen: LlmConfig | None = NEW, at: int = T0, **changes: object
) -> Decision:
    """A decision to roll *chosen* out."""
    decision = Decision(
        id=id_,
        scope=SCOPE,
        at=at,
        rule="optimization_opportunity",
        priority="medium",
        action=Action.DEPLOY,
        strategy="balanced",
        current=None,
        chosen=chosen,
        confidence=0.9,
        propensity=1.0,
        policy="",
        impact_usd_per_day=0.0,
        reasons=("Half the price at the same quality.",),
    )
    return replace(decision, **changes)


def command(kind: str, scope: str = SCOPE, **changes: object) -> Command:
    """A person's word."""
    plain = Command(id=f"c-{kind}-{scope}", kind=CommandKind(kind), scope=scope, at=T0, by="alice")
    return replace(plain, **changes)


@dataclass
class Play:
    """Feeds the actuator, keeps what it wrote, and plays the applications of one scope."""

    policy: ActuatePolicy = field(default_factory=lambda: ActuatePolicy(catalog=CATALOG))
    state: ActuateState = field(default_factory=ActuateState)
    moment: Moment = MOMENT
    inputs: list[Input] = field(default_factory=list)
    clock: int = T0
    emits: list[Emit] = field(default_factory=list)
    entries: dict[str, ScopeState] = field(default_factory=dict)

    def feed(self, *values: Command | Decision | EnrichedWindow) -> list[Emit]:
        """One batch."""
        topics = {Command: COMMANDS, Decision: DECISIONS, EnrichedWindow: ENRICHED}
        inputs = [
            Input(topics[type(value)].name, offset, value)
            for offset, value in enumerate(values, len(self.inputs))
        ]
        self.inputs.extend(inputs)
        outcome = step(self.policy, self.state, inputs, self.moment)
        self.state = outcome.state
        self.emits.extend(outcome.emits)
        self.entries.update(outcome.changes)
        return list(outcome.emits)

    def restart(self) -> None:
        """Another owner takes over what the changelog holds."""
        self.moment = replace(self.moment, epoch=self.moment.epoch + 1)
        self.state = restore(
            {key: unpack(ENTRY, pack(entry)) for key, entry in self.entries.items()}
        )

    def rows(self, start: int, requests: int = 4000, **candidate: float) -> list[EnrichedWindow]:
        """What applications that obey the newest config report of a minute."""
        config = self.config
        pooled = row(start, requests, config=None)
        if config is None or config.stable is None:
            return [row(start, requests), pooled]
        if config.split is None or config.candidate is None:
            stable = row(start, requests, config=config.stable, version=config.stable.version)
            return [stable, pooled]
        split, stable = config.split, config.stable
        n = requests * (split.share or split.shadow) // BUCKETS
        rate = candidate.get("error_rate", 0.0)
        tried = row(
            start,
            n,
            config=config.candidate,
            version=config.candidate.version,
            cohort="shadow" if split.shadow else "candidate",
            errors=round(n * rate),
            latency=candidate.get("latency", 400.0),
        )
        copied = row(start, n, config=stable, version=stable.version)
        rest = row(start, requests - n, config=stable, version=stable.version, cohort="stable")
        found = [tried, *([copied] if split.shadow else []), *([rest] if requests > n else [])]
        return [*found, pooled]

    def minutes(self, n: int, requests: int = 4000, **candidate: float) -> list[Emit]:
        """Let *n* minutes pass."""
        emits: list[Emit] = []
        for _ in range(n):
            emits += self.feed(*self.rows(self.clock, requests, **candidate))
            self.clock += MINUTE
        return emits

    def elsewhere(self, n: int) -> list[Emit]:
        """Let *n* minutes pass in which another scope alone is served."""
        emits: list[Emit] = []
        for _ in range(n):
            emits += self.feed(row(self.clock, scope="mail/other", config=None))
            self.clock += MINUTE
        return emits

    def hush(self, n: int, every: int = MINUTE) -> list[Emit]:
        """Let *n* ticks pass, with so many ms between them, in which nothing is heard at all."""
        emits: list[Emit] = []
        for _ in range(n):
            self.moment = replace(self.moment, now=self.moment.now + every)
            emits += self.feed()
        return emits

    def past(self) -> None:
        """A minute and the quarter before it: who serves the scope, and how it has been."""
        self.minutes(1)
        self.feed(row(self.clock - 15 * MINUTE, 5000, config=None, window="15m"))

    def start(self, **changes: object) -> list[Emit]:
        """A rollout of NEW, with a past."""
        self.past()
        return self.feed(deploy(at=self.clock, **changes))

    def fail(self, times: int) -> None:
        """So many rollouts that go wrong at once."""
        self.past()
        for n in range(times):
            config = versioned(replace(NEW, max_tokens=n))
            self.feed(deploy(f"bad {n}", config, at=self.clock))
            self.minutes(1, error_rate=0.5)

    def three_versions(self) -> None:
        """OLD, then NEW, then OTHER is the stable config."""
        self.past()
        self.feed(command("set", id="1", config=NEW), command("set", id="2", config=OTHER))

    @property
    def entry(self) -> ScopeState:
        return self.state.scopes[SCOPE]

    @property
    def configs(self) -> list[ScopeConfig]:
        return [e.value for e in self.emits if isinstance(e.value, ScopeConfig)]

    @property
    def config(self) -> ScopeConfig | None:
        return next((c for c in reversed(self.configs) if c.scope == SCOPE), None)

    @property
    def events(self) -> list[Deployment]:
        return [e.value for e in self.emits if isinstance(e.value, Deployment)]

    @property
    def looks(self) -> list[Look]:
        return [e.value for e in self.emits if isinstance(e.value, Look)]

    @property
    def transitions(self) -> list[Transition]:
        return [e.value for e in self.emits if isinstance(e.value, Transition)]

    @property
    def last(self) -> Deployment:
        return self.events[-1]


@pytest.fixture(scope="session")
def world() -> ModuleType:
    """The builders and constants of this folder's tests."""
    return sys.modules[__name__]

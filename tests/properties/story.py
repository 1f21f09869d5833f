"""A rollout's life under every fault at once: what happens, in what order, to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from processors.actuate.version import versioned
from schemas.catalog import Catalog, Constraints, Model, PriceEntry, Step, Strategy
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig
from schemas.decision import Action, Decision
from schemas.scope import BUCKETS
from schemas.topics import COMMANDS, DECISIONS, ENRICHED
from schemas.trigger import Trigger
from schemas.window import MINUTE, EnrichedWindow
from tests.properties.application import REQUESTS, Application, window
from tests.properties.broker import Broker, Fenced, lag
from tests.properties.worker import Prepared, Worker

T0 = 1_700_000_040_000  # a whole minute
SCOPES = ("search/answer", "mail/draft")
POOL = ("*", "*", "*", "*")
NAMES = ("large", "small", "tiny", "slow", "broken", "dear")
CONFIGS = {n: versioned(LlmConfig(version="", provider="openai", model=n)) for n in NAMES}
BEHAVIOUR = {  # error rate, latency in ms, quality, USD per request
    "slow": (0.0, 2_400.0, 90.0, 0.01),
    "broken": (0.4, 400.0, 90.0, 0.01),
    "dear": (0.0, 400.0, 60.0, 0.05),
}
GOOD = (0.0, 400.0, 90.0, 0.01)
LADDER = Strategy(
    name="ladder",
    steps=(Step(share=0.1, hold_s=60), Step(share=0.5, hold_s=60), Step(share=1.0, hold_s=0)),
    error_margin=0.2,
    latency_margin=0.9,
    quality_margin=0.5,
    cost_margin=1.0,
    required=("errors", "latency"),
    min_samples=50,
    max_wait_s=600,
    approval="never",
)
CHECKED = replace(
    LADDER, kind="blue_green", steps=(Step(share=0.1, hold_s=60), Step(share=1.0, hold_s=120))
)
DARK = replace(
    CHECKED, steps=(Step(share=0.2, hold_s=60, shadow=True), Step(share=1.0, hold_s=120))
)
AB = replace(LADDER, kind="ab", steps=(Step(share=0.5, hold_s=120),), max_duration_s=480)
SHADOW = replace(LADDER, kind="shadow", steps=(Step(share=0.3, hold_s=120, shadow=True),))
AT_ONCE = replace(LADDER, kind="immediate", steps=(Step(share=1.0, hold_s=0),))
ASKED = replace(
    LADDER, approval="always", approval_expires_s=300, when_waiting="ask", max_wait_s=60
)
STRATEGIES = {
    "ladder": LADDER,
    "rolling": replace(LADDER, kind="rolling"),
    "checked": CHECKED,
    "dark": DARK,
    "ab": AB,
    "shadow": SHADOW,
    "at once": AT_ONCE,
    "asked": ASKED,
}
TRIGGERS = (
    Trigger(id="errors", metric="error_rate", limit=0.3, severity="critical", within="changed"),
    Trigger(id="slow", metric="p95_latency_ms", limit=3_000, window_s=180, confirm_s=60),
    Trigger(
        id="poor",
        metric="quality",
        limit=0.9,
        relative_to="baseline",
        window_s=120,
        mode="semi_automatic",
        expires_s=180,
    ),
    Trigger(
        id="dear",
        metric="cost_per_request_usd",
        limit=2.0,
        relative_to="baseline",
        simulate=True,
        quiet_s=120,
    ),
)
CATALOG = Catalog(
    models={f"openai/{name}": Model(provider="openai", model=name) for name in NAMES},
    strategies={name: replace(each, name=name) for name, each in STRATEGIES.items()},
    triggers={trigger.id: trigger for trigger in TRIGGERS},
    constraints={"*": Constraints(max_changes_per_day=50, min_minutes_between_changes=0.0)},
)
FLOWS = ("ladder", "ladder", "ladder", *STRATEGIES)
FAULTS = {
    "none": 10,
    "killed before its commit": 2,
    "killed after its commit": 2,
    "killed in its commit": 2,
    "stood still": 2,
}


@dataclass
class Story:
    """One run: the broker, the owner, the zombies, the applications, and what is still to come."""

    chance: Random
    broker: Broker = field(default_factory=lambda: Broker(catalog=CATALOG))
    owner: Worker = field(init=False)
    zombies: list[tuple[Worker, Prepared]] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)
    later: list[tuple[int, str, Any]] = field(default_factory=list)  # minute, topic, record
    said: list[tuple[str, Any]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    fenced: int = 0
    slipped: int = 0  # commits of zombies that went through: none may
    minute: int = 0

    def __post_init__(self) -> None:
        self.owner = Worker(self.broker)
        self.applications = [Application(self.broker) for _ in range(2)]

    @property
    def start(self) -> int:
        """Of the present minute, ms."""
        return T0 + self.minute * MINUTE

    def live(self, minutes: int) -> Story:
        """Let so many minutes pass, then let a worker that nobody disturbs read the rest."""
        quarter = self.start - 15 * MINUTE
        for scope in SCOPES:
            self.broker.append(ENRICHED.name, window(scope, quarter, 9_000, POOL, size="15m"))
        for _ in range(minutes):
            self.happen()
            self.report()
            for _ in range(self.chance.randint(1, 3)):
                self.work()
            for application in self.applications:
                application.follow(self.chance)
            self.minute += 1
        self.owner = Worker(self.broker)
        while lag(self.broker, self.broker.offsets):
            self.owner.commit(self.owner.take(self.chance, self.start))
        for application in self.applications:
            for key, value in self.broker.configs[application.read :]:
                application.scopes.heard(key, value)
        return self

    def happen(self) -> None:
        """What people and the optimizer do in this minute; some of it late, some of it twice."""
        for record in self._said():
            self.said.append(record)
            if self.chance.random() < 0.15:  # it comes late, after what was said after it
                self.later.append((self.minute + self.chance.randint(1, 5), *record))
            else:
                self.broker.append(*record)
        if self.said and self.chance.random() < 0.25:
            self.broker.append(*self.chance.choice(self.said))
        for due in [each for each in self.later if each[0] <= self.minute]:
            self.later.remove(due)
            self.broker.append(*due[1:])
        if self.chance.random() < 0.05:
            self.broker.catalog = changed(self.chance, self.broker.catalog)

    def report(self) -> None:
        """What the applications report of this minute: obeying, late, or not at all."""
        for scope in SCOPES:
            if self.chance.random() < 0.05:
                continue
            start = self.start
            rows = list(self._rows(scope, start))
            if self.chance.random() < 0.1 and self.minute:  # a revision of a minute before
                start -= self.chance.randint(1, min(4, self.minute)) * MINUTE
                late = [moved(row, start) for row in rows]
                rows += late if self.chance.random() < 0.5 else late[-1:]
            for row in rows:
                self.broker.append(ENRICHED.name, row)

    def work(self) -> None:
        """One step of the owner, with a fault or without; and of a zombie that wakes."""
        now = self.start + self.chance.randint(0, MINUTE)
        prepared = self.owner.take(self.chance, now)
        fault = self.chance.choices(list(FAULTS), list(FAULTS.values()))[0]
        self.faults[fault] += 1
        if fault == "stood still":
            self.zombies.append((self.owner, prepared))
        elif fault in ("none", "killed after its commit") or (
            fault == "killed in its commit" and self.chance.random() < 0.5
        ):
            self.owner.commit(prepared)
        if fault != "none":
            self.owner = Worker(self.broker)
        if self.zombies and self.chance.random() < 0.4:
            self._wake(*self.zombies.pop(self.chance.randrange(len(self.zombies))), now)

    def _wake(self, zombie: Worker, prepared: Prepared, now: int) -> None:
        """A zombie tries to commit what it had, or what it makes of its old state by now."""
        if self.chance.random() < 0.5:
            prepared = zombie.take(self.chance, now)
        try:
            zombie.commit(prepared)
        except Fenced:
            self.fenced += 1
        else:
            self.slipped += 1

    def _said(self) -> Iterator[tuple[str, Any]]:
        if self.chance.random() < 0.45:
            yield DECISIONS.name, self._decision()
        if self.chance.random() < 0.3:
            yield COMMANDS.name, self._command()

    def _decision(self) -> Decision:
        back = self.chance.random() < 0.15
        name = self.chance.choice(NAMES[1:])
        return Decision(
            id=f"d{len(self.said)}",
            scope=self.chance.choice((SCOPES[0], SCOPES[0], SCOPES[1])),
            at=self.start,
            rule="rule",
            priority="medium",
            action=Action.ROLLBACK if back else Action.DEPLOY,
            strategy="" if back else self.chance.choice(FLOWS),
            current=CONFIGS["large"],
            chosen=None if back else CONFIGS[name],
            confidence=0.9,
            propensity=1.0,
            policy="",
            reasons=("Because.",),
        )

    def _command(self) -> Command:
        often = ("resume", "resume", "pause", "promote", "approve", "approve")
        kind = self.chance.choice((*CommandKind, *map(CommandKind, often)))
        named = self.chance.choice((None, None, *CONFIGS.values()))
        return Command(
            id=f"c{len(self.said)}",
            kind=kind,
            scope=self.chance.choice((*SCOPES, SCOPES[0], "*")),
            at=self.start,
            by="ada",
            config=named if kind is CommandKind.SET else None,
            version=named.version if named and kind is CommandKind.ROLLBACK else None,
            dry_run=kind is CommandKind.ROLLBACK and self.chance.random() < 0.2,
        )

    def _rows(self, scope: str, start: int) -> Iterator[EnrichedWindow]:
        """The rows of one minute by what an application serves, the pooled one last."""
        application = self.chance.choice(self.applications)
        change = application.serves(scope)
        parts: list[tuple[int, tuple[str, str, str, str]]] = []
        if change is None or change.stable is None:
            parts = [(REQUESTS, ("openai", "large", "", ""))]
        else:
            n, copies = REQUESTS * change.share // BUCKETS, application.copies(scope)
            one, two = change.stable, change.candidate
            cohort = "" if two is None else "stable"
            parts = [(REQUESTS - n, (one.provider, one.model, one.version, cohort))]
            if two is not None:
                parts.append((n, (two.provider, two.model, two.version, "candidate")))
                shadowed = (REQUESTS * copies // BUCKETS, (*parts[1][1][:3], "shadow"))
                parts.append(shadowed)
        for requests, served in parts:
            if requests:
                yield window(scope, start, requests, served, BEHAVIOUR.get(served[1], GOOD))
        parts = [part for part in parts if part[1][3] != "shadow"]
        total = [(n, BEHAVIOUR.get(served[1], GOOD)) for n, served in parts]
        rates = tuple(sum(n * b[i] for n, b in total) / REQUESTS for i in range(4))
        yield window(scope, start, REQUESTS, POOL, (rates[0], 400.0, 90.0, rates[3]))


def moved(row: EnrichedWindow, start: int) -> EnrichedWindow:
    """The row as a later revision of an earlier minute."""
    aggregate = replace(row.window, start=start, end=start + MINUTE, revision=2)
    return replace(row, window=aggregate)


def changed(chance: Random, catalog: Catalog) -> Catalog:
    """The catalog after an edit that rollouts under way have to live with."""
    name = f"openai/{chance.choice(NAMES[1:])}"
    model = catalog.models[name]
    wait = replace(catalog.strategies["ladder"], max_wait_s=chance.choice((120, 600)))
    price = PriceEntry(
        provider=model.provider,
        model=model.model,
        input_per_mtok=chance.choice((1.0, 2.0)),
        output_per_mtok=4.0,
    )
    return chance.choice(
        (
            replace(catalog, models={**catalog.models, name: replace(model, enabled=False)}),
            replace(catalog, models={**catalog.models, name: replace(model, enabled=True)}),
            replace(catalog, prices={**catalog.prices, name: (price,)}),
            replace(catalog, strategies={**catalog.strategies, "ladder": wait}),
            replace(
                catalog,
                strategies={
                    **catalog.strategies,
                    "ladder": replace(wait, steps=chance.choice((LADDER.steps, LADDER.steps[1:]))),
                },
            ),
        )
    )

"""Workers are killed in the middle of canaries: every rollout goes as if nobody had been."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bench.rollouts import Record, put
from bench.windows import summary
from processors.actuate import policy as actuate
from processors.actuate.rollout import NEXT
from processors.actuate.step import fresh, step
from processors.actuate.version import versioned
from schemas.config import LlmConfig, ScopeConfig
from schemas.decision import Action, Decision
from schemas.flow import Input, Moment
from schemas.report import RollbackReport
from schemas.rollout import Deployment, Phase
from schemas.scope import BUCKETS, partition_of
from schemas.topics import CONFIG, DECISIONS, DEPLOYMENTS, ENRICHED
from schemas.window import (
    MINUTE,
    EnrichedWindow,
    WindowAggregate,
)
from streams.app import STUCK
from streams.declared import declared
from streams.stages import make

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

PARTITIONS, MINUTES, REQUESTS = 4, 34, 2_000
KILLS = (1, 1, 2, 1)  # workers at once
T0 = (int(time.time() * 1_000) // (15 * MINUTE) - 8) * 15 * MINUTE  # windows of both lengths fit
OLD = versioned(LlmConfig(version="", provider="openai", model="gpt-4"))
NEW = versioned(LlmConfig(version="", provider="openai", model="gpt-4o-mini"))
UNITS = {"latency_ms": 1_000, "quality": 1_000, "cost_usd": 1_000_000_000}
GOOD = {"latency_ms": 900.0, "quality": 94.5, "cost_usd": 0.002}
SCOPES = {  # what its candidate does there, and how its rollout must end
    "search/answer": (GOOD, 0.0, Phase.PROMOTED),
    "search/rerank": (GOOD, 0.0, Phase.PROMOTED),
    "coder/complete": (GOOD, 0.0, Phase.PROMOTED),
    "support/chat": (GOOD | {"latency_ms": 1_400.0}, 0.0, Phase.ROLLED_BACK),
    "support/summarize": (GOOD | {"quality": 84.0}, 0.0, Phase.ROLLED_BACK),
    "mailer/draft": (GOOD, 0.5, Phase.ROLLED_BACK),
    "tutor/chat": (GOOD | {"cost_usd": 0.05}, 0.0, Phase.ROLLED_BACK),
}
STABLE = {"latency_ms": 1_000.0, "quality": 94.0, "cost_usd": 0.02}


@dataclass
class Story:
    """What happens, and what an actuator that nobody disturbs makes of it."""

    policy: actuate.ActuatePolicy
    told: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    states: dict[int, Any] = field(default_factory=lambda: defaultdict(fresh))
    offsets: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def feed(self, records: Sequence[Record]) -> Sequence[Record]:
        """Let the actuator answer each record by itself; gives them back."""
        for topic, scope, value in records:
            home = partition_of(scope, PARTITIONS)
            self.offsets[topic.name] += 1
            outcome = step(
                self.policy,
                self.states[home],
                [Input(topic.name, self.offsets[topic.name], value)],
                Moment(now=0, seed=1, epoch=0, partition=home, partitions=PARTITIONS),
            )
            self.states[home] = outcome.state
            for emit in outcome.emits:
                self.told[emit.key].append(emit.value)
        return records

    def config(self, scope: str) -> ScopeConfig | None:
        """What applications serve in *scope* now."""
        configs = [each for each in self.told[scope] if isinstance(each, ScopeConfig)]
        return configs[-1] if configs else None

    def minute(self, number: int, chance: np.random.Generator) -> Iterator[Record]:
        """What applications that obey the newest configs report of a minute, scope by scope."""
        start = T0 + number * MINUTE
        for scope, (candidate, errors, _) in SCOPES.items():
            config = self.config(scope)
            share = 0 if config is None or config.split is None else config.split.share
            served = OLD if config is None or config.stable is None else config.stable
            n = REQUESTS * share // BUCKETS
            if n:
                row = window(scope, start, n, candidate, chance, NEW, "candidate", errors)
                yield ENRICHED, scope, row
            means = candidate if served == NEW else STABLE
            cohort = "" if config is None else "stable"
            row = window(scope, start, REQUESTS - n, means, chance, served, cohort)
            yield ENRICHED, scope, row
            yield ENRICHED, scope, window(scope, start, REQUESTS, means, chance)


def window(
    scope: str,
    start: int,
    requests: int,
    means: dict[str, float],
    chance: np.random.Generator,
    config: LlmConfig | None = None,
    cohort: str = "*",
    error_rate: float = 0.0,
    length: int = MINUTE,
) -> EnrichedWindow:
    """A window of one config's cohort, or with `config=None` the pooled one."""
    service, endpoint = scope.split("/")
    errors = round(requests * error_rate)
    found = {
        metric: summary(np.exp(chance.normal(0, 0.01 if metric == "quality" else 0.4, requests))
                        * mean, UNITS[metric])
        for metric, mean in means.items()
    }  # fmt: skip
    aggregate = WindowAggregate(
        service=service,
        endpoint=endpoint,
        model="*" if config is None else config.model,
        provider="*" if config is None else config.provider,
        config_version="*" if config is None else config.version if cohort else "",
        cohort=cohort,
        window="1m" if length == MINUTE else "15m",
        start=start,
        end=start + length,
        revision=1,
        closed=True,
        watermark=start + length,
        requests=requests,
        success=requests - errors,
        errors=errors,
        timeouts=0,
        retries=0,
        error_units=tuple(range(0, 7 * errors, 7)),
        metrics=found,
    )
    cost = found["cost_usd"].sum
    return EnrichedWindow(window=aggregate, cost_usd=cost, cost_per_request_usd=cost / requests)


def decided(scope: str) -> Record:
    decision = Decision(
        id=f"d-{scope}", scope=scope, at=T0, rule="optimization_opportunity", priority="medium",
        action=Action.DEPLOY, strategy="balanced", current=OLD, chosen=NEW, confidence=0.9,
        propensity=1.0, policy="", impact_usd_per_day=0.0, reasons=("A tenth of the price.",),
    )  # fmt: skip
    return DECISIONS, scope, decision


class Killed:
    """Two workers that hold the stage, and die."""

    def __init__(self, pipeline: Any, chance: random.Random) -> None:
        self.pipeline = pipeline
        self.chance = chance
        self.exits: list[int] = []
        self.born = 0
        for _ in "12":
            self.start()

    def start(self, name: str | None = None) -> None:
        self.born += name is None
        self.pipeline.workers.start(name or f"worker-{self.born}", "--stages", "actuate")

    def kill(self, how_many: int) -> None:
        """Kill so many; half come back under their name, half as a stranger."""
        for name in self.chance.sample(sorted(self.pipeline.workers.running), how_many):
            self.pipeline.workers.kill(name)
            self.start(name if self.chance.random() < 0.5 else None)

    def supervise(self) -> None:
        """Start a worker again that ended by itself."""
        for name, worker in list(self.pipeline.workers.running.items()):
            if (status := worker.poll()) is not None:
                self.exits.append(status)
                self.start(name)


@pytest.fixture(scope="module")
def killed(pipeline: Any) -> tuple[Any, Story]:
    """Seven rollouts have come to their ends while their workers were killed."""
    seed = int(os.environ.get("PIPELINE_SEED") or random.SystemRandom().randrange(10_000))
    sys.stdout.write(f"PIPELINE_SEED={seed}\n")
    chance, noise = random.Random(seed), np.random.default_rng(7)
    stage, _ = make("actuate", pipeline.settings)
    story = Story(stage.policy(declared(pipeline.settings).catalog))
    workers = Killed(pipeline, chance)
    wide = [
        (ENRICHED, s, window(s, T0 - 15 * MINUTE, 5_000, STABLE, noise, length=15 * MINUTE))
        for s in SCOPES
    ]
    # One topic after the other, for nothing orders the records of two.
    for first in ([*wide, *story.minute(0, noise)], [decided(scope) for scope in SCOPES]):
        send(pipeline, story.feed(first))
        pipeline.until(lambda: not pipeline.unread("actuate"), 60, "it is ready", workers.supervise)
    canary = []
    for number in range(1, MINUTES):
        canary += story.feed(list(story.minute(number, noise)))
    whom = chance.sample(KILLS, len(KILLS))
    for part, how_many in zip(
        np.array_split(np.arange(len(canary)), len(KILLS)), whom, strict=True
    ):
        records = [canary[i] for i in part]
        point = chance.randrange(len(records) * 3 // 4)
        send(pipeline, records[:point], pause=0.012)
        workers.kill(how_many)
        send(pipeline, records[point:], pause=0.012)
        # The next ones shall die at work, not while they wait for the dead to be given up.
        pipeline.until(lambda: not pipeline.unread("actuate"), 60, "all is read", workers.supervise)

    assert [0, 0] == pipeline.stop()
    assert set(workers.exits) <= {STUCK}
    return pipeline, story


def send(pipeline: Any, records: Sequence[Record], pause: float = 0.0) -> None:
    brokers = pipeline.cluster.bootstrap_servers

    assert 0 == put(brokers, pipeline.codec, PARTITIONS, records, pause)


def test_the_kills_fell_into_the_rollouts(
    killed: tuple[Any, Story], commits_add_up: Callable[..., Any]
) -> None:
    pipeline, _ = killed
    epochs = [{line.epoch for line in lines} for lines in pipeline.journal("actuate").values()]

    assert len(epochs) == PARTITIONS
    assert sum(map(len, epochs)) >= PARTITIONS + len(KILLS)
    commits_add_up(pipeline, "actuate")


def timeless(told: object) -> object:
    """What was told, without the time on the wall at which it was."""
    return replace(told, written_at=0) if isinstance(told, RollbackReport) else told


def test_every_rollout_went_as_without_kills(killed: tuple[Any, Story]) -> None:
    pipeline, story = killed
    found: dict[str, list[object]] = defaultdict(list)
    for seen in pipeline.records(DEPLOYMENTS):
        found[seen.value.scope].append(timeless(seen.value))

    for scope, (*_, end) in SCOPES.items():
        told = [each for each in story.told[scope] if not isinstance(each, ScopeConfig)]
        expected = [timeless(each) for each in told]
        events = [each for each in expected if isinstance(each, Deployment)]
        assert expected == found[scope]
        assert (end, True, True) == (
            events[-1].phase,
            len(events) >= 3,
            len(expected) > len(events),
        )


def test_no_rollout_made_a_move_that_does_not_exist(killed: tuple[Any, Story]) -> None:
    pipeline, _ = killed
    rollouts: dict[str, list[Deployment]] = defaultdict(list)
    for seen in pipeline.records(DEPLOYMENTS):
        if isinstance(seen.value, Deployment):
            rollouts[seen.value.id].append(seen.value)

    assert len(SCOPES) == len(rollouts)
    for events in rollouts.values():
        assert list(range(1, len(events) + 1)) == [each.sequence for each in events]
        assert [None, *(each.phase for each in events[:-1])] == [each.previous for each in events]
        assert all(each.phase in NEXT[each.previous] for each in events)


def test_every_revision_of_a_config_was_written_once_and_in_order(
    killed: tuple[Any, Story],
) -> None:
    pipeline, story = killed
    written: dict[str, list[ScopeConfig]] = defaultdict(list)
    for seen in pipeline.records(CONFIG):
        written[seen.value.scope].append(seen.value)

    for scope, (*_, end) in SCOPES.items():
        configs = written[scope]
        expected = [each for each in story.told[scope] if isinstance(each, ScopeConfig)]
        assert list(range(1, len(configs) + 1)) == [each.revision for each in configs]
        assert all(a.epoch <= b.epoch for a, b in pairwise(configs))
        # The worker's clock and its fencing number are all that may differ.
        assert expected == [replace(each, updated_at=0, epoch=0) for each in configs]
        last = configs[-1]
        served = NEW if end is Phase.PROMOTED else OLD
        assert (served, None, None) == (last.stable, last.candidate, last.split)

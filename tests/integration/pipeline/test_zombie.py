"""An actuator is frozen in the middle of rollouts, replaced, and wakes up: one of them writes."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from llmopt_client import Client
from llmopt_client.scopes import Change
from schemas.config import ScopeConfig
from schemas.rollout import Deployment
from schemas.topics import CONFIG, DEPLOYMENTS, ENRICHED
from streams.declared import declared
from streams.stages import make
from tests.integration.pipeline.test_rollout_kills import (
    MINUTE,
    PARTITIONS,
    SCOPES,
    STABLE,
    T0,
    Story,
    decided,
    send,
    window,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MINUTES, FREEZES = 34, 2
ASLEEP = 9.0  # seconds, beyond the session's time-out of six
ACTUATE = ("--stages", "actuate")


@dataclass
class Ran:
    """What is left: what an undisturbed actuator would have told, and what an application saw."""

    pipeline: Any
    story: Story
    seen: list[Change] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)


def at_leisure(pipeline: Any) -> None:
    pipeline.until(lambda: not pipeline.unread("actuate"), 60, "all is read")


def freeze(pipeline: Any, name: str, records: list[Any]) -> None:
    """Freeze a worker while *records* come, until others have its partitions; then let it go on."""
    point = len(records) // 3
    send(pipeline, records[:point], pause=0.005)
    worker = pipeline.workers.running[name]
    worker.send_signal(signal.SIGSTOP)
    asleep = time.monotonic()
    send(pipeline, records[point : 2 * point], pause=0.005)
    time.sleep(max(0.0, ASLEEP - (time.monotonic() - asleep)))
    worker.send_signal(signal.SIGCONT)
    send(pipeline, records[2 * point :], pause=0.005)
    at_leisure(pipeline)


@pytest.fixture(scope="module")
def ran(pipeline: Any) -> Iterator[Ran]:
    """Seven rollouts have come to their ends; each of two actuators was a zombie once."""
    seed = int(os.environ.get("PIPELINE_SEED") or random.SystemRandom().randrange(10_000))
    sys.stdout.write(f"PIPELINE_SEED={seed}\n")
    noise, chance = np.random.default_rng(7), random.Random(seed)
    stage, _ = make("actuate", pipeline.settings)
    found = Ran(pipeline, Story(stage.policy(declared(pipeline.settings).catalog)))
    with Client(pipeline.cluster.bootstrap_servers, "follower") as client:
        client.subscribe(found.seen.append)
        assert client.ready(20)
        for name in "ab":
            pipeline.workers.start(name, *ACTUATE)
        story = found.story
        wide = [
            (ENRICHED, s, window(s, T0 - 15 * MINUTE, 5_000, STABLE, noise, length=15 * MINUTE))
            for s in SCOPES
        ]
        send(pipeline, story.feed([*wide, *story.minute(0, noise)]))
        at_leisure(pipeline)
        send(pipeline, story.feed([decided(scope) for scope in SCOPES]))
        at_leisure(pipeline)
        canary = []
        for number in range(1, MINUTES):
            canary += story.feed(list(story.minute(number, noise)))
        cut = len(canary) // 2 + chance.randrange(-40, 40)
        for name, records in (("a", canary[:cut]), ("b", canary[cut:])):
            freeze(pipeline, name, records)
        last = {each.scope: each for each in configs(found)}
        pipeline.until(
            lambda: (
                {c.scope: c.revision for c in found.seen}
                == {scope: config.revision for scope, config in last.items()}
            ),
            20,
            "the application has all",
        )
        found.counters = client.counters()
        yield found
    pipeline.stop()


def configs(ran: Ran) -> list[ScopeConfig]:
    return [seen.value for seen in ran.pipeline.records(CONFIG)]


def test_the_frozen_were_replaced_while_they_slept(
    ran: Ran, commits_add_up: Callable[..., Any]
) -> None:
    epochs = [{line.epoch for line in lines} for lines in ran.pipeline.journal("actuate").values()]

    assert PARTITIONS == len(epochs)
    assert all(len(each) > FREEZES for each in epochs)
    commits_add_up(ran.pipeline, "actuate")


def test_only_one_wrote(ran: Ran) -> None:
    written: dict[str, list[ScopeConfig]] = defaultdict(list)
    for config in configs(ran):
        written[config.scope].append(config)
    told: dict[str, list[Deployment]] = defaultdict(list)
    for seen in ran.pipeline.records(DEPLOYMENTS):
        if isinstance(seen.value, Deployment):
            told[seen.value.scope].append(seen.value)

    assert set(SCOPES) == set(written) == set(told)
    for scope, made in ran.story.told.items():
        # The worker's clock and its fencing number are all that may differ.
        plain = [replace(each, updated_at=0, epoch=0) for each in written[scope]]
        assert [each for each in made if isinstance(each, ScopeConfig)] == plain
        assert [each for each in made if isinstance(each, Deployment)] == told[scope]
        assert all(a.epoch <= b.epoch for a, b in pairwise(written[scope]))


def test_an_application_never_went_back(ran: Ran) -> None:
    seen: dict[str, list[Change]] = defaultdict(list)
    for change in ran.seen:
        seen[change.scope].append(change)

    assert (0, 0, 0) == tuple(ran.counters[k] for k in ("stale", "unusable", "callback_errors"))
    for changes in seen.values():
        assert all(a.revision < b.revision for a, b in pairwise(changes))
        assert all(a.epoch <= b.epoch for a, b in pairwise(changes))
    assert sum(map(len, seen.values())) == len(configs(ran))

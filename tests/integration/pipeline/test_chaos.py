"""Workers, brokers, databases and producers are killed, paused and moved: all is still exact.

`make chaos` runs it for longer, CHAOS_SECONDS; CHAOS_SEED repeats what was done in another run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from demo.evidence import settled
from demo.recompute import compare, counted, newest
from demo.stored import COPIED, expected
from infra.postgres.server import Postgres
from processors.actuate.decision import name as named
from processors.merge.recompute import batch_windows, content
from schemas.decode import decode_events
from schemas.rollout import Phase
from schemas.topics import (
    AGGREGATES,
    COMMANDS,
    CONFIG,
    DEPLOYMENTS,
    METRICS,
    QUALITY,
    STAGES,
    TOPICS,
    Topic,
)
from schemas.window import SIZES
from streams.app import DEFECT, OUT_OF_STEP
from streams.reading import read_all
from tests.integration.pipeline.chaos import SECONDS, Chaos, acts, say

DAY = SIZES["24h"]
CHUNK = 40  # events, as producing.py has them
CHUNKS = int(SECONDS * 60)
LASTING = min(20 * SIZES["1h"], int(SECONDS * 25_000))  # ms of event time
AGAIN = CHUNKS // 40  # each of two killed producers sends 2.5 % of all once more
WITHIN = 360 + 3 * SECONDS  # seconds for all of it
SCOPES = ("search/answer", "support/chat")
SERVED = ("openai/gpt-4o-mini", "openai/gpt-4", "mistral/open-mixtral-8x7b")
STATES = ("aggregated", "late", "dead_lettered", "duplicates")

pytestmark = [pytest.mark.integration, pytest.mark.timeout(WITHIN)]


@pytest.fixture
def chaos(pipeline: Any) -> Iterator[Chaos]:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10_000))
    say(f"CHAOS_SEED={seed} repeats it.")
    midnight = (int(time.time() * 1_000) - DAY - SIZES["1h"]) // DAY * DAY
    plan = {
        "brokers": pipeline.cluster.bootstrap_servers,
        "registry": pipeline.cluster.registry_url,
        "progress": str(pipeline.folder / "progress"),
        "seed": seed,
        "start": midnight + SIZES["1h"],
        "step_ms": LASTING / (CHUNKS * CHUNK),
        "chunks": CHUNKS,
        "seconds": SECONDS,
        "began": time.time(),
        "again": AGAIN,
        "partitions": 4,
    }
    with Postgres(pipeline.folder / "postgres") as server:
        made = Chaos(pipeline, server, random.Random(seed), plan)
        try:
            yield made
        finally:
            made.wake()
            for each in made.leaving:
                each.kill()
            if made.producer is not None:
                made.end()
            pipeline.workers.stop()


def test_nothing_is_lost_or_counted_twice_whatever_is_killed(
    pipeline: Any, chaos: Chaos, commits_add_up: Callable[..., dict[int, dict[str, int]]]
) -> None:
    pipeline.start("worker-1", "worker-2", database_url=chaos.postgres.dsn)
    midnight = chaos.plan["start"] // DAY * DAY + DAY
    run(pipeline, chaos)
    pipeline.close_windows(midnight)
    drain(pipeline, chaos, midnight)
    statuses = pipeline.stop()
    counts = {stage: commits_add_up(pipeline, stage) for stage in STAGES}

    # One that is asked to leave before it has begun is ended by the signal itself.
    assert {0} == {*statuses, *(each.wait(30) for each in chaos.leaving)} - {-signal.SIGTERM}
    assert not {DEFECT, OUT_OF_STEP} & set(chaos.exits)
    windows = windows_are_exact(pipeline, midnight)
    events = everything_is_accounted_for(pipeline, counts["collect"])
    every_command_is_answered(pipeline)
    configs = configs_only_go_forward(pipeline)
    rows = postgres_equals_the_topics(pipeline, chaos)
    say(", ".join(f"{count} × {what}" for what, count in sorted(chaos.done.items())))
    say(
        f"{events:,} events read, 0 lost, 0 counted twice; "
        f"{windows:,} windows, {configs:,} configs and {rows:,} rows are exact."
    )


def run(pipeline: Any, chaos: Chaos) -> None:
    """Let the producer come to its end, among kills and changes of configs."""
    chaos.plan["began"] = time.time()
    chaos.produce()
    began = time.monotonic()
    chance = chaos.chance
    left = acts(chance)
    # By its progress, so that each of them has sent something new before it dies.
    producers = [int(CHUNKS * chance.uniform(at, at + 0.2)) for at in (0.2, 0.6)]
    sets = [(scope, model) for model in SERVED for scope in SCOPES]
    deadline = began + 3 * SECONDS
    while left or producers or sets or chaos.producer.poll() is None:
        assert time.monotonic() < deadline, (left, producers, sets)
        chaos.supervise()
        gone = (time.monotonic() - began) / SECONDS
        if left and gone >= left[0][0]:
            chaos.do(left.pop(0)[1])
        elif producers and chaos.progress() >= producers[0]:
            producers.pop(0)
            chaos.do("producer")
        elif sets and gone >= 0.1 + 0.8 * (6 - len(sets)) / 6:
            scope, model = sets[0]
            words = ("--provider", model.split("/")[0], "--model", model.split("/")[1])
            told = pipeline.llmopt(
                "config", "set", scope, *words, "--by", "ada", "--no-wait", expect=None
            )
            # No broker may answer at the moment.
            sets = sets[1:] if told.returncode == 0 else sets
        time.sleep(0.05)
    chaos.wake()

    assert 0 == chaos.producer.returncode


def drain(pipeline: Any, chaos: Chaos, midnight: int) -> None:
    """Wait until merge has closed all up to *midnight*, and nothing waits behind it."""

    def read() -> bool:
        return not pipeline.unread("collect")

    def closed() -> bool:
        return bool(pipeline.closed(midnight))

    def judged() -> bool:
        # Twice, for what decide reads comes from actuate, too. Merge never has nothing to read.
        behind = [stage for _ in "12" for stage in STAGES if stage != "merge"]
        return not any(map(pipeline.unread, behind))

    def obeyed() -> bool:
        last = max(seen.offset for seen in pipeline.records(COMMANDS))
        passed = {
            partition: max(r.end for line in lines for r in line.ranges if r.topic == COMMANDS.name)
            for partition, lines in pipeline.journal("actuate").items()
            if any(r.topic == COMMANDS.name for line in lines for r in line.ranges)
        }
        return len(passed) == 4 and min(passed.values()) > last

    for each in (read, closed, judged, obeyed):
        pipeline.until(each, 120, each.__name__, chaos.supervise)


def windows_are_exact(pipeline: Any, midnight: int) -> int:
    """Every window that ends by *midnight* says what a batch recomputation says, to the bit."""
    found = [seen.value for seen in pipeline.records(AGGREGATES)]
    closed = {
        id_: content(each)
        for id_, each in newest(found).items()
        if each.closed and each.end <= midnight
    }
    events = counted(pipeline.settings, pipeline.codec.registry)
    expected = {
        id_: content(each) for id_, each in batch_windows(events).items() if each.end <= midnight
    }

    assert {"1m", "5m", "15m", "1h", "24h"} == {each.window for each in expected.values()}
    assert [] == sorted(expected.keys() ^ closed.keys())
    assert [] == [id_ for id_ in expected if expected[id_] != closed[id_]]
    # Once more by other code, which shares no line with the pipeline.
    compared, wrong = compare(pipeline.settings, pipeline.codec.registry, found)

    assert (True, []) == (compared > 1_000, wrong)
    return len(expected)


def everything_is_accounted_for(pipeline: Any, counts: dict[int, dict[str, int]]) -> int:
    """What is on the topics was read once, and became one thing."""
    there: Counter[int] = Counter()
    for topic in (METRICS, QUALITY):
        there += on_topic(pipeline, topic)
    total: Counter[str] = sum(map(Counter, counts.values()), Counter())

    assert there == Counter({partition: each["read"] for partition, each in counts.items()})
    assert there == Counter(
        {p: sum(each.get(state, 0) for state in STATES) for p, each in counts.items()}
    )
    # The run was what it is meant to be.
    assert 0.04 < total["duplicates"] / total["read"] < 0.12
    assert 0.003 < total["late"] / total["read"] < 0.01
    assert total["dead_lettered"] > CHUNKS / 10
    return total["read"]


def on_topic(pipeline: Any, topic: Topic) -> Counter[int]:
    """How many events, and messages that are none, each partition holds."""
    values: dict[int, list[bytes | None]] = defaultdict(list)
    for message in read_all(pipeline.settings, topic):
        values[message.partition()].append(message.value())
    now = int(time.time() * 1_000)
    found: Counter[int] = Counter()
    for partition, each in values.items():
        decoded = decode_events(
            pipeline.codec.registry, topic.name, each, now, topic.retention_ms or 0
        )
        found[partition] = len(decoded.events) + len(decoded.rejected)
    return found


def every_command_is_answered(pipeline: Any) -> None:
    """By a change of its own, or by the end of a rollout away from what it asks for."""
    events = [seen.value for seen in pipeline.records(DEPLOYMENTS)]
    done = {each.id for each in events}
    ended = Counter(
        each.scope for each in events if (each.phase, each.by) == (Phase.ROLLED_BACK, "ada")
    )
    told = [seen.value for seen in pipeline.records(COMMANDS)]
    open_ = Counter(each.scope for each in told if named("m", each.scope, each.id) not in done)

    assert 2 * len(SERVED) <= len(told)
    assert open_ <= ended


def configs_only_go_forward(pipeline: Any) -> int:
    """Each scope's revisions rise by the record, and epochs never go back."""
    written: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for seen in pipeline.records(CONFIG):
        written[seen.value.scope].append((seen.value.revision, seen.value.epoch))

    assert set(SCOPES) <= set(written)
    for scope, found in written.items():
        assert all(a < b and e <= f for (a, e), (b, f) in pairwise(found)), (scope, found)
    for scope in SCOPES:
        assert len(written[scope]) >= len(SERVED)
    return sum(map(len, written.values()))


def postgres_equals_the_topics(pipeline: Any, chaos: Chaos) -> int:
    """Every row says what the newest record of its key says, and there is no other."""
    pipeline.workers.start("store", "--stages", "store")
    topics = {
        name: [seen.value for seen in pipeline.records(TOPICS[name]) if seen.value is not None]
        for name in COPIED
    }
    held = settled(chaos.postgres.dsn, expected(topics), within=120.0)

    assert [0] == pipeline.stop()
    assert {} == {table: each.wrong[:3] for table, each in held.items() if each.wrong}
    return sum(each.records for each in held.values())

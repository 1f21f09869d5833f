"""Workers, brokers, databases and producers are killed, paused and moved: all is still exact.

`make chaos` runs it for longer, CHAOS_SECONDS; CHAOS_RATE is how many events a second there are,
and CHAOS_SEED repeats what was done in another run. The logs of one that failed are kept.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from infra.environment import SCHEMA_REGISTRY_URL
from infra.postgres.server import Postgres
from schemas.topics import COMMANDS, STAGES
from schemas.window import SIZES
from tests.integration.pipeline.chaos import SECONDS, SHORT, Chaos, acts, say
from tests.integration.pipeline.clocks import Clocks
from tests.integration.pipeline.exact import (
    Events,
    configs_only_go_forward,
    every_command_is_answered,
    everything_is_accounted_for,
    postgres_equals_the_topics,
    windows_are_exact,
)
from tests.integration.pipeline.exits import explained, unexplained
from tests.integration.pipeline.loading import CHUNK
from tests.integration.pipeline.slow_registry import door

DAY = SIZES["24h"]
# Events a second; beside other tests on the same two cores fewer.
RATE = float(os.environ.get("CHAOS_RATE") or (50_000 if SECONDS > SHORT else 10_000))
CHUNKS = int(SECONDS * RATE / CHUNK)
LASTING = min(20 * SIZES["1h"], int(SECONDS * 20_000))  # ms of event time
AGAIN = int(RATE / CHUNK)  # chunks that the next of a killed producer sends once more
BEHIND = 120.0  # seconds by which the producer may be late at the end, for brokers that were away
WITHIN = 600 + 5 * SECONDS  # seconds for all of it
TOLD = 30.0 if SECONDS < 300 else 60.0  # seconds between two words on the progress
SCOPES = ("search/answer", "support/chat")
SERVED = ("openai/gpt-4o-mini", "openai/gpt-4", "mistral/open-mixtral-8x7b")
KEPT = Path(__file__).parents[3] / ".local" / "chaos"

pytestmark = [pytest.mark.integration, pytest.mark.timeout(WITHIN)]


@pytest.fixture
def chaos(pipeline: Any, request: pytest.FixtureRequest) -> Iterator[Chaos]:
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
    clocks = Clocks(pipeline.folder / "clocks")
    failed = request.session.testsfailed
    with (
        Postgres(pipeline.folder / "postgres") as server,
        door(pipeline.cluster.registry_url) as before,
    ):
        made = Chaos(pipeline, server, random.Random(seed), plan, clocks, before)
        try:
            yield made
        finally:
            made.wake()
            for each in made.leaving.values():
                each.process.kill()
            if made.producer is not None:
                made.end()
            pipeline.workers.stop()
            made.beside.shutdown()
            if request.session.testsfailed > failed:
                keep(pipeline.folder, KEPT / str(seed))


def keep(folder: Path, where: Path) -> None:
    """Keep the logs in *folder*."""
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    for each in (*folder.glob("*.log"), *folder.glob("*/*.log"), *folder.glob("*/*.out")):
        shutil.copy(each, where)
    say(f"The logs are kept in {where}.")


def test_nothing_is_lost_or_counted_twice_whatever_is_done(
    pipeline: Any, chaos: Chaos, commits_add_up: Callable[..., dict[int, dict[str, int]]]
) -> None:
    pipeline.env |= {SCHEMA_REGISTRY_URL: chaos.door.url, **chaos.clocks.env}
    pipeline.start("worker-1", "worker-2", database_url=chaos.postgres.dsn)
    midnight = chaos.plan["start"] // DAY * DAY + DAY
    rate = run(pipeline, chaos)
    read_after = drain(pipeline, chaos, midnight)
    statuses = pipeline.stop()
    counts = {stage: commits_add_up(pipeline, stage) for stage in STAGES}

    say(f"{rate:>12,.0f}  events a second, all read {read_after:.0f} s after the last")
    assert {0} == set(statuses)
    chaos.all_left()
    assert [] == unexplained(chaos.exits, chaos.outages)
    chaos.was_done(takeovers(pipeline, "collect"))
    for what, count in sorted(chaos.done.items()):
        say(f"{count:>12,}  × {what}")
    for why, count in sorted(Counter(explained(o, chaos.outages) for o in chaos.exits).items()):
        say(f"{count:>12,}  × a worker {why}")
    events = Events(pipeline)
    windows = windows_are_exact(pipeline, events, midnight)
    say(f"{windows:>12,}  windows, each equal to a recomputation")
    total = everything_is_accounted_for(events.there, counts["collect"])
    say(f"{total['read']:>12,}  events, 0 lost, 0 counted twice")
    every_command_is_answered(pipeline, 2 * len(SERVED))
    configs = configs_only_go_forward(pipeline, dict.fromkeys(SCOPES, len(SERVED)))
    say(f"{configs:>12,}  configs, none twice or backwards")
    rows = postgres_equals_the_topics(pipeline, chaos.postgres.dsn)
    say(f"{rows:>12,}  rows, each as on the topics")
    # The load was what it is meant to be.
    parts = {name: total[name] / total["read"] for name in ("duplicates", "late", "dead_lettered")}
    for what, share in parts.items():
        say(f"{share:>12.1%}  {what}")
    assert 0.035 < parts["duplicates"] < 0.15
    assert 0.012 < parts["late"] < 0.05
    assert 0.007 < parts["dead_lettered"] < 0.015


def takeovers(pipeline: Any, stage: str) -> int:
    """How often a partition of *stage* came to a worker that committed something there."""
    return sum(
        len({line.epoch for line in lines}) - 1 for lines in pipeline.journal(stage).values()
    )


def run(pipeline: Any, chaos: Chaos) -> float:
    """Let the producer come to its end, among all that is done and changes of configs.

    Returns:
        The events that it sent in a second.
    """
    chaos.plan["began"] = time.time()
    chaos.produce()
    began = told = time.monotonic()
    chance = chaos.chance
    left = acts(chance)
    planned = len(left)
    # By its progress, so that each of them has sent something new before it dies.
    producers = [int(CHUNKS * chance.uniform(at, at + 0.2)) for at in (0.2, 0.6)]
    sets = [(scope, model) for model in SERVED for scope in SCOPES]
    setting: Future[bool] | None = None
    deadline = began + 3 * SECONDS + 60
    ended = 0.0
    while left or producers or sets or chaos.producer.poll() is None:
        if chaos.producer.poll() is None:
            ended = time.time()
        assert time.monotonic() < deadline, (left, producers, sets)
        chaos.supervise()
        gone = (time.monotonic() - began) / SECONDS
        due = [each for each in left if gone >= each[0]]
        # What cannot be done just now keeps nothing else from being done.
        if done := next((each for each in due if chaos.do(each[1])), None):
            left.remove(done)
        elif producers and chaos.progress() >= producers[0]:
            producers.pop(0)
            chaos.do("producer")
        if setting is not None and setting.done():
            # No broker may answer at the moment.
            sets = sets[1:] if setting.result() else sets
            setting = None
        if setting is None and sets and gone >= 0.1 + 0.8 * (6 - len(sets)) / 6:
            setting = chaos.beside.submit(serve, pipeline, *sets[0])
        if time.monotonic() - told >= TOLD:
            told = time.monotonic()
            chaos.tell(
                f"{chaos.progress() * CHUNK:,} events sent, {planned - len(left)} of {planned} "
                f"acts done, {len(pipeline.workers.running)} workers"
            )
        time.sleep(0.05)
    chaos.wake()

    assert 0 == chaos.producer.returncode
    assert ended - chaos.plan["began"] <= SECONDS + BEHIND
    return CHUNKS * CHUNK / (ended - chaos.plan["began"])


def serve(pipeline: Any, scope: str, model: str) -> bool:
    """Ask for another model; whether that could be asked."""
    provider, name = model.split("/")
    words = ("--provider", provider, "--model", name)
    words = (*words, "--new", "--by", "ada", "--no-wait")
    told = pipeline.llmopt("config", "set", scope, *words, expect=None)
    return bool(told.returncode == 0)


def drain(pipeline: Any, chaos: Chaos, midnight: int) -> float:
    """Wait until merge has closed all up to *midnight*, and nothing waits behind it.

    Returns:
        The seconds until collect had read all.
    """

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

    began = time.monotonic()
    within = 120 + SECONDS / 4
    pipeline.until(read, within, "all is read", chaos.supervise)
    took = time.monotonic() - began
    pipeline.close_windows(midnight)
    for each in (read, closed, judged, obeyed):
        pipeline.until(each, within, each.__name__, chaos.supervise)
    return took

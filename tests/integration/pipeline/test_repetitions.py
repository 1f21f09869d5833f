"""What is sent again after all workers were killed counts once, up to the offset of the horizon."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from processors.collect import CollectPolicy
from schemas.batch import encode_batch
from schemas.metric import MetricEvent
from schemas.topics import AGGREGATES, METRICS
from schemas.window import MINUTE
from streams import kafka

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

LENGTH = CollectPolicy().horizon
BATCHED = 3
FATES = ("read", "aggregated", "duplicates")
EVENT = MetricEvent(
    timestamp=0,
    service="shop",
    endpoint="search",
    model="gpt-4",
    provider="openai",
    latency_ms=1.0,
    tokens_input=1,
    tokens_output=1,
)


class Sender:
    """Sends to partition 0, and knows at which offset it is."""

    def __init__(self, pipeline: Any, start: int) -> None:
        self.codec = pipeline.codec
        self.producer = kafka.producer(pipeline.cluster.bootstrap_servers)
        self.event = replace(EVENT, timestamp=start)
        self.offset = 0

    def send(self, value: bytes, times: int = 1) -> None:
        """*value*, at the next offsets."""
        for i in range(times):
            self.producer.produce(METRICS.name, value, partition=0)
            if i % 10_000 == 0:
                self.producer.flush(30)
        self.offset += times

        assert 0 == self.producer.flush(30)

    def named(self, id_: str | None) -> bytes:
        """An event of that id, or of none."""
        found: bytes = self.codec.encode(METRICS, replace(self.event, request_id=id_))
        return found

    def batch(self, epoch: int, seq: int) -> bytes:
        """A batch of one producer."""
        batch = encode_batch([self.event] * BATCHED, "resending", epoch, seq)
        found: bytes = self.codec.encode(METRICS, batch)
        return found


def kill_and_start(pipeline: Any) -> None:
    """Both workers end by SIGKILL, so that nothing that was in memory is left."""
    for name in ("worker-1", "worker-2"):
        pipeline.workers.kill(name)
    pipeline.start("worker-1", "worker-2")


def test_a_resent_event_counts_once_after_sigkill_until_the_horizon_ends(pipeline: Any) -> None:
    start = (int(time.time() * 1_000) // MINUTE - 5) * MINUTE
    pipeline.start("worker-1", "worker-2")
    sender = Sender(pipeline, start)
    first = (sender.named("a"), sender.batch(1, 1), sender.named("b"))
    for each in first:
        sender.send(each)
    pipeline.until(lambda: not pipeline.unread("collect"), 60, "the first ones are read")
    kill_and_start(pipeline)
    for each in first:  # soon after
        sender.send(each)
    sender.send(sender.batch(1, 2))  # another sequence, and another life of the producer
    sender.send(sender.batch(2, 1))

    assert 8 == sender.offset
    filler = sender.named(None)
    sender.send(filler, LENGTH - sender.offset)
    only = sender.offset
    sender.send(sender.named("c"))  # the first offset of the second generation
    sender.send(sender.batch(9, 9))
    sender.send(filler, LENGTH // 2)
    kill_and_start(pipeline)  # in the middle of reading
    sender.send(filler, 2 * LENGTH - 2 - sender.offset)
    sender.send(sender.named("a"))  # just inside: known from the first generation
    sender.send(sender.batch(1, 1))

    assert 2 * LENGTH == sender.offset
    sender.send(sender.named("b"))  # just outside: it counts once more
    sender.send(sender.batch(1, 2))
    pipeline.until(lambda: not pipeline.unread("collect"), 120, "two generations are read")
    kill_and_start(pipeline)
    sender.send(sender.named("c"))  # it is of the generation before, which is read again
    sender.send(sender.batch(9, 9))
    sender.send(sender.named("b"))
    pipeline.close_windows(start + MINUTE)
    pipeline.until(lambda: pipeline.closed(start + MINUTE), 120, "the minute is closed")

    assert [0, 0] == pipeline.stop()
    fillers = sender.offset - 8 - 2 - 2 - 2 - 3
    once = 2 + BATCHED + 2 * BATCHED + 1 + BATCHED  # a, b, (1, 1); (1, 2), (2, 1); c, (9, 9)
    more = 1 + BATCHED  # b and (1, 2) beyond the horizon
    again = 2 + BATCHED + 1 + BATCHED + 1 + BATCHED + 1
    found: Counter[str] = Counter()
    for line in pipeline.journal("collect")[0]:
        found.update({name: line.counts.get(name, 0) for name in FATES})

    assert only == LENGTH
    assert (fillers + once + more + 1, again) == (found["aggregated"], found["duplicates"])
    assert found["read"] == found["aggregated"] + found["duplicates"]
    windows = [
        seen.value
        for seen in pipeline.records(AGGREGATES)
        if (seen.value.scope, seen.value.window) == ("shop/search", "1m") and seen.value.pooled
    ]
    newest = max(windows, key=lambda each: each.revision)

    assert (start, True, fillers + once + more) == (newest.start, newest.closed, newest.requests)

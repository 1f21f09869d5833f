"""How soon what a window shows is said: that it is an anomaly, and what its scope's past says.

Many scopes have a past: eight days of hours and two hours and a half of minutes lie on the enriched
topic, and detect and analyze have taken them in. Then their requests come at a steady rate through
one worker with collect, merge, enrich, detect and analyze, beside the broker and the producer on
two cores. Their time is behind the clock by so much that an hour of it ends meanwhile: then every
scope's hour is looked at, and is compared with three baselines. In the minute that ends with that
hour all of them are slow, so that there is an anomaly of each as well.

A reader of committed records notes when it gets the closed row of a whole scope on
llmopt.aggregates.v1, and when what detect and analyze say of it. Of an hour, and of a minute whose
turn it is, something is always said, for its forecasts are of another time. Predictions of other
models are left aside: they are of no window.

python -m bench seeing
"""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import click
import numpy as np
from confluent_kafka import OFFSET_END, Consumer, Message, Producer, TopicPartition

from bench.freshness import percentile_ms
from bench.line import Figure, report
from bench.servers import Servers, keeping, put, servers
from bench.watch import Follow, busy_seconds, cpu_seconds
from bench.windows import summary, window
from infra.process import Process
from schemas.codec import Codec
from schemas.insight import InsightKind
from schemas.metric import MetricEvent
from schemas.quality import QualityScore
from schemas.scope import partition_of
from schemas.topics import AGGREGATES, ANOMALIES, ENRICHED, INSIGHTS, METRICS, QUALITY, Topic
from schemas.window import MINUTE, SIZES, EnrichedWindow
from streams import kafka
from streams.clock import now_ms

BENCH = "seeing"
BAR = 2_000  # ms, window visible → what is said of it visible, p99
STAGES = "collect,merge,enrich,detect,analyze"
HOUR = SIZES["1h"]
HOURS, MINUTES = 191, 150  # of the past
BEFORE, AFTER = 4, 3  # minutes of requests before the hour ends, and after
SLOW = 5.0  # times the latency, in the last minute of the hour
EACH = 60  # requests of a scope in a minute
SCORED = 5  # one request in so many
PATIENCE = 900.0  # seconds for the past to be taken in
Place = tuple[str, str, int]  # scope, window, its end


@dataclass(slots=True)
class Seen:
    """Records as they became visible; decoded only afterwards, not to be slow meanwhile."""

    topic: Topic
    records: list[tuple[float, bytes]] = field(default_factory=list)

    def take(self, message: Message, now: float) -> None:
        """Remember a record that could be read *now*, in seconds since the epoch."""
        self.records.append((now, message.value()))


@dataclass(frozen=True, slots=True)
class Said:
    """How long after its window what was said of it could be read, in seconds, by scope."""

    anomalies: Mapping[str, float]
    insights: Mapping[str, Mapping[str, Sequence[float]]]  # by the window's name first


def scopes_of(count: int) -> list[tuple[str, str]]:
    """Services and endpoints, ten of a service."""
    return [(f"service-{i // 10}", f"endpoint-{i % 10}") for i in range(count)]


def past(scopes: Sequence[tuple[str, str]], begin: int, hour: int) -> Iterator[EnrichedWindow]:
    """The rows of whole scopes: hours until *hour*, ms, and minutes until *begin*, in order."""
    rng = np.random.default_rng(4)
    for n in range(HOURS):
        start = hour - (HOURS - n) * HOUR
        day = 1.0 + 0.3 * math.sin(2.0 * math.pi * start / (24 * HOUR))
        for scope in scopes:
            yield _row(rng, scope, "1h", start, max(round(EACH * 60 * day), 1))
    for n in range(MINUTES):
        for scope in scopes:
            yield _row(rng, scope, "1m", begin - (MINUTES - n) * MINUTE, EACH)


def _row(
    rng: np.random.Generator, scope: tuple[str, str], name: str, start: int, requests: int
) -> EnrichedWindow:
    """A closed row; what it is made of is drawn as `event` and `score` draw it."""
    errors = int(rng.binomial(requests, 0.02))
    sample = min(requests, 200)
    costs = np.full(sample, 0.004) * rng.uniform(0.5, 1.5, sample)
    made = window(
        service=scope[0],
        endpoint=scope[1],
        window=name,
        start=start,
        end=start + SIZES[name],
        watermark=start + SIZES[name],
        requests=requests,
        success=requests - errors,
        errors=errors,
        metrics={
            "latency_ms": summary(rng.lognormal(6.0, 0.5, sample)),
            "cost_usd": summary(costs, 10**9),
            "quality": summary(rng.uniform(85.0, 95.0, max(sample // SCORED, 1))),
        },
    )
    mean = float(costs.mean())
    return EnrichedWindow(window=made, cost_usd=mean * requests, cost_per_request_usd=mean)


def event(rng: random.Random, scope: tuple[str, str], at: int, *, slow: bool) -> MetricEvent:
    """A request."""
    return MetricEvent(
        timestamp=at,
        service=scope[0],
        endpoint=scope[1],
        model="model",
        provider="provider",
        latency_ms=rng.lognormvariate(6.0, 0.5) * (SLOW if slow else 1.0),
        tokens_input=rng.randrange(2_000),
        tokens_output=rng.randrange(500),
        cost_usd=0.004 * rng.uniform(0.5, 1.5),
        status_code=500 if rng.random() < 0.02 else 200,
        config_version="v1",
        cohort="stable",
        request_id=f"{rng.getrandbits(128):032x}",
        unit_id=f"user-{rng.randrange(10_000)}",
    )


def score(rng: random.Random, of: MetricEvent) -> QualityScore:
    """How good its answer was."""
    return QualityScore(
        timestamp=of.timestamp,
        service=of.service,
        endpoint=of.endpoint,
        model=of.model,
        provider=of.provider,
        overall=rng.uniform(85.0, 95.0),
        config_version=of.config_version,
        cohort=of.cohort,
        request_id=of.request_id,
        unit_id=of.unit_id,
    )


def write_past(at: Servers, scopes: Sequence[tuple[str, str]], begin: int, hour: int) -> None:
    """Put the past where analyze and detect read it."""
    width, producer = at.settings.partitions_derived, _producer(at)
    for row in past(scopes, begin, hour):
        scope = row.window.scope
        put(
            producer,
            ENRICHED.name,
            at.codec.encode(ENRICHED, row),
            scope,
            partition_of(scope, width),
        )
    producer.flush(60)


def send(
    at: Servers, scopes: Sequence[tuple[str, str]], ago: int, begin: int, hour: int, end: int
) -> int:
    """Send the requests of the minutes from *begin* to *end*, ms, *ago* behind the clock."""
    rng, producer, sent = random.Random(5), _producer(at), 0
    gap = MINUTE / (EACH * len(scopes))
    while (now := now_ms() - ago) < end:
        due = int((now - begin) / gap)
        while sent < due:
            scope = scopes[sent % len(scopes)]
            slow = hour - MINUTE <= now < hour
            made = event(rng, scope, now, slow=slow)
            put(producer, METRICS.name, at.codec.encode(METRICS, made), scope[0])
            if rng.randrange(SCORED) == 0:
                told = score(rng, made)
                put(producer, QUALITY.name, at.codec.encode(QUALITY, told), scope[0])
            sent += 1
        producer.poll(0.02)
    producer.flush(30)
    return sent


def _producer(at: Servers) -> Producer:
    return kafka.producer(at.settings.bootstrap_servers, linger_ms=20)


def taken_in(at: Servers, stage: str, worker: Process) -> None:
    """Wait until *stage* has committed all of the past.

    Raises:
        SystemExit: It took too long, or the worker has ended.
    """
    reader = kafka.consumer(at.settings.bootstrap_servers, f"llmopt.{stage}")
    deadline = time.monotonic() + PATIENCE
    try:
        while _left(reader, at.settings.partitions_derived):
            if time.monotonic() > deadline or worker.wait(0.5):
                raise SystemExit(f"{stage} has not read the past: {at.last_words('worker')}")
    finally:
        reader.close()


def _left(reader: Consumer, width: int) -> int:
    places = [TopicPartition(ENRICHED.name, each) for each in range(width)]
    done = reader.committed(places, timeout=10)
    ends = (reader.get_watermark_offsets(each, timeout=10)[1] for each in places)
    return sum(end - max(0, each.offset) for each, end in zip(done, ends, strict=True))


def matched(codec: Codec, rows: Seen, anomalies: Seen, insights: Seen, until: int) -> Said:
    """What was said last of each window that became visible, if it ends by *until*, ms.

    Of later ones not all may have been read.
    """
    visible: dict[Place, float] = {}
    for now, value in rows.records:
        row = codec.decode(AGGREGATES, value)
        if row.pooled and row.closed and row.end <= until:
            visible.setdefault((row.scope, row.window, row.end), now)
    told: dict[str, float] = {}
    for now, value in anomalies.records:
        anomaly = codec.decode(ANOMALIES, value)
        place = (anomaly.scope, anomaly.window, anomaly.end)
        if anomaly.is_anomaly and place in visible:
            told.setdefault(anomaly.scope, now - visible[place])
    last: dict[Place, float] = {}
    for now, value in insights.records:
        insight = codec.decode(INSIGHTS, value)
        place = (insight.scope, insight.window, insight.end)
        if insight.kind is not InsightKind.PREDICTION and place in visible:
            last[place] = now
    said: dict[str, dict[str, list[float]]] = {"1m": defaultdict(list), "1h": defaultdict(list)}
    for place, now in last.items():
        said[place[1]][place[0]].append(now - visible[place])
    return Said(told, said)


def run(at: Servers, count: int) -> tuple[Said, dict[str, Any]]:
    """Let so many scopes be seen; what was said, and what it took."""
    scopes, width = scopes_of(count), at.settings.partitions_derived
    hour = now_ms() // HOUR * HOUR
    begin = hour - BEFORE * MINUTE
    write_past(at, scopes, begin, hour - HOUR)
    rows, anomalies, insights = (Seen(topic) for topic in (AGGREGATES, ANOMALIES, INSIGHTS))
    followers = [
        Follow(at.settings.bootstrap_servers, each.topic, width, each.take, begin=OFFSET_END)
        for each in (rows, anomalies, insights)
    ]
    with at.child("worker", "streams", "worker", "--stages", STAGES) as worker:
        began = time.monotonic()
        for stage in ("detect", "analyze"):
            taken_in(at, stage, worker)
        took = time.monotonic() - began
        print(f"The past was taken in within {took:.0f} s.", file=sys.stderr)
        for each in followers:
            each.start()
        pids = {"worker": worker.pid, "broker": at.broker, "bench": os.getpid()}
        before, busy, since = {n: cpu_seconds(p) for n, p in pids.items()}, busy_seconds(), now_ms()
        sent = send(at, scopes, now_ms() - begin, begin, hour, hour + AFTER * MINUTE)
        time.sleep(10)
        seconds = (now_ms() - since) / 1_000
        cores = {n: (cpu_seconds(p) - before[n]) / seconds for n, p in pids.items()}
        others = (busy_seconds() - busy) / seconds - sum(cores.values())
        for each in followers:
            each.stop()
    said = matched(at.codec, rows, anomalies, insights, hour + (AFTER - 1) * MINUTE)
    return said, {
        "requests": sent,
        "past_s": round(took, 1),
        "cores": {name: round(each, 2) for name, each in cores.items()},
        # What other programs took of the machine; on two, 0 is what the bar is meant for.
        "others": round(others, 2),
    }


@click.command()
@click.option("--scopes", default=100, show_default=True, help="How many.")
@keeping
def main(*, scopes: int, keep: bool) -> None:
    """Measure how soon anomalies and insights follow their windows."""
    with servers(keep=keep) as at:
        said, more = run(at, scopes)
    hours, minutes = (
        [each for found in said.insights[name].values() for each in found] for name in ("1h", "1m")
    )
    if len(hours) < scopes or len(said.insights["1m"]) < scopes:
        raise SystemExit(f"Of {scopes} scopes {len(hours)} hours were said: {more}")
    if len(said.anomalies) < 0.9 * scopes:
        raise SystemExit(f"Of {scopes} slow scopes only {len(said.anomalies)} were told.")
    late = partial(percentile_ms, percent=99)
    report(
        BENCH,
        late(hours),
        f"ms p99, hour visible → its insights, of {scopes} scopes at once",
        bar=BAR,
        also=[
            Figure(
                what="minute",
                value=late(minutes),
                unit="ms p99, minute visible → its insights",
                bar=BAR,
            ),
            Figure(
                what="anomalies",
                value=late(list(said.anomalies.values())),
                unit="ms p99, minute visible → its anomaly",
                bar=BAR,
            ),
        ],
        p50_ms={
            "hour": percentile_ms(hours, 50),
            "minute": percentile_ms(minutes, 50),
            "anomalies": percentile_ms(list(said.anomalies.values()), 50),
        },
        scopes=scopes,
        hours=len(hours),
        minutes=len(minutes),
        anomalies=len(said.anomalies),
        **more,
    )


if __name__ == "__main__":
    main()

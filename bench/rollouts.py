"""Rollouts for benches: a catalog that lets them begin at any time, decisions, and a past."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from confluent_kafka import Message

from bench.servers import Servers
from bench.windows import summary, window
from processors.actuate.version import versioned
from schemas.codec import Codec
from schemas.config import LlmConfig, ScopeConfig
from schemas.decision import Action, Decision
from schemas.scope import partition_of
from schemas.topics import CONFIG, DECISIONS, ENRICHED, Topic
from schemas.window import MINUTE, EnrichedWindow
from streams import kafka

CATALOG = """
models:
  openai/gpt-4o: {quality: 90, p95_latency_ms: 2000, error_rate: 1%}
  openai/gpt-4o-mini: {quality: 90, p95_latency_ms: 1500, error_rate: 1%}
constraints:
  "*":
    max_changes_per_day: 100000
    min_minutes_between_changes: 0
    max_optimizations: 64
    max_rollouts: 64
strategies:
  one_percent:
    steps: [{share: 1%, hold: 24h}, {share: 100%, hold: 0}]
    error_margin: 5%
    latency_margin: 20%
  five_percent:
    steps: [{share: 5%, hold: 24h}, {share: 100%, hold: 0}]
    error_margin: 5%
    latency_margin: 20%
"""
STABLE = versioned(LlmConfig(version="", provider="openai", model="gpt-4o"))
CANDIDATE = versioned(LlmConfig(version="", provider="openai", model="gpt-4o-mini"))
PATIENCE = 60.0  # seconds
Record = tuple[Topic, str, object]


@dataclass(slots=True)
class Configs:
    """The configs as they could be read, each with when, in seconds since the epoch."""

    codec: Codec
    seen: list[tuple[float, ScopeConfig]] = field(default_factory=list)

    def take(self, message: Message, now: float) -> None:
        """Remember one."""
        self.seen.append((now, self.codec.decode(CONFIG, message.value())))

    def split(self) -> set[str]:
        """The scopes in which a candidate is served now."""
        newest = {config.scope: config for _, config in list(self.seen)}
        return {scope for scope, config in newest.items() if config.split is not None}


def declare(at: Servers) -> None:
    """Apply the catalog."""
    file = at.folder / "catalog.yaml"
    file.write_text(CATALOG, "utf-8")
    with at.child("catalog", "streams", "catalog", "apply", str(file)) as applied:
        if not applied.wait(PATIENCE) or applied.exit_code:
            raise SystemExit(f"The catalog was not taken: {at.last_words('catalog')}")


def spread(width: int, each: int) -> list[str]:
    """So many scopes of *each* of so many tasks, in services of their own."""
    of_task: dict[int, list[str]] = {}
    for i in range(100 * width):
        scope = f"bench-{i}/answer"
        of_task.setdefault(partition_of(scope, width), []).append(scope)
    return [scope for scopes in of_task.values() for scope in scopes[:each]]


def decided(scope: str, number: int, strategy: str, at_ms: int) -> Record:
    """A decision to roll the candidate out in *scope*."""
    decision = Decision(
        id=f"d{number}-{scope}",
        scope=scope,
        at=at_ms,
        rule="bench",
        priority="medium",
        action=Action.DEPLOY,
        strategy=strategy,
        current=STABLE,
        chosen=CANDIDATE,
        confidence=0.9,
        propensity=1.0,
        impact_usd_per_day=0.0,  # an unknown one would wait for a person
        policy="",
        reasons=("The bench asks for it.",),
    )
    return DECISIONS, scope, decision


def minute(scope: str, start: int, requests: int, length: int = MINUTE) -> Record:
    """A closed window of a whole scope; one of 15 minutes is a past to measure by."""
    service, endpoint = scope.split("/")
    spread = np.random.default_rng(start % 2**32).lognormal(0, 0.4, requests)
    row = window(
        service=service,
        endpoint=endpoint,
        window="1m" if length == MINUTE else "15m",
        start=start,
        end=start + length,
        watermark=start + length,
        requests=requests,
        success=requests,
        metrics={
            "latency_ms": summary(1_000 * spread),
            "cost_usd": summary(0.002 * spread, 1_000_000_000),
        },
    )
    cost = row.metrics["cost_usd"].sum
    priced = EnrichedWindow(window=row, cost_usd=cost, cost_per_request_usd=cost / requests)
    return ENRICHED, scope, priced


def tell(at: Servers, records: Iterable[Record]) -> None:
    """Put records where the pipeline would have."""
    settings = at.settings
    if put(settings.bootstrap_servers, at.codec, settings.partitions_derived, records):
        raise SystemExit("The broker did not take the records of the bench.")


def put(
    brokers: str, codec: Codec, width: int, records: Iterable[Record], pause: float = 0.0
) -> int:
    """Put records into the partitions of their scopes, a *pause* (seconds) after each.

    Returns:
        How many the broker did not take.
    """
    producer = kafka.producer(brokers, linger_ms=0)
    for topic, scope, value in records:
        home = partition_of(scope, width)
        producer.produce(topic.name, codec.encode(topic, value), scope, home)
        producer.poll(pause)
    left: int = producer.flush(30)
    return left


def wait(configs: Configs, scopes: Sequence[str], within: float = PATIENCE) -> bool:
    """Wait until a candidate is served in exactly *scopes*; False when it is not in time."""
    deadline = time.monotonic() + within
    while configs.split() != set(scopes) and time.monotonic() < deadline:
        time.sleep(0.02)
    return configs.split() == set(scopes)

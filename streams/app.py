"""The Faust application: one agent a stage, fed by the exactly-once sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faust

from schemas.codec import Codec
from schemas.registry import RegistryClient
from schemas.topics import STAGES, TOPICS
from streams.agents import acks, actuate, collect, decide, detect, enrich, merge
from streams.exactly_once.session import Home
from streams.exactly_once.source import Source
from streams.exactly_once.stage import Stage
from streams.settings import Settings

AGENTS = {
    "collect": (collect.stage, collect.collect),
    "merge": (merge.stage, merge.merge),
    "enrich": (enrich.stage, enrich.enrich),
    "detect": (detect.stage, detect.detect),
    "decide": (decide.stage, decide.decide),
    "actuate": (actuate.stage, actuate.actuate),
}


def stage(name: str, settings: Settings) -> Stage[Any, Any]:
    """The stage called *name*.

    Raises:
        KeyError: there is none.
    """
    return AGENTS[name][0](settings)


def partitions_of(settings: Settings) -> dict[str, int]:
    """How many partitions each topic has."""
    counts = {
        "ingest": settings.partitions_ingest,
        "derived": settings.partitions_derived,
        "one": 1,
    }
    return {topic.name: counts[topic.partitions] for topic in TOPICS.values()}


def build(
    settings: Settings, worker: str, stages: Sequence[str] = STAGES
) -> tuple[faust.App, list[Source]]:
    """An application that runs *stages*, and the sources that feed it."""
    app = faust.App(
        "llmopt.acks",
        broker=[f"kafka://{each}" for each in settings.bootstrap_servers.split(",")],
        store="memory://",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        # A worker whose agent crashed must still obey SIGTERM.
        stream_wait_empty=False,
        broker_commit_every=1_000,
        producer_compression_type="gzip",
    )
    acks.follow(app)
    codec = Codec(RegistryClient(settings.schema_registry_url))
    home = Home(
        brokers=settings.bootstrap_servers,
        worker=worker,
        partitions=partitions_of(settings),
        session_timeout_ms=settings.session_timeout_ms,
    )
    sources = []
    for name in stages:
        make, agent = AGENTS[name]
        source = Source(app, make(settings), codec, home)
        app.agent(source.channel, name=f"streams.agents.{name}")(agent)
        sources.append(source)
    return app, sources

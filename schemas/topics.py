"""Every topic there is, as values. Beside `topic.py` the one place where their names are."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.alarm import Alarm
from schemas.anomaly import Anomaly
from schemas.batch import MetricBatch
from schemas.catalog import Entry
from schemas.config import ConfigAck, ScopeConfig
from schemas.decision import Decision
from schemas.floor import Floor
from schemas.insight import Insight
from schemas.journal import ChangelogEntry, JournalRecord
from schemas.loop import Transition
from schemas.metric import MetricEvent
from schemas.partial import Partial
from schemas.quality import QualityScore
from schemas.report import RollbackReport
from schemas.rollout import Deployment, Look
from schemas.snapshot import Snapshot
from schemas.topic import COMMANDS, DAY, Topic
from schemas.window import EnrichedWindow, WindowAggregate

__all__ = [
    "AGGREGATES",
    "ANOMALIES",
    "CATALOG",
    "COMMANDS",
    "CONFIG",
    "CONFIG_ACK",
    "DAY",
    "DECISIONS",
    "DEPLOYMENTS",
    "ENRICHED",
    "FLOORS",
    "INSIGHTS",
    "LATE",
    "METRICS",
    "NAMED",
    "PARTIALS",
    "QUALITY",
    "STAGES",
    "TOPICS",
    "Topic",
    "changelog",
    "dead_letters",
    "journal",
    "snapshots",
]

LARGE = {"max.message.bytes": "2097152"}
# A copy of a large message, with headers, and perhaps packed less well than its producer did.
LARGER = {"max.message.bytes": "16777216"}

METRICS = Topic(
    name="llmopt.metrics.v1",
    holds="metric events, one each or in columnar batches",
    key="service, any or none",
    record=MetricEvent,
    beside=(MetricBatch,),
    retention_ms=7 * DAY,
    partitions="ingest",
    settings=LARGE,
)
QUALITY = Topic(
    name="llmopt.quality.v1",
    holds="quality scores of answers",
    key="service, any or none",
    record=QualityScore,
    retention_ms=7 * DAY,
    partitions="ingest",
    settings=LARGE,
)
PARTIALS = Topic(
    name="llmopt.partials.v1",
    holds="mergeable summaries of what one commit read",
    key="none; spread by scope",
    record=Partial,
    retention_ms=DAY,
    settings=LARGE,
)
FLOORS = Topic(
    name="llmopt.floors.v1",
    holds="up to where windows are to be final: older events are late from then on",
    key="none; one for each partition of the metrics",
    record=Floor,
    retention_ms=7 * DAY,
    partitions="ingest",
)
AGGREGATES = Topic(
    name="llmopt.aggregates.v1",
    holds="windows of 1 min to 7 days and those declared, open and closed, by revision",
    key="scope",
    record=WindowAggregate,
    retention_ms=30 * DAY,
    settings=LARGE,
)
ENRICHED = Topic(
    name="llmopt.enriched.v1",
    holds="the same with price, objective and model card",
    key="scope",
    record=EnrichedWindow,
    retention_ms=30 * DAY,
    settings=LARGE,
)
ANOMALIES = Topic(
    name="llmopt.anomalies.v1",
    holds="values that their own past does not explain",
    key="scope",
    record=Anomaly,
    retention_ms=30 * DAY,
)
INSIGHTS = Topic(
    name="llmopt.insights.v1",
    holds="trends, change points, comparisons with baselines, forecasts, predictions",
    key="scope",
    record=Insight,
    retention_ms=30 * DAY,
)
DECISIONS = Topic(
    name="llmopt.decisions.v1",
    holds="every decision with its inputs, candidates and reasons",
    key="scope",
    record=Decision,
    retention_ms=400 * DAY,
)
DEPLOYMENTS = Topic(
    name="llmopt.deployments.v1",
    holds="rollout steps and verdicts, looks, moves of the control loop, alarms, reports",
    key="scope",
    record=Deployment,
    beside=(Look, Transition, Alarm, RollbackReport),
    retention_ms=400 * DAY,
)
CONFIG = Topic(
    name="llmopt.config.v1",
    holds="the configuration of each scope, whole",
    key="scope",
    record=ScopeConfig,
    wire="json",
)
CONFIG_ACK = Topic(
    name="llmopt.config.ack.v1",
    holds="which revision an application applied, and when",
    key="application",
    record=ConfigAck,
    retention_ms=7 * DAY,
    wire="json",
)
CATALOG = Topic(
    name="llmopt.catalog.v1",
    holds="models, prices, objectives, rules, constraints, strategies, triggers, windows, events",
    key="kind/id",
    record=Entry,  # type: ignore[arg-type]  # a union; the key's kind picks the member
    partitions="one",
    wire="json",
    # A replay needs the catalog as it stood at each commit that is on the journals.
    settings={"min.compaction.lag.ms": str(30 * DAY)},
)
LATE = Topic(
    name="llmopt.metrics.late.v1",
    holds="events that came after their window's grace, unchanged",
    key="as it came",
    record=None,
    retention_ms=30 * DAY,
    partitions="ingest",
    settings=LARGER,
)

STAGES = ("collect", "merge", "enrich", "detect", "analyze", "decide", "actuate")


def changelog(stage: str) -> Topic:
    """The compacted state of a stage."""
    return Topic(
        name=f"llmopt.{stage}.changelog.v1",
        holds=f"the state of {stage}",
        key="entry of the state",
        record=ChangelogEntry,
        partitions="ingest" if stage == "collect" else "derived",
        # Only what is no longer written to is compacted: with segments of the default size a
        # takeover would read a gigabyte. The lag: who copies the state reads it while it changes.
        settings=LARGE | {"segment.bytes": "33554432", "min.compaction.lag.ms": "600000"},
    )


def journal(stage: str) -> Topic:
    """What each commit of a stage read and wrote."""
    return Topic(
        name=f"llmopt.{stage}.journal.v1",
        holds=f"what each commit of {stage} read, when, and what it wrote",
        key="partition",
        record=JournalRecord,
        retention_ms=30 * DAY,
        partitions="ingest" if stage == "collect" else "derived",
        settings=LARGE,
    )


def snapshots(stage: str) -> Topic:
    """Copies of the state of a stage, at which a replay can start."""
    return Topic(
        name=f"llmopt.{stage}.snapshots.v1",
        holds=f"the state of {stage} as it was, once in a while: where a replay can start",
        key="partition",
        record=Snapshot,
        retention_ms=7 * DAY,
        partitions="ingest" if stage == "collect" else "derived",
        settings=LARGER,
    )


def dead_letters(topic: Topic) -> Topic:
    """Where what cannot be read of *topic* goes: unchanged bytes, the reason in headers."""
    return Topic(
        name=f"{topic.name}.dlq",
        holds=f"unreadable messages of {topic.name}, unchanged",
        key="as it came",
        record=None,
        retention_ms=30 * DAY,
        partitions=topic.partitions,
        settings=LARGER,
    )


NAMED = (
    METRICS,
    QUALITY,
    PARTIALS,
    FLOORS,
    AGGREGATES,
    ENRICHED,
    ANOMALIES,
    INSIGHTS,
    DECISIONS,
    DEPLOYMENTS,
    CONFIG,
    CONFIG_ACK,
    COMMANDS,
    CATALOG,
    LATE,
)
TOPICS: Mapping[str, Topic] = {
    topic.name: topic
    for topic in (
        *NAMED,
        *(changelog(stage) for stage in STAGES),
        *(journal(stage) for stage in STAGES),
        *(snapshots(stage) for stage in STAGES),
        *(dead_letters(topic) for topic in NAMED if topic.record is not None),
    )
}

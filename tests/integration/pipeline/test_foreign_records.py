"""Records that somebody else wrote, on every topic that a stage reads: letters, once; no stop."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from typing import Any

import pytest

from schemas.anomaly import Anomaly, Severity
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig
from schemas.errors import Reason
from schemas.partial import Partial
from schemas.topics import (
    AGGREGATES,
    ANOMALIES,
    CATALOG,
    COMMANDS,
    DECISIONS,
    DEPLOYMENTS,
    ENRICHED,
    FLOORS,
    INSIGHTS,
    PARTIALS,
    STAGES,
    Topic,
    dead_letters,
)
from schemas.window import MINUTE
from streams import kafka
from streams.letters import opened
from streams.reading import read_all

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

Coordinates = tuple[str, int, int]
DERIVED = (PARTIALS, FLOORS, AGGREGATES, ENRICHED, ANOMALIES, INSIGHTS, DECISIONS, DEPLOYMENTS)
NOTHING = Partial(
    source=0, sources=4, watermark=None, idle=False, keys=(), error_types=(), key=b"", minute=b"",
    counters=b"", moments=b"", extremes=b"", cells=b"", cell_counts=b"", failures=b"",
    failure_counts=b"", units=b"",
)  # fmt: skip
ANOMALY = Anomaly(
    id="a", scope="", metric="quality", window="1m", start=0, end=MINUTE, revision=1,
    is_anomaly=True, severity=Severity.HIGH, confidence=0.9, actual=1.0, expected=2.0,
    expected_low=1.5, expected_high=2.5, deviation=-4.0, detector="x", samples=30,
)  # fmt: skip
HOT = LlmConfig(version="", provider="openai", model="gpt-4", temperature=-1.0)


def bad_records(codec: Any) -> list[tuple[Topic, Reason, str, bytes | None]]:
    """Topic, reason, key and bytes of each."""

    def partial(**changes: Any) -> bytes:
        data: bytes = codec.encode(PARTIALS, dataclasses.replace(NOTHING, **changes))
        return data

    def command(**changes: Any) -> bytes:
        known: dict[str, Any] = {"id": "c", "kind": "pause", "scope": "a/b", "at": 0, "by": "eve"}
        return json.dumps(known | changes).encode()

    hot = Command(id="hot", kind=CommandKind.SET, scope="a/b", at=0, by="eve", config=HOT)
    far = int(time.time() * 1_000) + 24 * 60 * MINUTE
    floor = json.dumps({"task": 0, "before": far // MINUTE * MINUTE}).encode()
    elsewhere = (("search", "answer", "m", "p", "", ""),)  # of partition 2
    return [
        (COMMANDS, Reason.NULL_VALUE, "*", None),
        (COMMANDS, Reason.BROKEN_JSON, "*", b"no command"),
        (COMMANDS, Reason.WRONG_SHAPE, "*", command(kind="explode")),
        (COMMANDS, Reason.OUT_OF_RANGE, "a/b", command(at=1 << 70)),
        (COMMANDS, Reason.EMPTY_NAME, "", command(scope="")),
        (COMMANDS, Reason.NEGATIVE, "a/b", codec.encode(COMMANDS, hot)),
        (CATALOG, Reason.BROKEN_JSON, "rule/broken", b"{"),
        (CATALOG, Reason.WRONG_SHAPE, "nonsense", b"{}"),
        (CATALOG, Reason.INVALID_ENTRY, "model/a/b", b'{"provider": "a", "model": "c"}'),
        *((topic, Reason.BROKEN_JSON, "a/b", b"{") for topic in DERIVED),
        *((topic, Reason.BROKEN_AVRO, "a/b", b"\0\0") for topic in DERIVED),
        (PARTIALS, Reason.INCONSISTENT, "", partial(minute=bytes(7))),
        (PARTIALS, Reason.OUT_OF_RANGE, "", partial(source=9)),
        (PARTIALS, Reason.IN_THE_FUTURE, "", partial(watermark=far)),
        (PARTIALS, Reason.MISROUTED, "", partial(keys=elsewhere)),
        (PARTIALS, Reason.EMPTY_NAME, "", partial(error_types=("",))),
        (FLOORS, Reason.IN_THE_FUTURE, "", floor),
        (ANOMALIES, Reason.EMPTY_NAME, "", codec.encode(ANOMALIES, ANOMALY)),
    ]


def send(pipeline: Any, bad: list[Any]) -> dict[Coordinates, tuple[str, bytes | None]]:
    """Write *bad*; where each is, why it is bad, and its bytes."""
    found: dict[Coordinates, tuple[str, bytes | None]] = {}
    producer = kafka.producer(pipeline.cluster.bootstrap_servers)
    for topic, reason, key, value in bad:

        def arrived(error: Any, message: Any, reason: Any = reason, value: Any = value) -> None:
            assert error is None
            at = (message.topic(), message.partition(), message.offset())
            found[at] = (reason.value, value)

        producer.produce(topic.name, value, key, partition=0, on_delivery=arrived)

    assert 0 == producer.flush(30)
    assert len(bad) == len(found)
    return found


def letters(pipeline: Any) -> list[tuple[Coordinates, tuple[str, bytes | None]]]:
    """All dead letters: where each message was, the reason, and its bytes."""
    told = []
    for topic in (COMMANDS, CATALOG, *DERIVED):
        for message in read_all(pipeline.settings, dead_letters(topic)):
            letter = opened(message)
            at = (letter.topic, letter.partition or 0, letter.offset or 0)
            assert letter.detail
            assert letter.partition == message.partition()
            told.append((at, (letter.reason, message.value())))
    return told


@pytest.fixture(scope="module")
def put_aside(pipeline: Any) -> dict[Coordinates, tuple[str, bytes | None]]:
    """Bad records before, while and after workers run that are killed and come back."""
    bad = bad_records(pipeline.codec)
    found = send(pipeline, bad)
    pipeline.start("worker-1", "worker-2")
    found |= send(pipeline, bad)
    pipeline.until(lambda: len(letters(pipeline)) >= len(found), 60, "the first letters")
    for before, after in (("worker-1", "worker-1"), ("worker-1", "worker-3")):
        pipeline.workers.kill(before)
        pipeline.workers.kill("worker-2")
        found |= send(pipeline, bad)
        pipeline.start(after, "worker-2")
        found |= send(pipeline, bad)
    pipeline.until(lambda: len(letters(pipeline)) >= len(found), 60, "all letters")
    return found


def test_every_bad_record_is_one_dead_letter_with_reason_bytes_and_coordinates(
    pipeline: Any, put_aside: dict[Coordinates, tuple[str, bytes | None]]
) -> None:
    time.sleep(3)  # for letters that nobody must write
    told = letters(pipeline)

    assert put_aside == dict(told)
    assert len(put_aside) == len(told)


def test_they_are_counted_by_reason(
    pipeline: Any, put_aside: dict[Coordinates, tuple[str, bytes | None]]
) -> None:
    counts: Counter[str] = Counter()
    for stage in STAGES:
        for lines in pipeline.journal(stage).values():
            for line in lines:
                counts.update(line.counts)
    expected = Counter(f"dead_lettered.{reason}" for reason, _ in put_aside.values())

    assert len(put_aside) == counts["dead_lettered"]
    assert expected == Counter({k: n for k, n in counts.items() if "dead_lettered." in k})


def test_the_stages_go_on(
    pipeline: Any, put_aside: dict[Coordinates, tuple[str, bytes | None]]
) -> None:
    assert put_aside
    end = int(time.time() * 1_000) // MINUTE * MINUTE
    pipeline.close_windows(end - 2 * MINUTE)
    pipeline.close_windows(end)

    def closed() -> Any:
        rows = [seen.value.window for seen in pipeline.records(ENRICHED)]
        return [row for row in rows if row.service == "last" and row.closed]

    assert pipeline.until(closed, 40, "a window that closes")
    words = ("--provider", "openai", "--model", "gpt-4", "--new")
    done = pipeline.llmopt("config", "set", "a/b", *words)
    assert 0 == done.returncode


def test_they_are_listed_and_sent_to_the_topic_again_that_they_were_on(
    pipeline: Any, put_aside: dict[Coordinates, tuple[str, bytes | None]]
) -> None:
    rows = {(r["topic"], r["reason"]): r["letters"] for r in pipeline.json("dlq", "list")}
    assert Counter((at[0], reason) for at, (reason, _) in put_aside.items()) == rows
    (shown,) = pipeline.json("dlq", "show", COMMANDS.name, "--limit", "1")
    assert COMMANDS.name == shown["topic"]
    for topic in (COMMANDS, CATALOG, PARTIALS):
        mine = sum(at[0] == topic.name for at in put_aside)
        assert mine == pipeline.json("dlq", "redrive", topic.name)["sent"]

        def again(topic: Topic = topic, mine: int = mine) -> bool:
            return sum(at[0] == topic.name for at, _ in letters(pipeline)) == 2 * mine

        pipeline.until(again, 30, "the letters of the second try")


def test_a_replay_writes_the_same_letters(
    pipeline: Any, put_aside: dict[Coordinates, tuple[str, bytes | None]]
) -> None:
    assert put_aside
    assert [0, 0] == pipeline.stop()
    done = pipeline.json("replay")

    assert list(STAGES) == [each["stage"] for each in done]

"""A tenth of everything is garbage: it is put aside with its reason, the rest is summed up."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import random
import time
from collections import Counter
from typing import Any

import pytest

from demo.recompute import newest
from schemas.anomaly import Anomaly
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig
from schemas.decode import LARGEST
from schemas.errors import Reason
from schemas.metric import MetricEvent
from schemas.quality import QualityScore
from schemas.rollout import Deployment, Phase
from schemas.topics import (
    AGGREGATES,
    ANOMALIES,
    COMMANDS,
    DEPLOYMENTS,
    FLOORS,
    LATE,
    METRICS,
    QUALITY,
    Topic,
    dead_letters,
)
from schemas.window import MINUTE
from streams import kafka
from streams.letters import opened
from streams.reading import read_all

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

DAY = 86_400_000
GOOD = 13_500  # events
BAD = 1_500  # messages, a tenth of all
PARTITIONS = 4
HEAVY = 4  # times that each message of 1 MB is sent
Coordinates = tuple[str, int, int]


def event(now: int, **changes: Any) -> MetricEvent:
    made = MetricEvent(
        timestamp=now - 3 * MINUTE,
        service="good",
        endpoint="answer",
        model="gpt-4o-mini",
        provider="openai",
        latency_ms=812.5,
        tokens_input=1200,
        tokens_output=300,
    )
    return dataclasses.replace(made, **changes)


def score(now: int, **changes: Any) -> QualityScore:
    made = QualityScore(
        timestamp=now - 3 * MINUTE,
        service="good",
        endpoint="answer",
        model="gpt-4o-mini",
        provider="openai",
        overall=91.5,
    )
    return dataclasses.replace(made, **changes)


def bad_messages(pipeline: Any, now: int) -> list[tuple[Topic, Reason, bytes | None]]:
    """One of every kind, for both topics."""

    def avro(**changes: Any) -> bytes:
        return pipeline.codec.encode(METRICS, event(now, **changes))

    def judged(**changes: Any) -> bytes:
        return pipeline.codec.encode(QUALITY, score(now, **changes))

    def plain(**changes: Any) -> bytes:
        return json.dumps(dataclasses.asdict(event(now)) | changes).encode()

    foreign = b"\0" + pipeline.codec.registry.id_of(ANOMALIES, Anomaly).to_bytes(4, "big")
    for_metrics = [
        (Reason.NULL_VALUE, None),
        (Reason.NULL_VALUE, b""),
        (Reason.BROKEN_AVRO, avro()[:-7]),
        (Reason.BROKEN_AVRO, avro() + b"\0"),
        (Reason.FOREIGN_SCHEMA, foreign + avro()[5:]),
        (Reason.FOREIGN_SCHEMA, judged()),
        (Reason.UNKNOWN_SCHEMA, b"\0\x7f\xff\xff\xff" + avro()[5:]),
        (Reason.BROKEN_JSON, plain()[:-2]),
        (Reason.BROKEN_JSON, plain(latency_ms=math.nan)),
        (Reason.BROKEN_JSON, b"\xff\xfe garbage"),
        (Reason.WRONG_SHAPE, b"{}"),
        (Reason.WRONG_SHAPE, plain(model=None)),
        (Reason.NOT_FINITE, avro(latency_ms=math.nan)),
        (Reason.NOT_FINITE, avro(cost_usd=math.inf)),
        (Reason.NOT_FINITE, avro(time_to_first_token_ms=-math.inf)),
        (Reason.NEGATIVE, avro(latency_ms=-1.0)),
        (Reason.NEGATIVE, plain(tokens_input=-1)),
        (Reason.OUT_OF_RANGE, avro(status_code=42)),
        (Reason.OUT_OF_RANGE, plain(tokens_input=2**70)),
        (Reason.TOO_OLD, avro(timestamp=now - 8 * DAY)),
        (Reason.TOO_OLD, plain(timestamp=0)),
        (Reason.IN_THE_FUTURE, avro(timestamp=now + 3_600_000)),
        (Reason.IN_THE_FUTURE, plain(timestamp=2**62)),
        (Reason.TOO_LONG, avro(service="x" * 257)),
        (Reason.TOO_LONG, plain(error_type="x" * 10_000)),
        (Reason.EMPTY_NAME, avro(model="")),
        (Reason.TOO_LARGE, b"{" + b" " * LARGEST),
        (Reason.TOO_LARGE, avro() + bytes(LARGEST)),
    ]
    for_quality = [
        (Reason.NULL_VALUE, None),
        (Reason.BROKEN_AVRO, judged()[:-1]),
        (Reason.FOREIGN_SCHEMA, avro()),
        (Reason.BROKEN_JSON, b"{"),
        (Reason.WRONG_SHAPE, b"[]"),
        (Reason.NOT_FINITE, judged(overall=math.nan)),
        (Reason.NEGATIVE, judged(overall=-0.5)),
        (Reason.OUT_OF_RANGE, judged(overall=100.5)),
        (Reason.TOO_OLD, judged(timestamp=1)),
        (Reason.IN_THE_FUTURE, judged(timestamp=now + DAY)),
        (Reason.TOO_LONG, judged(method="x" * 257)),
    ]
    return [(METRICS, *each) for each in for_metrics] + [(QUALITY, *each) for each in for_quality]


@pytest.fixture(scope="module")
def now() -> int:
    return int(time.time() * 1_000)


@pytest.fixture(scope="module")
def put_aside(pipeline: Any, now: int) -> dict[Coordinates, tuple[Reason, bytes | None]]:
    """Garbage among good events, all of it read; where each bad message was, and what it was."""
    pipeline.start("worker-1", "worker-2")
    chance = random.Random(6)
    kinds = bad_messages(pipeline, now)
    light = [each for each in kinds if len(each[2] or b"") < LARGEST]
    bad = [each for each in kinds if each not in light] * HEAVY
    bad += [light[i % len(light)] for i in range(BAD - len(bad))]
    found: dict[Coordinates, tuple[Reason, bytes | None]] = {}
    producer = kafka.producer(pipeline.cluster.bootstrap_servers)

    def note(topic: Topic, reason: Reason, value: bytes | None, key: bytes | None) -> None:
        def arrived(error: Any, message: Any) -> None:
            assert error is None
            found[topic.name, message.partition(), message.offset()] = (reason, value)

        home = chance.randrange(PARTITIONS)
        producer.produce(topic.name, value, key, partition=home, on_delivery=arrived)

    def good(i: int) -> None:
        home = chance.randrange(PARTITIONS)
        if i % 5 == 4:
            value = pipeline.codec.encode(QUALITY, score(now))
            producer.produce(QUALITY.name, value, partition=home)
        elif i % 5 == 3:
            text = json.dumps({n: v for n, v in dataclasses.asdict(event(now)).items() if v})
            producer.produce(METRICS.name, text, "good", partition=home)
        else:
            producer.produce(METRICS.name, pipeline.codec.encode(METRICS, event(now)), None, home)

    todo = [*(lambda i=i: good(i) for i in range(GOOD))]
    todo += [
        lambda each=each, i=i: note(*each, None if i % 2 else b"\xff key")
        for i, each in enumerate(bad)
    ]
    chance.shuffle(todo)
    for each in todo:
        each()
        producer.poll(0)
    assert 0 == producer.flush(60)
    pipeline.until(lambda: not pipeline.unread("collect"), 60, "all is read")
    assert BAD == len(found)
    return found


def counts(pipeline: Any) -> Counter[str]:
    """What became of everything that collect has read."""
    lines = [line for each in pipeline.journal("collect").values() for line in each]
    return sum((Counter(line.counts) for line in lines), Counter())


def test_every_bad_message_is_a_dead_letter_as_it_came_with_its_reason_and_coordinates(
    pipeline: Any, put_aside: dict[Coordinates, tuple[Reason, bytes | None]]
) -> None:
    letters = {}
    for topic in (METRICS, QUALITY):
        for message in read_all(pipeline.settings, dead_letters(topic)):
            letter = opened(message)
            assert letter.detail
            at = (letter.topic, letter.partition, letter.offset)
            assert at not in letters
            letters[at] = (letter.reason, message.value())

    assert {at: (reason.value, value) for at, (reason, value) in put_aside.items()} == letters


def test_they_are_counted_by_reason_and_all_good_ones_are_aggregated(
    pipeline: Any, put_aside: dict[Coordinates, tuple[Reason, bytes | None]]
) -> None:
    found = counts(pipeline)
    reasons = Counter(f"dead_lettered.{reason.value}" for reason, _ in put_aside.values())

    assert (GOOD + BAD, GOOD, BAD) == (found["read"], found["aggregated"], found["dead_lettered"])
    assert reasons == Counter({n: c for n, c in found.items() if n.startswith("dead_lettered.")})


def test_every_good_event_is_in_a_window(
    pipeline: Any, now: int, put_aside: dict[Coordinates, tuple[Reason, bytes | None]]
) -> None:
    assert put_aside
    last = json.dumps({n: v for n, v in dataclasses.asdict(event(now)).items() if v})
    last = last.replace('"good"', '"last"').replace(str(now - 3 * MINUTE), str(now))
    producer = kafka.producer(pipeline.cluster.bootstrap_servers)
    for partition in range(PARTITIONS):
        producer.produce(METRICS.name, last, partition=partition)

    assert 0 == producer.flush(10)

    def closed() -> Any:
        found = newest(seen.value for seen in pipeline.records(AGGREGATES)).values()
        mine = [w for w in found if w.service == "good" and w.window == "1m" and w.pooled]
        return [w for w in mine if w.closed]

    (window,) = pipeline.until(closed, 60, "the window of the good events")
    assert (GOOD * 4 // 5, GOOD // 5) == (window.requests, window.metrics["quality"].count)
    assert 91.5 * (GOOD // 5) == window.metrics["quality"].sum


def test_scores_for_windows_that_are_gone_are_late_and_every_aggregated_event_is_in_a_window(
    pipeline: Any, now: int, put_aside: dict[Coordinates, tuple[Reason, bytes | None]]
) -> None:
    assert put_aside

    def gone() -> bool:
        """Whether a source that reads scores has been asked to let the minute go."""
        asked = [seen.value.before for seen in pipeline.records(FLOORS) if seen.partition == 1]
        return max(asked, default=0) > now - 12 * MINUTE

    producer = kafka.producer(pipeline.cluster.bootstrap_servers)
    # Not late by the newest score of its partition; its window goes when the next minute closes.
    opened_ = score(now, timestamp=now - 12 * MINUTE)
    producer.produce(QUALITY.name, pipeline.codec.encode(QUALITY, opened_), partition=1)

    assert 0 == producer.flush(10)
    pipeline.until(lambda: not pipeline.unread("collect"), 30, "the old score is read")
    assert 0 == counts(pipeline)["late"]
    for at in (now + MINUTE, now + 2 * MINUTE):
        last = json.dumps({n: v for n, v in dataclasses.asdict(event(at)).items() if v})
        last = last.replace(str(at - 3 * MINUTE), str(at))
        for partition in range(PARTITIONS):
            producer.produce(METRICS.name, last, partition=partition)
        assert 0 == producer.flush(10)
        pipeline.until(lambda: not pipeline.unread("collect"), 30, "it is read")
    pipeline.until(gone, 60, "the minute is over for all")
    pipeline.until(lambda: not pipeline.unread("collect"), 30, "the source keeps to it")
    producer.produce(QUALITY.name, pipeline.codec.encode(QUALITY, opened_), partition=1)

    assert 0 == producer.flush(10)
    pipeline.until(lambda: counts(pipeline)["late"] == 1, 30, "the same score is late")
    (letter,) = read_all(pipeline.settings, LATE)
    lost = [
        line.counts.get("late", 0) for each in pipeline.journal("merge").values() for line in each
    ]
    assert pipeline.codec.encode(QUALITY, opened_) == letter.value()
    assert int(dict(letter.headers())["__late.floor"]) > now - 12 * MINUTE
    assert 0 == sum(lost)

    def scores() -> int:
        """The scores in the windows of a minute, by their last revisions."""
        found = newest(seen.value for seen in pipeline.records(AGGREGATES)).values()
        rows = [w for w in found if w.window == "1m" and w.pooled and "quality" in w.metrics]
        return sum(window.metrics["quality"].count for window in rows)

    pipeline.until(lambda: scores() == GOOD // 5 + 1, 30, "all of them but the late one")


def test_the_command_lists_shows_and_sends_them_again(
    pipeline: Any, put_aside: dict[Coordinates, tuple[Reason, bytes | None]]
) -> None:
    before = Counter((at[0], reason.value) for at, (reason, _) in put_aside.items())

    assert before == listed(pipeline, "letters") == listed(pipeline, "waiting")
    (shown,) = pipeline.json("dlq", "show", METRICS.name, "--reason", "too_old", "--limit", "1")
    reason, value = put_aside[METRICS.name, shown["partition"], shown["offset"]]
    assert (Reason.TOO_OLD, base64.b64encode(value or b"").decode()) == (
        reason,
        shown["value_base64"],
    )

    sent = pipeline.json("dlq", "redrive", QUALITY.name)["sent"]
    again = Counter({at: n for at, n in before.items() if at[0] == QUALITY.name})
    assert sum(again.values()) == sent
    # They are as bad as before: each becomes a letter once more, and that one waits.
    pipeline.until(
        lambda: listed(pipeline, "letters") == before + again, 30, "the letters of the second try"
    )
    assert before == listed(pipeline, "waiting")
    assert BAD + sent == counts(pipeline)["dead_lettered"]


def listed(pipeline: Any, column: str) -> Counter[tuple[str, str]]:
    """A column of `llmopt dlq list`."""
    rows = pipeline.json("dlq", "list")
    return +Counter({(row["topic"], row["reason"]): row[column] for row in rows})


def test_a_config_that_names_an_unknown_model_is_refused(
    pipeline: Any, put_aside: dict[Coordinates, tuple[Reason, bytes | None]], now: int
) -> None:
    assert put_aside  # and the workers run on
    words = ("config", "set", "good/answer", "--provider", "openai", "--model", "gpt-99")
    told = pipeline.llmopt(*words, expect=1).stderr

    assert told.startswith("llmopt: Model openai/gpt-99 is not in the catalog")
    # Nor does it help to go around the command.
    command = Command(
        id="around",
        kind=CommandKind.SET,
        scope="good/answer",
        at=now,
        by="eve",
        config=LlmConfig(version="", provider="openai", model="gpt-99"),
    )
    producer = kafka.producer(pipeline.cluster.bootstrap_servers)
    producer.produce(COMMANDS.name, pipeline.codec.encode(COMMANDS, command), "good/answer")
    producer.flush(10)

    def answered() -> Any:
        said = [seen.value for seen in pipeline.records(DEPLOYMENTS)]
        return [each for each in said if isinstance(each, Deployment) and each.by == "eve"]

    (event_,) = pipeline.until(answered, 30, "an answer")
    assert Phase.REJECTED == event_.phase
    assert "openai/gpt-99 is not in the catalog" in event_.reason


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{when: {metric: latencyy, op: '>', value: 1}, then: alert}", "latency"),
        ("{when: {metric: quality, op: '=>', value: 1}, then: alert}", "op"),
        ("{when: {metric: quality, op: '>', value: many}, then: alert}", "many"),
        ("{when: {metric: quality, op: '>', value: 1}, then: explode}", "explode"),
        ("[no, rule]", "rule/odd"),
    ],
)
def test_a_rule_that_does_not_parse_is_refused_with_a_sentence(
    pipeline: Any, rule: str, said: str
) -> None:
    file = pipeline.folder / "odd.yaml"
    file.write_text(f"rules: {{odd: {rule}}}")
    told = pipeline.llmopt("catalog", "apply", str(file), expect=1).stderr

    assert "rule/odd" in told
    assert said in told
    assert 1 == len(told.splitlines())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LLMOPT_WINDOW_GRACE", "soon", "is not a duration"),
        ("LLMOPT_COMMIT_INTERVAL", "1ms", "at least 10ms"),
        ("LLMOPT_BOOTSTRAP_SERVERS", "nowhere", "write host:port"),
        ("LLMOPT_WINDOW_GRASE", "5m", "did you mean LLMOPT_WINDOW_GRACE?"),
    ],
)
@pytest.mark.parametrize("words", [("worker",), ("status",)])
def test_a_broken_setting_is_refused_with_a_sentence(
    pipeline: Any, words: tuple[str, ...], name: str, value: str, said: str
) -> None:
    good = dict(pipeline.env)
    pipeline.env = good | {name: value}
    try:
        told = pipeline.llmopt(*words, expect=2).stderr
    finally:
        pipeline.env = good

    assert told.startswith(f"llmopt: {name}")
    assert said in told

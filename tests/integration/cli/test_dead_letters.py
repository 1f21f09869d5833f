# `llmopt` is a fixture whose type lies in a conftest
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import KafkaException, Message

from schemas.topics import LATE, QUALITY, TOPICS, Topic, dead_letters
from streams.letters import REDRIVEN
from streams.reading import read_all
from streams.redrive import redrive

pytestmark = pytest.mark.integration


def write_off(llmopt: Any, topic: Topic, number: int, value: bytes, stage: str = "collect") -> None:
    llmopt.produce(
        dead_letters(topic).name,
        f"key-{number}",
        value,
        {
            "app": b"mine",
            "__dlq.errors.reason": b"broken_json",
            "__dlq.errors.detail": b"no JSON at all",
            "__dlq.errors.stage": stage.encode(),
            "__dlq.errors.topic": topic.name.encode(),
            "__dlq.errors.partition": str(number % 4).encode(),
            "__dlq.errors.offset": str(number).encode(),
        },
    )


def sent(llmopt: Any, topic: Topic, prefix: bytes) -> list[Message]:
    return [
        each
        for each in read_all(llmopt.settings, topic)
        if (each.value() or b"").startswith(prefix)
    ]


def test_dead_letters_are_listed_shown_and_sent_again_once(llmopt: Any) -> None:
    for number in range(10):
        write_off(llmopt, QUALITY, number, b"once-%d" % number)
    write_off(llmopt, QUALITY, 3, b"once-3", stage="another")

    row = next(each for each in llmopt.json("dlq", "list") if each["topic"] == QUALITY.name)
    assert ("broken_json", row["waiting"]) == (row["reason"], row["letters"])
    shown = llmopt("dlq", "show", QUALITY.name, "--limit", "50").stdout
    assert f"{QUALITY.name}[3]@7" in shown
    assert "no JSON at all" in shown

    done = llmopt.json("dlq", "redrive", f"{QUALITY.name}.dlq")
    again = llmopt.json("dlq", "redrive", QUALITY.name)

    assert (10, 1) == (done["sent"], done["skipped"])
    assert (0, 0) == (again["sent"], again["skipped"])
    found = {each.value(): each for each in sent(llmopt, QUALITY, b"once-")}
    assert 10 == len(sent(llmopt, QUALITY, b"once-")) == len(found)
    seven = found[b"once-7"]
    assert (b"key-7", 3) == (seven.key(), seven.partition())
    assert {"app", REDRIVEN} == {name for name, _ in seven.headers()}
    assert [0] == [e["waiting"] for e in llmopt.json("dlq", "list") if e["topic"] == QUALITY.name]


def test_redrives_side_by_side_send_each_letter_once(llmopt: Any) -> None:
    topic = TOPICS["llmopt.config.ack.v1"]
    for number in range(40):
        write_off(llmopt, topic, number, b"beside-%d" % number)

    def attempt(_: int) -> None:
        with suppress(KafkaException):  # the loser is fenced off
            redrive(llmopt.settings, topic)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(attempt, range(3)))
    redrive(llmopt.settings, topic)

    values = [each.value() for each in sent(llmopt, topic, b"beside-")]
    assert sorted(b"beside-%d" % n for n in range(40)) == sorted(values)


def test_a_topic_without_dead_letters_is_not_found(llmopt: Any) -> None:
    answer = llmopt("dlq", "redrive", LATE.name, expect=3)

    assert QUALITY.name in answer.stderr


def test_a_limit_leaves_the_rest_for_later(llmopt: Any) -> None:
    topic = TOPICS["llmopt.partials.v1"]
    for number in range(5):
        write_off(llmopt, topic, number, b"later-%d" % number)

    assert 2 == llmopt.json("dlq", "redrive", topic.name, "--limit", "2")["sent"]
    assert 3 == llmopt.json("dlq", "redrive", topic.name)["sent"]
    assert 5 == len(sent(llmopt, topic, b"later-"))

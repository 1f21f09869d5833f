"""State and offsets that do not belong together, or no state: a takeover refuses, and says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.topics import DEPLOYMENTS, changelog
from streams import kafka
from streams.exactly_once.changelog import POSITION, entry
from streams.exactly_once.reset import reset
from tests.integration.streams.counting import STAGE, Count
from tests.integration.streams.member import Member, Topics

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

HEAL = "run `llmopt reset detect`"
Join = Callable[[str], Member]


def test_a_changelog_behind_the_offset_is_refused(topics: Topics, join: Join) -> None:
    topics.send("s/e")
    first = join("a")
    first.count(1)
    topics.send("s/e")
    first.count(1)
    first.session.leave()
    positions = [m for m in topics.messages(changelog("detect")) if m.key() == POSITION.encode()]
    topics.put(changelog("detect"), POSITION, positions[0].value())
    before = topics.visible()
    said = join("b").refused()

    assert "is at offset 2" in said
    assert f"was written at 1; {HEAL} to rewind both together" in said
    assert before == topics.visible()


@pytest.mark.parametrize(
    ("offset", "said"), [(0, "offset 0"), (3, "offset 3"), (None, "no offset")]
)
def test_offsets_that_an_operator_reset_are_refused_with_the_command(
    topics: Topics, join: Join, offset: int | None, said: str
) -> None:
    topics.send("s/e", "s/e")
    first = join("a")
    first.count(2)
    first.session.leave()
    topics.send("s/e")
    admin = kafka.admin(topics.brokers)
    if offset is None:
        admin.delete_consumer_groups([STAGE.group])[STAGE.group].result(10)
    else:
        moved = [TopicPartition(DEPLOYMENTS.name, 0, offset)]
        asked = ConsumerGroupTopicPartitions(STAGE.group, moved)
        admin.alter_consumer_group_offsets([asked])[STAGE.group].result(10)
    before = topics.visible()
    why = join("b").refused()

    assert said in why
    assert f"{HEAL} to rewind both together" in why
    assert before == topics.visible()


def garbage(topics: Topics) -> None:
    topics.put(changelog("detect"), "s/e", b"no entry")


def another_layout(topics: Topics) -> None:
    later = replace(entry(Count(1)), version=99)
    topics.put(changelog("detect"), "s/e", topics.codec.encode(changelog("detect"), later))


def another_type(topics: Topics) -> None:
    other = replace(entry(Count(1)), kind="Sum")
    topics.put(changelog("detect"), "s/e", topics.codec.encode(changelog("detect"), other))


def no_position(topics: Topics) -> None:
    topics.put(changelog("detect"), POSITION, None)


def beginning_deleted(topics: Topics) -> None:
    deleted(topics, 1)


def all_deleted(topics: Topics) -> None:
    deleted(topics, -1)


def deleted(topics: Topics, offset: int) -> None:
    """Delete what is before *offset*, which Kafka only does where a topic may delete."""
    admin, topic = kafka.admin(topics.brokers), changelog("detect").name
    for policy in ("compact,delete", "compact"):
        changed = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
        asked = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[changed])
        admin.incremental_alter_configs([asked])[asked].result(10)
        if policy != "compact":
            ats = [TopicPartition(topic, 0, offset)]
            for each in admin.delete_records(ats).values():
                each.result(10)


@pytest.mark.parametrize(
    "damage",
    [garbage, another_layout, another_type, no_position, beginning_deleted, all_deleted],
)
def test_a_changelog_that_is_truncated_or_corrupt_is_refused_with_the_command_that_mends_it(
    topics: Topics, join: Join, damage: Callable[[Topics], None]
) -> None:
    for scope in ("s/e", "t/e"):
        topics.send(scope)
        first = join("a")
        first.count(1)
        first.session.leave()
    damage(topics)
    before = topics.visible()

    assert HEAL in join("b").refused()
    assert before == topics.visible()
    reset([STAGE], topics.codec, topics.brokers)
    again = join("c")
    again.count(2)
    again.session.leave()
    last = join("d")  # what was mended stays so
    last.take()

    assert {"s/e": 1, "t/e": 1} == last.session.tasks[0].state

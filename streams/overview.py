"""The pipeline at a glance: stages and their lag, rollouts, holds, dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.codec import Codec
from schemas.command import Command
from schemas.config import ScopeConfig
from schemas.topics import COMMANDS, CONFIG, STAGES, TOPICS, Topic, dead_letters
from streams import kafka
from streams.alone import Local, local
from streams.commanding import held
from streams.follow import STAGE as STORE
from streams.obedience import Obedience, obedience, owners, positions
from streams.reading import newest, read_all, records
from streams.settings import Settings

TIMEOUT = 10.0
COUNTED_UP_TO = 20_000  # dead letters of a topic; above, the offsets are an upper bound
At = tuple[str, int]


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage's group, as kafka-consumer-groups shows it."""

    stage: str
    state: str  # of the group; "none" when no worker ever ran the stage
    members: tuple[str, ...]  # client ids
    partitions: int  # with a committed offset
    lag: int | None  # offsets between committed and end; None when nothing was ever committed


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The dead letters of one topic."""

    topic: str
    count: int
    exact: bool  # otherwise at most so many


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it."""

    mode: str  # running, paused or stopped: what holds for all scopes
    holds: dict[str, Command]  # by scope, `*` for all
    obedience: dict[str, tuple[Obedience, ...]]  # of each hold
    local: Local  # what waits on this machine, and who would tell it
    stages: tuple[StageStatus, ...]
    scopes: int  # with a config
    rollouts: tuple[ScopeConfig, ...]
    dead_letters: tuple[DeadLetters, ...]


def overview(settings: Settings, codec: Codec) -> Overview:
    """Look at everything once.

    Raises:
        Unreachable: A topic is missing.
        KafkaException: No broker answers.
    """
    admin = kafka.admin(settings.bootstrap_servers)
    told = records(settings, codec, COMMANDS)
    holds = held(seen.value for seen in told if isinstance(seen.value, Command))
    configs = [seen.value for seen in newest(settings, codec, CONFIG).values()]
    everywhere = holds.get("*")
    modes = {"pause": "paused", "stop": "stopped"}
    return Overview(
        mode="running" if everywhere is None else modes[everywhere.kind.value],
        holds=holds,
        obedience=obedience(holds, told, positions(settings, codec), owners(settings))
        if holds
        else {},
        local=local(settings),
        stages=tuple(_stages(admin)),
        scopes=sum(config.stable is not None for config in configs),
        rollouts=tuple(config for config in configs if config.split is not None),
        dead_letters=tuple(_dead_letters(settings, admin)),
    )


def _stages(admin: AdminClient) -> list[StageStatus]:
    stages = (*STAGES, STORE)
    described = admin.describe_consumer_groups([f"llmopt.{stage}" for stage in stages])
    committed: dict[str, dict[At, int]] = {}
    for stage in stages:
        asked = [ConsumerGroupTopicPartitions(f"llmopt.{stage}")]
        answer = next(iter(admin.list_consumer_group_offsets(asked).values())).result(TIMEOUT)
        committed[stage] = {
            (each.topic, each.partition): each.offset
            for each in answer.topic_partitions
            if each.offset >= 0
        }
    ends = _ends(admin, sorted({at for offsets in committed.values() for at in offsets}))
    found = []
    for stage in stages:
        group = described[f"llmopt.{stage}"].result(TIMEOUT)
        offsets = committed[stage]
        lag = sum(max(0, ends.get(at, offset) - offset) for at, offset in offsets.items())
        state = group.state.name.lower().replace("_", " ")
        found.append(
            StageStatus(
                stage=stage,
                state="none" if state == "dead" else state,
                members=tuple(
                    sorted(member.client_id.partition(kafka.BORN)[0] for member in group.members)
                ),
                partitions=len(offsets),
                lag=lag if offsets else None,
            )
        )
    return found


def _ends(admin: AdminClient, ats: Sequence[At], spec: OffsetSpec | None = None) -> dict[At, int]:
    """The next offset (or what *spec* asks for) of each partition, committed records only."""
    if not ats:
        return {}
    asked = {TopicPartition(*at): spec or OffsetSpec.latest() for at in ats}
    answers = admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED)
    return {
        (at.topic, at.partition): future.result(TIMEOUT).offset for at, future in answers.items()
    }


def _dead_letters(settings: Settings, admin: AdminClient) -> list[DeadLetters]:
    topics = {
        topic.name: dead_letters(topic)
        for topic in TOPICS.values()
        if dead_letters(topic).name in TOPICS
    }
    there = admin.list_topics(timeout=TIMEOUT).topics
    ats = [
        (letters.name, partition)
        for letters in topics.values()
        if letters.name in there
        for partition in there[letters.name].partitions
    ]
    lows, highs = _ends(admin, ats, OffsetSpec.earliest()), _ends(admin, ats)
    found = []
    for name, letters in topics.items():
        count = sum(highs[at] - lows[at] for at in ats if at[0] == letters.name)
        if count:
            found.append(_count(settings, name, letters, count))
    return [each for each in found if each.count]


def _count(settings: Settings, name: str, letters: Topic, offsets: int) -> DeadLetters:
    """Offsets count the markers of transactions, too: few letters are counted one by one."""
    if offsets > COUNTED_UP_TO:
        return DeadLetters(name, offsets, exact=False)
    return DeadLetters(name, len(read_all(settings, letters)), exact=True)

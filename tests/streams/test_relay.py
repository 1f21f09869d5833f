from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.command import Command, CommandKind
from schemas.flow import Input
from schemas.topics import COMMANDS
from streams.exactly_once.commit import withdrawn
from streams.exactly_once.errors import Retake
from streams.exactly_once.relay import relay
from streams.settings import Settings
from streams.spool import Spool
from streams.stages import make

STOP = Command(id="1", kind=CommandKind.STOP, scope="*", at=1_000, by="ada")
RESUME = replace(STOP, id="2", kind=CommandKind.RESUME, at=2_000)
BROKERS = "a:1"


@dataclass
class Topic:
    """The commands' topic, and a session that reads it."""

    spool: Spool
    stage: Any
    sent: list[Command] = field(default_factory=list)
    lost: bool = False
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = SimpleNamespace(brokers=BROKERS, spool=self.spool)
        self.told = SimpleNamespace(inputs=[])
        self.producer = SimpleNamespace(
            flush=lambda _: self.calls.append("flush"),
            abort_transaction=lambda _: self.calls.append("abort"),
        )

    def catch_up(self) -> None:
        self.told.inputs = [Input(COMMANDS.name, i, each) for i, each in enumerate(self.sent)]

    def place(self) -> None:
        self.calls.append("place")

    def send(self, brokers: str, command: Command, _: float) -> int:
        assert brokers == BROKERS
        if not self.lost:
            self.sent.append(command)
        return len(self.sent) - 1


@pytest.fixture
def topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Topic(Spool(tmp_path, BROKERS), make("actuate", Settings())[0])
    monkeypatch.setattr("streams.exactly_once.relay.send", made.send)
    return made


def test_what_waits_is_told_in_order_and_read_back(topic: Any) -> None:
    single = replace(STOP, id="3", scope="a/b", at=3_000)
    for each in (STOP, single):
        topic.spool.put(each)
    relay(topic)

    assert [STOP, single] == topic.sent == [each.value for each in topic.told.inputs]
    assert () == topic.spool.waiting()


def test_what_is_on_the_topic_is_not_told_again(topic: Any) -> None:
    topic.sent.append(STOP)
    topic.spool.put(STOP)
    relay(topic)

    assert ([STOP], ()) == (topic.sent, topic.spool.waiting())


def test_another_command_of_the_same_id_is_told(topic: Any) -> None:
    topic.sent.append(replace(STOP, at=1))
    topic.spool.put(STOP)
    relay(topic)

    assert [replace(STOP, at=1), STOP] == topic.sent


def test_a_stop_that_a_later_resume_lifts_is_dropped(topic: Any) -> None:
    topic.sent.append(RESUME)
    topic.spool.put(STOP)
    relay(topic)

    assert ([RESUME], ()) == (topic.sent, topic.spool.waiting())


def test_what_cannot_be_read_back_stays_and_nothing_goes_on(topic: Any) -> None:
    topic.lost = True
    topic.spool.put(STOP)

    with pytest.raises(Retake, match="told, but not read back"):
        relay(topic)
    assert (STOP,) == topic.spool.waiting()


def test_what_no_broker_takes_stays_and_nothing_goes_on(
    topic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    monkeypatch.setattr("streams.exactly_once.relay.send", away)
    topic.spool.put(STOP)

    with pytest.raises(Retake, match="telling what was commanded on this machine"):
        relay(topic)
    assert (STOP,) == topic.spool.waiting()


@pytest.mark.parametrize("stage", ["collect", "merge", "decide"])
def test_stages_that_write_no_config_leave_it_to_the_actuator(topic: Any, stage: str) -> None:
    topic.stage = make(stage, Settings())[0]
    topic.spool.put(STOP)
    relay(topic)

    assert ([], False, []) == (topic.sent, withdrawn(topic), topic.calls)


def test_a_transaction_is_aborted_and_read_again_when_a_stop_came_meanwhile(topic: Any) -> None:
    before = withdrawn(topic)
    topic.spool.put(STOP)

    assert (False, True) == (before, withdrawn(topic))
    assert ["flush", "flush", "abort", "place"] == topic.calls

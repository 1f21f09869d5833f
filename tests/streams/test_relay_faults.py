from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaException

from schemas.codec import Codec
from schemas.command import Command, CommandKind
from schemas.registry import LocalRegistry
from streams.agents import actuate, detect
from streams.exactly_once import relay as subject
from streams.exactly_once.commit import withdrawn
from streams.exactly_once.errors import Retake
from streams.exactly_once.relay import overruled, relay
from streams.exactly_once.whole import Told
from streams.settings import Settings
from streams.spool import Spool

STOP = Command(id="1", kind=CommandKind.STOP, scope="*", at=1_000, by="ada")
RESUME = replace(STOP, id="2", kind=CommandKind.RESUME, at=2_000)


class Producer:
    """A transaction without a broker."""

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.aborted = False

    def flush(self, patience: float) -> int:
        """How many records nobody took."""
        assert patience > 0
        return self.left

    def abort_transaction(self, patience: float) -> None:
        """Give it up."""
        assert patience > 0
        self.aborted = True


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, "a:1")


@pytest.fixture
def session(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As much of an actuator's session as a relay needs; what is sent is read back."""
    made = SimpleNamespace(
        stage=actuate.stage(Settings()),
        home=SimpleNamespace(brokers="a:1", spool=spool),
        told=Told(Codec(LocalRegistry())),
        producer=Producer(),
        catch_up=lambda: None,
        place=lambda: None,
    )

    def send(_brokers: str, command: Command, _patience: float) -> None:
        made.told.inputs.append(SimpleNamespace(value=command))

    monkeypatch.setattr(subject, "send", send)
    return made


def told(session: Any) -> Sequence[Command]:
    return [each.value for each in session.told.inputs]


def blinded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no spooled command be readable."""

    def refuse(*_: object) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(Spool, "_load", refuse)


def test_what_waits_is_told_once_and_overrules_until_then(session: Any, spool: Spool) -> None:
    spool.put(STOP)
    before = overruled(session)
    relay(session)
    relay(session)

    assert ([STOP], True, False) == (told(session), before, overruled(session))


def test_a_stop_whose_resume_waits_beside_it_is_not_told(session: Any, spool: Spool) -> None:
    for each in (STOP, RESUME):
        spool.put(each)
    relay(session)

    assert [RESUME] == told(session)
    assert () == spool.waiting()


def test_a_command_that_cannot_be_read_overrules_and_is_told_when_it_can(
    session: Any, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.put(STOP)
    with monkeypatch.context() as patch:
        blinded(patch)
        before = overruled(session)
        with pytest.raises(Retake, match=r"cannot be read: .*-1\.json"):
            relay(session)
    relay(session)

    assert (True, [STOP]) == (before, told(session))


@pytest.mark.parametrize("fault", [OSError("no locks"), KafkaException()])
def test_a_relay_that_fails_is_tried_again_in_another_session(
    session: Any, spool: Spool, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail() -> None:
        raise fault

    spool.put(STOP)
    monkeypatch.setattr(spool, "alone", fail)
    with pytest.raises(Retake, match="telling what was commanded"):
        relay(session)

    assert (STOP,) == spool.waiting()


def test_a_stage_that_the_commands_are_not_left_to_tells_nothing(
    session: Any, spool: Spool
) -> None:
    session.stage = detect.stage(Settings())
    spool.put(STOP)
    relay(session)

    assert [] == told(session)
    assert not withdrawn(session)


def never(_: Spool) -> None:
    """Nothing was commanded here."""


def a_stop(spool: Spool) -> None:
    """A stop waits."""
    spool.put(STOP)


@pytest.mark.parametrize(("given", "taken_back"), [(never, False), (a_stop, True)])
def test_a_round_is_taken_back_where_a_command_came_meanwhile(
    session: Any, spool: Spool, given: Callable[[Spool], None], *, taken_back: bool
) -> None:
    given(spool)

    assert (taken_back, taken_back) == (withdrawn(session), session.producer.aborted)


def test_a_round_whose_records_nobody_took_in_time_is_not_committed(session: Any) -> None:
    session.producer = Producer(left=3)

    with pytest.raises(Retake, match="3 records"):
        withdrawn(session)

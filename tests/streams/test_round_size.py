from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Message

from streams.exactly_once.session import LARGEST, MOST, PATIENCE, Session


def consumer(size: int) -> Any:
    """As much of a session as fetching needs; each message has so many bytes."""
    made = SimpleNamespace(
        stage=SimpleNamespace(interval=60.0, batch=60_000, obeys=False),
        commands=None,
        in_step=None,
        early=[],
        failure=None,
        rebalanced=False,
        room=LARGEST,
        mean=1,
    )
    message = Message(topic="t", partition=0, offset=0, value=bytes(size))
    made.consume = lambda _: [message] * min(MOST, max(1, made.room // made.mean))
    made.weigh = lambda got: Session.weigh(made, got)
    return made


def test_a_round_of_small_messages_ends_with_their_number() -> None:
    assert 60_000 == len(Session.fetch(consumer(96)))


@pytest.mark.parametrize("size", [9_000, 1_000_000])
def test_a_round_of_large_messages_ends_with_their_bytes(size: int) -> None:
    session = consumer(size)
    first, second = (sum(map(len, Session.fetch(session))) for _ in range(2))

    assert first <= LARGEST + MOST * size
    assert LARGEST <= second < LARGEST + 2 * size


def test_messages_without_a_value_weigh_nothing() -> None:
    session = consumer(0)

    assert 60_000 == len(Session.fetch(session))
    assert LARGEST == session.room


@pytest.mark.parametrize(("obeys", "waits"), [(True, set()), (False, {PATIENCE})])
def test_only_who_obeys_commands_breaks_off_its_wait_for_one(
    *, obeys: bool, waits: set[float]
) -> None:
    session = consumer(0)
    session.stage = SimpleNamespace(interval=None, batch=60_000, obeys=obeys)
    session.commands, waited = object(), []
    session.glance = lambda: True  # there is one
    session.consume = lambda patience: waited.append(patience) or []
    session.weigh = lambda _: None

    assert [] == Session.fetch(session)
    assert waits == set(waited[:1])


def test_while_messages_wait_that_were_held_back_hardly_any_new_one_is_read() -> None:
    session = consumer(96)
    session.in_step = SimpleNamespace(more=True)

    assert 1 == len(Session.fetch(session))

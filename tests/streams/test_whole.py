from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.codec import Codec
from schemas.registry import LocalRegistry
from schemas.topics import CATALOG, COMMANDS, STAGES
from streams.exactly_once.stage import Stage
from streams.exactly_once.whole import Declared, Entries, Refused, Told, put_aside
from streams.settings import Settings
from streams.stages import make

CODEC = Codec(LocalRegistry())
STOP = b'{"id": "1", "kind": "stop", "scope": "*", "at": 0, "by": "ada"}'


class Message:
    """As much of a Kafka message as these topics need."""

    def __init__(self, topic: str, offset: int, key: bytes, value: bytes | None) -> None:
        self._topic, self._offset, self._key, self._value = topic, offset, key, value

    def topic(self) -> str:
        return self._topic

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value


def commands(*values: bytes | None) -> list[Any]:
    return [Message(COMMANDS.name, i, b"*", value) for i, value in enumerate(values)]


def entries(*values: tuple[bytes, bytes | None]) -> list[Any]:
    return [Message(CATALOG.name, i, *each) for i, each in enumerate(values)]


def offsets(refused: list[Refused]) -> list[int]:
    return [each.message.offset() for each in refused]


def stage(name: str) -> Stage[Any, Any]:
    return make(name, Settings())[0]


@pytest.fixture
def told() -> Told:
    found = Told(CODEC)
    found.take(commands(b"{", STOP, None, b"[]", STOP))
    return found


def test_commands_that_nobody_can_read_are_kept_aside(told: Told) -> None:
    assert [1, 4] == [each.offset for each in told.inputs]
    assert [0, 2, 3] == offsets(told.refused)


def test_catalog_entries_that_nobody_can_use_are_kept_aside_and_change_nothing() -> None:
    declared = Declared(Entries(CODEC))
    good = b'{"provider": "a", "model": "b"}'
    declared.take(
        entries(
            (b"model/a/b", good),
            (b"model/a/b", b"{"),
            (b"model/a/c", good),  # it belongs under another key
            (b"nonsense", good),
            (b"sla/x", None),  # forgets what there is not
        ),
        5,
    )

    assert ["a/b"] == list(declared.current.models)
    assert [1, 2, 3] == offsets(declared.refused)


def test_one_task_of_all_stages_puts_a_record_aside(told: Told) -> None:
    writers = [
        (name, partition)
        for name in STAGES
        for partition in range(4)
        if put_aside(stage(name), partition, told.refused, {})
    ]

    assert [("actuate", 0)] == writers


def test_a_record_is_put_aside_by_the_commit_that_passes_it(told: Told) -> None:
    actuate, name = stage("actuate"), COMMANDS.name

    assert [2, 3] == offsets(put_aside(actuate, 0, told.refused, {name: 1}))
    assert [2] == offsets(put_aside(actuate, 0, told.refused, {name: 1}, {name: 3}))
    assert [] == put_aside(actuate, 0, told.refused, {name: 0}, {"other": 9})
    assert [] == put_aside(replace(actuate, puts_aside=()), 0, told.refused, {})

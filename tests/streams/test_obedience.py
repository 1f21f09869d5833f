from __future__ import annotations

from schemas.command import Command, CommandKind
from schemas.journal import Position
from schemas.scope import partition_of
from schemas.topics import COMMANDS
from streams.cli.status import obeyed
from streams.obedience import Obedience, obedience
from streams.reading import Seen

STOP = Command(id="s", kind=CommandKind.STOP, scope="*", at=0, by="ada")
PAUSE = Command(id="p", kind=CommandKind.PAUSE, scope="a/b", at=0, by="ada")
TOLD = [Seen(COMMANDS.name, 0, 4, 0, "a/b", PAUSE), Seen(COMMANDS.name, 0, 7, 0, "*", STOP)]
WIDTH = 4
HOME = partition_of("a/b", WIDTH)


def position(next_: int) -> Position:
    return Position(sequence=1, epoch=1, ends={COMMANDS.name: next_}, tail={}, watermark=None)


def test_a_task_has_obeyed_a_hold_that_lies_before_its_position() -> None:
    positions = {0: position(8), 1: position(7), 2: None, 3: position(9)}
    found = obedience({"*": STOP}, TOLD, positions, {0: "w", 1: "w"})

    assert [(0, "w", True), (1, "w", False), (2, None, False), (3, None, True)] == [
        (each.partition, each.worker, each.obeyed) for each in found["*"]
    ]


def test_a_hold_of_one_scope_concerns_the_task_that_has_it() -> None:
    found = obedience({"a/b": PAUSE}, TOLD, {p: position(5) for p in range(WIDTH)}, {})

    assert {"a/b": (Obedience(partition=HOME, worker=None, obeyed=True),)} == found


def test_the_sentence_names_who_has_not_obeyed() -> None:
    late = Obedience(partition=2, worker="w-2", obeyed=False)
    orphan = Obedience(partition=3, worker=None, obeyed=False)
    done = Obedience(partition=0, worker="w-1", obeyed=True)

    assert "Obeyed: committed by 2 tasks of the actuator." == obeyed((done, done))
    assert (
        "NOT obeyed yet: committed by 1 of 3 tasks of the actuator, but not by task 2 (w-2), "
        "3 (which no worker has)." == obeyed((done, late, orphan))
    )

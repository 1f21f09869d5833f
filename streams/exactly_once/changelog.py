"""State as a compacted topic: what a commit writes, what a takeover reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer

from schemas.codec import Codec, pack, unpack
from schemas.errors import Undecodable
from schemas.journal import ChangelogEntry, Position
from schemas.topics import changelog
from streams.exactly_once.errors import OutOfStep
from streams.exactly_once.reading import read, stable_end
from streams.exactly_once.stage import Stage

POSITION = "__position"
LAYOUT = (
    1  # of the entries; a change of a state's type that old entries cannot be read as raises it
)


def entry(value: Any) -> ChangelogEntry:
    """A state value as it is written."""
    return ChangelogEntry(kind=type(value).__name__, version=LAYOUT, payload=pack(value))


def restore(
    stage: Stage[Any, Any],
    codec: Codec,
    committed: Consumer,
    uncommitted: Consumer,
    partitions: list[int],
) -> dict[int, tuple[Position | None, dict[str, Any]]]:
    """Read the changelog of *partitions* to its end.

    Returns:
        Partition → its position (None: it has never committed) and its entries by key.

    Raises:
        OutOfStep: an entry cannot be read; the sentence names the command that rewinds the stage.
    """
    topic = changelog(stage.name)
    found: dict[int, dict[str, Any]] = {partition: {} for partition in partitions}
    stretches = stable_end(committed, uncommitted, [(topic.name, p) for p in partitions])
    for message in read(committed, stretches):
        key = (message.key() or b"").decode()
        entries = found[message.partition()]
        if message.value() is None:
            entries.pop(key, None)
        else:
            where = f"{message.topic()}[{message.partition()}]@{message.offset()}"
            entries[key] = value_of(stage, codec, message.value(), key, where)
    return {
        partition: (entries.pop(POSITION, None), entries) for partition, entries in found.items()
    }


def value_of(stage: Stage[Any, Any], codec: Codec, value: bytes, key: str, where: str) -> Any:
    """An entry of the state of *stage*, as the type that wrote it.

    Raises:
        OutOfStep: it cannot be read; the sentence says *where* it is.
    """
    kinds: Mapping[str, type] = {Position.__name__: Position} | (
        {} if stage.entry is None else {stage.entry.__name__: stage.entry}
    )
    try:
        stored = codec.decode(changelog(stage.name), value)
        kind = kinds[stored.kind]
        if stored.version != LAYOUT:
            raise OutOfStep(
                f"{where}: entry {key!r} has layout {stored.version}, this worker reads {LAYOUT}; "
                f"run `llmopt reset {stage.name}` to rebuild the state from its input"
            )
        return unpack(kind, stored.payload)
    except (Undecodable, KeyError, ValueError) as error:
        raise OutOfStep(
            f"{where}: entry {key!r} of the state of {stage.name} cannot be read ({error}); "
            f"run `llmopt reset {stage.name}` to rebuild the state from its input"
        ) from error

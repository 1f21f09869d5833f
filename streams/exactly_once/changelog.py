"""State as a compacted topic: what a commit writes, what a takeover reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Message

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


@dataclass(frozen=True, slots=True)
class Kept:
    """What the changelog holds of a partition."""

    begins: int  # its first offset
    position: Position | None  # None: it has never committed
    entries: dict[str, Any]  # by key


def restore(
    stage: Stage[Any, Any],
    codec: Codec,
    committed: Consumer,
    uncommitted: Consumer,
    partitions: list[int],
) -> dict[int, Kept]:
    """Read the changelog of *partitions* to its end.

    Only the newest entry of a key is looked at: a reset mends the state by a later one.
    Compaction leaves the first offset where it was; where it has moved somebody deleted records,
    and nothing else would tell that entries are missing.

    Raises:
        OutOfStep: an entry cannot be read, or the beginning is gone; the sentence names the command
            that rewinds the stage.
    """
    topic = changelog(stage.name)
    stretches = stable_end(committed, uncommitted, [(topic.name, p) for p in partitions])
    newest: dict[int, dict[str, Message]] = {partition: {} for partition in partitions}
    for message in read(committed, stretches):
        key = (message.key() or b"").decode(errors="replace")
        if message.value() is None:
            newest[message.partition()].pop(key, None)
        else:
            newest[message.partition()][key] = message
    found = {}
    for (_, partition), (low, _) in stretches.items():
        entries = {
            key: value_of(stage, codec, each.value(), key, _where(each))
            for key, each in newest.pop(partition).items()
        }
        position = entries.pop(POSITION, None)
        if position is not None and low > position.begins:
            raise OutOfStep(
                f"{topic.name}[{partition}] begins at offset {low}, but was written from "
                f"{position.begins} on: somebody has deleted a part of the state; "
                f"run `llmopt reset {stage.name}` to rebuild it from its input"
            )
        found[partition] = Kept(low, position, entries)
    return found


def _where(message: Message) -> str:
    return f"{message.topic()}[{message.partition()}]@{message.offset()}"


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

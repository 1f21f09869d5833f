"""What a broker promises to the owner of one partition, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from processors.actuate.policy import ActuatePolicy
from processors.actuate.state import ENTRY
from schemas.catalog import Catalog
from schemas.codec import Codec, pack, unpack
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.registry import LocalRegistry
from schemas.topics import COMMANDS, DECISIONS, TOPICS

CODEC = Codec(LocalRegistry())
FRAMED = (COMMANDS.name, DECISIONS.name)  # go through their bytes; windows are too many for it


class Fenced(Exception):
    """The group has gone on without this member: its transaction is refused."""


@dataclass(frozen=True)
class Commit:
    """A transaction that went through: what was read, when, and the bytes that were written."""

    policy: ActuatePolicy
    moment: Moment
    inputs: Sequence[Input]
    written: Sequence[tuple[str, Any, bytes]]  # topic, key, value


@dataclass
class Broker:
    """Logs that only grow, a compacted changelog, and the group's position and generation.

    A transaction carries the generation of the member that made it; one of an older generation is
    refused whole. All else is committed whole: outputs, state, position and epoch.

    A broker that breaks its word, to see that it is noticed: without `fences` it refuses nobody,
    and of the changelog's entries it keeps one only if its size allows it, `keeps` of them.
    """

    logs: dict[str, list[Any]] = field(default_factory=dict)
    catalog: Catalog = field(default_factory=Catalog)
    changelog: dict[str, bytes] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    generation: int = 0
    commits: list[Commit] = field(default_factory=list)
    configs: list[tuple[str, bytes]] = field(default_factory=list)  # committed, in order
    fences: bool = True
    keeps: float = 1.0

    def append(self, topic: str, value: Any) -> None:
        """Put a record on an input topic."""
        kept = CODEC.encode(TOPICS[topic], value) if topic in FRAMED else value
        self.logs.setdefault(topic, []).append(kept)

    def read(self, topic: str, offset: int, most: int) -> list[Input]:
        """Records from *offset* on."""
        found = self.logs.get(topic, [])[offset : offset + most]
        if topic in FRAMED:
            found = [CODEC.decode(TOPICS[topic], value) for value in found]
        return [Input(topic, offset + n, value) for n, value in enumerate(found)]

    def join(self) -> int:
        """Become the owner; who owned the partition before is fenced from now on."""
        self.generation += 1
        return self.generation

    def restored(self) -> dict[str, Any]:
        """The entries of the state, read back from their bytes."""
        return {key: unpack(ENTRY, payload) for key, payload in self.changelog.items()}

    def commit(
        self,
        generation: int,
        policy: ActuatePolicy,
        moment: Moment,
        inputs: Sequence[Input],
        outcome: Outcome[Any],
    ) -> None:
        """Commit a step.

        Raises:
            Fenced: The member's generation is not the group's any more.
        """
        if self.fences and generation != self.generation:
            raise Fenced
        written = encoded(outcome.emits)
        entries = {key: pack(entry) for key, entry in outcome.changes.items()}
        self.changelog |= {k: v for k, v in entries.items() if len(v) % 100 < 100 * self.keeps}
        self.offsets.update({each.topic: each.offset + 1 for each in inputs})
        self.epoch = moment.epoch
        self.commits.append(Commit(policy, moment, inputs, written))
        self.configs += [(key, value) for topic, key, value in written if "config" in topic]


def encoded(emits: Sequence[Emit]) -> list[tuple[str, Any, bytes]]:
    """The records as they are on their topics."""
    return [(e.topic, e.key, CODEC.encode(TOPICS[e.topic], e.value)) for e in emits]


def lag(broker: Broker, position: Mapping[str, int]) -> int:
    """How many records are not read yet."""
    return sum(len(log) - position.get(topic, 0) for topic, log in broker.logs.items())

"""What a topic is, and the one that a stop is sent to before the records of all others are had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.command import Command

DAY = 86_400_000  # ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic: its name, what is on it, and how it is kept."""

    name: str
    holds: str  # one line for people
    key: str  # what the key is
    record: type | None  # None: the original bytes of another topic
    beside: tuple[type, ...] = ()  # further records that it carries
    retention_ms: int | None = None  # None for compacted ones
    partitions: Literal["ingest", "derived", "one"] = "derived"
    wire: Literal["avro", "json"] = "avro"
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def compacted(self) -> bool:
        """Whether only the newest record of a key is kept."""
        return self.retention_ms is None

    def config(self) -> dict[str, str]:
        """The broker's settings of this topic.

        Returns:
            Setting name → value, as kafka-configs shows them.
        """
        keep = (
            {"cleanup.policy": "compact"}
            if self.retention_ms is None
            else {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}
        )
        return keep | dict(self.settings)


COMMANDS = Topic(
    name="llmopt.commands.v1",
    holds="pause, resume, emergency stop, set, unset, rollback, promote, abort, approve, reject, "
    "trigger, baseline",
    key="scope or *",
    record=Command,
    retention_ms=400 * DAY,
    partitions="one",
    wire="json",
)

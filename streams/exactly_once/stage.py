"""A stage: a pure step between topics, as a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from confluent_kafka import Message

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.flow import Emit, Moment, Outcome
from schemas.topics import COMMANDS, Topic

S = TypeVar("S")
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Read:
    """Messages as a step wants them, and the records for those that could not be read."""

    inputs: Sequence[Any]
    dead: tuple[Emit, ...] = ()


Decode = Callable[[Codec, Sequence[Message], Moment], Read]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Generic[P, S]):
    """Everything the engine must know to run a step; the step itself knows none of it.

    `step` must be a function of its arguments; an empty batch that emits and changes nothing must
    leave the state as it was. `absorb` rebuilds the part of the state that is a function of a
    bounded tail of the input, without emitting; it is given what `again` makes of the messages,
    else `decode`.
    """

    name: str
    reads: tuple[Topic, ...]  # co-partitioned: a task is one partition of all of them
    decode: Decode
    policy: Callable[[Catalog], P]
    step: Callable[[P, S, Sequence[Any], Moment], Outcome[S]]
    fresh: Callable[[], S]
    restore: Callable[[Mapping[str, Any]], S]
    entry: type | None  # of the changelog's values; None for a stage without state
    absorb: Callable[[P, S, Sequence[Any], Moment], S] | None = None
    again: Decode | None = None  # as decode, for messages that were judged by another clock
    puts_aside: tuple[Topic, ...] = ()  # read whole by all; its unreadable records are left to us
    commands: bool = False  # every task reads llmopt.commands.v1, whole
    catalog: bool = False  # the policy follows llmopt.catalog.v1
    in_step: bool = False  # its topics are read in the order in which they were written
    interval: float | None = None  # seconds a batch is gathered for; None: commit what is there
    tick: float | None = None  # seconds after which a task steps without input
    batch: int = 5_000  # messages a round takes at most

    @property
    def group(self) -> str:
        """The consumer group, as kafka-consumer-groups shows it."""
        return f"llmopt.{self.name}"

    @property
    def obeys(self) -> bool:
        """Whether the commands are left to it: it alone writes what they hold."""
        return COMMANDS in self.puts_aside

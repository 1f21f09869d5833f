"""A worker that may die, stand still or lose its partition between any two of its acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from processors.actuate.policy import ActuatePolicy
from processors.actuate.state import ActuateState, restore
from processors.actuate.step import step
from schemas.flow import Input, Moment, Outcome
from schemas.topics import COMMANDS, DECISIONS, ENRICHED
from tests.properties.broker import Broker


@dataclass
class Worker:
    """One member of the group, from the moment at which it took the partition over."""

    broker: Broker
    generation: int = field(init=False)
    epoch: int = field(init=False)
    state: ActuateState = field(init=False)
    position: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.generation = self.broker.join()
        self.epoch = self.broker.epoch + 1
        self.state = restore(self.broker.restored())
        self.position = dict(self.broker.offsets)

    def take(self, chance: Random, now: int) -> Prepared:
        """Read the commands to their end and some of the rest, and step.

        The step is run on what the worker believes, which is history when it is a zombie.
        """
        most = chance.choice((0, 1, 1, 2, 3, 5, 50))
        commands = self._unread(COMMANDS.name, 10_000)
        decisions = self._unread(DECISIONS.name, chance.choice((0, 1, most)))
        inputs = [*commands, *decisions, *self._unread(ENRICHED.name, most)]
        policy = ActuatePolicy(catalog=self.broker.catalog)
        moment = Moment(now=now, seed=1, epoch=self.epoch, partition=0, partitions=1)
        return Prepared(policy, moment, inputs, step(policy, self.state, inputs, moment))

    def commit(self, prepared: Prepared) -> None:
        """Commit it, then go on from it.

        Raises:
            Fenced: Another owner has taken over.
        """
        done = prepared
        self.broker.commit(self.generation, done.policy, done.moment, done.inputs, done.outcome)
        self.state = done.outcome.state
        self.position.update({each.topic: each.offset + 1 for each in done.inputs})

    def _unread(self, topic: str, most: int) -> list[Input]:
        return self.broker.read(topic, self.position.get(topic, 0), most)


@dataclass(frozen=True)
class Prepared:
    """A step that is not committed yet."""

    policy: ActuatePolicy
    moment: Moment
    inputs: Sequence[Input]
    outcome: Outcome[Any]

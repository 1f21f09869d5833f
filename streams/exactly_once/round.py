"""A round: for each task that has something to do, what its step is given."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from confluent_kafka import Message

from schemas.catalog import Catalog
from schemas.flow import Input, Moment, Outcome
from schemas.topics import COMMANDS
from streams.clock import now_ms
from streams.exactly_once.relay import relay
from streams.exactly_once.session import Session
from streams.exactly_once.split import split
from streams.exactly_once.stage import Read, Stage
from streams.exactly_once.takeover import seed_of
from streams.exactly_once.task import Task
from streams.exactly_once.whole import beside

SETTLED = 1.0  # seconds without a record after which a task moves behind the markers alone


@dataclass(slots=True)
class Work:
    """One task's share of a round."""

    task: Task
    read: Read
    moment: Moment
    policy: Any
    catalog: Catalog
    ends: dict[str, int]  # topic -> next offset once this is committed
    outcome: Outcome[Any] | None = None  # until the commit has written it
    stepped: bool = False


def prepare(session: Session, messages: Sequence[Message]) -> list[Work]:
    """Divide *messages* among the tasks, with the commands that are new to each.

    The catalog and the commands are read to their ends first, so that no step decides on a
    catalog, or writes a config after an emergency stop, that was already history. What was
    commanded on this machine while no broker was there is told before that.
    """
    relay(session)
    if not session.tasks:
        return []
    if messages or any(_due(session.stage, task) for task in session.tasks.values()):
        session.catch_up()
    else:
        session.glance()
    by_task: dict[int, dict[str, list[Message]]] = {}
    for (topic, partition), run in sorted(split(messages).runs.items()):
        by_task.setdefault(partition, {})[topic] = run
    now = now_ms()
    works = []
    for task in session.tasks.values():
        work = _work(session, task, by_task.get(task.partition, {}), now)
        if work is not None:
            works.append(work)
    return works


def _due(stage: Stage[Any, Any], task: Task) -> bool:
    """Whether *task* steps though there is nothing to read."""
    return stage.tick is not None and time.monotonic() - task.ticked_at >= stage.tick


def _work(session: Session, task: Task, runs: Mapping[str, list[Message]], now: int) -> Work | None:
    """The share of *task*; its messages are in order of topic, then offset."""
    stage = session.stage
    ends = session.ends(task)
    quiet = ends != task.ends and time.monotonic() - task.ticked_at >= SETTLED
    for topic, run in runs.items():
        ends[topic] = max(ends[topic], run[-1].offset() + 1)
    told: list[Input] = []
    if session.commands is not None:
        start = task.ends.get(COMMANDS.name, 0)
        told = session.told.since(start, session.commands.offset)
        if told:
            ends[COMMANDS.name] = told[-1].offset + 1
    due = _due(stage, task)
    refused = session.refused(task)
    for each in refused:
        topic, offset = each.message.topic(), each.message.offset()
        ends[topic] = max(ends.get(topic, 0), offset + 1)
    if not (runs or told or refused or due or quiet):
        return None
    task.ticked_at = time.monotonic()
    moment = Moment(
        now=now,
        seed=seed_of(stage.name, task.partition, task.sequence + 1),
        epoch=task.epoch,
        partition=task.partition,
        partitions=session.width,
    )
    messages = list(chain.from_iterable(runs.values()))
    read = stage.decode(session.codec, messages, moment)
    if told or refused:
        read = beside(read, told, refused, moment)
    return Work(task, read, moment, session.policy(), session.declared.current, ends)

"""The emergency stop on a real broker: at once, over restarts, and while there is no broker."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from confluent_kafka import KafkaException, TopicPartition

from schemas.command import Command, CommandKind
from schemas.config import ScopeConfig
from schemas.decision import Decision
from schemas.topics import COMMANDS, CONFIG, ENRICHED
from streams import kafka
from streams.exactly_once.reading import end_of
from streams.spool import Spool
from tests.integration.pipeline.test_rollout_kills import (
    OLD,
    PARTITIONS,
    REQUESTS,
    SCOPES,
    STABLE,
    T0,
    Record,
    decided,
    send,
    window,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

MINUTE = 60_000
NOISE = np.random.default_rng(7)
ACTUATE = ("--stages", "actuate")


class Configs:
    """Follows the configs as applications do, and notes when each could be read."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self.seen: list[tuple[float, ScopeConfig]] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        with closing(kafka.consumer(self.pipeline.cluster.bootstrap_servers, "test")) as reader:
            ends = {p: end_of(reader, (CONFIG.name, p))[1] for p in range(PARTITIONS)}
            reader.assign([TopicPartition(CONFIG.name, *each) for each in ends.items()])
            while not self.over.is_set():
                for message in reader.consume(100, 0.05):
                    if message.error() is None:
                        value = self.pipeline.codec.decode(CONFIG, message.value())
                        self.seen.append((time.time() * 1_000, value))


@contextmanager
def following(pipeline: Any) -> Iterator[Configs]:
    found = Configs(pipeline)
    found.thread.start()
    try:
        yield found
    finally:
        found.over.set()
        found.thread.join(10)


class Scopes:
    """What seven scopes serve, minute by minute, and what is decided in them."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self.number = count()
        self.tries = count()

    def minute(self) -> None:
        """One more minute of stable traffic."""
        start = T0 + next(self.number) * MINUTE
        records: list[Record] = []
        for scope in SCOPES:
            rows = (
                window(scope, start, REQUESTS, STABLE, NOISE, OLD, ""),
                window(scope, start, REQUESTS, STABLE, NOISE),
            )
            records += [(ENRICHED, scope, row) for row in rows]
        send(self.pipeline, records)

    def past(self) -> None:
        """What a rollout measures by."""
        rows = [
            (s, window(s, T0 - 15 * MINUTE, 5_000, STABLE, NOISE, length=15 * MINUTE))
            for s in SCOPES
        ]
        send(self.pipeline, [(ENRICHED, scope, row) for scope, row in rows])
        self.minute()
        self.read()

    def decide(self) -> None:
        """A cheaper model for each, and the minute with which its rollout begins."""
        attempt = next(self.tries)
        records: list[Record] = []
        for scope in SCOPES:
            topic, _, decision = decided(scope)
            assert isinstance(decision, Decision)
            records.append((topic, scope, replace(decision, id=f"d{attempt}-{scope}")))
        send(self.pipeline, records)

    def read(self) -> None:
        self.pipeline.until(self._is_read, 90, "it is read")

    def _is_read(self) -> bool:
        try:
            return not self.pipeline.unread("actuate")
        except KafkaException:  # a broker that has just come back knows no groups yet
            return False

    def split(self) -> set[str]:
        """The scopes in which a candidate is served."""
        newest = {seen.key: seen.value for seen in self.pipeline.records(CONFIG)}
        return {scope for scope, config in newest.items() if config.split is not None}


@pytest.fixture(scope="module")
def scopes(pipeline: Any) -> Scopes:
    made = Scopes(pipeline)
    pipeline.workers.start("worker-1", *ACTUATE)
    made.past()
    return made


def test_a_stop_while_no_broker_is_there_is_told_before_anything_is_written(
    pipeline: Any, scopes: Scopes
) -> None:
    worker = pipeline.workers.running["worker-1"]
    worker.send_signal(signal.SIGSTOP)
    scopes.decide()
    scopes.minute()  # all that it takes for seven rollouts to begin
    pipeline.cluster.broker.kill()
    worker.send_signal(signal.SIGCONT)
    said = pipeline.llmopt("stop", "--by", "eve", "--reason", "incident").stdout
    down = json.loads(pipeline.llmopt("status", "--json", expect=1).stdout)["local"]
    pipeline.cluster.broker.start()
    scopes.read()
    status = pipeline.json("status")

    assert f"worker-1 (process {worker.pid}) will write nothing before it is told" in said
    assert [("eve", [down["waiting"][0]["id"]])] == [
        (down["waiting"][0]["by"], each["noted"]) for each in down["workers"]
    ]
    assert [] == pipeline.records(CONFIG)
    assert ["eve"] == [seen.value.by for seen in pipeline.records(COMMANDS)]
    assert ("stopped", []) == (status["mode"], status["local"]["waiting"])
    assert [("worker-1", True)] * PARTITIONS == [
        (each["worker"], each["obeyed"]) for each in status["obedience"]["*"]
    ]


def test_a_stop_takes_all_back_and_holds_over_a_kill(pipeline: Any, scopes: Scopes) -> None:
    pipeline.llmopt("resume")
    scopes.decide()
    scopes.read()
    scopes.minute()
    scopes.read()
    under_way = scopes.split()
    with following(pipeline) as configs:
        pipeline.llmopt("stop", "--by", "ada", "--reason", "incident")
        returned = time.time() * 1_000
        scopes.decide()
        scopes.minute()
        scopes.read()
        pipeline.workers.kill("worker-1")
        pipeline.workers.start("worker-1", *ACTUATE)
        scopes.decide()
        scopes.minute()
        scopes.read()
    status = pipeline.json("status")

    assert set(SCOPES) == under_way == {config.scope for _, config in configs.seen}
    assert [(None, None)] * len(SCOPES) == [(c.split, c.candidate) for _, c in configs.seen]
    assert all(at < returned for at, _ in configs.seen)
    assert ("stopped", "ada") == (status["mode"], status["holds"]["*"]["by"])
    assert "Obeyed: committed by 4 tasks of the actuator." in pipeline.llmopt("status").stdout


def test_a_stop_that_reaches_nobody_says_so(pipeline: Any, scopes: Scopes) -> None:
    del scopes
    pipeline.llmopt("resume")
    pipeline.stop()
    pipeline.cluster.broker.kill()
    alone = pipeline.llmopt("stop", expect=1).stderr
    pipeline.llmopt("resume", expect=1)
    waits = json.loads(pipeline.llmopt("status", "--json", expect=1).stdout)["local"]["waiting"]
    pipeline.cluster.broker.start()

    assert "no worker with the actuator runs on this machine" in alone
    assert ["resume"] == [each["kind"] for each in waits]


def test_a_stop_that_a_later_resume_has_overtaken_is_not_told(
    pipeline: Any, scopes: Scopes
) -> None:
    del scopes
    spool = Spool(pipeline.settings.state_folder, pipeline.settings.bootstrap_servers)
    (resume,) = spool.waiting()
    before = len(pipeline.records(COMMANDS))
    spool.put(Command(id="late", kind=CommandKind.STOP, scope="*", at=resume.at - 60_000, by="eve"))
    pipeline.workers.start("worker-1", *ACTUATE)
    pipeline.until(lambda: not spool.waiting(), 60, "all is told or dropped")

    assert [resume] == [seen.value for seen in pipeline.records(COMMANDS)[before:]]
    assert ("running", {}) == tuple(pipeline.json("status")[key] for key in ("mode", "holds"))

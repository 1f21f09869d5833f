"""How long a config takes from its decision to the callbacks of a hundred applications.

A person's change is commanded again and again, at no steady rhythm, in some scopes by turns; the
worker runs all stages. Applications are real clients in a few processes, which acknowledge what
they apply. Every change must reach every application; the first of each scope is not counted.

- Decision: from `updated_at` of the config, when the step that decided it began, before its
  transaction; to each application's callback.
- Acknowledged: the same, to what each application says in its acknowledgement.
- Command: from when the command was handed to its broker, to the acknowledgements.

python -m bench propagation
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import click
import numpy as np
from confluent_kafka import Message, Producer

from bench.line import ROOT, Figure, report
from bench.servers import Servers, keeping, servers
from bench.subscribers import READY
from bench.watch import Follow, cpu_seconds
from infra.process import Process
from processors.actuate.version import versioned
from schemas.codec import Codec
from schemas.command import Command, CommandKind
from schemas.config import ConfigAck, LlmConfig
from schemas.jsontext import jsontext
from schemas.topics import COMMANDS, CONFIG_ACK
from streams import kafka

BENCH = "propagation"
BAR = 100  # ms, decision → callback, p99
PROCESSES, CLIENTS = 4, 25
ALL = PROCESSES * CLIENTS
SCOPES = [f"bench/endpoint-{i}" for i in range(8)]
CATALOG = ROOT / "infra" / "catalog" / "default.yaml"
PATIENCE = 60.0  # seconds
PAUSES = (0.05, 0.55)  # seconds between two changes, at random
Change = tuple[str, int]  # scope, revision


@dataclass(slots=True)
class Acks:
    """What the applications have acknowledged."""

    codec: Codec
    seen: dict[Change, list[ConfigAck]] = field(default_factory=lambda: defaultdict(list))

    def take(self, message: Message, _: float) -> None:
        """Remember one."""
        ack: ConfigAck = self.codec.decode(CONFIG_ACK, message.value())
        self.seen[ack.scope, ack.revision].append(ack)


@dataclass(slots=True)
class Course:
    """The changes so far, each with the command that made it."""

    at: Servers
    acks: Acks
    producer: Producer
    given: dict[Change, Command] = field(default_factory=dict)

    def change(self) -> None:
        """Command another one, and wait until all applications have it."""
        number = len(self.given)
        scope, revision = SCOPES[number % len(SCOPES)], number // len(SCOPES) + 1
        config = LlmConfig(version="", provider="openai", model="gpt-4o", max_tokens=100 + number)
        command = Command(
            id=f"bench-{number}",
            kind=CommandKind.SET,
            scope=scope,
            at=time.time_ns() // 1_000_000,
            by="bench",
            config=versioned(config),
        )
        self.producer.produce(COMMANDS.name, jsontext(command), scope)
        self.producer.flush(10)
        self.given[scope, revision] = command
        until(
            lambda: len(self.acks.seen[scope, revision]) >= ALL,
            f"{scope} at revision {revision} was not applied by all",
            self.at,
        )


def until(done: Callable[[], bool], what: str, at: Servers) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            said = at.last_words("worker")
            raise SystemExit(f"{what} within {PATIENCE:.0f} s. The worker's last words: {said}")
        time.sleep(0.01)


def called_back(at: Servers, apps: Mapping[str, Process]) -> dict[Change, list[int]]:
    """Milliseconds from each decision to each callback, as the applications noted them."""
    found: dict[Change, list[int]] = defaultdict(list)
    for process in apps.values():
        process.send(signal.SIGTERM)
    for name, process in apps.items():
        if not process.wait(60) or process.exit_code:
            raise SystemExit(f"{name} failed: {at.last_words(name)}")
        for key, delays in json.loads(at.last_words(name)).items():
            scope, _, revision = key.rpartition("@")
            found[scope, int(revision)] += delays
    return found


def percentiles(milliseconds: Sequence[int]) -> dict[str, float]:
    """The middle, the tail and the worst, in ms."""
    return {f"p{p}": round(float(np.percentile(milliseconds, p))) for p in (50, 95, 99, 100)}


@click.command()
@click.option("--changes", "count", default=120, show_default=True, help="How many configs.")
@click.option("--seed", default=1, show_default=True, help="Of the pauses between them.")
@keeping
def main(*, count: int, seed: int, keep: bool) -> None:
    """Measure how long configs take to a hundred applications."""
    chance = random.Random(seed)
    with servers(keep=keep) as at, ExitStack() as stack:
        with at.child("catalog", "streams", "catalog", "apply", str(CATALOG)) as applied:
            if not applied.wait(60) or applied.exit_code:
                raise SystemExit(f"The catalog was not taken: {at.last_words('catalog')}")
        worker = stack.enter_context(at.child("worker", "streams", "worker", "--name", "bench"))
        apps = {
            f"apps-{i}": stack.enter_context(
                at.child(
                    f"apps-{i}",
                    "bench.subscribers",
                    f"--clients={CLIENTS}",
                    f"--first={i * CLIENTS}",
                )
            )
            for i in range(PROCESSES)
        }
        acks = Acks(at.codec)
        following = Follow(
            at.settings.bootstrap_servers, CONFIG_ACK, at.settings.partitions_derived, acks.take
        )
        following.start()
        stack.callback(following.stop)
        for name in apps:
            log = at.folder / f"{name}.log"
            until(lambda log=log: READY in log.read_text(), f"{name} was not ready", at)  # type: ignore[misc]
        course = Course(at, acks, kafka.producer(at.settings.bootstrap_servers, linger_ms=0))
        for _ in SCOPES:
            course.change()
        began, cpu = time.monotonic(), cpu_seconds(worker.pid)
        for _ in range(count):
            time.sleep(chance.uniform(*PAUSES))
            course.change()
        busy = (cpu_seconds(worker.pid) - cpu) / (time.monotonic() - began)
        callbacks = called_back(at, apps)
    counted = list(course.given)[len(SCOPES) :]
    if any(len(callbacks[each]) != ALL or len(acks.seen[each]) != ALL for each in counted):
        raise SystemExit("An application was called back, or acknowledged, more or less than once.")
    told = [ack for each in counted for ack in acks.seen[each]]
    decided = percentiles([ms for each in counted for ms in callbacks[each]])
    acknowledged = percentiles([ack.applied_at - ack.updated_at for ack in told])
    commanded = percentiles(
        [ack.applied_at - course.given[each].at for each in counted for ack in acks.seen[each]]
    )
    report(
        BENCH,
        decided["p99"],
        f"ms p99, decision → callback in {ALL} applications",
        bar=BAR,
        also=[
            Figure(
                what="acknowledged",
                value=acknowledged["p99"],
                unit="ms p99, decision → applied, as acknowledged",
                bar=BAR,
            )
        ],
        decision=decided,
        command=commanded,
        changes=count,
        worker_cores=round(busy, 3),
    )


if __name__ == "__main__":
    main()

"""A producer that can be killed: it goes on where it was, sending its last part once more.

Run as a script by the tests: producing.py SETTINGS, a JSON object of `Plan`'s fields.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from schemas.batch import encode_batch
from schemas.codec import Codec
from schemas.metric import MetricEvent
from schemas.quality import QualityScore
from schemas.registry import RegistryClient
from schemas.topics import METRICS, QUALITY, Topic
from streams import kafka

CHUNK = 40  # events that go out in one form
TURN = 12  # chunks between two notes of the progress
WAITING = 50_000  # messages in the producer's queue
SERVICES = ("search", "support", "coder", "mailer", "tutor", "guide")
MODELS = ("openai/gpt-4", "openai/gpt-4o-mini", "mistral/open-mixtral-8x7b")
ERRORS = ("timeout", "rate_limit", "server_error")
GARBAGE = (b"{", b"\0\0\0\0\x7fxxxx", b'{"service": "search"}', b"[1, 2]", b"\xff\xfe", b"")


@dataclass(frozen=True)
class Plan:
    """What to send; the same plan gives the same messages."""

    brokers: str
    registry: str
    progress: str  # a file
    seed: int
    start: int  # ms, event time of the first event
    step_ms: float  # of event time between two events
    chunks: int
    seconds: float  # for all of them
    began: float  # seconds since the epoch
    again: int  # chunks that a restarted producer sends once more
    partitions: int


@dataclass(frozen=True)
class Message:
    """A message, and where it goes; without a partition, to that of its key."""

    topic: Topic
    value: bytes | None
    key: str | None = None
    partition: int = -1


class Sends(Protocol):
    """What gives the messages of a chunk, always the same."""

    def messages(self, chunk: int) -> Iterator[Message]:
        """The messages of one chunk."""


def messages(plan: Plan, codec: Codec, chunk: int) -> Iterator[Message]:
    """The messages of one chunk."""
    chance = random.Random(f"{plan.seed}:{chunk}")
    first = chunk * CHUNK
    found = [event(plan, chance, i) for i in range(first, first + CHUNK)]
    home = chunk % plan.partitions
    match chance.randrange(5):
        case 0:
            for each in found:
                yield Message(METRICS, codec.encode(METRICS, each), each.service)
        case 1:
            for each in found:
                yield Message(METRICS, codec.encode(METRICS, each), None, home)
        case 2:
            for each in found:
                yield Message(METRICS, plain([each])[1:-1], each.service)
        case 3:
            yield Message(METRICS, plain(found), None, home)
        case _:
            batch = encode_batch(found, "killed", epoch=1, seq=chunk)
            yield Message(METRICS, codec.encode(METRICS, batch), None, home)
    for each in found[::8]:
        score = scored(chance, each)
        data = codec.encode(QUALITY, score) if chance.random() < 0.5 else plain([score])[1:-1]
        yield Message(QUALITY, data, each.service)
    if chance.random() < 0.2:
        yield Message(chance.choice((METRICS, QUALITY)), chance.choice(GARBAGE), None, home)


def event(plan: Plan, chance: random.Random, i: int) -> MetricEvent:
    """Event *i*: one in fifty comes late, a quarter of them beyond the default grace."""
    behind = 0.0
    if chance.random() < 0.02:
        behind = chance.uniform(0, 9) if chance.random() < 0.75 else chance.uniform(11, 40)
    provider, model = chance.choice(MODELS).split("/")
    failed = chance.random() < 0.02
    cohort = chance.choice((None, None, "stable"))
    return MetricEvent(
        timestamp=plan.start + int(i * plan.step_ms - behind * 60_000),
        service=chance.choice(SERVICES),
        endpoint=chance.choice(("answer", "chat")),
        model=model,
        provider=provider,
        latency_ms=round(chance.lognormvariate(6.5, 0.5), 3),
        tokens_input=chance.randrange(2_000),
        tokens_output=chance.randrange(500),
        cost_usd=None if chance.random() < 0.3 else round(chance.uniform(0.02, 0.06), 9),
        status_code=503 if failed else 200,
        error_type=chance.choice(ERRORS) if failed else None,
        retry_count=int(chance.random() < 0.05),
        config_version=None if cohort is None else "v-1",
        cohort=cohort,
        request_id=f"r-{plan.seed}-{i}",
        unit_id=f"u-{chance.randrange(500)}",
        time_to_first_token_ms=None if chance.random() < 0.5 else chance.uniform(20, 900),
    )


def scored(chance: random.Random, one: MetricEvent) -> QualityScore:
    """A judge's word on *one*."""
    return QualityScore(
        timestamp=one.timestamp,
        service=one.service,
        endpoint=one.endpoint,
        model=one.model,
        provider=one.provider,
        overall=round(chance.uniform(88, 98), 4),
        method="judge",
        config_version=one.config_version,
        cohort=one.cohort,
        request_id=one.request_id,
    )


def plain(found: Sequence[Any]) -> bytes:
    """A JSON list, as an application in any language would write it."""
    return json.dumps(
        [{n: v for n, v in asdict(each).items() if v not in (None, {})} for each in found]
    ).encode()


class Chunks:
    """What a plan sends, by chunk: few events, each made anew, in every form."""

    def __init__(self, plan: Plan, codec: Codec) -> None:
        self.plan = plan
        self.codec = codec

    def messages(self, chunk: int) -> Iterator[Message]:
        """See `messages`."""
        return messages(self.plan, self.codec, chunk)


def run(plan: Plan, make: Callable[[Plan, Codec], Sends] = Chunks) -> None:
    """Send the chunks that are left, each in its time, and note what has arrived."""
    note = Path(plan.progress)
    done = int(note.read_text()) if note.exists() else 0
    first = max(0, done - plan.again) if done else 0
    producer = kafka.producer(
        plan.brokers, message_timeout_ms=120_000, linger_ms=20, batch_size=1_000_000
    )
    failed: list[Any] = []

    def arrived(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error)

    with RegistryClient(plan.registry) as registry:
        sent = make(plan, Codec(registry))
        for chunk in range(first, plan.chunks):
            # What was sent before goes out at once, the rest when its time has come.
            due = plan.began + plan.seconds * max(chunk, done) / plan.chunks
            while (early := due - time.time()) > 0 and chunk > done:
                producer.poll(min(early, 0.05))
            while len(producer) > WAITING:  # no broker takes them
                producer.poll(0.05)
            for each in sent.messages(chunk):
                producer.produce(
                    each.topic.name,
                    key=each.key,
                    value=each.value,
                    partition=each.partition,
                    on_delivery=arrived,
                )
            producer.poll(0)
            if chunk % TURN == TURN - 1 or chunk + 1 == plan.chunks:
                producer.flush()
                note.with_suffix(".new").write_text(str(max(done, chunk + 1)))
                note.with_suffix(".new").rename(note)
    if failed:
        sys.exit(f"{len(failed)} messages did not arrive: {failed[0]}")


if __name__ == "__main__":
    run(Plan(**json.loads(sys.argv[1])))

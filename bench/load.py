"""Metric events at a steady rate, as so many applications would send them.

Each has an id that no other has and the time of now. They are encoded beforehand, in blocks; what
is written before a block goes out is the time and the part of the ids that tells one round from the
next.

python -m bench.load --rate 110000 --seconds 60
"""

from __future__ import annotations

import json
import math
import random
import signal
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Protocol

import click
import numpy as np
import numpy.typing as npt

from bench.decode import plain, traffic
from schemas.batch import COLUMNS, encode_batch
from schemas.codec import FRAME, Codec
from schemas.metric import MetricEvent
from schemas.registry import RegistryClient
from schemas.topics import METRICS
from streams import kafka
from streams.clock import now_ms
from streams.settings import current

EVENTS = 40_000
KEYS = 800
BLOCK = 500  # events of the same time
PER_BATCH = 250  # events of a MetricBatch
ROUND = 8  # hexadecimal digits at the start of an id
WAITING = 200_000  # messages in the producer's queue at most
FORMS = ("avro", "json", "batch")

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Sent = Iterator[tuple[bytes, bytes | None]]


class Block(Protocol):
    """Encoded events that go out together."""

    @property
    def events(self) -> int:
        """How many there are."""

    @property
    def spoilt(self) -> int:
        """How many of them cannot be read."""

    def at(self, when: int | Ints, turn: int) -> Sent:
        """The keys and values in the block's *turn*; *when* is the events' time, ms, or each's."""


@dataclass(frozen=True, slots=True)
class Events:
    """Events with a message of their own each, one after another, and what of them changes."""

    data: Bytes
    ends: Ints  # [events]
    times: Ints  # [events, bytes of the time], places in `data`
    rounds: Ints  # [events, ROUND], the same of the ids' beginnings
    keys: tuple[bytes, ...]
    bad: Mapping[int, bytes | None]  # what goes out in place of some events
    stamp: Callable[[Ints], Bytes]  # times [n] as they are written, [n, bytes of a time]

    @property
    def events(self) -> int:
        """How many there are."""
        return len(self.keys)

    @property
    def spoilt(self) -> int:
        """How many of them cannot be read."""
        return len(self.bad)

    def at(self, when: int | Ints, turn: int) -> Sent:
        """See Block."""
        data = self.data.copy()
        data[self.times] = self.stamp(np.atleast_1d(np.asarray(when, np.int64)))
        data[self.rounds] = np.frombuffer(f"{turn:0{ROUND}x}".encode(), np.uint8)
        whole, starts = data.tobytes(), [0, *self.ends[:-1].tolist()]
        values: list[bytes | None] = [
            whole[start:end] for start, end in zip(starts, self.ends.tolist(), strict=True)
        ]
        for place, each in self.bad.items():
            values[place] = each
        return zip(self.keys, values, strict=True)


@dataclass(frozen=True, slots=True)
class Batch:
    """One columnar batch, cut where it changes: the producer's id and the times."""

    events: int
    key: bytes
    head: bytes  # up to the part of the producer's id that changes
    middle: bytes  # from there to the times
    rest: bytes  # from the times to the checksum
    before: int  # checksum of the columns before the times
    after: bytes  # the columns after them
    spoilt: int = 0

    def at(self, when: int | Ints, turn: int) -> Sent:
        """See Block."""
        times = np.broadcast_to(np.asarray(when, "<i8"), self.events).tobytes()
        crc = zlib.crc32(self.after, zlib.crc32(times, self.before))
        turned = f"{turn:0{ROUND}x}".encode()
        parts = (self.head, turned, self.middle, times, self.rest, varint(crc))
        yield self.key, b"".join(parts)


def varint(number: int) -> bytes:
    """A positive number as Avro writes a long."""
    number <<= 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def varints(times: Ints) -> Bytes:
    """Times of this age as Avro writes them.

    >>> bytes(varints(np.array([1_760_000_123_456]))[0]) == varint(1_760_000_123_456)
    True
    """
    sevens = (2 * times[:, None] >> 7 * np.arange(6)) & 127
    sevens[:, :-1] |= 128
    return sevens.astype(np.uint8)


def decimals(times: Ints) -> Bytes:
    """Times of this age as JSON writes them.

    >>> bytes(decimals(np.array([1_760_000_123_456]))[0])
    b'1760000123456'
    """
    return (times[:, None] // 10 ** np.arange(12, -1, -1) % 10 + ord("0")).astype(np.uint8)


def events(now_ms: int, keys: int = KEYS) -> list[MetricEvent]:
    """EVENTS requests that have all there is to aggregate, each with an id of its own."""
    rng = random.Random(2)
    return [
        replace(
            event,
            timestamp=now_ms,
            request_id=str(uuid.UUID(int=rng.getrandbits(128))),
            cached_tokens=rng.randrange(event.tokens_input + 1),
        )
        for event in traffic(EVENTS, keys=keys)
    ]


def garbage(codec: Codec, good: MetricEvent) -> list[bytes | None]:
    """One message of each kind that must end in the dead letters."""
    value = codec.encode(METRICS, good)
    far_off = good.timestamp + 30 * 86_400_000
    return [
        value[:-9],
        value + b"\0",
        FRAME.pack(0, 2**31 - 1) + value[FRAME.size :],
        b'{"timestamp": ',
        None,
        codec.encode(METRICS, replace(good, latency_ms=math.nan)),
        codec.encode(METRICS, replace(good, tokens_input=-1)),
        codec.encode(METRICS, replace(good, timestamp=far_off)),
        codec.encode(METRICS, replace(good, service="s" * 10_000)),
    ]


def single(codec: Codec, some: Sequence[MetricEvent], form: str, share: float) -> Events:
    """The events encoded, with the places of their times and ids; a *share* of them spoilt."""
    stamp = varints if form == "avro" else decimals
    values = [codec.encode(METRICS, e) if form == "avro" else plain(e) for e in some]
    sizes = np.array([len(value) for value in values])
    ends = np.cumsum(sizes)
    starts = ends - sizes
    names = [(event.request_id or "").encode() for event in some]
    ids = np.array([value.index(name) for value, name in zip(values, names, strict=True)])
    written = stamp(np.array([event.timestamp for event in some]))
    at = np.array(
        [value.index(each.tobytes()) for value, each in zip(values, written, strict=True)]
    )
    places = range(0, len(some), round(1 / share)) if share else ()
    return Events(
        data=np.frombuffer(b"".join(values), np.uint8),
        ends=ends,
        times=(starts + at)[:, None] + np.arange(written.shape[1]),
        rounds=(starts + ids)[:, None] + np.arange(ROUND),
        keys=tuple(event.service.encode() for event in some),
        bad=dict(zip(places, cycle(garbage(codec, some[0])), strict=False)),
        stamp=stamp,
    )


def batched(codec: Codec, some: Sequence[MetricEvent], number: int) -> Batch:
    """The events of one service as a batch, with the places of its times and name."""
    name = f"{0:0{ROUND}x}-{number}"
    batch = encode_batch(some, name, 1, 1)
    value = codec.encode(METRICS, batch)
    id_at, times_at = value.index(name.encode()), value.index(batch.timestamp)
    order = list(COLUMNS)
    split = order.index("timestamp")
    before = 0
    for column in order[:split]:
        before = zlib.crc32(getattr(batch, column), before)
    times_end = times_at + len(batch.timestamp)
    return Batch(
        events=len(some),
        key=some[0].service.encode(),
        head=value[:id_at],
        middle=value[id_at + ROUND : times_at],
        rest=value[times_end : -len(varint(batch.crc))],
        before=before,
        after=b"".join(getattr(batch, column) for column in order[split + 1 :]),
    )


def blocks(
    codec: Codec, all_of_them: Sequence[MetricEvent], form: str, share: float = 0.0
) -> list[Block]:
    """The events as messages of *form*; of single ones a *share* that cannot be read."""
    if form != "batch":
        return [
            single(codec, all_of_them[i : i + BLOCK], form, share)
            for i in range(0, len(all_of_them), BLOCK)
        ]
    by_service: dict[str, list[MetricEvent]] = {}
    for event in all_of_them:
        by_service.setdefault(event.service, []).append(event)
    some = [
        mine[i : i + PER_BATCH]
        for mine in by_service.values()
        for i in range(0, len(mine) - PER_BATCH + 1, PER_BATCH)
    ]
    return [batched(codec, each, number) for number, each in enumerate(some)]


def send(
    servers: str,
    some: Sequence[Block],
    rate: float,
    seconds: float,
    most: float = math.inf,
    ago: int = 0,
) -> tuple[int, int]:
    """Send *rate* events a second for so many *seconds*, until *most* are sent, or until SIGTERM.

    Args:
        servers: Kafka.
        some: What to send, again and again.
        rate: Events a second.
        seconds: How long, at most.
        most: How many events, at most.
        ago: How far behind the clock the events' time is, ms.

    Returns:
        How many there were, and how many of them were spoilt.
    """
    producer = kafka.producer(
        servers,
        linger_ms=20,
        batch_num_messages=10_000,
        batch_size=1_000_000,
        queue_buffering_max_messages=2 * WAITING,
    )
    produce, sent, spoilt, turn = producer.produce, 0, 0, 0
    enough = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: enough.set())
    began = time.monotonic()
    while (gone := time.monotonic() - began) < seconds and sent < most and not enough.is_set():
        if sent > rate * gone or len(producer) > WAITING:
            producer.poll(0.002)
            continue
        block = some[turn % len(some)]
        for key, value in block.at(now_ms() - ago, turn):
            produce(METRICS.name, value, key)
        sent += block.events
        spoilt += block.spoilt
        turn += 1
        producer.poll(0)
    if left := producer.flush(30):
        raise SystemExit(f"{left} messages were not taken by the broker within 30 s.")
    return sent, spoilt


@click.command()
@click.option("--rate", default=110_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=60.0, show_default=True, help="For how long.")
@click.option("--form", type=click.Choice(FORMS), default="avro", show_default=True)
@click.option("--keys", default=KEYS, show_default=True, help="How many (endpoint, model).")
@click.option("--most", default=math.inf, help="How many events at most.")
@click.option("--garbage", "share", default=0.0, help="Share that cannot be read.")
@click.option("--ago", default=0, help="How far behind the clock the events' time is, ms.")
def main(
    *, rate: float, seconds: float, form: str, keys: int, most: float, share: float, ago: int
) -> None:
    """Send events to the cluster that the environment names; say how many there were."""
    settings = current()
    with RegistryClient(settings.schema_registry_url) as registry:
        codec = Codec(registry)
        some = blocks(codec, events(now_ms() - ago, keys), form, share)
    sent, spoilt = send(settings.bootstrap_servers, some, rate, seconds, most, ago)
    print(json.dumps({"sent": sent, "spoilt": spoilt}), flush=True)


if __name__ == "__main__":
    main()

"""Metric events at a steady rate, as so many applications would send them.

Each event is an Avro record of its own in Confluent framing, keyed by its service, with an id that
no other has and the time of now. They are encoded beforehand, in blocks; what is written before a
block goes out is the time and the part of the ids that tells one round from the next.

python -m bench.load --rate 110000 --seconds 60
"""

from __future__ import annotations

import json
import math
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import click
import numpy as np
import numpy.typing as npt

from bench.decode import traffic
from schemas.codec import FRAME, Codec
from schemas.metric import MetricEvent
from schemas.registry import RegistryClient
from schemas.topics import METRICS
from streams import kafka
from streams.settings import current

EVENTS = 40_000  # of 800 keys
BLOCK = 500  # events of the same time
ROUND = 8  # hexadecimal digits at the start of an id
WAITING = 200_000  # messages in the producer's queue at most

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Encoded events, one after another, and what of them changes."""

    data: Bytes
    ends: Ints  # [events]
    times: Ints  # [events, bytes of the time], places in `data`
    rounds: Ints  # [events, ROUND], the same of the ids' beginnings
    keys: tuple[bytes, ...]
    spoilt: Mapping[int, bytes | None]  # what goes out in place of some events

    def at(self, now_ms: int, turn: int) -> Iterator[tuple[bytes, bytes | None]]:
        """The keys and values of the events of *now_ms*, in the block's *turn*."""
        data = self.data.copy()
        data[self.times] = np.frombuffer(varint(now_ms), np.uint8)
        data[self.rounds] = np.frombuffer(f"{turn:0{ROUND}x}".encode(), np.uint8)
        whole, starts = data.tobytes(), [0, *self.ends[:-1].tolist()]
        values: list[bytes | None] = [
            whole[start:end] for start, end in zip(starts, self.ends.tolist(), strict=True)
        ]
        for place, bad in self.spoilt.items():
            values[place] = bad
        return zip(self.keys, values, strict=True)


def varint(number: int) -> bytes:
    """A positive number as Avro writes a long."""
    number <<= 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def events(now_ms: int) -> list[MetricEvent]:
    """EVENTS requests that have all there is to aggregate, each with an id of its own."""
    rng = random.Random(2)
    return [
        replace(
            event,
            timestamp=now_ms,
            request_id=str(uuid.UUID(int=rng.getrandbits(128))),
            cached_tokens=rng.randrange(event.tokens_input + 1),
        )
        for event in traffic(EVENTS)
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


def block(codec: Codec, some: Sequence[MetricEvent], share: float = 0.0) -> Block:
    """The events encoded, with the places of their times and ids; a *share* of them spoilt."""
    values = [codec.encode(METRICS, event) for event in some]
    sizes = np.array([len(value) for value in values])
    ends = np.cumsum(sizes)
    starts = ends - sizes
    names = [(event.request_id or "").encode() for event in some]
    ids = np.array([value.index(name) for value, name in zip(values, names, strict=True)])
    size = len(varint(some[0].timestamp))
    places = range(0, len(some), round(1 / share)) if share else ()
    return Block(
        data=np.frombuffer(b"".join(values), np.uint8),
        ends=ends,
        times=(starts + FRAME.size)[:, None] + np.arange(size),
        rounds=(starts + ids)[:, None] + np.arange(ROUND),
        keys=tuple(event.service.encode() for event in some),
        spoilt=dict(zip(places, cycle(garbage(codec, some[0])))),
    )


def send(servers: str, blocks: Sequence[Block], rate: float, seconds: float) -> tuple[int, int]:
    """Send *rate* events a second for so many *seconds*; how many there were, and spoilt ones."""
    producer = kafka.producer(
        servers,
        linger_ms=20,
        batch_num_messages=10_000,
        batch_size=1_000_000,
        queue_buffering_max_messages=2 * WAITING,
    )
    produce, sent, spoilt, turn = producer.produce, 0, 0, 0
    began = time.monotonic()
    while (gone := time.monotonic() - began) < seconds:
        if sent > rate * gone or len(producer) > WAITING:
            producer.poll(0.002)
            continue
        current_block = blocks[turn % len(blocks)]
        for key, value in current_block.at(time.time_ns() // 1_000_000, turn):
            produce(METRICS.name, value, key)
        sent += BLOCK
        spoilt += len(current_block.spoilt)
        turn += 1
        producer.poll(0)
    if left := producer.flush(30):
        raise SystemExit(f"{left} events were not taken by the broker within 30 s.")
    return sent, spoilt


@click.command()
@click.option("--rate", default=110_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=60.0, show_default=True, help="For how long.")
@click.option("--garbage", "share", default=0.0, help="Share that cannot be read.")
def main(rate: float, seconds: float, share: float) -> None:
    """Send events to the cluster that the environment names; say how many there were."""
    settings = current()
    with RegistryClient(settings.schema_registry_url) as registry:
        codec = Codec(registry)
        all_of_them = events(time.time_ns() // 1_000_000)
        blocks = [block(codec, all_of_them[i : i + BLOCK], share) for i in range(0, EVENTS, BLOCK)]
    sent, spoilt = send(settings.bootstrap_servers, blocks, rate, seconds)
    print(json.dumps({"sent": sent, "spoilt": spoilt}), flush=True)


if __name__ == "__main__":
    main()

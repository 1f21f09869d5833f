"""Metric events at a steady rate, as so many applications would send them.

Each event is an Avro record of its own in Confluent framing, keyed by its service, with an id that
no other has and the time of now. They are encoded beforehand, in blocks; what is written before a
block goes out is the time and the part of the ids that tells one round from the next.

python -m bench.load --rate 110000 --seconds 60
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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

    def at(self, now_ms: int, turn: int) -> Iterator[tuple[bytes, bytes]]:
        """The keys and values of the events of *now_ms*, in the block's *turn*."""
        data = self.data.copy()
        data[self.times] = np.frombuffer(varint(now_ms), np.uint8)
        data[self.rounds] = np.frombuffer(f"{turn:0{ROUND}x}".encode(), np.uint8)
        whole, starts = data.tobytes(), [0, *self.ends[:-1].tolist()]
        values = [whole[start:end] for start, end in zip(starts, self.ends.tolist(), strict=True)]
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


def block(codec: Codec, some: Sequence[MetricEvent]) -> Block:
    """The events encoded, with the places of their times and ids."""
    values = [codec.encode(METRICS, event) for event in some]
    sizes = np.array([len(value) for value in values])
    ends = np.cumsum(sizes)
    starts = ends - sizes
    names = [(event.request_id or "").encode() for event in some]
    ids = np.array([value.index(name) for value, name in zip(values, names, strict=True)])
    size = len(varint(some[0].timestamp))
    return Block(
        data=np.frombuffer(b"".join(values), np.uint8),
        ends=ends,
        times=(starts + FRAME.size)[:, None] + np.arange(size),
        rounds=(starts + ids)[:, None] + np.arange(ROUND),
        keys=tuple(event.service.encode() for event in some),
    )


def send(servers: str, blocks: Sequence[Block], rate: float, seconds: float) -> int:
    """Send *rate* events a second for so many *seconds*; how many there were."""
    producer = kafka.producer(
        servers,
        linger_ms=20,
        batch_num_messages=10_000,
        batch_size=1_000_000,
        queue_buffering_max_messages=2 * WAITING,
    )
    produce, sent, turn = producer.produce, 0, 0
    began = time.monotonic()
    while (gone := time.monotonic() - began) < seconds:
        if sent > rate * gone or len(producer) > WAITING:
            producer.poll(0.002)
            continue
        for key, value in blocks[turn % len(blocks)].at(time.time_ns() // 1_000_000, turn):
            produce(METRICS.name, value, key)
        sent += BLOCK
        turn += 1
        producer.poll(0)
    if left := producer.flush(30):
        raise SystemExit(f"{left} events were not taken by the broker within 30 s.")
    return sent


@click.command()
@click.option("--rate", default=110_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=60.0, show_default=True, help="For how long.")
def main(rate: float, seconds: float) -> None:
    """Send events to the cluster that the environment names; say how many there were."""
    settings = current()
    with RegistryClient(settings.schema_registry_url) as registry:
        codec = Codec(registry)
        all_of_them = events(time.time_ns() // 1_000_000)
        blocks = [block(codec, all_of_them[i : i + BLOCK]) for i in range(0, EVENTS, BLOCK)]
    sent = send(settings.bootstrap_servers, blocks, rate, seconds)
    print(json.dumps({"sent": sent}), flush=True)


if __name__ == "__main__":
    main()

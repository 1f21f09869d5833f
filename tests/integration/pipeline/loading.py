"""The load of the chaos test: encoded beforehand, so that it takes few of the machine's cycles.

Run as a script, as producing.py: loading.py SETTINGS. A chunk is a block of events in one form;
what is written before it goes out is the events' times and the part of the ids that names the
chunk. Its messages are the same whenever they are sent.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bench.load import ROUND, Batch, Events, batched, garbage, single
from schemas.codec import Codec
from schemas.topics import METRICS, QUALITY
from tests.integration.pipeline.producing import Message, Plan, event, plain, run, scored

CHUNK = 500  # events
HALF = CHUNK // 2  # events of a batch
POOL = 30  # blocks of each form
FORMS = ("batch",) * 10 + ("avro",) * 6 + ("json",) * 3 + ("list",)  # of twenty chunks
TWICE = 0.05  # of the chunks go out once more, behind the next one
TARDY = 10  # a block in so many holds the late events of all; a batch goes aside as a whole
LATE = 0.4  # of the events of such a block, half of them beyond the default grace
SCORES = 4  # of a chunk
SPOILT = 0.01  # of the messages; with batches, one for a hundred events

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """A block in each of its forms."""

    avro: Events
    json: Events
    listed: Events  # without what cannot be read
    halves: Sequence[Batch]
    spoilt: Sequence[bytes | None]
    behind: Ints  # [CHUNK] ms by which the events come late


class Load:
    """What a plan sends, by chunk."""

    def __init__(self, plan: Plan, codec: Codec) -> None:
        self.plan = plan
        self.codec = codec
        self.pool = [self._block(number) for number in range(POOL)]

    def messages(self, chunk: int) -> Iterator[Message]:
        """The messages of a chunk, and perhaps those of the one before it again."""
        yield from self._own(chunk)
        if chunk and self._chance(chunk, "again").random() < TWICE:
            yield from self._own(chunk - 1)

    def _chance(self, chunk: int, what: str) -> random.Random:
        return random.Random(f"{self.plan.seed}:{chunk}:{what}")

    def _own(self, chunk: int) -> Iterator[Message]:
        chance = self._chance(chunk, "own")
        block = chance.choice(self.pool)
        home = chunk % self.plan.partitions
        first = self.plan.start + int(chunk * CHUNK * self.plan.step_ms)
        times = first + (np.arange(CHUNK) * self.plan.step_ms).astype(np.int64) - block.behind
        match chance.choice(FORMS):
            case "batch":
                for i, half in enumerate(block.halves):
                    for _, value in half.at(times[i * HALF : (i + 1) * HALF], chunk):
                        yield Message(METRICS, value, None, home)
                for spoilt in block.spoilt:
                    yield Message(METRICS, spoilt, None, home)
            case "list":
                values = [value for _, value in block.listed.at(times, chunk)]
                yield Message(METRICS, b"[" + b",".join(filter(None, values)) + b"]", None, home)
            case form:
                for key, value in (block.avro if form == "avro" else block.json).at(times, chunk):
                    yield Message(METRICS, value, key.decode())
        for i in range(SCORES):
            one = replace(
                scored(chance, event(self.plan, chance, chunk * CHUNK + i)),
                timestamp=int(times[i]),
                request_id=f"q{chunk:0{ROUND}x}-{i}",
            )
            value = self.codec.encode(QUALITY, one) if i % 2 else plain([one])[1:-1]
            yield Message(QUALITY, value, one.service)

    def _block(self, number: int) -> Block:
        chance = self._chance(number, "block")
        some = [
            replace(
                event(self.plan, chance, i),
                timestamp=self.plan.start,
                request_id=f"{0:0{ROUND}x}-{self.plan.seed}-{number}-{i}",
            )
            for i in range(CHUNK)
        ]
        behind = np.zeros(CHUNK)
        if number % TARDY == 0:
            for i in range(CHUNK):
                if chance.random() < LATE:
                    far = chance.uniform(0, 9) if chance.random() < 0.5 else chance.uniform(11, 40)
                    behind[i] = far * 60_000
        spoilt = garbage(self.codec, some[0])
        return Block(
            avro=single(self.codec, some, "avro", SPOILT),
            json=single(self.codec, some, "json", SPOILT),
            listed=single(self.codec, some, "json", 0.0),
            halves=[
                batched(self.codec, some[i : i + HALF], 2 * number + i // HALF)
                for i in range(0, CHUNK, HALF)
            ],
            spoilt=[chance.choice(spoilt) for _ in range(round(CHUNK * SPOILT))],
            behind=behind.astype(np.int64),
        )


if __name__ == "__main__":
    run(Plan(**json.loads(sys.argv[1])), Load)

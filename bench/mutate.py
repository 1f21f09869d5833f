"""Messages for collect with something wrong: in their frame, their Avro, JSON or columns.

Each is drawn from a seed, so that a message that did harm can be made again. Some are as good as
before: what can be told is that each is decoded or has a reason.
"""

from __future__ import annotations

import json
import math
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.decode import plain
from bench.load import events
from schemas.anomaly import Anomaly
from schemas.batch import COLUMNS, MetricBatch, encode_batch
from schemas.codec import FRAME, Codec
from schemas.metric import MetricEvent
from schemas.topics import ANOMALIES, METRICS

BASES = 2_000  # events that all are made of
PER_BATCH = 20
DAY = 86_400_000
NUMBERS = (math.nan, math.inf, -math.inf, -1.0, -0.0, 1e308, 5e-324)
INTEGERS = (-1, -(2**31), 2**31 - 1)
NAMES = ("", "*", "/", "|", "a/b", "x" * 257, "x" * 5_000, "\0", "\u202e", "größer", " ")
TIMES = (0, -1, 2**62, -(2**62), 1)
ANYTHING: tuple[Any, ...] = (None, True, [], {}, "", "1", -1, 2**70, 1e308, [[]], {"a": {}})
FLOATS = ("latency_ms", "cost_usd", "time_to_first_token_ms")
WHOLE = ("tokens_input", "tokens_output", "cached_tokens", "status_code", "retry_count")
TEXTS = ("service", "endpoint", "model", "provider", "error_type", "config_version", "cohort")
Form = Callable[[random.Random, int], bytes]
Mutation = Callable[[random.Random, int], bytes | None]


@dataclass(frozen=True, slots=True)
class Material:
    """What messages are made of; *i* gives each event an id of its own."""

    codec: Codec
    some: tuple[MetricEvent, ...]

    @classmethod
    def at(cls, codec: Codec, now_ms: int) -> Material:
        """Events of *now_ms*."""
        return cls(codec, tuple(events(now_ms)[:BASES]))

    def event(self, chance: random.Random, i: int, **changes: Any) -> MetricEvent:
        """One of them."""
        return replace(chance.choice(self.some), **{"request_id": f"{i:012x}"} | changes)

    def avro(self, chance: random.Random, i: int, **changes: Any) -> bytes:
        """The same, in Avro."""
        return self.codec.encode(METRICS, self.event(chance, i, **changes))

    def json(self, chance: random.Random, i: int) -> bytes:
        """An event as JSON."""
        return plain(self.event(chance, i))

    def list(self, chance: random.Random, i: int) -> bytes:
        """A JSON list of events."""
        some = (self.json(chance, 1_000 * i + j) for j in range(chance.randrange(1, 5)))
        return b"[" + b",".join(some) + b"]"

    def batch(self, chance: random.Random, i: int) -> MetricBatch:
        """Columns of some events in a row."""
        first = chance.randrange(len(self.some) - PER_BATCH)
        return encode_batch(self.some[first : first + PER_BATCH], f"producer-{i}", 1, 1)

    def columns(self, chance: random.Random, i: int) -> bytes:
        """The same, in Avro."""
        return self.codec.encode(METRICS, self.batch(chance, i))

    @property
    def forms(self) -> tuple[Form, ...]:
        """Every way in which an application may send events."""
        return self.avro, self.avro, self.avro, self.json, self.list, self.columns

    def clean(self, chance: random.Random, i: int) -> bytes:
        """A good message."""
        return chance.choice(self.forms)(chance, i)

    @property
    def mutations(self) -> tuple[Mutation, ...]:
        """Every way in which a message may be wrong."""
        return (
            self.nothing, self.cut, self.longer, self.framed, self.flipped, self.without,
            self.doubled, self.spliced, self.noise, self.odd_number, self.odd_name, self.odd_time,
            self.odd_length, self.odd_text, self.endless, self.odd_field, self.no_field,
            self.odd_literal, self.deep, self.odd_list, self.odd_columns, self.odd_count,
            self.odd_checksum, self.odd_cells,
        )  # fmt: skip

    def nothing(self, chance: random.Random, _: int) -> bytes | None:
        """No value, or an empty one."""
        return chance.choice((None, b""))

    def cut(self, chance: random.Random, i: int) -> bytes:
        """The beginning of a message."""
        value = self.clean(chance, i)
        return value[: chance.randrange(len(value))]

    def longer(self, chance: random.Random, i: int) -> bytes:
        """A message with more behind it."""
        return self.clean(chance, i) + chance.randbytes(chance.randrange(1, 20))

    def framed(self, chance: random.Random, i: int) -> bytes:
        """Another magic byte; the id of no schema, of another topic's, or of the other record's."""
        registry = self.codec.registry
        value = chance.choice((self.avro, self.columns))(chance, i)
        ids = [
            2**31 - 1 - chance.randrange(3),
            registry.id_of(ANOMALIES, Anomaly),
            registry.id_of(METRICS, MetricEvent),
            registry.id_of(METRICS, MetricBatch),
        ]
        if chance.random() < 0.25:
            return bytes([chance.randrange(1, 256)]) + value[1:]
        return FRAME.pack(0, chance.choice(ids)) + value[FRAME.size :]

    def flipped(self, chance: random.Random, i: int) -> bytes:
        """Some bits are others."""
        value = bytearray(self.clean(chance, i))
        for _ in range(chance.randrange(1, 9)):
            value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
        return bytes(value)

    def without(self, chance: random.Random, i: int) -> bytes:
        """A stretch is missing."""
        value = self.clean(chance, i)
        at = chance.randrange(len(value))
        return value[:at] + value[at + chance.randrange(1, 12) :]

    def doubled(self, chance: random.Random, i: int) -> bytes:
        """A stretch is there twice."""
        value = self.clean(chance, i)
        at = chance.randrange(len(value))
        return value[: at + chance.randrange(1, 12)] + value[at:]

    def spliced(self, chance: random.Random, i: int) -> bytes:
        """The beginning of one and the end of another."""
        one, other = self.clean(chance, i), self.clean(chance, i)
        return one[: chance.randrange(len(one))] + other[chance.randrange(len(other)) :]

    def noise(self, chance: random.Random, _: int) -> bytes:
        """Any bytes, or a frame with any bytes behind it."""
        value = chance.randbytes(chance.randrange(1, 200))
        own = self.codec.registry.id_of(METRICS, MetricEvent)
        return FRAME.pack(0, own) + value if chance.random() < 0.5 else value

    def odd_number(self, chance: random.Random, i: int) -> bytes:
        """A number that none can be."""
        if chance.random() < 0.5:
            return self.avro(chance, i, **{chance.choice(FLOATS): chance.choice(NUMBERS)})
        return self.avro(chance, i, **{chance.choice(WHOLE): chance.choice(INTEGERS)})

    def odd_name(self, chance: random.Random, i: int) -> bytes:
        """A name that none can be."""
        return self.avro(chance, i, **{chance.choice(TEXTS): chance.choice(NAMES)})

    def odd_time(self, chance: random.Random, i: int) -> bytes:
        """Before the retention, or far ahead."""
        now = self.some[0].timestamp
        at = chance.choice((*TIMES, now - 30 * DAY, now + DAY))
        return self.avro(chance, i, timestamp=at)

    def odd_length(self, chance: random.Random, i: int) -> bytes:
        """A string that says to be of another length."""
        event = self.event(chance, i)
        value = self.codec.encode(METRICS, event)
        at = value.index(event.service.encode()) - 1
        lengths = (b"\x01", b"\x00", b"\xfe\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\x7f")
        return value[:at] + chance.choice(lengths) + value[at + 1 :]

    def odd_text(self, chance: random.Random, i: int) -> bytes:
        """A string that is not UTF-8."""
        form = chance.choice((self.avro, self.json, self.columns))
        bad = chance.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"))
        return form(chance, i).replace(b"service", bad + b"service"[len(bad) :], 1)

    def endless(self, chance: random.Random, i: int) -> bytes:
        """A number that does not end."""
        value = self.avro(chance, i)
        at = chance.randrange(FRAME.size, len(value))
        return value[:at] + b"\xff" * 10 + value[at:]

    def odd_field(self, chance: random.Random, i: int) -> bytes:
        """JSON with something else in a field."""
        fields = asdict(self.event(chance, i))
        fields[chance.choice(list(fields))] = chance.choice(ANYTHING)
        return json.dumps(fields).encode()

    def no_field(self, chance: random.Random, i: int) -> bytes:
        """JSON without a field, or with one that is not known."""
        fields = asdict(self.event(chance, i))
        del fields[chance.choice(list(fields))]
        if chance.random() < 0.3:
            fields[chance.choice(NAMES)] = chance.choice(ANYTHING)
        return json.dumps(fields).encode()

    def odd_literal(self, chance: random.Random, i: int) -> bytes:
        """JSON with a word in it that is none, or two fields of one name."""
        odd = (
            b"NaN",
            b"-Infinity",
            b"1e999",
            b"01",
            b"+1",
            b"0x1",
            b"1" * 400,
            b"tru",
            b'"\\ud800"',
        )
        latency = b'"latency_ms":'
        value = self.json(chance, i)
        at = value.index(latency) + len(latency)
        return value[:at] + chance.choice(odd) + b"," + latency + value[at:]

    def deep(self, chance: random.Random, i: int) -> bytes:
        """JSON within JSON within JSON."""
        value, levels = self.json(chance, i), chance.choice((2, 100, 5_000))
        opened, closed = chance.choice(((b"[", b"]"), (b'{"tags":', b"}")))
        return opened * levels + value + closed * chance.choice((levels, levels - 1))

    def odd_list(self, chance: random.Random, i: int) -> bytes:
        """A list with something else in it, or with nothing."""
        odd = (b"[]", b"[{}]", b"[null]", b"[1,2]", b"[[]]", b"[%b,{}]", b"[%b,%b]", b"[%b,]")
        text = chance.choice(odd)
        return text.replace(b"%b", self.json(chance, i))

    def _rewritten(self, batch: MetricBatch, **changes: Any) -> bytes:
        """The batch with other columns, whose checksum is right."""
        changed = replace(batch, **changes)
        crc = 0
        for name in COLUMNS:
            crc = zlib.crc32(getattr(changed, name), crc)
        return self.codec.encode(METRICS, replace(changed, crc=crc))

    def odd_columns(self, chance: random.Random, i: int) -> bytes:
        """A column that is longer or shorter than the others."""
        batch, name = self.batch(chance, i), chance.choice(list(COLUMNS))
        column = getattr(batch, name)
        other = chance.choice((b"", column[:-1], column[:-8], column * 2, column + b"\0"))
        return self._rewritten(batch, **{name: other})

    def odd_cells(self, chance: random.Random, i: int) -> bytes:
        """A column with any values in it, or a key that is none."""
        batch, name = self.batch(chance, i), chance.choice(list(COLUMNS))
        if chance.random() < 0.2:
            return self._rewritten(batch, keys=batch.keys[: chance.randrange(len(batch.keys))])
        column = bytearray(getattr(batch, name))
        at = chance.randrange(len(column))
        column[at : at + 8] = chance.randbytes(len(column[at : at + 8]))
        return self._rewritten(batch, **{name: bytes(column)})

    def odd_count(self, chance: random.Random, i: int) -> bytes:
        """A batch of another number of events."""
        return self._rewritten(self.batch(chance, i), n=chance.choice((0, -1, 1, 21, 2**31 - 1)))

    def odd_checksum(self, chance: random.Random, i: int) -> bytes:
        """A batch with another checksum."""
        return self.codec.encode(
            METRICS, replace(self.batch(chance, i), crc=chance.getrandbits(32))
        )


def mutated(material: Material, seed: int, count: int) -> Iterator[bytes | None]:
    """So many messages, each with something wrong."""
    ways = material.mutations
    for i in range(count):
        chance = random.Random(f"{seed}:{i}")
        yield chance.choice(ways)(chance, i)


def clean(material: Material, seed: int, count: int) -> Iterator[bytes | None]:
    """So many good messages, of the same forms."""
    for i in range(count):
        chance = random.Random(f"{seed}:{i}")
        yield material.clean(chance, i)

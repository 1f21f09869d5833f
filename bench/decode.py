"""How fast ingest messages become validated columns, one core, consuming left aside.

Against fastavro record by record, in turns. `python -m bench decode`.
"""

from __future__ import annotations

import random
import statistics
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from bench.line import report
from schemas.batch import encode_batch
from schemas.codec import Codec
from schemas.columns import Decoded
from schemas.decode import decode_events, decode_slowly
from schemas.metric import MetricEvent
from schemas.registry import LocalRegistry
from schemas.topics import METRICS

BENCH = "decode"
EVENTS = 5_000  # as many as one poll hands over
PER_BATCH = 250
TURNS = 7
ROUNDS = 10  # in each turn
START = 1_760_000_000_000
WEEK = 7 * 86_400_000

Decode = Callable[[LocalRegistry, str, Sequence[bytes | None], int, int], Decoded]


def traffic(n: int, seed: int = 1, keys: int = 800) -> list[MetricEvent]:
    """Requests with *keys* endpoints and models, 40 of a service; 2 % of them failed."""
    rng = random.Random(seed)
    return [
        MetricEvent(
            timestamp=START + i,
            service=f"service-{(key := rng.randrange(keys)) // 40}",
            endpoint=f"endpoint-{key // 8 % 5}",
            model=f"model-{key % 8}",
            provider="provider",
            latency_ms=rng.lognormvariate(6, 0.7),
            tokens_input=rng.randrange(4_000),
            tokens_output=rng.randrange(1_500),
            cost_usd=rng.random() * 0.01,
            status_code=429 if (failed := rng.random() < 0.02) else 200,
            error_type="rate_limit" if failed else None,
            config_version="5f3c2a",
            cohort="stable",
            request_id=str(uuid.UUID(int=rng.getrandbits(128))),
            unit_id=f"user-{rng.randrange(10_000)}",
            time_to_first_token_ms=rng.lognormvariate(5, 0.5),
            region="eu-1",
        )
        for i in range(n)
    ]


def by_service(events: Sequence[MetricEvent]) -> list[MetricEvent]:
    """The same events in the order in which one producer after another would send them."""
    return sorted(events, key=lambda event: event.service)


def forms(codec: Codec, events: Sequence[MetricEvent]) -> Mapping[str, list[bytes | None]]:
    """The same events as each kind of message, and as Avro with a tenth of garbage."""
    avro = [codec.encode(METRICS, event) for event in events]
    ordered = by_service(events)
    columnar = [
        codec.encode(METRICS, encode_batch(ordered[i : i + PER_BATCH], "producer", 1, i))
        for i in range(0, len(ordered), PER_BATCH)
    ]
    garbage: list[bytes | None] = [
        avro[0][:-9],
        b'{"',
        None,
        b"\0\xff\xff\xff\xff",
        avro[0] + b"\0",
    ]
    spoilt = [garbage[i // 10 % 5] if i % 10 == 0 else value for i, value in enumerate(avro)]
    return {
        "avro": [*avro],
        "json": [plain(event) for event in events],
        "batch": [*columnar],
        "garbage": spoilt,
    }


def plain(event: MetricEvent) -> bytes:
    """JSON without what the event leaves out."""
    fields = msgspec.to_builtins(event).items()
    return msgspec.json.encode({name: value for name, value in fields if value not in (None, {})})


def seconds(decode: Decode, registry: LocalRegistry, values: Sequence[bytes | None]) -> float:
    """CPU seconds of one decoding."""
    start = time.process_time()
    for _ in range(ROUNDS):
        decode(registry, METRICS.name, values, START, WEEK)
    return (time.process_time() - start) / ROUNDS


def main() -> None:
    """Measure, check and print one line."""
    registry = LocalRegistry()
    events = traffic(EVENTS)
    messages = forms(Codec(registry), events)
    fast, slow = (
        decode(registry, METRICS.name, messages["avro"], START, WEEK)
        for decode in (decode_events, decode_slowly)
    )
    for form in ("avro", "json", "batch"):
        found = decode_events(registry, METRICS.name, messages[form], START, WEEK)
        if len(found.events) != EVENTS or found.rejected:
            raise SystemExit(f"{form}: {len(found.events)} events of {EVENTS}")
        if not np.array_equal(found.events.values.sum(axis=0), slow.events.values.sum(axis=0)):
            raise SystemExit(f"{form}: the values are not those of the slow path")
    if not np.array_equal(fast.events.values, slow.events.values):
        raise SystemExit("the fast and the slow path differ")
    took: dict[str, list[float]] = {form: [] for form in (*messages, "slow")}
    for _ in range(TURNS):
        for form, values in messages.items():
            took[form].append(seconds(decode_events, registry, values))
        took["slow"].append(seconds(decode_slowly, registry, messages["avro"]))
    rate = {form: EVENTS / statistics.median(times) for form, times in took.items()}
    report(
        BENCH,
        round(rate["avro"]),
        "events/s of one core",
        vs={"fastavro": round(rate["avro"] / rate["slow"], 2)},
        cpu_us_per_event=round(1e6 / rate["avro"], 3),
        forms={form: round(rate[form]) for form in messages},
    )


if __name__ == "__main__":
    main()

"""What every peer in Python shares: how an event is read, summed up and shown.

Runs in the environments of the peers, where there is nothing of ours but this folder.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

AVSC = Path(__file__).parents[2] / "schemas" / "avro" / "MetricEvent.avsc"
SCHEMA = fastavro.parse_schema(json.loads(AVSC.read_text("utf-8")))
FRAME = 5  # bytes before the datum
MINUTE = 60_000  # ms
KEY = ("service", "endpoint", "model", "provider", "config_version", "cohort")
SUMS = (
    "latency_ms",
    "time_to_first_token_ms",
    "tokens_input",
    "tokens_output",
    "tokens_total",
    "cached_tokens",
    "cost_usd",
)
LOG_GAMMA = math.log(1.02)  # of the buckets, as ours
LINES = 200  # of progress in a run

Event = dict[str, Any]
Summary = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """What a peer is to do."""

    brokers: str
    topic: str
    output: str  # topic of the windows
    group: str
    folder: str  # for what it keeps on disk
    events: int  # in the topic
    partitions: int  # of it
    windowed: bool  # or only read
    own_memory: bool = False  # keep windows in a dictionary, where there are tables for them

    @classmethod
    def of(cls, arguments: Sequence[str] | None = None) -> Work:
        """As the command line says."""
        parser = argparse.ArgumentParser()
        for name in ("brokers", "topic", "output", "group", "folder"):
            parser.add_argument(f"--{name}", required=True)
        for name in ("events", "partitions"):
            parser.add_argument(f"--{name}", type=int, required=True)
        for flag in ("--windowed", "--own-memory"):
            parser.add_argument(flag, action="store_true")
        return cls(**vars(parser.parse_args(arguments)))


@dataclass(slots=True)
class Progress:
    """Says on the standard output how many events were taken, some two hundred times."""

    events: int
    count: int = 0
    due: int = field(init=False)

    def __post_init__(self) -> None:
        """The first line is due."""
        self.due = min(self.events, max(1, self.events // LINES))

    def took(self, events: int = 1) -> None:
        """So many more."""
        self.count += events
        if self.count >= self.due:
            print(f"progress {self.count}", flush=True)
            self.due = max(
                self.count + 1, min(self.events, self.count + max(1, self.events // LINES))
            )


def read(value: bytes) -> Event:
    """The event in a framed message."""
    data = BytesIO(value)
    data.seek(FRAME)
    event: Event = fastavro.schemaless_reader(data, SCHEMA, None)
    return event


def key_of(event: Event) -> str:
    """What windows are told apart by, beside their minute."""
    return "|".join([event[name] or "" for name in KEY])


def empty() -> Summary:
    """A window without events, as JSON can hold it."""
    return {"count": 0, "sums": [0.0] * len(SUMS), "buckets": {}}


def add(summary: Summary, event: Event) -> Summary:
    """The same *summary*, with one event more in it."""
    latency = event["latency_ms"]
    tokens_in, tokens_out = event["tokens_input"], event["tokens_output"]
    tokens = event["tokens_total"]
    summary["count"] += 1
    sums = summary["sums"]
    sums[0] += latency
    sums[1] += event["time_to_first_token_ms"] or 0.0
    sums[2] += tokens_in
    sums[3] += tokens_out
    sums[4] += tokens_in + tokens_out if tokens is None else tokens
    sums[5] += event["cached_tokens"] or 0
    sums[6] += event["cost_usd"] or 0.0
    buckets = summary["buckets"]
    bucket = str(math.floor(math.log(latency) / LOG_GAMMA))
    buckets[bucket] = buckets.get(bucket, 0) + 1
    return summary


def shown(key: str, start: int, summary: Summary) -> dict[str, Any]:
    """A window as it is on the output topic, before it is JSON.

    Args:
        key: See `key_of`.
        start: Of its minute, ms since the epoch.
        summary: Of its events.
    """
    return {"key": key, "start": start, **summary}

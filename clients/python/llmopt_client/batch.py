"""Many metric events in one message: columns instead of names, a third of the bytes."""

from __future__ import annotations

import json
import math
import os
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote
from zlib import crc32

from llmopt_client.bucketing import bucket_of
from llmopt_client.kafka import METRICS, log

Fields = Mapping[str, Any]
KEY = ("service", "endpoint", "model", "provider", "config_version", "cohort")
ABSENT = -1
NO_UNIT = 65_535
RETRY_S = 30.0
COLUMNS = (  # in the order of the schema, with their packing
    ("key", "H"),
    ("timestamp", "q"),
    ("latency_us", "q"),
    ("ttft_us", "q"),
    ("cost_nanousd", "q"),
    ("tokens_input", "i"),
    ("tokens_output", "i"),
    ("tokens_total", "i"),
    ("cached_tokens", "i"),
    ("status_code", "H"),
    ("retry_count", "H"),
    ("error_type", "H"),
    ("unit", "H"),
)
FIELDS = (
    *("producer_id", "epoch", "seq", "n", "keys", "error_types"),
    *(name for name, _ in COLUMNS),
    "crc",
)
# What the pipeline takes. A batch is taken whole or not at all, so an event beyond its limits must
# go alone, for others not to share its fate.
LONGEST, LONGEST_ERROR = 256, 128  # characters
TOKENS, HOUR_US, DAY_MS = 10_000_000, 3_600_000_000, 86_400_000
LIMITS = (  # of the columns after `key` and `timestamp`
    *((0, HOUR_US), (ABSENT, HOUR_US), (ABSENT, 1_000_000_000_000)),
    *((0, TOKENS), (0, TOKENS), (0, TOKENS), (ABSENT, TOKENS)),
    *((100, 599), (0, 1_000), (0, 65_535), (0, NO_UNIT)),
)


class Batches:
    """Packs metric events into `MetricBatch` records, once the registry has named their schema.

    Args:
        registry_url: Of a Confluent-compatible schema registry.
        size: The most events in one message.
    """

    def __init__(self, registry_url: str, size: int = 500) -> None:
        self.size = size
        self._registry = registry_url.rstrip("/")
        self._schema: int | None = None
        self._ask_after = 0.0
        self._producer = f"{os.getpid():x}-{os.urandom(8).hex()}"
        self._epoch = time.time_ns() // 1_000_000
        self._seq = 0

    def ready(self) -> bool:
        """Whether the schema is known; asks the registry now and then until it is."""
        if self._schema is None and time.monotonic() >= self._ask_after:
            self._ask_after = time.monotonic() + RETRY_S
            self._schema = self._ask()
            if self._schema is None:
                log.info("No MetricBatch schema at the registry yet: reporting as plain JSON.")
        return self._schema is not None

    def fits(self, fields: Fields) -> bool:
        """Whether an event may go with others: it has all it needs, and nothing is out of range."""
        try:
            _, timestamp, *rest = _row(fields, 0, 0)
            names = [fields.get(name) or "" for name in KEY]
            error = fields.get("error_type") or ""
            "".join((*names, error)).encode()  # all are text, and text that UTF-8 can hold
            short = all(len(name) <= LONGEST for name in names) and len(error) <= LONGEST_ERROR
            within = all(
                low <= value <= high for value, (low, high) in zip(rest, LIMITS, strict=True)
            )
        except Exception:  # noqa: BLE001  # whatever an odd value raises when it is looked at
            return False
        now = time.time_ns() // 1_000_000
        return all(names[:4]) and short and within and now - 6 * DAY_MS < timestamp < now + 60_000

    def pack(self, events: Sequence[Fields]) -> bytes:
        """One message of events that fit: Confluent framing, then the Avro record."""
        keys: dict[tuple[str, ...], int] = {}
        errors: dict[str, int] = {}
        rows = []
        for fields in events:
            key = keys.setdefault(tuple(fields.get(name) or "" for name in KEY), len(keys))
            name = fields.get("error_type")
            error = errors.setdefault(name, len(errors)) + 1 if name else 0
            rows.append(_row(fields, key, error))
        columns = [
            struct.pack(f"<{len(rows)}{code}", *values)
            for (_, code), values in zip(COLUMNS, zip(*rows, strict=True), strict=True)
        ]
        self._seq += 1
        parts = [b"\0", struct.pack(">I", self._schema or 0), _text(self._producer)]
        parts += [_long(self._epoch), _long(self._seq), _long(len(rows))]
        parts += [_array([_array([_text(part) for part in key]) for key in keys])]
        parts += [_array([_text(name) for name in errors])]
        parts += [_long(len(column)) + column for column in columns]
        parts += [_long(crc32(b"".join(columns)))]
        return b"".join(parts)

    def _ask(self) -> int | None:
        """The id of the newest MetricBatch schema with exactly the fields that are packed here."""
        for subject in (f"{METRICS}-llmopt.MetricBatch", "llmopt.MetricBatch", f"{METRICS}-value"):
            url = f"{self._registry}/subjects/{quote(subject)}/versions/latest"
            # a registry that is away, slow, or speaks something else: plain JSON does as well
            with suppress(OSError, ValueError, KeyError, TypeError, urllib.error.URLError):
                if not url.startswith(("http://", "https://")):
                    return None
                with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310  # checked
                    found = json.load(answer)
                schema = json.loads(found["schema"])
                if tuple(field["name"] for field in schema["fields"]) == FIELDS:
                    return int(found["id"])
        return None


def _row(fields: Fields, key: int, error: int) -> tuple[int, ...]:
    tokens_in, tokens_out = int(fields["tokens_input"]), int(fields["tokens_output"])
    total = fields.get("tokens_total")
    name = fields.get("unit_id") or fields.get("trace_id") or fields.get("request_id")
    return (
        key,
        int(fields["timestamp"]),
        _fixed(float(fields["latency_ms"]), 1_000),
        _fixed(fields.get("time_to_first_token_ms"), 1_000),
        _fixed(fields.get("cost_usd"), 1_000_000_000),
        tokens_in,
        tokens_out,
        tokens_in + tokens_out if total is None else int(total),
        ABSENT if fields.get("cached_tokens") is None else int(fields["cached_tokens"]),
        int(fields.get("status_code", 200)),
        int(fields.get("retry_count") or 0),
        error,
        bucket_of(name, "unit") if name else NO_UNIT,
    )


def _fixed(value: float | None, scale: int) -> int:
    if value is None:
        return ABSENT
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{value} is no quantity")
    return round(value * scale)


def _long(value: int) -> bytes:
    """Avro's zig-zag variable-length integer."""
    rest = value << 1 ^ value >> 63
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _text(value: str) -> bytes:
    data = value.encode()
    return _long(len(data)) + data


def _array(items: Sequence[bytes]) -> bytes:
    return (_long(len(items)) + b"".join(items) if items else b"") + b"\0"

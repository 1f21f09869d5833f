"""Many metric events of one producer in one message, column by column."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.metric import MetricEvent
from schemas.scope import bucket_of

COLUMNS: Mapping[str, str] = {  # name -> numpy type, in the order of the checksum
    "key": "<u2",
    "timestamp": "<i8",
    "latency_us": "<i8",
    "ttft_us": "<i8",
    "cost_nanousd": "<i8",
    "tokens_input": "<i4",
    "tokens_output": "<i4",
    "tokens_total": "<i4",
    "cached_tokens": "<i4",
    "status_code": "<u2",
    "retry_count": "<u2",
    "error_type": "<u2",
    "unit": "<u2",
}
NONE = -1
NO_UNIT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricBatch:
    """A columnar batch. (producer_id, epoch, seq) names it once and for all.

    `keys` are rows of (service, endpoint, model, provider, config_version, cohort), "" for an
    absent one of the last two. Columns are packed little-endian, `n` values each: `key` u16,
    `timestamp` i64 ms, `latency_us`, `ttft_us` (−1 absent), `cost_nanousd` (−1 absent) i64,
    `tokens_input`, `tokens_output`, `tokens_total`, `cached_tokens` (−1 absent) i32, `status_code`
    u16, `retry_count` u16, `error_type` u16 (index into `error_types` + 1, 0 for none), `unit`
    u16 (the unit's bucket of 10,000, 65535 for none). `crc` is the CRC-32 of all columns in this
    order.
    """

    producer_id: str
    epoch: int
    seq: int
    n: int
    keys: tuple[tuple[str, str, str, str, str, str], ...]
    error_types: tuple[str, ...]
    key: bytes
    timestamp: bytes
    latency_us: bytes
    ttft_us: bytes
    cost_nanousd: bytes
    tokens_input: bytes
    tokens_output: bytes
    tokens_total: bytes
    cached_tokens: bytes
    status_code: bytes
    retry_count: bytes
    error_type: bytes
    unit: bytes
    crc: int


def encode_batch(
    events: Sequence[MetricEvent], producer_id: str, epoch: int, seq: int
) -> MetricBatch:
    """The batch of *events*; it leaves out their ids, region and tags.

    Args:
        events: At least one.
        producer_id: The producer, for ever the same.
        epoch: Which life of the producer, strictly up.
        seq: Number of the batch within that life, strictly up.

    Raises:
        ValueError: There are no events, or a number does not fit its column.
    """
    if not events:
        raise ValueError("A batch needs at least one event.")
    keys = list(dict.fromkeys(map(_key, events)))
    error_types = list(dict.fromkeys(e.error_type for e in events if e.error_type))
    key_at = {key: i for i, key in enumerate(keys)}
    error_at = {error: i + 1 for i, error in enumerate(error_types)}
    numbers = {
        "key": [key_at[_key(e)] for e in events],
        "timestamp": [e.timestamp for e in events],
        "latency_us": [_scaled(e.latency_ms, 1_000) for e in events],
        "ttft_us": [_scaled(e.time_to_first_token_ms, 1_000) for e in events],
        "cost_nanousd": [_scaled(e.cost_usd, 1_000_000_000) for e in events],
        "tokens_input": [e.tokens_input for e in events],
        "tokens_output": [e.tokens_output for e in events],
        "tokens_total": [_total(e) for e in events],
        "cached_tokens": [NONE if e.cached_tokens is None else e.cached_tokens for e in events],
        "status_code": [e.status_code for e in events],
        "retry_count": [e.retry_count for e in events],
        "error_type": [error_at.get(e.error_type or "", 0) for e in events],
        "unit": [_unit(e) for e in events],
    }
    columns: dict[str, bytes] = {}
    crc = 0
    for name, kind in COLUMNS.items():
        try:
            columns[name] = np.array(numbers[name], kind).tobytes()
        except OverflowError as error:
            raise ValueError(f"A value of {name} does not fit {kind}: {error}") from error
        crc = zlib.crc32(columns[name], crc)
    return MetricBatch(
        producer_id=producer_id,
        epoch=epoch,
        seq=seq,
        n=len(events),
        keys=tuple(keys),
        error_types=tuple(error_types),
        crc=crc,
        **columns,
    )


def _key(event: MetricEvent) -> tuple[str, str, str, str, str, str]:
    version, cohort = event.config_version or "", event.cohort or ""
    return event.service, event.endpoint, event.model, event.provider, version, cohort


def _scaled(value: float | None, units: int) -> int:
    return NONE if value is None else round(value * units)


def _total(event: MetricEvent) -> int:
    if event.tokens_total is None:
        return event.tokens_input + event.tokens_output
    return event.tokens_total


def _unit(event: MetricEvent) -> int:
    unit = event.unit_id or event.trace_id or event.request_id
    return bucket_of(unit, "unit") if unit else NO_UNIT

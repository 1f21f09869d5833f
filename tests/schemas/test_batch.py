"""A columnar batch is its events."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.batch import COLUMNS, MetricBatch, encode_batch
from schemas.codec import Codec
from schemas.columns import Decoded, EventColumns
from schemas.decode import decode_events, decode_slowly
from schemas.errors import Reason
from schemas.hashing import identity_of
from schemas.metric import MetricEvent
from schemas.registry import LocalRegistry
from schemas.scope import bucket_of, reserved
from schemas.topics import METRICS, QUALITY

NOW = 1_760_000_000_000
WEEK = 7 * 86_400_000
REGISTRY = LocalRegistry()
CODEC = Codec(REGISTRY)
NAMES = st.text(min_size=1, max_size=9).filter(lambda name: reserved("", name) is None)
EVENTS = st.builds(
    MetricEvent,
    timestamp=st.integers(NOW - WEEK, NOW + 300_000),
    service=st.sampled_from(["s", "ü"]),
    endpoint=st.sampled_from(["e", "f"]),
    model=NAMES,
    provider=st.just("p"),
    latency_ms=st.floats(0, 3_600_000),
    tokens_input=st.integers(0, 10_000_000),
    tokens_output=st.integers(0, 10_000_000),
    tokens_total=st.none() | st.integers(0, 10_000_000),
    cost_usd=st.none() | st.floats(0, 1000),
    status_code=st.integers(100, 599),
    error_type=st.none() | st.sampled_from(["", "timeout", "x"]),
    retry_count=st.integers(0, 1000),
    config_version=st.none() | st.sampled_from(["", "v1"]),
    cohort=st.none() | st.just("stable"),
    request_id=st.none() | NAMES,
    trace_id=st.none() | NAMES,
    unit_id=st.none() | NAMES,
    time_to_first_token_ms=st.none() | st.floats(0, 3_600_000),
    cached_tokens=st.none() | st.integers(0, 10_000_000),
)
EVENT = MetricEvent(
    timestamp=NOW,
    service="s",
    endpoint="e",
    model="m",
    provider="p",
    latency_ms=1.0,
    tokens_input=1,
    tokens_output=2,
    status_code=500,
    error_type="x",
    unit_id="u",
)
BATCH = encode_batch([EVENT] * 3, "producer", 1, 7)


def decode(*values: bytes) -> Decoded:
    return decode_events(REGISTRY, METRICS.name, values, NOW, WEEK)


def sealed(batch: MetricBatch, **changes: Any) -> bytes:
    """The bytes of a changed batch, with the right checksum."""
    changed = dataclasses.replace(batch, **changes)
    crc = zlib.crc32(b"".join(getattr(changed, name) for name in COLUMNS))
    return CODEC.encode(METRICS, dataclasses.replace(changed, crc=crc))


def total(event: MetricEvent) -> int:
    return event.tokens_total or event.tokens_input + event.tokens_output


@given(
    st.lists(EVENTS.filter(lambda e: total(e) <= 10_000_000), min_size=1, max_size=12), st.data()
)
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_a_batch_decodes_to_the_columns_of_its_events(
    events: list[MetricEvent], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(events)))
    parts = [part for part in (events[:cut], events[cut:]) if part]
    batches = [encode_batch(part, "producer", 3, i) for i, part in enumerate(parts)]

    single = decode(*(CODEC.encode(METRICS, event) for event in events))
    found = decode(*(CODEC.encode(METRICS, batch) for batch in batches))

    assert () == single.rejected == found.rejected
    one, two = single.events, found.events
    for field in dataclasses.fields(EventColumns):
        if field.name not in ("message", "identity", "key", "keys", "error_type", "error_types"):
            np.testing.assert_array_equal(
                getattr(one, field.name), getattr(two, field.name), field.name
            )
    assert [one.keys[i] for i in one.key] == [two.keys[i] for i in two.key]
    errors = [[(*e.error_types, None)[i] for i in e.error_type] for e in (one, two)]
    assert errors[0] == errors[1]
    assert [i for i, part in enumerate(parts) for _ in part] == two.message.tolist()


def test_all_events_of_a_batch_have_the_identity_of_the_batch() -> None:
    other = encode_batch([EVENT] * 2, "producer", 1, 8)

    events = decode(CODEC.encode(METRICS, BATCH), CODEC.encode(METRICS, other)).events

    one, two = (identity_of("producer", "1", seq) for seq in ("7", "8"))
    assert [one, one, one, two, two] == events.identity.tolist()
    assert [bucket_of("u", "unit")] * 5 == events.unit.tolist()


def test_batches_and_events_may_be_mixed() -> None:
    event = CODEC.encode(METRICS, EVENT)
    values = [event, CODEC.encode(METRICS, BATCH), b"{", event]

    for read in (decode_events, decode_slowly):
        found = read(REGISTRY, METRICS.name, values, NOW, WEEK)

        assert [0, 1, 1, 1, 3] == found.events.message.tolist()
        assert (("s", "e", "m", "p", "", ""),) == found.events.keys
        assert ("x",) == found.events.error_types
        assert [2] == [r.message for r in found.rejected]


def column(name: str, *values: int) -> dict[str, bytes]:
    return {name: np.array(values, COLUMNS[name]).tobytes()}


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (Reason.BROKEN_BATCH, {"n": 2}),
        (Reason.BROKEN_BATCH, {"n": 0}),
        (Reason.BROKEN_BATCH, {"n": -1}),
        (Reason.BROKEN_BATCH, {"n": 0} | dict.fromkeys(COLUMNS, b"")),
        (Reason.BROKEN_BATCH, {"latency_us": BATCH.latency_us[:-1]}),
        (Reason.BROKEN_BATCH, column("key", 0, 0, 1)),
        (Reason.BROKEN_BATCH, {"keys": ()}),
        (Reason.BROKEN_BATCH, {"keys": (("s", "e", "m", "p", ""),)}),
        (Reason.BROKEN_BATCH, column("error_type", 0, 1, 2)),
        (Reason.BROKEN_BATCH, column("unit", 0, 9_999, 10_000)),
        (Reason.EMPTY_NAME, {"keys": (("s", "", "m", "p", "", ""),)}),
        (Reason.EMPTY_NAME, {"error_types": ("",)}),
        (Reason.RESERVED_NAME, {"keys": (("s", "e", "*", "p", "", ""),)}),
        (Reason.TOO_LONG, {"keys": (("s", "e", "m" * 257, "p", "", ""),)}),
        (Reason.TOO_LONG, {"error_types": ("x" * 129,)}),
        (Reason.NEGATIVE, column("latency_us", 1, 1, -1)),
        (Reason.NEGATIVE, column("ttft_us", -1, -1, -2)),
        (Reason.NEGATIVE, column("tokens_total", 1, 1, -1)),
        (Reason.OUT_OF_RANGE, column("latency_us", 1, 3_600_000_001, 1)),
        (Reason.OUT_OF_RANGE, column("cost_nanousd", 1, 1_000_000_000_001, 1)),
        (Reason.OUT_OF_RANGE, column("tokens_input", 10_000_001, 1, 1)),
        (Reason.OUT_OF_RANGE, column("retry_count", 1001, 1, 1)),
        (Reason.OUT_OF_RANGE, column("status_code", 99, 200, 200)),
        (Reason.TOO_OLD, column("timestamp", NOW, NOW, NOW - WEEK - 1)),
        (Reason.IN_THE_FUTURE, column("timestamp", NOW, NOW, NOW + 300_001)),
    ],
    ids=str,
)
def test_a_batch_with_one_fault_is_not_taken_at_all(
    reason: Reason, changes: dict[str, Any]
) -> None:
    good = CODEC.encode(METRICS, BATCH)

    found = decode(good, sealed(BATCH, **changes), good)

    assert [(1, reason)] == [(r.message, r.reason) for r in found.rejected]
    assert [0, 0, 0, 2, 2, 2] == found.events.message.tolist()


def test_a_flipped_bit_is_found_by_the_checksum() -> None:
    data = bytearray(CODEC.encode(METRICS, BATCH))
    at = bytes(data).index(BATCH.timestamp)
    data[at] ^= 1

    found = decode(bytes(data))

    assert [Reason.BROKEN_BATCH] == [r.reason for r in found.rejected]


def test_a_truncated_batch_is_broken_avro() -> None:
    found = decode(CODEC.encode(METRICS, BATCH)[:-1])

    assert [Reason.BROKEN_AVRO] == [r.reason for r in found.rejected]


def test_a_batch_has_no_place_among_scores() -> None:
    data = CODEC.encode(METRICS, BATCH)

    found = decode_events(REGISTRY, QUALITY.name, [data], NOW, WEEK)

    assert [Reason.FOREIGN_SCHEMA] == [r.reason for r in found.rejected]


def test_what_does_not_fit_a_column_is_refused_when_writing() -> None:
    with pytest.raises(ValueError, match="at least one event"):
        encode_batch([], "producer", 1, 1)
    with pytest.raises(ValueError, match="tokens_input does not fit <i4"):
        encode_batch([dataclasses.replace(EVENT, tokens_input=2**31)], "producer", 1, 1)

"""What C says of a broken message is what Python says of it."""

from __future__ import annotations

import dataclasses
import random
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import native
from bench.mutate import Material, mutated
from schemas.batch import COLUMNS, MetricBatch, encode_batch
from schemas.columns import Decoded, Rejected
from schemas.errors import Reason
from schemas.events import Clock
from schemas.faults import faults
from schemas.metric import MetricEvent
from schemas.topics import METRICS

LONG = "ü" * 257
RULES = {
    Reason.EMPTY_NAME,
    Reason.TOO_LONG,
    Reason.NOT_FINITE,
    Reason.NEGATIVE,
    Reason.OUT_OF_RANGE,
    Reason.TOO_OLD,
    Reason.IN_THE_FUTURE,
    Reason.RESERVED_NAME,
}
INT64 = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(autouse=True)
def built() -> None:
    assert native.core is not None, "it was not built: is there a compiler?"


@pytest.fixture
def material(wire: Any) -> Material:
    return Material.at(wire.CODEC, wire.NOW)


def batch(wire: Any, count: int = 3, **changes: Any) -> bytes:
    """A batch of events with other parts, whose checksum is right unless it is one of them."""
    some = [wire.event(model=f"m-{i}", error_type=f"e-{i}", status_code=500) for i in range(count)]
    changed = dataclasses.replace(encode_batch(some, "p", 1, 1), **changes)
    if "crc" not in changes:
        crc = 0
        for name in COLUMNS:
            crc = zlib.crc32(getattr(changed, name), crc)
        changed = dataclasses.replace(changed, crc=crc)
    return bytes(wire.CODEC.encode(METRICS, changed))


def told(wire: Any, record: type, values: list[bytes]) -> list[Rejected]:
    found = faults(record, values, np.arange(len(values)), Clock(wire.NOW, wire.WEEK))
    assert found is not None
    assert [each.message for each in found[0]] == np.flatnonzero(found[1]).tolist()
    return found[0]


def rejected(found: Decoded) -> list[Rejected]:
    return list(found.rejected)


def test_mutated_messages_are_told_the_same_and_nearly_all_in_c(
    wire: Any, material: Material
) -> None:
    values = list(mutated(material, 7, 4_000))
    slow = wire.slowly(values)

    wire.assert_same(slow, wire.decode(values))
    for record in (MetricEvent, MetricBatch):
        frame = b"\0" + wire.REGISTRY.id_of(METRICS, record).to_bytes(4, "big")
        places = [i for i, value in enumerate(values) if value and value.startswith(frame)]
        broken = {each.message for each in slow.rejected} & set(places)
        found = told(wire, record, [values[i] or b"" for i in places])
        assert len(broken) > 300
        assert len(found) > 0.99 * len(broken)


def test_a_message_is_cut_anywhere(wire: Any) -> None:
    event = wire.avro(wire.event(tags={"a": "ü"}, region="ü", cached_tokens=300, cost_usd=1.0))
    for record, whole in ((MetricEvent, event), (MetricBatch, batch(wire))):
        values = [whole[:size] for size in range(5, len(whole))]

        assert rejected(wire.slowly(values)) == told(wire, record, values)


@given(data=st.data())
@settings(
    max_examples=300,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_any_bytes_within_a_message_are_read_as_fastavro_reads_them(
    wire: Any, data: st.DataObject
) -> None:
    whole = data.draw(
        st.sampled_from([wire.avro(wire.event(tags={"a": "b"}, error_type="x")), batch(wire)])
    )
    at = data.draw(st.integers(5, len(whole)))
    size = data.draw(st.sampled_from([0, 0, 1, 2, 9]))
    pieces = st.sampled_from(
        [
            b"\x01",
            b"\x03",
            b"\x80\x00",
            b"\xff",
            b"\xff" * 11,
            b"\x82\x00",
            b"\xff" * 9 + b"\x01\x00",
        ]
    )
    value = whole[:at] + data.draw(pieces | st.binary(max_size=12)) + whole[at + size :]
    wide = data.draw(st.integers(0, 2))  # and once more, in the same message
    value = value[: at + wide] + data.draw(st.binary(max_size=2)) + value[at + wide :]

    wire.assert_same(wire.slowly([value]), wire.decode([value]))


@pytest.mark.parametrize("value", ["", LONG])
def test_labels_of_one_name_are_one_label(wire: Any, value: str) -> None:
    event = wire.avro(wire.event(tags={"a": value}))
    label = b"\x02a" + event[event.rindex(b"\x02a") + 2 : -1]
    begin = event.rindex(b"\x02a") - 1
    values = [
        event[:begin] + block + label * 39 + b"\x02a\x02v" + event[-1:]
        for block in (bytes([80]),)  # forty of them
    ]
    slow = wire.slowly(values)

    assert () == tuple(slow.rejected)
    wire.assert_same(slow, wire.decode(values))


def spoilt_events(wire: Any) -> Iterator[bytes]:
    """Events that break each rule, and those that break two of them."""
    names = ("service", "endpoint", "model", "provider", "config_version", "cohort")
    others = ("error_type", "request_id", "trace_id", "unit_id", "region")
    numbers = ("latency_ms", "cost_usd", "time_to_first_token_ms")
    wholes = ("tokens_input", "tokens_output", "tokens_total", "cached_tokens", "retry_count")
    changes: list[dict[str, Any]] = [{name: text} for name in names for text in ("", "*", "|", "/")]
    changes += [{name: LONG[:n]} for name in (*names, *others) for n in (128, 129, 256, 257)]
    changes += [{name: n} for name in numbers for n in (np.nan, -np.inf, -1.0, -0.0, 1e300)]
    changes += [{name: n} for name in wholes for n in (-1, 0, 1_000, 1_001, 10_000_001, 2**63 - 1)]
    changes += [{"status_code": n} for n in (99, 100, 599, 600, -(2**63))]
    oldest, newest = wire.NOW - wire.WEEK, wire.NOW + 300_000
    changes += [{"timestamp": n} for n in (oldest - 1, oldest, newest, newest + 1, 2**62)]
    changes += [{"tags": {str(i): "" for i in range(33)}}, {"tags": {"a": LONG}}]
    yield from (wire.avro(wire.event(**each)) for each in changes)
    chance = random.Random(1)
    for _ in range(300):
        one, other = chance.sample(changes, 2)
        yield wire.avro(wire.event(**(one | other)))


def test_the_first_rule_that_an_event_breaks_is_told(wire: Any) -> None:
    values = list(spoilt_events(wire))
    slow = wire.slowly(values)

    wire.assert_same(slow, wire.decode(values))
    assert RULES == {each.reason for each in slow.rejected}
    assert len(told(wire, MetricEvent, values)) > 0.9 * len(slow.rejected)


def spoilt_batches(wire: Any) -> Iterator[bytes]:
    """Batches that break each rule."""
    good = ("s", "e", "m", "p", "", "")
    for n in (0, -1, 1, 4, 2**62, -(2**63)):
        yield batch(wire, n=n)
    yield batch(wire, crc=1)
    yield batch(wire, crc=-1)
    for i in range(len(good)):
        for text in ("", "*", "a|b", "/", LONG, LONG[1:]):
            key = (*good[:i], text, *good[i + 1 :])
            yield batch(wire, keys=(good, key, good))
    for keys in ((), (good,), (good, good[:5], good), (good, (*good, "x"), good), ((), (), ())):
        yield batch(wire, keys=keys)
    for error in ("", "e" * 128, "e" * 129):
        yield batch(wire, error_types=("a", error, "b"))
    yield batch(wire, error_types=())
    for name, kind in COLUMNS.items():
        column = np.frombuffer(getattr(encode_batch([wire.event()] * 3, "p", 1, 1), name), kind)
        ends = np.iinfo(kind)
        for cell in (ends.min, ends.max, 0, 1_001, 9_999, 10_000, 10_000_001, -1):
            if ends.min <= cell <= ends.max:
                changed = column.copy()
                changed[1] = cell
                yield batch(wire, **{name: changed.tobytes()})
        for cut in (column.tobytes()[:-1], column[:2].tobytes(), b""):
            yield batch(wire, **{name: cut})


def test_the_first_rule_that_a_batch_breaks_is_told(wire: Any) -> None:
    values = list(spoilt_batches(wire))
    slow = wire.slowly(values)

    wire.assert_same(slow, wire.decode(values))
    assert rejected(slow) == told(wire, MetricBatch, values)


@given(size=st.integers(1, 70), salt=INT64)
@settings(max_examples=50, deadline=None, database=None, derandomize=True)
def test_a_checksum_is_that_of_zlib(wire: Any, size: int, salt: int) -> None:
    events = [wire.event(tokens_input=abs(salt) % 1_000 + i) for i in range(size)]
    value = wire.CODEC.encode(METRICS, encode_batch(events, "p", 1, 1))

    assert [] == told(wire, MetricBatch, [value])
    assert [0] == [each.message for each in told(wire, MetricBatch, [_flipped(value, salt)])]


def _flipped(value: bytes, salt: int) -> bytes:
    """The batch with one bit of a column turned: of the last ones, which the rules let be."""
    at = len(value) - 12
    return value[:at] + bytes([value[at] ^ 1 << salt % 8]) + value[at + 1 :]


def test_what_is_no_message_is_refused() -> None:
    core: Any = native.core
    rules, room = np.zeros(64, np.int64), np.zeros(6, np.int64)

    with pytest.raises(ValueError, match="shorter than its frame"):
        core.event_faults([b"\0"], rules, room)
    with pytest.raises(ValueError, match="a column of 9 items"):
        core.batch_faults([b"", b"", b""], rules, room)
    with pytest.raises(ValueError, match="a column of"):
        core.event_faults([], rules[:3], room)
    with pytest.raises(TypeError, match="bytes, None or a Message"):
        core.batch_faults(["text"], rules, room)

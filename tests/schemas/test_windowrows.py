"""Windows that are read many at once are those that are read one by one."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import avsc
from schemas.codec import FRAME, Codec, pack
from schemas.consistent import inspect
from schemas.errors import Undecodable
from schemas.metrictable import BUCKETS, ENOUGH, MetricRow
from schemas.registry import LocalRegistry
from schemas.topics import AGGREGATES, ENRICHED, Topic
from schemas.window import (
    MINUTE,
    EnrichedWindow,
    Histogram,
    MetricSummary,
    ModelCard,
    Price,
    Target,
    Unpriced,
    WindowAggregate,
)

REGISTRY = LocalRegistry()
CODEC = Codec(REGISTRY)
LATENCY = MetricSummary(
    count=300, sum=3.0, mean=1.5, min=1.0, max=2.0, stddev=0.7, p50=1.0, p90=2.0, p95=2.0, p99=2.0,
    histogram=Histogram((-1, 30, 340), (1, 99, 200)),
)  # fmt: skip
QUALITY = replace(LATENCY, count=2, histogram=Histogram((340,), (2,)))
WINDOW = WindowAggregate(
    service="search", endpoint="größer", model="m", provider="p", config_version="", cohort="",
    window="1m", start=60 * MINUTE, end=61 * MINUTE, revision=1, closed=True, watermark=61 * MINUTE,
    requests=2, success=1, errors=1, timeouts=1, retries=0, error_units=(4, 9),
    errors_by_type={"rate_limit": 1, "timeout": 3},
    metrics={"latency_ms": LATENCY, "quality": QUALITY},
    unpriced=(Unpriced(model="m", provider="p", requests=1, tokens_input=2, tokens_output=3,
                       cached_tokens=0),),
)  # fmt: skip
BARE = replace(WINDOW, metrics={}, errors_by_type={}, error_units=(), unpriced=(), closed=False)
FULL = EnrichedWindow(
    window=WINDOW,
    cost_usd=0.5,
    cost_per_request_usd=None,
    price=Price(input_per_mtok=1.0, output_per_mtok=2.0, cached_per_mtok=None, source="catalog"),
    target=Target(error_rate=0.1),
    model_card=ModelCard(provider="p", model="m", capabilities=("tools",), context_window=8),
    missing=("price", "sla"),
)
POOR = EnrichedWindow(window=BARE, cost_usd=None, cost_per_request_usd=0.25)
KEPT: list[tuple[Topic, Any]] = [
    (AGGREGATES, WINDOW), (AGGREGATES, BARE), (ENRICHED, FULL), (ENRICHED, POOR),
]  # fmt: skip


def one_by_one(topic: Topic, values: Sequence[bytes]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        try:
            found.append(CODEC.decode(topic, value))
        except Undecodable as error:
            found.append(error)
    return found


def verdict(value: Any) -> str:
    """Why *value* is not taken; "" if it is."""
    try:
        inspect(value)
    except Undecodable as error:
        return f"{error.reason} {error.detail}"
    return ""


def held(*windows: WindowAggregate) -> list[WindowAggregate]:
    values = [CODEC.encode(AGGREGATES, window) for window in windows]
    return CODEC.decode_all(AGGREGATES, values, [None] * len(values))


@pytest.mark.parametrize(("topic", "value"), KEPT)
def test_windows_come_back_as_they_were_with_metrics_from_a_table(topic: Topic, value: Any) -> None:
    found = CODEC.decode_all(topic, [CODEC.encode(topic, value)] * 3, [None] * 3)

    assert [value] * 3 == found
    for each in found:
        window = each if topic is AGGREGATES else each.window
        assert isinstance(window.metrics, MetricRow)
        assert CODEC.encode(topic, value) == CODEC.encode(topic, each)
        assert pack(value) == pack(each)


@given(data=st.data())
@settings(max_examples=150)
def test_whatever_the_bytes_are_it_is_said_of_many_what_is_said_of_one(data: st.DataObject) -> None:
    topic, some = data.draw(st.sampled_from(KEPT))
    values = []
    for _ in range(data.draw(st.integers(1, 20))):
        value = bytearray(CODEC.encode(topic, some))
        match data.draw(st.sampled_from(("sound", "changed", "cut", "longer", "json", "none"))):
            case "changed":
                value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
            case "cut":
                del value[data.draw(st.integers(0, len(value))) :]
            case "longer":
                value += data.draw(st.binary(max_size=3))
            case "json":
                value = bytearray(msgspec.json.encode(some))
            case "none":
                value = bytearray(data.draw(st.binary(max_size=9)))
        values.append(bytes(value))
    expected = one_by_one(topic, values)
    found = CODEC.decode_all(topic, values, [None] * len(values))

    assert [repr(each) for each in expected] == [repr(each) for each in found]
    assert [verdict(each) for each in expected] == [verdict(each) for each in found]


def spelled(window: WindowAggregate, form: str) -> bytes:
    """The same window in another form that Avro allows."""
    plain = msgspec.to_builtins(window)
    out = io.BytesIO()
    for field in avsc.schema(WindowAggregate)["fields"]:
        value, kind = plain[field["name"]], field["type"]
        whole = io.BytesIO()
        if form == "unsorted" and field["name"] == "metrics":
            value = dict(reversed(value.items()))
        fastavro.schemaless_writer(whole, kind, value)
        datum = whole.getvalue()
        if form == "long" and field["name"] == "retries":
            datum = b"\x80\x80\0"  # zero in three bytes
        if form == "twice" and field["name"] == "metrics":
            datum = datum[:-1] + datum  # one block behind the other
        out.write(datum)
    return CODEC.encode(AGGREGATES, window)[: FRAME.size] + out.getvalue()


@pytest.mark.parametrize("form", ["usual", "unsorted", "long", "twice"])
def test_a_window_in_an_unusual_form_is_read_alike(form: str) -> None:
    value = spelled(WINDOW, form)
    found = CODEC.decode_all(AGGREGATES, [value, spelled(BARE, "usual")], [None] * 2)

    assert [WINDOW, BARE] == found == one_by_one(AGGREGATES, [value, spelled(BARE, "usual")])
    assert (value == CODEC.encode(AGGREGATES, WINDOW)) == (form == "usual")


def test_the_window_of_another_schema_is_read_as_ever() -> None:
    schema = avsc.text(WindowAggregate).replace('"doc":"Retries of all requests."', '"default":7')
    id_ = REGISTRY.register(schema.replace('"retries"', '"tries"'))
    value = CODEC.encode(AGGREGATES, WINDOW)
    foreign = FRAME.pack(0, id_) + value[FRAME.size :]
    unknown = FRAME.pack(0, 999) + value[FRAME.size :]
    expected = one_by_one(AGGREGATES, [foreign, value, unknown])
    found = CODEC.decode_all(AGGREGATES, [foreign, value, unknown], [None] * 3)

    assert [repr(each) for each in expected] == [repr(each) for each in found]
    assert isinstance(found[2], Undecodable)


ODD: list[dict[str, Any]] = [
    {"count": 0}, {"count": -1}, {"count": 299}, {"sum": math.nan}, {"max": math.inf},
    {"p50": -0.5}, {"min": 2.5}, {"histogram": Histogram()},
    {"histogram": Histogram((1, 2), (300, 0))}, {"histogram": Histogram((1, 2), (301, -1))},
    {"histogram": Histogram((2, 1), (100, 200))}, {"histogram": Histogram((1, 1), (100, 200))},
    {"histogram": Histogram((-2, 1), (100, 200))}, {"histogram": Histogram((1,), (100, 200))},
    {"histogram": Histogram((1, BUCKETS), (100, 200))},
    {"histogram": Histogram((1, BUCKETS + 1), (100, 200))},
    {"count": ENOUGH + 1, "histogram": Histogram((1, 2), (ENOUGH, 1))},
    {"count": 3, "histogram": Histogram((1, 2, 3), (1 << 62, 1 << 62, (1 << 62) + 3))},
]  # fmt: skip


@pytest.mark.parametrize("change", ODD, ids=str)
def test_odd_metrics_are_refused_among_many_in_the_same_words(change: dict[str, Any]) -> None:
    odd = replace(WINDOW, metrics={"latency_ms": LATENCY, "quality": replace(LATENCY, **change)})
    found = held(WINDOW, odd, BARE)

    assert ["", verdict(odd), ""] == [verdict(each) for each in found]


def test_a_metric_that_nobody_knows_is_refused_among_many() -> None:
    odd = replace(WINDOW, metrics={"zeal": LATENCY})
    found = held(WINDOW, odd)

    assert ["", "there is no metric 'zeal'"] == [verdict(each).partition(" ")[2] for each in found]


def test_metrics_that_can_be_meant_are_sound() -> None:
    first, second = held(WINDOW, replace(WINDOW, metrics={"latency_ms": LATENCY, "zeal": LATENCY}))

    assert isinstance(first.metrics, MetricRow)
    assert isinstance(second.metrics, MetricRow)
    assert (True, False) == (first.metrics.sound, second.metrics.sound)

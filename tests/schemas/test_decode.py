"""The hot path: the same events whatever the form, and bad input named."""

# ruff: noqa: ANN401  # fields of any type are compared

from __future__ import annotations

import dataclasses
import io
import json
import math
import struct
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import avsc
from schemas.anomaly import Anomaly
from schemas.codec import Codec
from schemas.columns import ABSENT, NO_UNIT, Decoded, EventColumns
from schemas.decode import LARGEST, decode_events, decode_slowly
from schemas.errors import Reason, RegistryUnavailable
from schemas.hashing import identity_of
from schemas.metric import MetricEvent
from schemas.partial import METRICS as VALUES
from schemas.quality import QualityScore
from schemas.registry import LocalRegistry
from schemas.scope import bucket_of
from schemas.topics import ANOMALIES, METRICS, QUALITY, Topic

NOW = 1_760_000_000_000
WEEK = 7 * 86_400_000
REGISTRY = LocalRegistry()
CODEC = Codec(REGISTRY)
EVENT = MetricEvent(
    timestamp=NOW,
    service="search",
    endpoint="answer",
    model="m-1",
    provider="p",
    latency_ms=812.3456,
    tokens_input=1200,
    tokens_output=300,
)
SCORE = QualityScore(
    timestamp=NOW,
    service="search",
    endpoint="answer",
    model="m-1",
    provider="p",
    overall=87.6543,
    method="judge",
    request_id="r-1",
)


def decode(values: list[bytes | None], topic: Topic = METRICS) -> Decoded:
    return decode_events(REGISTRY, topic.name, values, NOW, WEEK)


def slowly(values: list[bytes | None], topic: Topic = METRICS) -> Decoded:
    return decode_slowly(REGISTRY, topic.name, values, NOW, WEEK)


def avro(record: Any) -> bytes:
    return CODEC.encode(METRICS if isinstance(record, MetricEvent) else QUALITY, record)


def plain(record: Any, **changes: Any) -> bytes:
    return json.dumps(dataclasses.asdict(record) | changes).encode()


def event(**changes: Any) -> MetricEvent:
    return dataclasses.replace(EVENT, **changes)


def score(**changes: Any) -> QualityScore:
    return dataclasses.replace(SCORE, **changes)


def column(events: EventColumns, metric: str) -> list[int]:
    found: list[int] = events.values[:, [name for name, _ in VALUES].index(metric)].tolist()
    return found


def assert_same(expected: Decoded, found: Decoded) -> None:
    assert [(r.message, r.reason) for r in expected.rejected] == [
        (r.message, r.reason) for r in found.rejected
    ]
    rows = len(expected.events)
    assert rows == len(found.events)
    for field in dataclasses.fields(EventColumns):
        one, two = getattr(expected.events, field.name), getattr(found.events, field.name)
        if isinstance(one, np.ndarray) and field.name not in ("key", "error_type"):
            np.testing.assert_array_equal(one, two, field.name)
            assert one.dtype == two.dtype, field.name
    for events_key, events_names in (("key", "keys"), ("error_type", "error_types")):
        named = [
            [(*getattr(d.events, events_names), None)[i] for i in getattr(d.events, events_key)]
            for d in (expected, found)
        ]
        assert named[0] == named[1]


# --- what an event becomes ---


def test_an_event_becomes_fixed_point_numbers() -> None:
    full = event(
        tokens_total=1501,
        cost_usd=0.0123456789,
        time_to_first_token_ms=80.0005,
        cached_tokens=1000,
        retry_count=2,
        config_version="v1",
        cohort="candidate",
    )

    events = decode([avro(full)]).events

    assert (("search", "answer", "m-1", "p", "v1", "candidate"),) == events.keys
    assert [812_346, 80_000, 1200, 300, 1501, 1000, 12_345_679, ABSENT] == events.values[0].tolist()
    assert ([NOW], [0], [2]) == (
        events.timestamp.tolist(),
        events.key.tolist(),
        events.retries.tolist(),
    )
    assert events.request.all()


def test_what_an_event_leaves_out_is_absent_and_tokens_are_added_up() -> None:
    events = decode([avro(EVENT)]).events

    assert (("search", "answer", "m-1", "p", "", ""),) == events.keys
    assert [1500] == column(events, "tokens_total")
    for metric in ("ttft_ms", "cached_tokens", "cost_usd", "quality"):
        assert [ABSENT] == column(events, metric)
    assert ([ABSENT], (), [0]) == (
        events.error_type.tolist(),
        events.error_types,
        events.identity.tolist(),
    )


@pytest.mark.parametrize(
    ("status", "error", "failed", "timeout"),
    [
        (200, None, False, False),
        (299, "", False, False),
        (204, "content_filter", True, False),
        (199, None, True, False),
        (300, None, True, False),
        (408, None, True, True),
        (504, "gateway", True, True),
        (200, "timeout", True, True),
        (599, "timeout", True, True),
    ],
)
def test_a_request_fails_by_its_status_or_its_error(
    status: int, error: str | None, *, failed: bool, timeout: bool
) -> None:
    found = [event(status_code=status, error_type=error), EVENT]
    for values in ([avro(e) for e in found], [plain(e) for e in found]):
        events = decode(values).events

        assert [failed, False] == events.failed.tolist()
        assert [timeout, False] == events.timeout.tolist()


def test_only_failed_requests_have_a_unit_the_first_id_that_is_given() -> None:
    ids = [
        {"unit_id": "u", "trace_id": "t", "request_id": "r"},
        {"unit_id": "", "trace_id": "t", "request_id": "r"},
        {"request_id": "rüü"},
        {},
    ]
    values = [avro(event(status_code=s, **i)) for s in (500, 200) for i in ids]

    expected = [*(bucket_of(u, "unit") for u in ("u", "t", "rüü")), NO_UNIT, *[NO_UNIT] * 4]
    assert expected == decode(values).events.unit.tolist()


def test_an_identity_is_the_hash_of_the_requests_id() -> None:
    names = ["r-1", "", None, "a-much-longer-name-0123456789", "ü"]

    events = decode([avro(event(request_id=name)) for name in names]).events

    assert [identity_of(n) if n else 0 for n in names] == events.identity.tolist()


def test_a_score_is_no_request_and_known_by_request_and_method() -> None:
    found = decode(
        [avro(SCORE), avro(score(method="people")), plain(score(request_id=None))], QUALITY
    )

    assert () == found.rejected
    assert [87_654] * 3 == column(found.events, "quality")
    assert [ABSENT] * 3 == column(found.events, "latency_ms")
    assert not found.events.request.any()
    assert [NO_UNIT] * 3 == found.events.unit.tolist()
    assert [
        identity_of("quality", "r-1", "judge"),
        identity_of("quality", "r-1", "people"),
        0,
    ] == found.events.identity.tolist()


# --- forms ---


def test_json_may_have_space_around_it_unknown_fields_and_no_defaults() -> None:
    least = {k: v for k, v in dataclasses.asdict(EVENT).items() if v not in (None, {})}
    texts = [json.dumps(least | {"x": [1, {}]}), json.dumps(least, indent=2)]

    found = decode([b" \r\n\t" + text.encode() + b"\n " for text in texts])

    assert_same(decode([avro(EVENT)] * 2), found)


def test_a_list_of_events_is_taken_whole() -> None:
    two = [dataclasses.asdict(event(latency_ms=ms)) for ms in (1.0, 2.0)]

    found = decode([plain(EVENT), json.dumps(two).encode(), avro(EVENT)])

    assert [0, 1, 1, 2] == found.events.message.tolist()
    assert [812_346, 1_000, 2_000, 812_346] == column(found.events, "latency_ms")


def test_a_list_with_one_bad_event_is_not_taken_at_all() -> None:
    good = dataclasses.asdict(EVENT)
    lists = [
        [good, good | {"latency_ms": -1}, good | {"model": ""}],
        [good, {}],
        [good, [good]],
        [],
    ]

    found = decode([json.dumps(several).encode() for several in lists])

    assert 0 == len(found.events)
    assert [Reason.NEGATIVE, *[Reason.WRONG_SHAPE] * 3] == [r.reason for r in found.rejected]


def test_events_keep_the_order_of_their_messages_across_forms() -> None:
    values = [
        plain(event(error_type="a", model="m-2")),
        avro(event(error_type="b")),
        b"{",
        plain(EVENT),
        avro(event(error_type="a", model="m-2")),
    ]

    events = decode(values).events

    assert [0, 1, 3, 4] == events.message.tolist()
    assert ["m-2", "m-1", "m-1", "m-2"] == [events.keys[i][2] for i in events.key]
    assert ["a", "b", None, "a"] == [(*events.error_types, None)[i] for i in events.error_type]


def test_nothing_decodes_to_nothing() -> None:
    for topic in (METRICS, QUALITY):
        for values in ([], [None], [b"{"]):
            found = decode(values, topic)

            assert len(values) == len(found.rejected)
            assert (0, len(VALUES)) == found.events.values.shape
            assert () == found.events.keys


def test_an_older_writers_events_are_read_with_defaults() -> None:
    schema = json.loads(avsc.text(MetricEvent))
    schema["fields"] = [f for f in schema["fields"] if f["name"] not in ("tags", "cost_usd")]
    id_ = REGISTRY.register(json.dumps(schema))
    out = io.BytesIO(struct.pack(">bI", 0, id_))
    out.seek(5)
    fastavro.schemaless_writer(out, avsc.parse(json.dumps(schema)), dataclasses.asdict(EVENT))

    assert_same(decode([avro(EVENT)] * 2), decode([avro(EVENT), out.getvalue()]))


def test_the_same_schema_without_its_docs_takes_the_fast_path() -> None:
    schema = json.loads(avsc.text(MetricEvent))
    for field in schema["fields"]:
        del field["doc"]
    id_ = REGISTRY.register(json.dumps(schema))

    other = b"\0" + id_.to_bytes(4, "big") + avro(EVENT)[5:]

    assert_same(decode([avro(EVENT)] * 40), decode([avro(EVENT), other] * 20))


def test_a_silent_registry_stops_the_batch() -> None:
    class Silent(LocalRegistry):
        def schema(self, id_: int) -> avsc.Written:
            raise RegistryUnavailable(f"no answer about {id_}")

    with pytest.raises(RegistryUnavailable):
        decode_events(Silent(), METRICS.name, [avro(EVENT)], NOW, WEEK)


def test_other_topics_are_refused() -> None:
    with pytest.raises(ValueError, match="not an ingest topic"):
        decode_events(REGISTRY, ANOMALIES.name, [], NOW, WEEK)


# --- bad input ---

AVRO = avro(EVENT)
LONG = "x" * 257
FOREIGN = b"\0" + REGISTRY.id_of(ANOMALIES, Anomaly).to_bytes(4, "big") + AVRO[5:]
TEXT = b"\0" + REGISTRY.register('"string"').to_bytes(4, "big") + b"\x02x"
BAD: list[tuple[Reason, bytes | None]] = [
    (Reason.NULL_VALUE, None),
    (Reason.NULL_VALUE, b""),
    (Reason.TOO_LARGE, b"{" + b" " * LARGEST),
    (Reason.TOO_LARGE, AVRO + bytes(LARGEST)),
    (Reason.UNKNOWN_SCHEMA, b"\0\xff\xff\xff\xff" + AVRO[5:]),
    (Reason.UNKNOWN_SCHEMA, b"\0\0\0\0\0" + AVRO[5:]),
    (Reason.FOREIGN_SCHEMA, FOREIGN),
    (Reason.FOREIGN_SCHEMA, TEXT),
    (Reason.FOREIGN_SCHEMA, avro(SCORE)),
    *((Reason.BROKEN_AVRO, AVRO[:i]) for i in range(1, len(AVRO))),
    (Reason.BROKEN_AVRO, AVRO + b"\0"),
    (Reason.BROKEN_AVRO, AVRO + AVRO),
    (Reason.BROKEN_AVRO, AVRO.replace(b"\x0csearch", b"\x0csear\xff\xfe")),
    (Reason.BROKEN_AVRO, AVRO.replace(b"\x0csearch", b"\x0bsearch")),
    (Reason.BROKEN_AVRO, AVRO.replace(b"\x0csearch", b"\xfe\xff\xff\xff\x0fsearch")),
    (Reason.BROKEN_AVRO, AVRO[:-1] + b"\x02"),
    (Reason.BROKEN_AVRO, AVRO[:-1] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    (Reason.BROKEN_JSON, b"{"),
    (Reason.BROKEN_JSON, b"garbage"),
    (Reason.BROKEN_JSON, b"\xff\xfe\xfd"),
    (Reason.BROKEN_JSON, b"   "),
    (Reason.BROKEN_JSON, b"[" + plain(EVENT)),
    (Reason.BROKEN_JSON, plain(EVENT) + plain(EVENT)),
    (Reason.BROKEN_JSON, plain(EVENT)[:-1] + b',"x":' + b"[" * 100_000),
    (Reason.BROKEN_JSON, plain(EVENT).replace(b'"search"', b'"\xff"')),
    (Reason.BROKEN_JSON, plain(EVENT).replace(b'"search"', b'"\\ud800"')),
    (Reason.BROKEN_JSON, plain(EVENT, latency_ms=math.nan)),
    (Reason.BROKEN_JSON, plain(EVENT, latency_ms=-math.inf)),
    (Reason.WRONG_SHAPE, b"[" * 100_000),
    (Reason.WRONG_SHAPE, b"{}"),
    (Reason.WRONG_SHAPE, b"1"),
    (Reason.WRONG_SHAPE, b"null"),
    (Reason.WRONG_SHAPE, plain(EVENT, model=None)),
    (Reason.WRONG_SHAPE, plain(EVENT, latency_ms="fast")),
    (Reason.WRONG_SHAPE, plain(EVENT, tokens_input=1.5)),
    (Reason.WRONG_SHAPE, plain(EVENT, tags={"a": 1})),
    (Reason.NOT_FINITE, avro(event(latency_ms=math.nan))),
    (Reason.NOT_FINITE, avro(event(cost_usd=math.inf))),
    (Reason.NOT_FINITE, avro(event(time_to_first_token_ms=-math.inf))),
    (Reason.NEGATIVE, avro(event(latency_ms=-0.001))),
    (Reason.NEGATIVE, avro(event(tokens_input=-1))),
    (Reason.NEGATIVE, avro(event(tokens_output=-(2**63)))),
    (Reason.NEGATIVE, avro(event(tokens_total=-1))),
    (Reason.NEGATIVE, avro(event(cached_tokens=-1))),
    (Reason.NEGATIVE, avro(event(cost_usd=-1e-12))),
    (Reason.NEGATIVE, avro(event(retry_count=-1))),
    (Reason.NEGATIVE, plain(EVENT, tokens_input=-(2**70))),
    (Reason.OUT_OF_RANGE, plain(EVENT, tokens_input=2**70)),
    (Reason.OUT_OF_RANGE, plain(EVENT).replace(b"812.3456", b"1e999")),
    (Reason.OUT_OF_RANGE, avro(event(latency_ms=3_600_000.1))),
    (Reason.OUT_OF_RANGE, avro(event(latency_ms=1.7e308))),
    (Reason.OUT_OF_RANGE, avro(event(time_to_first_token_ms=3_600_001.0))),
    (Reason.OUT_OF_RANGE, avro(event(tokens_input=10_000_001))),
    (Reason.OUT_OF_RANGE, avro(event(tokens_output=2**63 - 1))),
    (Reason.OUT_OF_RANGE, avro(event(tokens_total=10_000_001))),
    (Reason.OUT_OF_RANGE, avro(event(cached_tokens=10_000_001))),
    (Reason.OUT_OF_RANGE, avro(event(cost_usd=1000.01))),
    (Reason.OUT_OF_RANGE, avro(event(retry_count=1001))),
    (Reason.OUT_OF_RANGE, avro(event(status_code=99))),
    (Reason.OUT_OF_RANGE, avro(event(status_code=600))),
    (Reason.OUT_OF_RANGE, avro(event(status_code=-200))),
    *(
        (Reason.TOO_LONG, avro(event(**{name: LONG})))
        for name in ("service", "model", "cohort", "config_version", "request_id", "region")
    ),
    (Reason.TOO_LONG, avro(event(unit_id=LONG))),
    (Reason.TOO_LONG, avro(event(trace_id="ü" * 257))),
    (Reason.TOO_LONG, avro(event(error_type="x" * 129))),
    (Reason.TOO_LONG, avro(event(tags={LONG: "v"}))),
    (Reason.TOO_LONG, avro(event(tags={"k": LONG}))),
    (Reason.TOO_LONG, avro(event(tags={str(i): "v" for i in range(33)}))),
    *(
        (Reason.EMPTY_NAME, avro(event(**{name: ""})))
        for name in ("service", "endpoint", "model", "provider")
    ),
    (Reason.TOO_OLD, avro(event(timestamp=NOW - WEEK - 1))),
    (Reason.TOO_OLD, avro(event(timestamp=0))),
    (Reason.TOO_OLD, avro(event(timestamp=-(2**63)))),
    (Reason.IN_THE_FUTURE, avro(event(timestamp=NOW + 300_001))),
    (Reason.IN_THE_FUTURE, avro(event(timestamp=2**63 - 1))),
]
BAD_SCORES = [
    (Reason.NOT_FINITE, avro(score(overall=math.nan))),
    (Reason.NOT_FINITE, avro(score(dimensions={"a": 1.0, "b": math.nan}))),
    (Reason.NEGATIVE, avro(score(overall=-0.1))),
    (Reason.NEGATIVE, avro(score(dimensions={"a": 50.0, "b": -1.0}))),
    (Reason.NEGATIVE, avro(score(confidence=-0.1))),
    (Reason.OUT_OF_RANGE, avro(score(overall=100.1))),
    (Reason.OUT_OF_RANGE, avro(score(dimensions={"a": 100.1}))),
    (Reason.OUT_OF_RANGE, avro(score(confidence=1.1))),
    (Reason.TOO_LONG, avro(score(method=LONG))),
    (Reason.TOO_LONG, avro(score(dimensions={LONG: 1.0}))),
    (Reason.TOO_LONG, avro(score(dimensions={str(i): 1.0 for i in range(33)}))),
    (Reason.EMPTY_NAME, avro(score(service=""))),
    (Reason.TOO_OLD, avro(score(timestamp=1))),
    (Reason.FOREIGN_SCHEMA, AVRO),
    (Reason.BROKEN_AVRO, avro(SCORE)[:-1]),
    (Reason.BROKEN_AVRO, avro(score(dimensions={"a": 1.0}))[:-1]),
    (Reason.WRONG_SHAPE, plain(SCORE, overall=None)),
]


@pytest.mark.parametrize(
    ("topic", "reason", "value"),
    [(METRICS, *bad) for bad in BAD] + [(QUALITY, *bad) for bad in BAD_SCORES],
    ids=lambda x: x.value if isinstance(x, Reason) else "",
)
def test_bad_input_is_named(topic: Topic, reason: Reason, value: bytes | None) -> None:
    good = avro(EVENT if topic is METRICS else SCORE)
    for read in (decode, slowly):
        found = read([good, value, *[good] * 40], topic)

        assert [(1, reason)] == [(r.message, r.reason) for r in found.rejected]
        assert found.rejected[0].detail
        assert [0, *range(2, 42)] == found.events.message.tolist()


def test_what_is_just_allowed_is_taken() -> None:
    edges = [
        event(latency_ms=3_600_000.0, time_to_first_token_ms=3_600_000.0, cost_usd=1000.0),
        event(latency_ms=0.0, cost_usd=0.0, tokens_input=0, tokens_output=0),
        event(tokens_input=10_000_000, cached_tokens=0, retry_count=1000, status_code=599),
        event(service="ü" * 256, error_type="ü" * 128, request_id="\U0001f600" * 256),
        event(tags={str(i) * 128: "v" * 256 for i in range(32)}),
        event(timestamp=NOW - WEEK),
        event(timestamp=NOW + 300_000),
    ]

    assert () == decode([avro(e) for e in edges]).rejected
    assert_same(decode([avro(e) for e in edges]), decode([plain(e) for e in edges]))
    assert () == decode([avro(score(overall=100.0, dimensions={"a": 0.0}))], QUALITY).rejected


def test_a_tenth_of_garbage_leaves_the_rest_as_it_was() -> None:
    garbage = [value for _, value in BAD if value is None or len(value) < 1000]
    values: list[bytes | None] = []
    for i in range(900):
        values += [garbage[i // 9 % len(garbage)]] if i % 9 == 0 else []
        values.append(avro(event(latency_ms=float(i), model=f"m-{i % 7}")))

    found = decode(values)

    assert list(range(900)) == [ms // 1000 for ms in column(found.events, "latency_ms")]
    assert [f"m-{i % 7}" for i in range(900)] == [found.events.keys[k][2] for k in found.events.key]
    assert_same(slowly(values), found)


# --- fast equals slow ---

TEXTS = st.text(max_size=8) | st.sampled_from(["", "timeout", "ü", "\0", "\U0001f600" * 40, LONG])
WHOLE = st.integers(-2, 600) | st.integers(-(2**63), 2**63 - 1)
REAL = st.floats() | st.floats(0, 1000)
TIMES = st.integers(NOW - WEEK - 2, NOW + 300_002) | WHOLE


def maybe(some: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | some


EVENTS = st.builds(
    MetricEvent,
    timestamp=TIMES,
    service=TEXTS,
    endpoint=TEXTS,
    model=TEXTS,
    provider=TEXTS,
    latency_ms=REAL,
    tokens_input=WHOLE,
    tokens_output=WHOLE,
    tokens_total=maybe(WHOLE),
    cost_usd=maybe(REAL),
    status_code=st.integers(95, 605) | WHOLE,
    error_type=maybe(TEXTS),
    retry_count=WHOLE,
    config_version=maybe(TEXTS),
    cohort=maybe(TEXTS),
    request_id=maybe(TEXTS),
    trace_id=maybe(TEXTS),
    unit_id=maybe(TEXTS),
    time_to_first_token_ms=maybe(REAL),
    cached_tokens=maybe(WHOLE),
    region=maybe(TEXTS),
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
)
TAME = st.builds(
    event,
    latency_ms=st.floats(0, 10_000),
    model=st.text(min_size=1, max_size=20),
    cost_usd=maybe(st.floats(0, 10)),
    status_code=st.sampled_from([200, 200, 429, 504]),
    error_type=maybe(st.sampled_from(["timeout", "rate_limit", ""])),
    request_id=maybe(st.text(max_size=40)),
    trace_id=maybe(st.text(max_size=3)),
    unit_id=maybe(st.text(max_size=3)),
    cohort=maybe(st.sampled_from(["", "stable", "candidate"])),
    tags=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
SCORES = st.builds(
    score,
    overall=REAL | st.floats(0, 100),
    dimensions=st.dictionaries(TEXTS, st.floats(0, 100) | REAL, max_size=3),
    confidence=st.floats(0, 1) | REAL,
    method=TEXTS,
    request_id=maybe(TEXTS),
    timestamp=TIMES,
)
THOROUGH = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@given(st.lists(EVENTS | TAME, max_size=8))
@THOROUGH
def test_fast_and_slow_read_the_same_events(found: list[MetricEvent]) -> None:
    values: list[bytes | None] = [avro(e) for e in found]

    assert_same(slowly(values), decode(values))


@given(st.lists(SCORES, max_size=8))
@THOROUGH
def test_fast_and_slow_read_the_same_scores(found: list[QualityScore]) -> None:
    values: list[bytes | None] = [avro(s) for s in found]

    assert_same(slowly(values, QUALITY), decode(values, QUALITY))


@given(st.lists(TAME, max_size=8))
@THOROUGH
def test_avro_and_json_are_the_same_events(found: list[MetricEvent]) -> None:
    expected = decode([avro(e) for e in found])

    assert () == expected.rejected
    assert_same(expected, decode([plain(e) for e in found]))
    assert_same(expected, decode([json.dumps([dataclasses.asdict(e)]).encode() for e in found]))


@given(st.data())
@settings(THOROUGH, max_examples=150)
def test_fast_and_slow_agree_about_damaged_bytes(data: st.DataObject) -> None:
    values: list[bytes | None] = []
    for whole in data.draw(st.lists(TAME.map(avro), min_size=1, max_size=30)):
        damage = data.draw(st.sampled_from(["none", "none", "cut", "flip", "insert"]))
        at = data.draw(st.integers(5, len(whole) - 1))
        new = data.draw(st.binary(min_size=1, max_size=12))
        values.append(
            {
                "none": whole,
                "cut": whole[:at],
                "flip": whole[:at] + new[:1] + whole[at + 1 :],
                "insert": whole[:at] + new + whole[at:],
            }[damage]
        )

    assert_same(slowly(values), decode(values))


@given(st.lists(st.binary(max_size=40), max_size=5))
@THOROUGH
def test_whatever_the_bytes_are_each_message_is_read_or_rejected(values: list[bytes]) -> None:
    found = decode([*values])

    seen = {*found.events.message.tolist(), *(r.message for r in found.rejected)}
    assert set(range(len(values))) == seen

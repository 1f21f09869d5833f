"""The hot path: what events become, the same in every form."""

# fields of any type are compared

from __future__ import annotations

import dataclasses
import io
import json
import struct
from typing import Any

import fastavro
import numpy as np
import pytest

from schemas import avsc
from schemas.codec import Codec
from schemas.columns import ABSENT, NO_UNIT, Decoded, EventColumns
from schemas.decode import decode_events
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
    assert expected.rejected == found.rejected
    assert len(expected.events) == len(found.events)
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

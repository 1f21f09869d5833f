"""The hot path: what events become, the same in every form."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
from typing import Any

import fastavro
import pytest

from schemas import avsc
from schemas.columns import ABSENT, NO_UNIT
from schemas.decode import decode_events
from schemas.errors import Reason, RegistryUnavailable
from schemas.hashing import identity_of
from schemas.metric import MetricEvent
from schemas.partial import METRICS as VALUES
from schemas.registry import LocalRegistry
from schemas.scope import bucket_of
from schemas.topics import ANOMALIES, METRICS, QUALITY

# --- what an event becomes ---


def test_an_event_becomes_fixed_point_numbers(wire: Any) -> None:
    full = wire.event(
        tokens_total=1501,
        cost_usd=0.0123456789,
        time_to_first_token_ms=80.0005,
        cached_tokens=1000,
        retry_count=2,
        config_version="v1",
        cohort="candidate",
    )

    events = wire.decode([wire.avro(full)]).events

    assert (("search", "answer", "m-1", "p", "v1", "candidate"),) == events.keys
    assert [812_346, 80_000, 1200, 300, 1501, 1000, 12_345_679, ABSENT] == events.values[0].tolist()
    assert ([wire.NOW], [0], [2]) == (
        events.timestamp.tolist(),
        events.key.tolist(),
        events.retries.tolist(),
    )
    assert events.request.all()


def test_what_an_event_leaves_out_is_absent_and_tokens_are_added_up(wire: Any) -> None:
    events = wire.decode([wire.avro(wire.EVENT)]).events

    assert (("search", "answer", "m-1", "p", "", ""),) == events.keys
    assert [1500] == wire.column(events, "tokens_total")
    for metric in ("ttft_ms", "cached_tokens", "cost_usd", "quality"):
        assert [ABSENT] == wire.column(events, metric)
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
    wire: Any, status: int, error: str | None, *, failed: bool, timeout: bool
) -> None:
    found = [wire.event(status_code=status, error_type=error), wire.EVENT]
    for values in ([wire.avro(e) for e in found], [wire.plain(e) for e in found]):
        events = wire.decode(values).events

        assert [failed, False] == events.failed.tolist()
        assert [timeout, False] == events.timeout.tolist()


def test_only_failed_requests_have_a_unit_the_first_id_that_is_given(wire: Any) -> None:
    ids = [
        {"unit_id": "u", "trace_id": "t", "request_id": "r"},
        {"unit_id": "", "trace_id": "t", "request_id": "r"},
        {"request_id": "rüü"},
        {},
    ]
    values = [wire.avro(wire.event(status_code=s, **i)) for s in (500, 200) for i in ids]

    expected = [*(bucket_of(u, "unit") for u in ("u", "t", "rüü")), NO_UNIT, *[NO_UNIT] * 4]
    assert expected == wire.decode(values).events.unit.tolist()


def test_an_identity_is_the_hash_of_the_requests_id(wire: Any) -> None:
    names = ["r-1", "", None, "a-much-longer-name-0123456789", "ü"]

    events = wire.decode([wire.avro(wire.event(request_id=name)) for name in names]).events

    assert [identity_of(n) if n else 0 for n in names] == events.identity.tolist()


def test_a_score_is_no_request_and_known_by_request_and_method(wire: Any) -> None:
    found = wire.decode(
        [
            wire.avro(wire.SCORE),
            wire.avro(wire.score(method="people")),
            wire.plain(wire.score(request_id=None)),
        ],
        QUALITY,
    )

    assert () == found.rejected
    assert [87_654] * 3 == wire.column(found.events, "quality")
    assert [ABSENT] * 3 == wire.column(found.events, "latency_ms")
    assert not found.events.request.any()
    assert [NO_UNIT] * 3 == found.events.unit.tolist()
    assert [
        identity_of("quality", "r-1", "judge"),
        identity_of("quality", "r-1", "people"),
        0,
    ] == found.events.identity.tolist()


# --- forms ---


def test_json_may_have_space_around_it_unknown_fields_and_no_defaults(wire: Any) -> None:
    least = {k: v for k, v in dataclasses.asdict(wire.EVENT).items() if v not in (None, {})}
    texts = [json.dumps(least | {"x": [1, {}]}), json.dumps(least, indent=2)]

    found = wire.decode([b" \r\n\t" + text.encode() + b"\n " for text in texts])

    wire.assert_same(wire.decode([wire.avro(wire.EVENT)] * 2), found)


def test_a_list_of_events_is_taken_whole(wire: Any) -> None:
    two = [dataclasses.asdict(wire.event(latency_ms=ms)) for ms in (1.0, 2.0)]

    found = wire.decode([wire.plain(wire.EVENT), json.dumps(two).encode(), wire.avro(wire.EVENT)])

    assert [0, 1, 1, 2] == found.events.message.tolist()
    assert [812_346, 1_000, 2_000, 812_346] == wire.column(found.events, "latency_ms")


def test_a_list_with_one_bad_event_is_not_taken_at_all(wire: Any) -> None:
    good = dataclasses.asdict(wire.EVENT)
    lists = [
        [good, good | {"latency_ms": -1}, good | {"model": ""}],
        [good, {}],
        [good, [good]],
        [],
    ]

    found = wire.decode([json.dumps(several).encode() for several in lists])

    assert 0 == len(found.events)
    assert [Reason.NEGATIVE, *[Reason.WRONG_SHAPE] * 3] == [r.reason for r in found.rejected]


def test_events_keep_the_order_of_their_messages_across_forms(wire: Any) -> None:
    values = [
        wire.plain(wire.event(error_type="a", model="m-2")),
        wire.avro(wire.event(error_type="b")),
        b"{",
        wire.plain(wire.EVENT),
        wire.avro(wire.event(error_type="a", model="m-2")),
    ]

    events = wire.decode(values).events

    assert [0, 1, 3, 4] == events.message.tolist()
    assert ["m-2", "m-1", "m-1", "m-2"] == [events.keys[i][2] for i in events.key]
    assert ["a", "b", None, "a"] == [(*events.error_types, None)[i] for i in events.error_type]


def test_nothing_decodes_to_nothing(wire: Any) -> None:
    for topic in (METRICS, QUALITY):
        for values in ([], [None], [b"{"]):
            found = wire.decode(values, topic)

            assert len(values) == len(found.rejected)
            assert (0, len(VALUES)) == found.events.values.shape
            assert () == found.events.keys


def test_an_older_writers_events_are_read_with_defaults(wire: Any) -> None:
    schema = json.loads(avsc.text(MetricEvent))
    schema["fields"] = [f for f in schema["fields"] if f["name"] not in ("tags", "cost_usd")]
    id_ = wire.REGISTRY.register(json.dumps(schema))
    out = io.BytesIO(struct.pack(">bI", 0, id_))
    out.seek(5)
    fastavro.schemaless_writer(out, avsc.parse(json.dumps(schema)), dataclasses.asdict(wire.EVENT))

    wire.assert_same(
        wire.decode([wire.avro(wire.EVENT)] * 2),
        wire.decode([wire.avro(wire.EVENT), out.getvalue()]),
    )


def test_the_same_schema_without_its_docs_takes_the_fast_path(wire: Any) -> None:
    schema = json.loads(avsc.text(MetricEvent))
    for field in schema["fields"]:
        del field["doc"]
    id_ = wire.REGISTRY.register(json.dumps(schema))

    other = b"\0" + id_.to_bytes(4, "big") + wire.avro(wire.EVENT)[5:]

    wire.assert_same(
        wire.decode([wire.avro(wire.EVENT)] * 40), wire.decode([wire.avro(wire.EVENT), other] * 20)
    )


def test_a_silent_registry_stops_the_batch(wire: Any) -> None:
    class Silent(LocalRegistry):
        def schema(self, id_: int) -> avsc.Written:
            raise RegistryUnavailable(f"no answer about {id_}")

    with pytest.raises(RegistryUnavailable):
        decode_events(Silent(), METRICS.name, [wire.avro(wire.EVENT)], wire.NOW, wire.WEEK)


def test_other_topics_are_refused(wire: Any) -> None:
    with pytest.raises(ValueError, match="not an ingest topic"):
        decode_events(wire.REGISTRY, ANOMALIES.name, [], wire.NOW, wire.WEEK)

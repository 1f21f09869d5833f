"""The client and the pipeline read each other's records."""

import json
import time

from llmopt_client.kafka import METRICS, QUALITY
from llmopt_client.outbox import encode
from llmopt_client.scope import parse
from llmopt_client.scopes import Change, Scopes
from schemas.codec import Codec
from schemas.config import ConfigAck, LlmConfig, ScopeConfig, Split
from schemas.decode import decode_events
from schemas.registry import LocalRegistry
from schemas.topics import CONFIG, CONFIG_ACK
from simulator.fleet import Endpoint, Fleet
from simulator.live import _present
from simulator.requests import columns, events, requests, scores

REGISTRY = LocalRegistry()
CODEC = Codec(REGISTRY)
STATE = ScopeConfig(
    scope="shop/answer",
    revision=3,
    epoch=2,
    stable=LlmConfig(version="a", provider="p", model="m", temperature=0.0),
    candidate=LlmConfig(version="b", provider="p", model="n", parameters={"k": "v"}),
    split=Split(rollout_id="r", salt="s", share=250),
    updated_at=5,
    reason="cheaper",
    decision_id="d",
)


def test_the_client_reads_the_configs_that_the_pipeline_writes() -> None:
    found = parse(CODEC.encode(CONFIG, STATE))

    assert found.stable is not None
    assert found.candidate is not None
    assert ("a", "m", 0.0) == (found.stable.version, found.stable.model, found.stable.temperature)
    assert ("b", "n", {"k": "v"}) == (
        *(found.candidate.version, found.candidate.model, found.candidate.parameters),
    )
    assert ("shop/answer", 3, 2, "s", 250, 5, "cheaper") == (
        *(found.scope, found.revision, found.epoch, found.salt),
        *(found.share, found.updated_at, found.reason),
    )


def test_the_pipeline_reads_the_acknowledgements_that_the_client_writes() -> None:
    heard: list[Change] = []
    them = Scopes(None, "app", None, heard.append)
    them.heard("shop/answer", CODEC.encode(CONFIG, STATE))
    them.caught_up(None)
    (change,) = heard
    ack = {"app": "app", "scope": change.scope, "revision": change.revision}
    ack |= {"epoch": change.epoch, "applied_at": 9, "updated_at": change.updated_at}

    assert ConfigAck(
        app="app", scope="shop/answer", revision=3, epoch=2, applied_at=9, updated_at=5
    ) == CODEC.decode(CONFIG_ACK, json.dumps(ack).encode())


def test_the_pipeline_reads_the_reports_of_the_fleet_as_its_columns() -> None:
    now = time.time_ns() // 1_000_000
    endpoint = Endpoint(service="shop", endpoint="answer", rate=600, default="openai/gpt-4")
    minute = requests(Fleet(endpoints=(endpoint,), seed=5, start=now - 600_000), 3)
    expected = columns(minute)
    reports = [encode(METRICS, _present(event)) for one in minute for event in events(one)]
    judged = [encode(QUALITY, _present(score)) for one in minute for score in scores(one)]
    read = decode_events(REGISTRY, METRICS, reports, now, 86_400_000)
    read_scores = decode_events(REGISTRY, QUALITY, judged, now, 86_400_000)
    n = len(reports)

    assert () == (*read.rejected, *read_scores.rejected)
    assert n > 100
    assert expected.values[:n].tolist() == read.events.values.tolist()
    assert expected.timestamp[:n].tolist() == read.events.timestamp.tolist()
    assert expected.failed[:n].tolist() == read.events.failed.tolist()
    assert expected.timeout[:n].tolist() == read.events.timeout.tolist()
    assert [expected.keys[k] for k in expected.key[:n]] == [
        read.events.keys[k] for k in read.events.key
    ]
    assert expected.values[n:].tolist() == read_scores.events.values.tolist()
    failed = read.events.failed
    assert expected.unit[:n][failed].tolist() == read.events.unit[failed].tolist()

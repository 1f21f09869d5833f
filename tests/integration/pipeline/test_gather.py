"""What the demo judges by is read from the real topics, journals and tables."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from confluent_kafka.admin import NewTopic

from demo import before
from demo.evidence import gather
from demo.promises import Evidence, Replayed, judge
from demo.run import DemoFailed, Ran, owned
from infra.postgres.server import Postgres
from schemas.metric import MetricEvent
from schemas.quality import QualityScore
from schemas.topics import METRICS, QUALITY, STAGES
from schemas.window import SIZES
from streams import kafka

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

EVENTS, TWICE, SCORES, LAST = 400, 10, 100, 4
FLEET = {
    "messages": EVENTS + TWICE + LAST,
    "duplicates": TWICE,
    "quality": SCORES,
    "garbage": 1,
    "garbage_failed": 0,
    "clients": {"dropped": 0, "invalid": 0, "failed": 0},
    "services": {"search": {"cost_usd": 3.0, "default_cost_usd": 8.0}},
}


@pytest.fixture(scope="module")
def ran(pipeline: Any) -> Iterator[Ran]:
    """A little of everything has gone through two workers, one of which was killed."""
    began = (int(time.time() * 1_000) // SIZES["1h"] - 2) * SIZES["1h"]
    with Postgres(pipeline.folder / "postgres") as server:
        pipeline.start("worker-1", "worker-2", database_url=server.dsn, commit_interval="100ms")
        produce(pipeline, began, range(EVENTS // 2))
        pipeline.until(lambda: not pipeline.unread("collect"), 60, "the first half is read")
        had = owned(pipeline.settings, "worker-2")
        killed_at, pid = int(time.time() * 1_000), pipeline.workers.kill("worker-2")
        pipeline.start("worker-2")
        words = ("--provider", "openai", "--model", "gpt-4o-mini", "--by", "ada", "--new")
        pipeline.llmopt("config", "set", "search/answer", *words)
        produce(pipeline, began, range(EVENTS // 2, EVENTS))
        pipeline.close_windows(began + SIZES["1h"])
        rest = [stage for _ in "12" for stage in STAGES if stage != "merge"]
        pipeline.until(lambda: pipeline.closed(began + SIZES["1h"]), 60, "windows are closed")
        pipeline.until(lambda: not any(map(pipeline.unread, rest)), 60, "all is read")

        assert [0, 0] == pipeline.stop()
        pipeline.workers.start("store", "--stages", "store")
        truth = pipeline.folder / "truth.npz"
        yield Ran(pipeline.settings, FLEET, truth, pid, killed_at, had)

        assert [0] == pipeline.stop()


def produce(pipeline: Any, began: int, numbers: range) -> None:
    """A request a second, some sent twice; scores of a quarter; one message that is none."""
    producer = kafka.producer(pipeline.cluster.bootstrap_servers)

    def send(topic: Any, value: bytes) -> None:
        producer.produce(topic.name, key="search", value=value)

    for i in numbers:
        whom = {
            "timestamp": began + i * 1_000,
            "service": "search",
            "endpoint": "answer",
            "model": "gpt-4",
            "provider": "openai",
            "request_id": f"r-{i}",
        }
        event = MetricEvent(
            **whom, latency_ms=300.0 + i, tokens_input=100 + i, tokens_output=50, cost_usd=0.025
        )
        for _ in range(1 + (i % (EVENTS // TWICE) == 0)):
            send(METRICS, pipeline.codec.encode(METRICS, event))
        if i % (EVENTS // SCORES) == 0:
            score = QualityScore(**whom, overall=90.0 + i % 7, method="judge")
            send(QUALITY, pipeline.codec.encode(QUALITY, score))
    if numbers.start == 0:
        send(METRICS, b"garbage")

    assert 0 == producer.flush(10)


def test_all_that_happened_is_gathered(pipeline: Any, ran: Ran) -> None:
    found = gather(ran, pipeline.env, pipeline.folder / "rollback.png")

    assert found.sent is not None
    assert (found.sent.messages, found.counts["read"]) == (515, 515)
    assert (SCORES + EVENTS + LAST, TWICE, 1) == tuple(
        found.counts[name] for name in ("aggregated", "duplicates", "dead_lettered")
    )
    assert ({"search/answer": [1]}, 0) == (found.revisions, found.dropped)
    assert (ran.killed_pid, 2) == (found.killed_pid, len(found.commits_after_kill))
    assert all(found.commits_after_kill.values())
    assert (True, []) == (found.windows_compared > 10, list(found.windows_wrong))
    assert [("search/answer", "promoted")] == [(e.scope, e.phase) for e in found.endings]
    assert (set(STAGES), None) == (found.replayed.commits.keys(), found.replayed.difference)
    assert re.fullmatch(r"decide\[\d\], commit \d+", found.replayed.otherwise or "")
    for table, least in (("aggregates", 20), ("config_versions", 1), ("deployments", 1)):
        assert (least <= found.stored[table].records, ()) == (True, found.stored[table].wrong)
    # One config was set by hand: that is none of the four promises about rollouts.
    rollouts = {"moved to a cheaper model", "took a bad candidate back"}
    assert rollouts | {"held what nobody could judge", "drew the rollback"} == broken(found)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("LLMOPT_BOOTSTRAP_SERVERS", r"^llmopt\.\S+ at \S+ has records already"),
        ("LLMOPT_DATABASE_URL", "holds rows of another Kafka's topics: name an empty one"),
    ],
)
@pytest.mark.usefixtures("ran")
def test_the_demo_refuses_servers_that_were_used_before(
    pipeline: Any, name: str, told: str
) -> None:
    with pytest.raises(DemoFailed, match=told):
        before.check({name: pipeline.env[name]})


def test_topics_without_records_are_no_hindrance_to_the_demo(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = pipeline.cluster.bootstrap_servers
    admin = kafka.admin(servers)
    admin.create_topics([NewTopic("unused.1", 2)])["unused.1"].result(10)
    monkeypatch.setattr(before, "OURS", "unused.")

    before.check({"LLMOPT_BOOTSTRAP_SERVERS": servers})


def broken(found: Evidence) -> set[str]:
    return {each.name for each in judge(found) if not each.kept}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            (
                "UPDATE aggregates SET cost_usd = 0"
                " WHERE model = '*' AND requests = 400 AND window_name = '15m'"
            ),
            "1 of aggregates differ, such as search/answer|15m|",
        ),
        (
            "UPDATE config_versions SET stable = jsonb_set(stable, '{model}', '\"other\"')",
            "1 of config_versions differ, such as search/answer|1: stable is ",
        ),
        ("DELETE FROM deployments", "1 of deployments differ, such as m-"),
        (
            "UPDATE deployments SET sequence = 7",
            "2 of deployments differ, such as m-",
        ),
    ],
)
def test_one_changed_row_breaks_the_promise_about_postgres(
    pipeline: Any, ran: Ran, monkeypatch: pytest.MonkeyPatch, change: str, told: str
) -> None:
    from demo import evidence

    waited = evidence.settled
    monkeypatch.setattr(evidence, "settled", lambda *words: waited(*words, within=0.0))
    monkeypatch.setattr(
        evidence, "replay", lambda _: Replayed({}, None, "", None)
    )  # takes long, and is no part
    with psycopg.connect(ran.settings.database_url, autocommit=True) as connection:
        named = change.removeprefix("DELETE FROM ").removeprefix("UPDATE ").split()[0]
        name = {"aggregates": "windows"}.get(named, named)  # the table behind the view
        connection.execute(f"CREATE TABLE before AS TABLE {name}".encode())
        connection.execute(change.encode())
        try:
            said = {
                each.name: each
                for each in judge(gather(ran, pipeline.env, pipeline.folder / "rollback.png"))
            }
        finally:
            connection.execute(f"TRUNCATE {name}".encode())
            connection.execute(f"INSERT INTO {name} TABLE before".encode())
            connection.execute(b"DROP TABLE before")

    assert not said["Postgres equals the topics"].kept
    assert said["Postgres equals the topics"].sentence.startswith(told)

"""Gather what the promises are judged from: topics, journal, Postgres, the fleet's own word."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import psycopg.sql

from demo.promises import Ending, Evidence, Sent
from demo.recompute import compare
from demo.run import DemoFailed, Ran, command
from schemas.codec import Codec
from schemas.journal import JournalRecord
from schemas.registry import RegistryClient
from schemas.rollout import Deployment, Phase
from schemas.topics import (
    AGGREGATES,
    ANOMALIES,
    CONFIG,
    DECISIONS,
    DEPLOYMENTS,
    STAGES,
    journal,
)
from streams.reading import records

ENDED = (Phase.PROMOTED, Phase.ROLLED_BACK)


def gather(ran: Ran, env: Mapping[str, str]) -> Evidence:
    """Read everything back.

    Raises:
        DemoFailed: a command of ours failed.
    """
    with RegistryClient(ran.settings.schema_registry_url) as registry:
        codec = Codec(registry)

        def values(topic: Any) -> list[Any]:
            return [seen.value for seen in records(ran.settings, codec, topic) if seen.value]

        deployments: list[Deployment] = values(DEPLOYMENTS)
        lines: list[JournalRecord] = values(journal("collect"))
        configs = sorted(
            records(ran.settings, codec, CONFIG), key=lambda seen: (seen.partition, seen.offset)
        )
        dropped = sum(line.counts.get("late", 0) for line in values(journal("merge")))
        windows = values(AGGREGATES)
        compared, wrong = compare(ran.settings, registry, windows)
        on_topics = {
            "anomalies": len({each.id for each in values(ANOMALIES)}),
            "decisions": len({each.id for each in values(DECISIONS)}),
            "deployments": len({(each.id, each.sequence) for each in deployments}),
            "aggregates": len({each.record_id for each in windows}),
        }
    revisions: dict[str, list[int]] = defaultdict(list)
    for seen in configs:
        if seen.value is not None:
            revisions[seen.value.scope].append(seen.value.revision)
    replayed, difference = replay(env)
    return Evidence(
        sent=sent(ran.summary),
        counts=sum((Counter(line.counts) for line in lines), Counter()),
        endings=endings(deployments),
        killed_pid=ran.killed_pid,
        dropped=dropped,
        commits_after_kill=taken_over(lines, ran.killed_at),
        windows_compared=compared,
        windows_wrong=wrong,
        revisions=revisions,
        stored=settled(ran.settings.database_url, on_topics),
        on_topics=on_topics,
        replayed=replayed,
        replay_difference=difference,
    )


def taken_over(lines: Sequence[JournalRecord], killed_at: int) -> int:
    """Commits of partitions whose owner changed after *killed_at*, by their new owners."""
    before: dict[int, int] = {}
    for line in lines:
        if line.now <= killed_at:
            before[line.partition] = max(line.epoch, before.get(line.partition, 0))
    return sum(line.epoch > before.get(line.partition, line.epoch) for line in lines)


def sent(summary: Mapping[str, Any]) -> Sent | None:
    """What the fleet says, None when it says that some of it never arrived."""
    services = summary["services"].values()
    return Sent(
        metrics=summary["messages"],
        duplicates=summary["duplicates"],
        quality=summary["quality"],
        garbage=summary["garbage"],
        cost_usd=sum(each["cost_usd"] for each in services),
        default_usd=sum(each["default_cost_usd"] for each in services),
    )


def endings(deployments: Sequence[Deployment]) -> list[Ending]:
    """How each rollout ended, in the order of their ends."""
    began: dict[str, int] = {}
    found = []
    for each in sorted(deployments, key=lambda one: (one.at, one.id, one.sequence)):
        if each.phase is Phase.RAMPING:
            began.setdefault(each.id, each.at)
        if each.phase in ENDED and each.previous not in ENDED and each.candidate_model:
            found.append(
                Ending(
                    scope=each.scope,
                    phase=each.phase.value,
                    stable_model=each.stable_model or "",
                    candidate_model=each.candidate_model,
                    reason=each.reason,
                    minutes=(each.at - began.get(each.id, each.at)) / 60_000,
                )
            )
    return found


def settled(database: str, on_topics: Mapping[str, int], within: float = 20.0) -> dict[str, int]:
    """The tables' rows, once they are as many as on the topics, or as they are after a while."""
    deadline = time.monotonic() + within
    while (found := rows(database, tuple(on_topics))) != dict(on_topics):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return found


def rows(database: str, tables: Sequence[str]) -> dict[str, int]:
    """How many rows each table holds."""
    with psycopg.connect(database) as connection:
        found = {}
        for table in tables:
            query = psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(table))
            row = connection.execute(query).fetchone()
            found[table] = 0 if row is None else int(row[0])
        return found


def replay(env: Mapping[str, str]) -> tuple[dict[str, int], str | None]:
    """Commits that a replay gave byte by byte, by stage; and the first difference."""
    try:
        told = json.loads(command(env, "replay", "--json", "--stages", ",".join(STAGES)))
    except DemoFailed as difference:
        return {}, str(difference)
    return {each["stage"]: each["commits"] for each in told}, None

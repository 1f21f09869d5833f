"""Gather what the promises are judged from: topics, journal, Postgres, the fleet's own word."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from demo.promises import Ending, Evidence, Held, Replayed, Sent
from demo.recompute import compare
from demo.run import CATALOG, SCENARIO, DemoFailed, Ran, command
from demo.stored import COPIED, Key, Row, compare_tables, expected
from schemas.codec import Codec
from schemas.journal import JournalRecord
from schemas.registry import RegistryClient
from schemas.rollout import Deployment, Phase, Verdict
from schemas.scope import ALL, scope_of
from schemas.topics import (
    AGGREGATES,
    CONFIG,
    DEPLOYMENTS,
    STAGES,
    TOPICS,
    Topic,
    journal,
)
from simulator.fleet import Fleet
from simulator.scenario import read
from streams.reading import records

CHANGE = ("0.02", "0.03")  # US dollars a request above which a rule looks for a cheaper model
COMMIT = re.compile(r"decide\[\d+\], commit \d+")
DIFFERENT = 4  # exit status
ENDED = (Phase.PROMOTED, Phase.ROLLED_BACK)


def gather(ran: Ran, env: Mapping[str, str]) -> Evidence:
    """Read everything back.

    Raises:
        DemoFailed: a command of ours failed.
    """
    with RegistryClient(ran.settings.schema_registry_url) as registry:
        codec = Codec(registry)

        def values(topic: Topic) -> list[Any]:
            seen = records(ran.settings, codec, topic)
            seen.sort(key=lambda each: (each.partition, each.offset))
            return [each.value for each in seen if each.value is not None]

        found = {name: values(TOPICS[name]) for name in COPIED}
        lines: list[JournalRecord] = values(journal("collect"))
        dropped = sum(line.counts.get("late", 0) for line in values(journal("merge")))
        compared, wrong = compare(ran.settings, registry, found[AGGREGATES.name])
    revisions: dict[str, list[int]] = defaultdict(list)
    for config in found[CONFIG.name]:
        revisions[config.scope].append(config.revision)
    return Evidence(
        sent=sent(ran.summary),
        counts=sum((Counter(line.counts) for line in lines), Counter()),
        endings=endings([e for e in found[DEPLOYMENTS.name] if isinstance(e, Deployment)]),
        worse=worse(read(SCENARIO)),
        killed_pid=ran.killed_pid,
        dropped=dropped,
        commits_after_kill=taken_over(lines, ran.killed_at, ran.killed_had),
        windows_compared=compared,
        windows_wrong=wrong,
        revisions=revisions,
        stored=settled(ran.settings.database_url, expected(found)),
        replayed=replay(env),
    )


def taken_over(
    lines: Sequence[JournalRecord], killed_at: int, had: Collection[int]
) -> dict[int, int]:
    """Commits of the partitions that *had* another owner from *killed_at* on, by their new owners.

    Args:
        lines: The journal of a stage.
        killed_at: ms since the epoch.
        had: The partitions of who was killed.
    """
    before: dict[int, int] = {}
    for line in lines:
        if line.now <= killed_at:
            before[line.partition] = max(line.epoch, before.get(line.partition, 0))
    since = Counter(
        line.partition for line in lines if line.epoch > before.get(line.partition, line.epoch)
    )
    return {partition: since[partition] for partition in sorted(had)}


def worse(fleet: Fleet) -> dict[str, frozenset[str]]:
    """For each scope the models whose answers are truly worse there than those of most."""
    found = {}
    for one in fleet.endpoints:
        usual = one.truth.get(ALL, {}).get("quality", 0.0)
        found[scope_of(one.service, one.endpoint)] = frozenset(
            model for model, truth in one.truth.items() if truth.get("quality", usual) < usual
        )
    return found


def sent(summary: Mapping[str, Any]) -> Sent | None:
    """What the fleet says, None when it says that some of it never arrived."""
    clients = summary["clients"]
    if summary["garbage_failed"] or any(clients[name] for name in ("dropped", "invalid", "failed")):
        return None
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
                    failed=tuple(g.metric for g in each.guardrails if g.verdict is Verdict.FAIL),
                    minutes=(each.at - began.get(each.id, each.at)) / 60_000,
                )
            )
    return found


def settled(
    database: str, wanted: Mapping[str, Mapping[Key, Row]], within: float = 20.0
) -> Mapping[str, Held]:
    """The tables beside the topics, once they are equal, or as they are after a while."""
    deadline = time.monotonic() + within
    while True:
        found = compare_tables(database, wanted)
        if not any(each.wrong for each in found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def replay(env: Mapping[str, str]) -> Replayed:
    """Run the journal again, twice, and once with one byte of the catalog changed."""
    change = f"{CHANGE[1]} instead of {CHANGE[0]} dollars in a rule"
    words = ("replay", "--json", "--stages", ",".join(STAGES))
    try:
        with ThreadPoolExecutor(2) as side_by_side:
            first, second = side_by_side.map(lambda _: command(env, *words), range(2))
    except DemoFailed as difference:
        return Replayed({}, str(difference), change, None)
    if first != second:
        return Replayed({}, "a second replay found something else than the first", change, None)
    commits = {each["stage"]: each["commits"] for each in json.loads(first)}
    return Replayed(commits, None, change, differing(env))


def differing(env: Mapping[str, str]) -> str | None:
    """The first commit of `decide` that is another one after the change of the catalog."""
    with tempfile.TemporaryDirectory(prefix="llmopt-demo-") as folder:
        other = Path(folder) / "catalog.yaml"
        other.write_text(CATALOG.read_text("utf-8").replace(*CHANGE), "utf-8")
        words = ("replay", "--json", "--stages", "decide", "--catalog", str(other))
        try:
            (told,) = json.loads(command(env, *words, expect=DIFFERENT))
        except DemoFailed:
            return None
    found = COMMIT.search(" ".join(told["why"]))
    return None if found is None else found[0]

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

from demo.promises import Ending, Evidence, Held, Picture, Replayed, Sent
from demo.recompute import compare
from demo.run import CATALOG, SCENARIO, DemoFailed, Ran, command
from demo.stored import COPIED, Key, Row, compare_tables, expected
from schemas.codec import Codec
from schemas.journal import JournalRecord
from schemas.registry import RegistryClient
from schemas.rollout import Phase, Verdict
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
from streams.cli.story import Story, stories
from streams.reading import records

CHANGE = ("0.02", "0.03")  # US dollars a request above which a rule looks for a cheaper model
COMMIT = re.compile(r"decide\[\d+\], commit \d+")
DIFFERENT = 4  # exit status
LITTLE = 100.0  # requests a minute


def gather(ran: Ran, env: Mapping[str, str], picture: Path) -> Evidence:
    """Read everything back.

    Args:
        ran: What the run left.
        env: Where everything is.
        picture: Where a rollback is drawn.

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
    fleet = read(SCENARIO)
    ended, truly = endings(found[DEPLOYMENTS.name]), worse(fleet)
    return Evidence(
        sent=sent(ran.summary),
        counts=sum((Counter(line.counts) for line in lines), Counter()),
        endings=ended,
        worse=truly,
        thin=thin(fleet),
        picture=draw(env, ended, truly, picture),
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


def endings(told: Sequence[object]) -> list[Ending]:
    """How each rollout and change ended, or stands, in the order of their last events.

    Args:
        told: All records of the deployments topic.
    """
    return [
        _ending(one)
        for one in sorted(stories(told).values(), key=lambda one: (one.last.at, one.last.id))
        if one.last.candidate_model and one.last.phase is not Phase.REJECTED
    ]


def _ending(one: Story) -> Ending:
    last = one.last
    return Ending(
        id=last.id,
        scope=last.scope,
        phase="held" if one.held else last.phase.value,
        stable_model=last.stable_model or "",
        candidate_model=last.candidate_model or "",
        reason=last.reason,
        failed=tuple(g.metric for g in last.guardrails if g.verdict is Verdict.FAIL),
        minutes=(one.until - one.began) / 60_000,
        share=last.share,
        requests=one.looks[-1].candidate_requests if one.looks else 0,
    )


def thin(fleet: Fleet) -> frozenset[str]:
    """The scopes of which the careful strategy's first share gets less than a request a minute."""
    return frozenset(one.scope for one in fleet.endpoints if one.rate < LITTLE)


def draw(
    env: Mapping[str, str],
    ended: Sequence[Ending],
    truly: Mapping[str, Collection[str]],
    file: Path,
) -> Picture | None:
    """Have a bad candidate's rollback drawn by the command that a person would type.

    Returns:
        None when there was no such rollback.

    Raises:
        DemoFailed: the command failed.
    """
    bad = [
        each
        for each in ended
        if each.phase == "rolled_back" and each.candidate_model in truly.get(each.scope, ())
    ]
    if not bad:
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    words = ("deployments", "show", bad[0].id, "--plot", str(file), "--json")
    looks = json.loads(command(env, *words))["looks"]
    at_limit = [any(g["log_e"] >= g["limit"] for g in look["guardrails"]) for look in looks]
    return Picture(
        id=bad[0].id,
        file=str(file),
        width=width(file),
        looks=len(looks),
        crossed=at_limit[-1:] == [True] and not any(at_limit[:-1]),
    )


def width(file: Path) -> int | None:
    """How many pixels wide a PNG is; None when *file* is none."""
    head = file.read_bytes()[:20] if file.is_file() else b""
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 20:
        return None
    return int.from_bytes(head[16:20])


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

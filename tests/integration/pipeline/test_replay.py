"""What was decided live is decided again from the journal, and another policy shows at once."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from demo.run import PIPELINE, simulate
from schemas.command import CommandKind
from schemas.rollout import Deployment
from schemas.topics import (
    CATALOG,
    COMMANDS,
    DECISIONS,
    DEPLOYMENTS,
    PARTIALS,
    STAGES,
    Topic,
    journal,
    snapshots,
)
from streams import kafka

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MINUTES, SPEED = 26, 60.0
COPIED_EVERY = "4s"
DIFFERENT, INCOMPARABLE = 4, 5  # exit codes
DECLARED = Path(__file__).parents[3] / "demo" / "catalog.yaml"
SLA = "slas: {search/answer: {p95_latency_ms: 3100}}"
BROKEN = {  # entries that another program wrote, and no worker takes
    "rule/broken": b"{",
    "rule/senseless": b'{"id": "senseless", "name": "x", "priority": "urgent"}',
    "model/openai/gpt-4": b'{"provider": "openai", "model": "gpt-5"}',
}


@pytest.fixture(scope="module")
def recorded(pipeline: Any) -> Any:
    """A fleet has lived for some simulated minutes; the workers are gone."""
    pipeline.start(
        "worker-1",
        "worker-2",
        **{n.removeprefix("LLMOPT_").lower(): v for n, v in PIPELINE.items()},
        snapshot_interval=COPIED_EVERY,
    )
    settings = replace(pipeline.settings, database_url="")
    fleet = simulate(settings, pipeline.folder / "truth.npz", MINUTES, SPEED, seed=1)
    try:
        pipeline.until(lambda: len(pipeline.records(DECISIONS)) > 0, 90, "a first decision")
        tell(pipeline)
        fleet.communicate(timeout=120)
        pipeline.until(
            lambda: not any(pipeline.unread(s) for s in ("collect", "enrich")), 60, "all is read"
        )
    finally:
        end(fleet)

    assert [0, 0] == pipeline.stop()
    return pipeline


def tell(pipeline: Any) -> None:
    """Commands of several kinds, and a catalog that changes while the fleet lives."""
    changed = pipeline.folder / "changed.yaml"
    changed.write_text(SLA)
    pipeline.llmopt("catalog", "apply", str(changed))
    producer = kafka.producer(pipeline.cluster.bootstrap_servers)
    for key, value in BROKEN.items():
        producer.produce(CATALOG.name, key=key, value=value)
    producer.produce(COMMANDS.name, key="*", value=b"no command at all")

    assert 0 == producer.flush(10)
    words = ("--provider", "openai", "--model", "gpt-3.5-turbo", "--by", "ada")
    pipeline.llmopt("config", "set", "mailer/draft", *words, "--new")
    pipeline.llmopt("config", "unset", "mailer/draft", "--by", "ada")
    pipeline.llmopt("config", "rollback", "coder/complete", "--by", "ada", expect=None)
    pipeline.llmopt("pause", "search/answer", "--by", "ada", "--reason", "look")
    pipeline.llmopt("resume", "search/answer", "--by", "ada")
    paused = pipeline.json("pause", "--reason", "drill")
    pipeline.llmopt("resume")

    assert (True, "drill") == (paused["obeyed"], paused["hold"]["reason"])


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait(10)


def test_a_replay_is_identical_and_again(
    recorded: Any, commits_add_up: Callable[..., dict[int, dict[str, int]]]
) -> None:
    first = recorded.json("replay")
    second = recorded.json("replay")

    assert first == second
    assert list(STAGES) == [each["stage"] for each in first]
    assert {"identical"} == {each["finding"] for each in first}
    for each in first:
        assert min(each["commits"], each["events"], each["outputs"]) > 0, each
    # It was about something: decisions, rollouts, commands and two catalogs.
    kinds = {seen.value.kind for seen in recorded.records(COMMANDS)}
    changes = {CommandKind.SET, CommandKind.UNSET, CommandKind.ROLLBACK}
    assert changes | {CommandKind.PAUSE, CommandKind.RESUME} == kinds
    told = [seen.value for seen in recorded.records(DEPLOYMENTS)]
    assert {"ada", "optimizer"} <= {each.by for each in told if isinstance(each, Deployment)}
    lines = [line for each in recorded.journal("decide").values() for line in each]
    assert len({line.policy for line in lines}) >= 2
    for stage in STAGES:
        commits_add_up(recorded, stage)


@pytest.mark.parametrize(
    ("was", "is_", "where", "fields"),
    [
        # A rule's threshold names the condition in what decide remembers of a scope.
        (
            'cost_per_request_usd, op: ">", value: 0.02',
            'cost_per_request_usd, op: ">", value: 0.03',
            r"llmopt\.decide\.changelog\.v1 '[a-z]+/[a-z]+'",
            (r"payload\.held\..* > 0\.02: .+ → absent", r"payload\.held\..* > 0\.03: absent → .+"),
        ),
        # A budget is only in the checksum of the policy that each decision carries.
        (
            "daily_budget_usd: 500000",
            "daily_budget_usd: 600000",
            r"llmopt\.decisions\.v1 '[a-z]+/[a-z]+' \(id \S+\)",
            (r'policy: "[0-9a-f]+" → "[0-9a-f]+"',),
        ),
    ],
)
def test_one_byte_of_policy_makes_a_difference_and_the_replay_says_where(
    recorded: Any, was: str, is_: str, where: str, fields: Sequence[str]
) -> None:
    before = DECLARED.read_text()
    after = before.replace(was, is_, 1)

    assert 1 == sum(a != b for a, b in zip(before, after, strict=True))
    other = recorded.folder / "other.yaml"
    other.write_text(after)
    told = recorded.llmopt("replay", "--catalog", str(other), expect=DIFFERENT).stderr
    # Before it, the log says which commands the workers have refused.
    head, *lines = told[told.index("llmopt: ") :].splitlines()
    read = r"\(read llmopt\.\S+\[\d\] \d+–\d+.*\)"

    assert re.fullmatch(
        rf"llmopt: The replay differs\. decide\[\d\], commit \d+ {read}: "
        rf"record \d+ differs: {where}",
        head,
    )
    for field, line in zip(fields, lines, strict=True):
        assert re.fullmatch(f"  {field}", line)


def test_the_same_catalog_in_a_file_changes_nothing(recorded: Any) -> None:
    done = recorded.json("replay", "--stages", "decide", "--catalog", str(DECLARED))

    assert ["decide"] == [each["stage"] for each in done]


def test_a_stretch_of_time_is_compared_alone(recorded: Any) -> None:
    lines = [line for each in recorded.journal("decide").values() for line in each]
    at = middle(recorded, "decide")
    words = ("replay", "--stages", "decide")
    (early,) = recorded.json(*words, "--to", str(at))
    (late,) = recorded.json(*words, "--from", str(at))

    assert 0 == early["skipped"]
    assert len(lines) == early["commits"] + late["commits"]
    assert early["first"] <= early["last"] < at <= late["first"] <= late["last"]


def middle(pipeline: Any, stage: str, share: float = 0.5) -> int:
    """When half of the commits of *stage*, or another *share* of them, were done."""
    times = sorted(line.now for each in pipeline.journal(stage).values() for line in each)
    return int(times[int(len(times) * share)])


def test_a_replay_starts_at_the_last_copy_of_the_state(recorded: Any) -> None:
    journals = {stage: recorded.journal(stage) for stage in STAGES}
    at = min(lines[-1].now for each in journals.values() for lines in each.values()) - 5_000
    for done in recorded.json("replay", "--from", str(at)):
        before = {p: sum(line.now < at for line in x) for p, x in journals[done["stage"]].items()}
        reached = dict.fromkeys(before, 0)
        for each in recorded.records(snapshots(done["stage"])):
            p, copy = each.partition, each.value
            if copy.at <= at and copy.sequence <= before[p]:
                reached[p] = max(reached[p], copy.sequence)

        assert ("identical", True) == (done["finding"], done["commits"] > 0), done
        assert any(reached.values())
        assert sum(before[p] - reached[p] for p in before) == done["skipped"]


def test_a_range_without_commits_is_not_identical(recorded: Any) -> None:
    told = recorded.llmopt("replay", "--to", "2020-01-01", "--json", expect=INCOMPARABLE)

    assert {"incomparable"} == {each["finding"] for each in json.loads(told.stdout)}
    assert "decide has no commit in this range" in told.stderr


# From here on something is deleted, as retention does it.


def test_where_input_is_deleted_nothing_is_said_but_what_is_missing(recorded: Any) -> None:
    lines = recorded.journal("merge")
    at = middle(recorded, "merge", 0.25)  # so that copies of each task's state come after it
    ends = {
        p: max(r.end for line in each if line.now < at for r in line.ranges)
        for p, each in lines.items()
    }
    delete(recorded, PARTIALS, ends)
    told = recorded.llmopt("replay", "--stages", "merge", "--json", expect=INCOMPARABLE)
    (done,) = json.loads(told.stdout)

    assert "incomparable" == done["finding"]
    assert [
        {"topic": PARTIALS.name, "partition": p, "start": 0, "end": lines[p][0].ranges[0].end}
        for p in sorted(ends)
    ] == done["missing"]
    assert re.search(
        r"llmopt\.partials\.v1\[0\] begins at offset \d+, but was read from 0", told.stderr
    )
    (from_,) = re.findall(r"can be compared with --from (\S+)$", told.stderr.strip())
    (left,) = recorded.json("replay", "--stages", "merge", "--from", from_)

    assert ("identical", True) == (left["finding"], left["commits"] > 0)
    assert at <= left["first"]


def test_where_the_journal_is_deleted_nothing_is_said_of_its_time(recorded: Any) -> None:
    lines = recorded.journal("decide")
    at = middle(recorded, "decide")
    first = {
        p: next(each for each in recorded.records(journal("decide")) if falls(each, p, at))
        for p, each in lines.items()
        if each[0].now < at <= each[-1].now
    }
    delete(recorded, journal("decide"), {p: each.offset for p, each in first.items()})
    told = recorded.llmopt("replay", "--stages", "decide", "--json", expect=INCOMPARABLE)
    (done,) = json.loads(told.stdout)

    assert first
    assert "incomparable" == done["finding"]
    assert [
        {"topic": journal("decide").name, "partition": p, "start": 0, "end": first[p].offset}
        for p in sorted(first)
    ] == done["missing"]
    begins = min(first)

    assert f"decide[{begins}] begins with commit {first[begins].value.sequence}" in told.stderr
    (from_,) = re.findall(r"can be compared with --from (\S+)$", told.stderr.strip())
    (left,) = recorded.json("replay", "--stages", "decide", "--from", from_)

    assert ("identical", True) == (left["finding"], left["commits"] > 0)


def falls(seen: Any, partition: int, at: int) -> bool:
    """Whether a line of the journal is of *partition*, and not from before *at*."""
    return seen.partition == partition and seen.value.now >= at


def delete(pipeline: Any, topic: Topic, before: Mapping[int, int]) -> None:
    """Delete the records of each partition that lie before an offset."""
    admin = kafka.admin(pipeline.cluster.bootstrap_servers)
    asked = admin.delete_records([TopicPartition(topic.name, p, end) for p, end in before.items()])
    for future in asked.values():
        future.result(10)

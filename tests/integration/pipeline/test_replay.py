"""What was decided live is decided again from the journal, and another policy shows at once."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.run import PIPELINE, simulate
from schemas.command import CommandKind
from schemas.topics import CATALOG, COMMANDS, DECISIONS, DEPLOYMENTS, STAGES
from streams import kafka

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MINUTES, SPEED = 26, 60.0
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
    )
    settings = replace(pipeline.settings, database_url="")
    fleet = simulate(settings, pipeline.folder / "truth.npz", MINUTES, SPEED)
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
    pipeline.llmopt("config", "set", "mailer/draft", *words)
    pipeline.llmopt("config", "rollback", "coder/complete", "--by", "ada", expect=None)
    pipeline.llmopt("pause", "search", "--by", "ada", "--reason", "look")
    pipeline.llmopt("resume", "search", "--by", "ada")


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
    for each in first:
        assert min(each["commits"], each["events"], each["outputs"]) > 0, each
    # It was about something: decisions, rollouts, commands and two catalogs.
    kinds = {seen.value.kind for seen in recorded.records(COMMANDS)}
    assert {CommandKind.SET, CommandKind.ROLLBACK, CommandKind.PAUSE, CommandKind.RESUME} == kinds
    assert {"ada", "optimizer"} <= {seen.value.by for seen in recorded.records(DEPLOYMENTS)}
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
    after = before.replace(was, is_)

    assert 1 == sum(a != b for a, b in zip(before, after, strict=True))
    other = recorded.folder / "other.yaml"
    other.write_text(after)
    told = recorded.llmopt("replay", "--catalog", str(other), expect=1).stderr
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
    middle = sorted(line.now for line in lines)[len(lines) // 2]
    words = ("replay", "--stages", "decide")
    (early,) = recorded.json(*words, "--to", str(middle))
    (late,) = recorded.json(*words, "--from", str(middle))

    assert (0, early["commits"]) == (early["skipped"], late["skipped"])
    assert len(lines) == early["commits"] + late["commits"]

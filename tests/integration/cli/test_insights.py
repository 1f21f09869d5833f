"""What is known of the past of scopes, and a person's word that one is as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from schemas.insight import Insight, InsightKind
from schemas.journal import JournalRecord, Range
from schemas.scope import partition_of
from schemas.topics import COMMANDS, INSIGHTS, journal
from streams.cli import give
from streams.reading import Seen
from tests.integration.cli.acting import beside

pytestmark = pytest.mark.integration

HOUR = 3_600_000
CHANGE = Insight(
    id="", scope="", kind=InsightKind.CHANGE_POINT, metric="quality", window="1h", start=0,
    end=24 * HOUR, revision=1, holds=True, at=20 * HOUR, direction="degrading", value=80.0,
    reference=90.0, low=None, high=None, relative=-0.11, p=1e-6, confidence=0.999, subject="",
    causes=(), method="segmentation", samples=24, sentence="The quality went from 90 to 80.",
)  # fmt: skip


def test_each_is_told_as_it_stands_newest_first(llmopt: Any, scope: str) -> None:
    change = replace(CHANGE, id=f"{scope}|c", scope=scope)
    trend = replace(
        change, id=f"{scope}|t", kind=InsightKind.TREND, metric="requests", sentence="It rises."
    )
    gone = replace(change, id=f"{scope}|g")
    for each in (
        change, gone, trend, replace(gone, holds=False, revision=2),
        replace(change, revision=2, sentence="The quality went from 91 to 80."),
    ):  # fmt: skip
        llmopt.produce(INSIGHTS.name, scope, each)
    told = llmopt("insights", scope).stdout

    assert ["The quality went from 91 to 80.", "It rises."] == [
        each["sentence"] for each in llmopt.json("insights", scope)
    ]
    assert "99.9 %" in told
    assert "from 91 to 80" in told
    assert [f"{scope}|t"] == [
        each["id"] for each in llmopt.json("insights", scope, "--kind", "trend")
    ]
    assert [] == llmopt.json("insights", scope, "--metric", "error_rate")
    assert 1 == len(llmopt.json("insights", scope, "--limit", "1"))
    nobody = llmopt("insights", "nobody/here").stdout
    assert "No insights match nobody/here. Without it there are " in nobody


@contextmanager
def analyzer(llmopt: Any, scope: str, **counts: int) -> Iterator[None]:
    """Obeys the next command, as its journal tells."""
    partition = partition_of(scope, llmopt.settings.partitions_derived)

    def answer(_: Seen) -> None:
        line = JournalRecord(
            stage="analyze", partition=partition, sequence=1, epoch=1, now=0, seed=0,
            ranges=(Range(topic=COMMANDS.name, partition=0, start=0, end=1 << 40),),
            catalog=0, policy="", watermark=None, counts=counts,
        )  # fmt: skip
        llmopt.produce(journal("analyze").name, str(partition), line)

    with beside(llmopt, answer, lambda each: each.key == scope):
        yield


def test_a_person_is_told_what_the_baseline_is_made_of(llmopt: Any, scope: str) -> None:
    with analyzer(llmopt, scope, golden=4):
        said = llmopt("baseline", scope, "--by", "ada").stdout

    assert f"The last week of {scope} is its golden baseline, of 4 metrics.\n" == said


def test_it_is_told_to_programs_too(llmopt: Any, scope: str) -> None:
    with analyzer(llmopt, scope, golden=5):
        told = llmopt.json("baseline", scope, "--by", "ada", "--reason", "agreed")

    assert (5, "baseline", "agreed") == (
        told["metrics"], told["command"]["kind"], told["command"]["reason"],
    )  # fmt: skip


def test_too_little_that_is_known_is_told(llmopt: Any, scope: str) -> None:
    with analyzer(llmopt, scope, golden_refused=1):
        said = llmopt("baseline", scope, expect=1).stderr

    assert f"Too little is known of {scope}: a baseline needs 20 hours with traffic." in said


def test_that_nobody_obeys_is_told(
    llmopt: Any, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(give, "WAIT", 0.5)
    said = llmopt("baseline", scope, expect=1).stderr

    assert "nothing obeyed it within 0.5 s: start a worker with the analyze stage" in said

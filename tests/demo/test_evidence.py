"""What is found in the journal, the scenario and the fleet's own word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo.evidence import sent, taken_over, worse
from demo.run import SCENARIO
from schemas.journal import JournalRecord
from simulator.scenario import read

SUMMARY: dict[str, Any] = {
    "messages": 10,
    "duplicates": 1,
    "quality": 2,
    "garbage": 3,
    "garbage_failed": 0,
    "clients": {"reported": 12, "delivered": 12, "dropped": 0, "invalid": 0, "failed": 0},
    "services": {
        "a": {"cost_usd": 1.0, "default_cost_usd": 2.0},
        "b": {"cost_usd": 0.5, "default_cost_usd": 4.0},
    },
}


def line(partition: int, epoch: int, now: int) -> JournalRecord:
    return JournalRecord(
        stage="collect", partition=partition, sequence=1, epoch=epoch, now=now, seed=0, ranges=(),
        catalog=0, policy="", watermark=None,
    )  # fmt: skip


def test_what_was_sent_is_what_the_fleet_says() -> None:
    found = sent(SUMMARY)

    assert found is not None
    assert (15, 1.5, 6.0) == (found.messages, found.cost_usd, found.default_usd)


@pytest.mark.parametrize("name", ["dropped", "invalid", "failed", "garbage_failed"])
def test_a_fleet_whose_reports_did_not_all_arrive_is_no_evidence(name: str) -> None:
    lost = SUMMARY | {name: 1, "clients": {**SUMMARY["clients"], name: 1}}

    assert sent(lost) is None


def test_only_commits_of_the_partitions_that_the_killed_one_had_count_and_by_their_new_owner() -> (
    None
):
    before = [line(partition, 1, 90) for partition in range(4)]
    dying = [line(2, 1, 110)]
    after = [*(line(0, 2, 120) for _ in range(5)), line(2, 2, 130), line(2, 3, 140)]

    assert {2: 2, 3: 0} == taken_over([*before, *dying, *after], 100, {2, 3})


def test_the_scenario_says_which_models_are_worse_and_where() -> None:
    found = worse(read(Path(SCENARIO)))

    assert {"support/summarize"} == {scope for scope, models in found.items() if models}
    assert "mistral/open-mixtral-8x7b" in found["support/summarize"]
    assert "openai/gpt-4" not in found["support/summarize"]
